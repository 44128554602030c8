//! Running a client program as a child process, without blocking and without leaving it
//! behind.

use super::wait::{self, Event, Interest};
use crate::error::{Error, Result, SqlState};
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends the child when it is dropped early, that is, when an error or a cancel unwinds.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only when the child has ended and been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn nonblocking(fd: i32) {
    // SAFETY: the descriptor is an open pipe of our own.
    unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
}

/// Reads what is there; false at the end of the stream.
fn drain(stream: &mut impl Read, into: &mut Vec<u8>) -> Result<bool> {
    let mut buffer = [0u8; 65536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(n) => into.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::internal(format!("could not read from a child process: {e}"))),
        }
    }
}

/// Runs the command to its end and returns its standard output; a failure carries its
/// standard error as the detail. The child ends when this process ends, and when `look_after`,
/// called `every` so often, gives an error.
pub fn output(
    mut command: Command,
    event: Event,
    every: Duration,
    mut look_after: impl FnMut() -> Result<()>,
) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |what: String| Error::new(SqlState::EXTERNAL_ROUTINE, format!("\"{program}\" {what}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: prctl() is async-signal-safe, as a hook between fork and exec must be.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let mut child = Guard(command.spawn().map_err(|e| failed(format!("could not be started: {e}")))?);
    let (Some(mut stdout), Some(mut stderr)) = (child.0.stdout.take(), child.0.stderr.take()) else {
        return Err(Error::internal("a child process has no pipes"));
    };
    nonblocking(stdout.as_raw_fd());
    nonblocking(stderr.as_raw_fd());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut looked = Instant::now();
    while drain(&mut stdout, &mut out)? {
        drain(&mut stderr, &mut err)?;
        wait::on_socket(stdout.as_raw_fd(), Interest::Read, Duration::from_millis(500), event);
        if looked.elapsed() >= every {
            look_after()?;
            looked = Instant::now();
        }
    }
    while drain(&mut stderr, &mut err)? {
        wait::on_socket(stderr.as_raw_fd(), Interest::Read, Duration::from_millis(500), event);
    }
    let status = child.0.wait().map_err(|e| failed(format!("could not be waited for: {e}")))?;
    if status.success() {
        return Ok(out);
    }
    Err(failed(format!("failed ({status})")).detail(String::from_utf8_lossy(&err).trim().to_string()))
}

//! Running a client program as a child process, without blocking and without leaving it
//! behind.

use super::wait::{self, Event};
use crate::error::{Error, Result, SqlState};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitStatus, Stdio};
use std::time::Duration;

/// The most that a child may write, in bytes: its output is held in memory.
const OUTPUT: u64 = 1 << 30;

/// How much of its messages an error shows, in bytes.
const SHOWN: u64 = 8192;

/// How often it is looked whether the child has ended.
const LOOK: Duration = Duration::from_millis(10);

/// A child that ends when this process ends, or when this is dropped: when an error or a cancel
/// unwinds.
pub struct Child {
    process: process::Child,
    program: String,
    output: File,
    messages: File,
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only when the child has ended and been waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn failed(program: &str, what: impl std::fmt::Display) -> Error {
    Error::new(SqlState::EXTERNAL_ROUTINE, format!("\"{program}\" {what}"))
}

/// A file that is in memory only, and takes what is written at any pace, as a pipe does not.
fn memory(program: &str) -> Result<File> {
    // SAFETY: the name is a constant; the descriptor is a new one, and nobody else's.
    unsafe {
        match libc::memfd_create(c"timescale_migrate".as_ptr(), libc::MFD_CLOEXEC) {
            -1 => Err(failed(
                program,
                format!("could not be given a file for its output: {}", std::io::Error::last_os_error()),
            )),
            fd => Ok(File::from_raw_fd(fd)),
        }
    }
}

impl Child {
    /// Starts a program; what it writes goes to memory, up to a limit.
    pub fn start(mut command: Command) -> Result<Child> {
        let program = command.get_program().to_string_lossy().into_owned();
        let (output, messages) = (memory(&program)?, memory(&program)?);
        let not_started = |e: std::io::Error| failed(&program, format!("could not be started: {e}"));
        command.stdin(Stdio::null());
        command.stdout(output.try_clone().map_err(not_started)?);
        command.stderr(messages.try_clone().map_err(not_started)?);
        // SAFETY: all three are async-signal-safe, as a hook between fork and exec must be. Beyond the limit a
        // write fails, rather than that a signal ends the child.
        unsafe {
            command.pre_exec(|| {
                let limit = libc::rlimit { rlim_cur: OUTPUT, rlim_max: OUTPUT };
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                match libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit)
                    | libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM)
                {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let process = command.spawn().map_err(not_started)?;
        Ok(Child { process, program, output, messages })
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.try_wait().map_err(|e| failed(&self.program, format!("could not be waited for: {e}")))
    }

    /// Whether it is this process that has connected here, as the kernel says.
    pub fn is_peer(&self, stream: &UnixStream) -> bool {
        let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut size = size_of_val(&peer) as libc::socklen_t;
        // SAFETY: an open socket, and a place of the size that is given.
        let result = unsafe {
            let place = (&raw mut peer).cast();
            libc::getsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, place, &raw mut size)
        };
        result == 0 && peer.pid as u32 == self.process.id()
    }

    /// Waits for its end and returns its standard output; a failure carries its standard error
    /// as the detail.
    pub fn finish(mut self, event: Event) -> Result<Vec<u8>> {
        let status = loop {
            match self.ended()? {
                Some(status) => break status,
                None => wait::on_latch(LOOK, event),
            }
        };
        let read = |mut file: &File, most| {
            let mut bytes = Vec::new();
            file.rewind().and_then(|()| file.take(most).read_to_end(&mut bytes)).map(|_| bytes)
        };
        let (file, most) = if status.success() { (&self.output, OUTPUT) } else { (&self.messages, SHOWN) };
        let bytes =
            read(file, most).map_err(|e| failed(&self.program, format!("wrote output that could not be read: {e}")))?;
        if status.success() {
            return Ok(bytes);
        }
        Err(failed(&self.program, format!("failed ({status})")).detail(String::from_utf8_lossy(&bytes).trim()))
    }
}

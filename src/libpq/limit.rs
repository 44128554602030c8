//! How much a source may send at once.
//!
//! libpq keeps a message until it is whole, an answer until it is asked for, and of an error's fields several
//! copies. So what comes in is counted from one thing that is taken from libpq to the next, and where it is more
//! than such a thing can be, the connection is given up. It is the kernel that counts, for TCP alone: whoever
//! serves a socket of this machine can fill its memory without a connection, too.
//!
//! It is counted between two calls of libpq. In one call, libpq may read a whole message whose length it knows, if the
//! server sends as fast as it is read; that length is below 2 GB.

use crate::error::{Error, Result, Side, SqlState};
use std::os::fd::RawFd;

const MB: u64 = 1 << 20;

/// What is being waited for, and how many bytes it may be.
#[derive(Clone, Copy)]
pub(super) struct Most(u64, &'static str);

/// All that a server says before a connection stands.
pub(super) const GREETING: Most = Most(MB, "before the connection was established");
/// A small answer, which libpq keeps until its end.
pub(super) const ANSWER: Most = Most(8 * MB, "in answer to one statement");
/// The same between the copies of a script: what follows may have come in already, as much as the
/// kernel holds.
pub(super) const SCRIPT: Most = Most(64 * MB, "between two COPY commands");
/// A row of an answer that is taken row by row.
pub(super) const ROW: Most = Most(32 * MB, "in one row");
/// A row of a COPY, of which no server makes a larger one; and what comes with it.
pub(super) const COPIED: Most = Most(1025 * MB, "in one row of a COPY");

/// What a connection may bring in all besides rows and answers, of which libpq keeps the server's parameters until its end.
const BESIDES: u64 = 256 * MB;

/// The count of a connection.
pub(super) struct Flow {
    pub most: Most,
    /// How much had come in when something was last taken.
    before: u64,
    /// Something was taken since then.
    pub taken: bool,
    /// The size of all that was taken.
    passed: u64,
}

impl Flow {
    /// Of a new connection.
    pub fn new() -> Flow {
        Flow { most: GREETING, before: 0, taken: false, passed: 0 }
    }

    /// To be called when something of a size was taken.
    pub fn pass(&mut self, size: u64) {
        self.taken = true;
        self.passed += size;
    }

    /// To be called when something came in.
    pub fn look(&mut self, socket: RawFd) -> Result<()> {
        let Some(received) = received(socket) else { return Ok(()) };
        if std::mem::take(&mut self.taken) {
            self.before = received;
        }
        let Most(most, what) = self.most;
        // What encryption adds is less than 1 in 32; a row counts when it is whole.
        let allowed = self.passed + self.passed / 32 + most + BESIDES;
        let (most, what) = match received.saturating_sub(self.before) > most {
            true => (most, what),
            false if received > allowed => (BESIDES, "besides rows and answers"),
            false => return Ok(()),
        };
        let message = format!("the source sent more than {} MB {what}", most / MB);
        Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .detail("No PostgreSQL server sends that much.")
            .on(Side::Source))
    }
}

/// How many bytes have come in over a TCP connection; what the kernel holds is counted, too.
fn received(socket: RawFd) -> Option<u64> {
    /// Where `struct tcp_info` of linux/tcp.h has `tcpi_bytes_received`, in units of 8 bytes.
    const PLACE: usize = 16;
    let mut info = [0u64; 32];
    let mut size = size_of_val(&info) as libc::socklen_t;
    // SAFETY: a place of the size that is given; the kernel fills as much of it as it knows.
    let result =
        unsafe { libc::getsockopt(socket, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &raw mut size) };
    (result == 0 && size as usize > PLACE * size_of::<u64>()).then_some(info[PLACE])
}

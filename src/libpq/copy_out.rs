//! The data of a `COPY ... TO STDOUT` on the source, as a source for this server's COPY.

use super::connection::Connection;
use super::ffi;
use crate::error::{Error, Result, Side};
use crate::pg::copy::Source;
use crate::pg::wait::Event;
use std::ffi::c_char;

/// One CopyData message, in libpq's memory.
struct Message {
    data: *mut c_char,
    length: usize,
    taken: usize,
}

impl Message {
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let n = buffer.len().min(self.length - self.taken);
        // SAFETY: `taken + n` bytes are within the message.
        let bytes = unsafe { std::slice::from_raw_parts(self.data.cast::<u8>().add(self.taken), n) };
        buffer[..n].copy_from_slice(bytes);
        self.taken += n;
        n
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: allocated by libpq, freed once.
        unsafe { libpq_sys::PQfreemem(self.data.cast()) };
    }
}

/// A running COPY OUT. Reading it to its end yields the source's own count of rows.
pub struct CopyOut<'a> {
    connection: &'a mut Connection,
    message: Option<Message>,
    ended: bool,
    rows: Option<u64>,
    /// Bytes received.
    pub bytes: u64,
}

impl<'a> CopyOut<'a> {
    pub(super) fn new(connection: &'a mut Connection) -> Self {
        CopyOut { connection, message: None, ended: false, rows: None, bytes: 0 }
    }

    /// The next message; `Ok(None)` at the end, or when none is there and waiting is not wanted.
    fn next(&mut self, wait: bool) -> Result<Option<Message>> {
        loop {
            let mut data = std::ptr::null_mut();
            // SAFETY: an open connection in COPY OUT state; the buffer returned is ours.
            match unsafe { libpq_sys::PQgetCopyData(self.connection.raw, &mut data, 1) } {
                0 if !wait => return Ok(None),
                0 => self.connection.receive(Event::SourceCopy)?,
                -1 => {
                    self.ended = true;
                    return Ok(None);
                }
                length if length > 0 => {
                    self.bytes += length as u64;
                    return Ok(Some(Message { data, length: length as usize, taken: 0 }));
                }
                _ => return Err(self.connection.lost()),
            }
        }
    }

    /// To be called after everything was read: the number in the source's `COPY n` tag.
    pub fn finish(mut self) -> Result<u64> {
        if !self.ended && self.next(true)?.is_some() {
            return Err(Error::internal("the source sent more than was read").on(Side::Source));
        }
        if self.rows.is_none() {
            self.check_end()?;
        }
        let rows = self.rows;
        self.connection.answer()?;
        rows.ok_or_else(|| Error::internal("the source did not say how many rows it sent").on(Side::Source))
    }

    /// After the data comes the command's result; an error there means that the data is not whole.
    fn check_end(&mut self) -> Result<()> {
        if let Some(result) = self.connection.next_result(Event::SourceCopy)? {
            match result.status() {
                ffi::COMMAND_OK => self.rows = result.affected(),
                _ => return Err(result.error()),
            }
        }
        Ok(())
    }
}

impl Source for CopyOut<'_> {
    fn fill(&mut self, buffer: &mut [u8], least: usize) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() && !self.ended {
            if self.message.is_none() {
                self.message = self.next(filled < least)?;
                if self.ended {
                    self.check_end()?;
                }
            }
            match self.message.as_mut() {
                Some(message) => {
                    filled += message.take(&mut buffer[filled..]);
                    if message.taken == message.length {
                        self.message = None;
                    }
                }
                None if filled >= least => break,
                None => {}
            }
        }
        Ok(filled)
    }
}

//! The data of a `COPY ... TO STDOUT` on the source, as a source for this server's COPY.

use super::connection::{Connection, within};
use super::{ffi, limit};
use crate::core::feed::{Feed, Messages, Next};
use crate::error::{Error, Result};
use crate::pg::copy::Source;
use crate::pg::wait::Event;
use std::ffi::c_char;

/// One CopyData message, in libpq's memory.
struct Message {
    data: *mut c_char,
    length: usize,
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the message is of that length, and is neither changed nor freed before this value.
        unsafe { std::slice::from_raw_parts(self.data.cast(), self.length) }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: allocated by libpq, freed once.
        unsafe { libpq_sys::PQfreemem(self.data.cast()) };
    }
}

struct Stream<'a> {
    connection: &'a mut Connection,
    rows: Option<u64>,
    bytes: u64,
}

impl Messages for Stream<'_> {
    type Message = Message;

    fn next(&mut self, wait: bool) -> Result<Next<Message>> {
        loop {
            let mut data = std::ptr::null_mut();
            // SAFETY: an open connection in COPY OUT state; the buffer returned is ours.
            match unsafe { libpq_sys::PQgetCopyData(self.connection.raw, &mut data, 1) } {
                0 if !wait => return Ok(Next::Pending),
                0 => self.connection.receive(Event::SourceCopy)?,
                -1 => {
                    self.check_end()?;
                    return Ok(Next::End);
                }
                length if length > 0 => {
                    self.connection.flow.taken = true;
                    self.bytes += length as u64;
                    return Ok(Next::Message(Message { data, length: length as usize }));
                }
                _ => return Err(self.connection.lost()),
            }
        }
    }
}

impl Stream<'_> {
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

impl Connection {
    /// Runs statements of which the last is a `COPY ... TO STDOUT`.
    pub fn copy_out(&mut self, sql: &str) -> Result<CopyOut<'_>> {
        self.send(sql)?;
        while let Some(result) = self.next_result(Event::SourceQuery).map_err(|e| within(e, sql))? {
            match result.status() {
                ffi::COPY_OUT => {
                    self.flow.most = limit::COPIED;
                    return Ok(CopyOut(Feed::new(Stream { connection: self, rows: None, bytes: 0 })));
                }
                ffi::COMMAND_OK | ffi::TUPLES_OK | ffi::EMPTY_QUERY => {}
                _ => {
                    let error = within(result.error(), sql);
                    self.finish()?;
                    return Err(error);
                }
            }
        }
        Err(Error::protocol("the source did not start the COPY"))
    }
}

/// A running COPY OUT. Reading it to its end yields the source's own count of rows.
pub struct CopyOut<'a>(Feed<Stream<'a>>);

impl CopyOut<'_> {
    /// Bytes received.
    pub fn bytes(&self) -> u64 {
        self.0.messages.bytes
    }

    /// To be called after everything was read: the number in the source's `COPY n` tag.
    pub fn finish(mut self) -> Result<u64> {
        if !self.0.is_read()? {
            return Err(Error::protocol("the source sent more than was read"));
        }
        let Stream { connection, rows, .. } = self.0.messages;
        connection.flow.most = limit::ANSWER;
        connection.answer()?;
        rows.ok_or_else(|| Error::protocol("the source did not say how many rows it sent"))
    }
}

impl Source for CopyOut<'_> {
    fn fill(&mut self, buffer: &mut [u8], least: usize) -> Result<usize> {
        self.0.fill(buffer, least)
    }
}

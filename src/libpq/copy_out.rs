//! The data of a `COPY ... TO STDOUT` on the source, as a source for this server's COPY.

use super::connection::{Connection, within};
use super::result::{Raw, Rows};
use super::{ffi, limit};
use crate::core::feed::{Feed, Next, Pieces};
use crate::error::{Error, Result};
use crate::pg::copy::Source;
use crate::pg::wait::Event;
use std::ffi::c_int;

/// A row that is larger than this leaves a connection with a buffer that is worth another connection.
const WIDE: usize = 16 << 20;

struct Stream<'a> {
    connection: &'a mut Connection,
    rows: Option<u64>,
    bytes: u64,
    /// How many bytes came since the last piece that left room in the buffer it was read into, and thereby ended a message.
    unbroken: usize,
}

impl Pieces for Stream<'_> {
    /// From libpq's buffer: `PQgetCopyData` would make a copy of each message first, which may be a row of 1 GB.
    fn next(&mut self, buffer: &mut [u8], wait: bool) -> Result<Next> {
        let (start, size) = (buffer.as_mut_ptr().cast(), c_int::try_from(buffer.len()).unwrap_or(c_int::MAX));
        loop {
            // SAFETY: an open connection in COPY OUT state, and a buffer of that size.
            match unsafe { libpq_sys::PQgetlineAsync(self.connection.raw, start, size) } {
                0 if !wait => return Ok(Next::Pending),
                0 => self.connection.receive(Event::SourceCopy)?,
                count if count > 0 => {
                    self.note(count as usize, count == size);
                    return Ok(Next::Bytes(count as usize));
                }
                _ => {
                    self.check_end()?;
                    return Ok(Next::End);
                }
            }
        }
    }
}

impl Stream<'_> {
    fn note(&mut self, count: usize, is_full: bool) {
        // With a row comes a head of 5 bytes, and by encryption some more if it comes alone.
        self.connection.flow.pass(count as u64 + if is_full { 0 } else { 16 });
        self.bytes += count as u64;
        self.unbroken += count;
        self.connection.is_swollen |= self.unbroken > WIDE;
        if !is_full {
            self.unbroken = 0;
        }
    }

    /// After the data comes the command's result; an error there means that the data is not whole.
    fn check_end(&mut self) -> Result<()> {
        if self.connection.is_bad() {
            return Err(self.connection.lost());
        }
        let mut result = self.connection.next_result(Event::SourceCopy)?;
        // Where it is not the source's word for the end of the data, but an error, libpq leaves that to this call.
        if result.as_ref().is_some_and(Raw::is_copy) {
            // SAFETY: an open connection; there is no data to be had.
            unsafe { libpq_sys::PQgetCopyData(self.connection.raw, &mut std::ptr::null_mut(), 1) };
            result = self.connection.next_result(Event::SourceCopy)?;
        }
        if let Some(result) = result {
            match result.status() {
                ffi::COMMAND_OK => self.rows = result.affected(),
                _ => return Err(result.error()),
            }
        }
        Ok(())
    }
}

/// Statements that were sent as one message, and whose answers are taken one after the other.
pub struct Script<'a> {
    connection: &'a mut Connection,
    sql: &'a str,
}

impl Connection {
    /// Sends several statements, separated by semicolons. A script that is not taken to its end
    /// leaves a connection that is good for nothing else.
    pub fn script<'a>(&'a mut self, sql: &'a str) -> Result<Script<'a>> {
        self.send(sql)?;
        Ok(Script { connection: self, sql })
    }
}

impl Script<'_> {
    /// The next result that is of one of these kinds; none after the last.
    fn next(&mut self, kinds: &[i32]) -> Result<Option<Raw>> {
        while let Some(result) = self.connection.next_result(Event::SourceQuery).map_err(|e| within(e, self.sql))? {
            match result.status() {
                status if kinds.contains(&status) => return Ok(Some(result)),
                ffi::COMMAND_OK | ffi::TUPLES_OK | ffi::EMPTY_QUERY => {}
                _ => {
                    let error = within(result.error(), self.sql);
                    self.connection.finish()?;
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// The row of the next statement that gives one, or none.
    pub fn row(&mut self) -> Result<Rows> {
        match self.next(&[ffi::TUPLES_OK])? {
            Some(result) if result.size().0 > 1 => {
                Err(Error::protocol("the source sent several rows where one was expected"))
            }
            Some(result) => result.rows(),
            None => Err(Error::protocol("the source sent no rows")),
        }
    }

    /// The data of the next `COPY ... TO STDOUT`.
    pub fn copy_out(&mut self) -> Result<CopyOut<'_>> {
        if self.next(&[ffi::COPY_OUT])?.is_none() {
            return Err(Error::protocol("the source did not start the COPY"));
        }
        self.connection.flow.most = limit::COPIED;
        Ok(CopyOut(Feed::new(Stream { connection: self.connection, rows: None, bytes: 0, unbroken: 0 })))
    }

    /// To be called when everything was taken.
    pub fn end(mut self) -> Result<()> {
        self.next(&[]).map(drop)
    }
}

/// A running COPY OUT. Reading it to its end yields the source's own count of rows.
pub struct CopyOut<'a>(Feed<Stream<'a>>);

impl CopyOut<'_> {
    /// Bytes received.
    pub fn bytes(&self) -> u64 {
        self.0.pieces.bytes
    }

    /// To be called after everything was read: the number in the source's `COPY n` tag.
    pub fn finish(mut self) -> Result<u64> {
        if !self.0.is_read()? {
            return Err(Error::protocol("the source sent more data than was expected"));
        }
        let Stream { connection, rows, .. } = self.0.pieces;
        connection.flow.most = limit::SCRIPT;
        rows.ok_or_else(|| Error::protocol("the source did not report how many rows it sent"))
    }
}

impl Source for CopyOut<'_> {
    fn fill(&mut self, buffer: &mut [u8], least: usize) -> Result<usize> {
        self.0.fill(buffer, least)
    }
}

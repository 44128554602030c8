//! Queries that are sent before they are asked: over a long link many of them take one round trip.

use super::connection::within;
use super::result::Raw;
use super::{Connection, ffi};
use crate::error::{Error, Result};
use crate::pg::wait::Event;

impl Connection {
    /// Sends queries in one message, without waiting. [`Connection::each`] then finds the answer to each of them on its
    /// way, if it is called in their order; one that is not asked for by then is read off. Whatever
    /// else is sent ends this. An error of one of them is also one of all that follow it.
    pub fn send_ahead(&mut self, queries: Vec<String>) -> Result<()> {
        // A query may end with a comment.
        self.send(&queries.join("\n;\n"))?;
        self.row_by_row();
        self.ahead = queries.into();
        Ok(())
    }

    /// Whether the answer to what was sent begins to come, without waiting for it.
    pub fn is_answered(&mut self) -> Result<bool> {
        self.take_in()?;
        // SAFETY: an open connection.
        Ok(unsafe { libpq_sys::PQisBusy(self.raw) } == 0)
    }

    /// Runs one query, and passes on each row's first column as it comes: the whole answer is in
    /// memory at no time.
    pub fn each(&mut self, sql: &str, mut row: impl FnMut(&str) -> Result<()>) -> Result<()> {
        if self.ahead.iter().any(|query| query == sql) {
            while self.ahead.front().is_some_and(|query| query != sql) {
                self.next_ahead(|_| Ok(()))?;
            }
            return self.next_ahead(row);
        }
        self.send(sql)?;
        self.row_by_row();
        while let Some(result) = self.next_result(Event::SourceQuery).map_err(|e| within(e, sql))? {
            if let Err(error) = taken(&result, sql, &mut row) {
                self.finish()?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Reads the answer to the first query that was sent ahead.
    fn next_ahead(&mut self, mut row: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let Some(sql) = self.ahead.pop_front() else { return Ok(()) };
        loop {
            let Some(result) = self.next_result(Event::SourceQuery).map_err(|e| within(e, &sql))? else {
                return Err(within(Error::protocol("the source did not answer a query"), &sql));
            };
            if let Err(error) = taken(&result, &sql, &mut row) {
                self.ahead.clear();
                self.finish()?;
                return Err(error);
            }
            if result.status() == ffi::TUPLES_OK {
                break;
            }
        }
        if self.ahead.is_empty() { self.finish() } else { Ok(()) }
    }

    /// Reads off what was sent ahead and is not asked for any more.
    pub(super) fn drop_ahead(&mut self) -> Result<()> {
        if self.ahead.is_empty() {
            return Ok(());
        }
        self.ahead.clear();
        self.finish()
    }
}

/// A row, or the end of the answer to a query.
fn taken(result: &Raw, sql: &str, row: &mut impl FnMut(&str) -> Result<()>) -> Result<()> {
    match result.status() {
        ffi::SINGLE_TUPLE => result.first().and_then(|text| row(&text)),
        // Every row came before, by itself.
        ffi::TUPLES_OK if result.rows()?.0.is_empty() => Ok(()),
        _ => Err(within(result.error(), sql)),
    }
}

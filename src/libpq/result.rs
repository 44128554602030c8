//! Results of the source: rows of text, and errors with all their fields.

use super::ffi;
use crate::error::{Error, Result, Side, SqlState};
use libpq_sys::PGresult;
use std::ffi::c_char;

/// A result, cleared when dropped.
pub(super) struct Raw(pub(super) *mut PGresult);

impl Raw {
    /// # Safety
    /// `result` was returned by libpq and belongs to nobody else.
    pub unsafe fn new(result: *mut PGresult) -> Option<Raw> {
        (!result.is_null()).then_some(Raw(result))
    }

    pub fn status(&self) -> i32 {
        // SAFETY: the result lives as long as this value.
        unsafe { ffi::result_status(self.0) }
    }

    pub fn is_copy(&self) -> bool {
        [ffi::COPY_OUT, ffi::COPY_IN, ffi::COPY_BOTH].contains(&self.status())
    }

    /// The number in the command tag, for instance 5 of `COPY 5`.
    pub fn affected(&self) -> Option<u64> {
        // SAFETY: as above; the text belongs to the result.
        unsafe { ffi::string(libpq_sys::PQcmdTuples(self.0)) }.and_then(|text| text.parse().ok())
    }

    fn field(&self, code: c_char) -> Option<String> {
        // SAFETY: as above.
        unsafe { ffi::string(libpq_sys::PQresultErrorField(self.0, i32::from(code))) }
    }

    /// The error that this result is, as the source gave it.
    pub fn error(&self) -> Error {
        if self.is_copy() {
            return Error::protocol("the source started a COPY that was not asked for");
        }
        let code = self.field(b'C' as c_char).map_or(SqlState::CONNECTION_FAILURE, |c| SqlState::parse(&c));
        let message = self.field(b'M' as c_char).unwrap_or_else(|| "the source gave no answer".into());
        let mut error = Error::new(code, format!("source: {message}")).on(Side::Source);
        error.detail = self.field(b'D' as c_char);
        error.hint = self.field(b'H' as c_char);
        error.context = self.field(b'W' as c_char);
        error
    }

    pub fn rows(&self) -> Rows {
        // SAFETY: as above; row and column numbers are in range.
        unsafe {
            let (rows, columns) = (libpq_sys::PQntuples(self.0), libpq_sys::PQnfields(self.0));
            let cell = |r, c| {
                (libpq_sys::PQgetisnull(self.0, r, c) == 0)
                    .then(|| ffi::string(libpq_sys::PQgetvalue(self.0, r, c)).unwrap_or_default())
            };
            Rows((0..rows).map(|r| (0..columns).map(|c| cell(r, c)).collect()).collect())
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: owned, cleared once.
        unsafe { libpq_sys::PQclear(self.0) };
    }
}

/// Rows of text; `None` is NULL.
#[derive(Debug, Default)]
pub struct Rows(pub Vec<Vec<Option<String>>>);

impl Rows {
    /// One cell; an absent row, column or a NULL is an error.
    pub fn text(&self, row: usize, column: usize) -> Result<&str> {
        self.0
            .get(row)
            .and_then(|cells| cells.get(column)?.as_deref())
            .ok_or_else(|| Error::internal("unexpected answer from the source: a value is missing").on(Side::Source))
    }

    /// One cell that is a number.
    pub fn number(&self, row: usize, column: usize) -> Result<i64> {
        let text = self.text(row, column)?;
        text.parse().map_err(|_| {
            Error::internal(format!("unexpected answer from the source: \"{text}\" is no number")).on(Side::Source)
        })
    }
}

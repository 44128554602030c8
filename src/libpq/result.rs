//! Results of the source: rows of text, and errors with all their fields.

use super::ffi;
use crate::error::{Error, Result, Side, SqlState};
use libpq_sys::PGresult;
use std::borrow::Cow;
use std::ffi::{CStr, c_char};

/// A result, cleared when dropped.
pub(super) struct Raw(pub(super) *mut PGresult);

impl Raw {
    /// # Safety
    /// `result` was returned by libpq and belongs to nobody else.
    pub unsafe fn new(result: *mut PGresult) -> Option<Raw> {
        (!result.is_null()).then_some(Raw(result))
    }

    /// One of the constants of `ffi`.
    pub fn status(&self) -> i32 {
        // SAFETY: the result lives as long as this value.
        unsafe { ffi::result_status(self.0) }
    }

    /// How much was sent of it, in bytes, about.
    pub fn sent(&self) -> u64 {
        let (rows, columns) = self.size();
        let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        // SAFETY: as above.
        let length = |(row, column)| unsafe { libpq_sys::PQgetlength(self.0, row, column) } as u64 + 4;
        64 + 8 * rows as u64 + places.map(length).sum::<u64>()
    }

    /// Whether a COPY has begun, in whichever direction.
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
        unsafe { ffi::brief(libpq_sys::PQresultErrorField(self.0, i32::from(code))) }
    }

    fn is_fatal(&self) -> bool {
        self.field(b'S' as c_char).as_deref() == Some("FATAL")
    }

    /// The error that this result is, as the source gave it.
    pub fn error(&self) -> Error {
        if self.is_copy() {
            return Error::protocol("the source started a COPY that was not asked for");
        }
        let code = match self.field(b'C' as c_char).map(|code| SqlState::parse(&code)) {
            None => SqlState::CONNECTION_FAILURE,
            // So a pooler closes a connection, for whatever reason.
            Some(SqlState::PROTOCOL_VIOLATION) if self.is_fatal() => SqlState::CONNECTION_FAILURE,
            Some(code) => code,
        };
        let message = self.field(b'M' as c_char).unwrap_or_else(|| "the source gave no answer".into());
        let mut error = Error::new(code, format!("source: {message}")).on(Side::Source);
        // What is wrong with an answer that is none, only libpq can say.
        // SAFETY: as above; the text belongs to the result.
        let libpqs =
            || unsafe { ffi::brief(libpq_sys::PQresultErrorMessage(self.0)) }.map(|text| text.trim().to_string());
        let is_libpqs = self.field(b'M' as c_char).is_none();
        error.detail = if is_libpqs { libpqs().filter(|text| !text.is_empty()) } else { self.field(b'D' as c_char) };
        error.hint = self.field(b'H' as c_char);
        error.context = self.field(b'W' as c_char);
        error
    }

    /// None if it is NULL. The numbers are in range.
    fn cell(&self, row: i32, column: i32) -> Option<Cow<'_, str>> {
        // SAFETY: as above; the text belongs to the result.
        unsafe {
            (libpq_sys::PQgetisnull(self.0, row, column) == 0)
                .then(|| CStr::from_ptr(libpq_sys::PQgetvalue(self.0, row, column)).to_string_lossy())
        }
    }

    /// How many rows and columns it has.
    pub fn size(&self) -> (i32, i32) {
        // SAFETY: as above.
        unsafe { (libpq_sys::PQntuples(self.0), libpq_sys::PQnfields(self.0)) }
    }

    /// The first column of the first row, which no copy is made of.
    pub fn first(&self) -> Result<Cow<'_, str>> {
        let (rows, columns) = self.size();
        (rows > 0 && columns > 0).then(|| self.cell(0, 0)).flatten().ok_or_else(missing)
    }

    /// All rows as text. Fails with the server's error if the result is one.
    pub fn rows(&self) -> Result<Rows> {
        let (rows, columns) = self.size();
        let row = |r| (0..columns).map(|c| self.cell(r, c).map(|text| owned(&text)).transpose()).collect();
        Ok(Rows((0..rows).map(row).collect::<Result<_>>()?))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: owned, cleared once.
        unsafe { libpq_sys::PQclear(self.0) };
    }
}

/// Makes room for what comes from a server, which may be large: where there is no memory for it, Rust itself would
/// end the process, and PostgreSQL with it all others.
pub(super) fn reserve(bytes: &mut Vec<u8>, more: usize) -> Result<()> {
    bytes
        .try_reserve(more)
        .map_err(|_| Error::new(SqlState::OUT_OF_MEMORY, "out of memory").detail(format!("Failed on {more} bytes.")))
}

fn owned(text: &str) -> Result<String> {
    let mut copy = Vec::new();
    reserve(&mut copy, text.len())?;
    copy.extend(text.bytes());
    Ok(String::from_utf8(copy).unwrap_or_default())
}

fn missing() -> Error {
    Error::protocol("unexpected answer from the source: a value is missing")
}

/// Rows of text; `None` is NULL.
#[derive(Debug, Default)]
pub struct Rows(pub Vec<Vec<Option<String>>>);

impl Rows {
    /// One cell; an absent row or column is an error.
    pub fn cell(&self, row: usize, column: usize) -> Result<Option<&str>> {
        let cell = self.0.get(row).and_then(|cells| cells.get(column)).ok_or_else(missing)?;
        Ok(cell.as_deref())
    }

    /// The same where a NULL is an error, too.
    pub fn text(&self, row: usize, column: usize) -> Result<&str> {
        self.cell(row, column)?.ok_or_else(missing)
    }

    /// One cell that is a number.
    pub fn number(&self, row: usize, column: usize) -> Result<i64> {
        let text = self.text(row, column)?;
        text.parse()
            .map_err(|_| Error::protocol(format!("unexpected answer from the source: \"{text}\" is not a number")))
    }
}

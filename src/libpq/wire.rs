//! Results as the messages of the protocol that they came in, for somebody else's libpq.
//!
//! Source of the formats: PostgreSQL's manual, chapter "Frontend/Backend Protocol", section
//! "Message Formats".

use super::Connection;
use super::ffi;
use super::result::{Raw, reserve};
use crate::error::{Error, Result};
use crate::pg::wait::Event;
use std::ffi::{CStr, c_char, c_int};

/// As many bytes of messages are collected until they are handed on.
const BATCH: usize = 1 << 16;

/// What a server says of itself to each new session, as far as clients ask for it.
const PARAMETERS: [&CStr; 6] = [
    c"client_encoding",
    c"is_superuser",
    c"server_encoding",
    c"server_version",
    c"session_authorization",
    c"standard_conforming_strings",
];

/// Appends a message: its kind, its length, what `fill` writes.
fn message(kind: u8, into: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    into.push(kind);
    let start = into.len();
    into.extend([0; 4]);
    fill(into);
    let length = (into.len() - start) as u32;
    into[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// # Safety
/// `value` is null or a NUL-terminated string that lives through the call.
unsafe fn string(value: *const c_char, into: &mut Vec<u8>) {
    if !value.is_null() {
        // SAFETY: not null, and the caller promises the rest.
        into.extend(unsafe { CStr::from_ptr(value) }.to_bytes());
    }
    into.push(0);
}

impl Raw {
    fn row_description(&self, into: &mut Vec<u8>) {
        // SAFETY: the result lives; column numbers are in range.
        message(b'T', into, |into| unsafe {
            let columns = libpq_sys::PQnfields(self.0);
            into.extend((columns as u16).to_be_bytes());
            for column in 0..columns {
                string(libpq_sys::PQfname(self.0, column), into);
                into.extend(libpq_sys::PQftable(self.0, column).to_be_bytes());
                into.extend((libpq_sys::PQftablecol(self.0, column) as u16).to_be_bytes());
                into.extend(libpq_sys::PQftype(self.0, column).to_be_bytes());
                into.extend((libpq_sys::PQfsize(self.0, column) as u16).to_be_bytes());
                into.extend(libpq_sys::PQfmod(self.0, column).to_be_bytes());
                into.extend((libpq_sys::PQfformat(self.0, column) as u16).to_be_bytes());
            }
        });
    }

    fn data_rows(&self, into: &mut Vec<u8>) -> Result<()> {
        // SAFETY: as above, of rows too; a value is as long as libpq says.
        unsafe {
            let columns = libpq_sys::PQnfields(self.0);
            for row in 0..libpq_sys::PQntuples(self.0) {
                let values: usize = (0..columns).map(|c| 4 + libpq_sys::PQgetlength(self.0, row, c) as usize).sum();
                reserve(into, values + 7)?;
                message(b'D', into, |into| {
                    into.extend((columns as u16).to_be_bytes());
                    for column in 0..columns {
                        if libpq_sys::PQgetisnull(self.0, row, column) != 0 {
                            into.extend((-1i32).to_be_bytes());
                            continue;
                        }
                        let length = libpq_sys::PQgetlength(self.0, row, column);
                        into.extend(length.to_be_bytes());
                        let value = libpq_sys::PQgetvalue(self.0, row, column);
                        into.extend(std::slice::from_raw_parts(value.cast::<u8>(), length as usize));
                    }
                });
            }
        }
        Ok(())
    }

    fn command_complete(&self, into: &mut Vec<u8>) {
        // SAFETY: the tag belongs to the result.
        message(b'C', into, |into| unsafe { string(libpq_sys::PQcmdStatus(self.0), into) });
    }

    fn error_response(&self, into: &mut Vec<u8>) {
        message(b'E', into, |into| {
            for field in *b"SVCMDHPpqWsctdnFLR" {
                // SAFETY: the text belongs to the result.
                let value = unsafe { ffi::brief(libpq_sys::PQresultErrorField(self.0, c_int::from(field))) };
                if let Some(value) = value {
                    into.push(field);
                    into.extend(value.bytes());
                    into.push(0);
                }
            }
            into.push(0);
        });
    }
}

impl Connection {
    /// What a client that has just connected is told.
    pub fn greeting(&self) -> Vec<u8> {
        let mut greeting = Vec::new();
        message(b'R', &mut greeting, |into| into.extend(0u32.to_be_bytes()));
        self.parameters(&mut greeting);
        self.ready(&mut greeting);
        greeting
    }

    fn parameters(&self, into: &mut Vec<u8>) {
        for name in PARAMETERS {
            // SAFETY: an open connection, to which the value belongs.
            message(b'S', into, |into| unsafe {
                string(name.as_ptr(), into);
                string(libpq_sys::PQparameterStatus(self.raw, name.as_ptr()), into);
            });
        }
    }

    fn ready(&self, into: &mut Vec<u8>) {
        // SAFETY: an open connection.
        let status = match unsafe { ffi::transaction_status(self.raw) } {
            ffi::IDLE => b'I',
            ffi::IN_TRANSACTION => b'T',
            _ => b'E',
        };
        message(b'Z', into, |into| into.push(status));
    }

    /// The answer to a SET that succeeds.
    pub fn set(&self) -> Vec<u8> {
        let mut answer = Vec::new();
        message(b'C', &mut answer, |into| into.extend(b"SET\0"));
        self.ready(&mut answer);
        answer
    }

    /// Runs statements as a simple query, and hands on what the source answers, row by row and
    /// without keeping any; nothing of the first `answered` statements, which give no rows, unless one
    /// fails. Returns the source's error, which is handed on as well.
    pub fn relay(
        &mut self,
        sql: &CStr,
        mut answered: usize,
        mut hand_on: impl FnMut(&mut Vec<u8>) -> Result<()>,
    ) -> Result<Option<Error>> {
        self.send_text(sql)?;
        self.row_by_row();
        let (mut messages, mut described, mut error) = (Vec::new(), false, None);
        while let Some(result) = self.next_result(Event::SchemaDump)? {
            match result.status() {
                ffi::SINGLE_TUPLE | ffi::TUPLES_OK => {
                    if !described {
                        result.row_description(&mut messages);
                    }
                    result.data_rows(&mut messages)?;
                    described = result.status() == ffi::SINGLE_TUPLE;
                    if !described {
                        result.command_complete(&mut messages);
                    }
                }
                ffi::COMMAND_OK if answered > 0 => answered -= 1,
                ffi::COMMAND_OK => result.command_complete(&mut messages),
                ffi::EMPTY_QUERY => message(b'I', &mut messages, |_| ()),
                _ if result.is_copy() => return Err(result.error()),
                _ => {
                    result.error_response(&mut messages);
                    error = Some(result.error());
                }
            }
            if messages.len() >= BATCH {
                hand_on(&mut messages)?;
            }
        }
        if self.is_bad() {
            return Err(self.lost());
        }
        // The client's libpq looks at some of them, and a statement may have set them.
        self.parameters(&mut messages);
        self.ready(&mut messages);
        hand_on(&mut messages)?;
        Ok(error)
    }
}

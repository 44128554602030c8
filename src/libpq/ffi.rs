//! Functions whose C enum results are taken as integers: the generated bindings make them
//! Rust enums, and a value that a newer libpq adds would then be undefined behaviour.

use libpq_sys::{PGconn, PGresult};
use std::ffi::{CStr, c_char, c_int};

unsafe extern "C" {
    #[link_name = "PQstatus"]
    pub fn status(conn: *const PGconn) -> c_int;
    #[link_name = "PQconnectPoll"]
    pub fn connect_poll(conn: *mut PGconn) -> c_int;
    #[link_name = "PQtransactionStatus"]
    pub fn transaction_status(conn: *const PGconn) -> c_int;
    #[link_name = "PQresultStatus"]
    pub fn result_status(result: *const PGresult) -> c_int;
}

pub const CONNECTION_BAD: c_int = 1;

pub const IDLE: c_int = 0;
pub const IN_TRANSACTION: c_int = 2;

pub const POLLING_FAILED: c_int = 0;
pub const POLLING_READING: c_int = 1;
pub const POLLING_OK: c_int = 3;

pub const EMPTY_QUERY: c_int = 0;
pub const COMMAND_OK: c_int = 1;
pub const TUPLES_OK: c_int = 2;
pub const COPY_OUT: c_int = 3;
pub const COPY_IN: c_int = 4;
pub const COPY_BOTH: c_int = 8;
pub const SINGLE_TUPLE: c_int = 9;

/// Of the longest text of an error, in bytes.
const BRIEF: usize = 8192;

/// A text of an error, or its beginning.
///
/// # Safety
/// `text` is null or a NUL-terminated string that lives through the call.
pub unsafe fn brief(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller promises the rest.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    Some(match bytes.get(..BRIEF) {
        None => String::from_utf8_lossy(bytes).into_owned(),
        Some(first) => format!("{}...", String::from_utf8_lossy(first).trim_end_matches('\u{fffd}')),
    })
}

/// # Safety
/// `text` is null or a NUL-terminated string that lives through the call.
pub unsafe fn string(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller promises the rest.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

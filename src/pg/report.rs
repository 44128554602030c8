//! Raising an [`Error`] to the caller, and sending notices.
//!
//! pgrx raises an error where PostgreSQL called into this library, when Rust's frames are gone. It
//! has no field for a CONTEXT, and of the SQLSTATE it knows PostgreSQL's own only. A callback that
//! is on PostgreSQL's stack until then adds both.

use super::catch::pack;
use crate::error::Error;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_guard, pg_sys};
use std::cell::Cell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::null_mut;

unsafe extern "C-unwind" {
    // From utils/elog.h, for which there are no bindings.
    fn errcode(code: c_int) -> c_int;
    fn errcontext_msg(format: *const c_char, ...) -> c_int;
}

thread_local! {
    /// Code and CONTEXT of the error that is being raised.
    static FIELDS: Cell<Option<(c_int, CString)>> = const { Cell::new(None) };
    /// One at most is on the stack: who catches the error takes it off.
    static CALLBACK: Cell<pg_sys::ErrorContextCallback> = const {
        Cell::new(pg_sys::ErrorContextCallback { previous: null_mut(), callback: Some(add_fields), arg: null_mut() })
    };
}

#[pg_guard]
unsafe extern "C-unwind" fn add_fields(_argument: *mut c_void) {
    let Some((code, context)) = FIELDS.take() else { return };
    // SAFETY: called by errfinish() for the error on top of the error stack, to which both add; the
    // text is the argument of "%s", and is copied.
    unsafe {
        pg_guard_ffi_boundary(|| {
            errcode(code);
            if !context.is_empty() {
                errcontext_msg(c"%s".as_ptr(), context.as_ptr());
            }
        });
    }
}

/// Reports the error with all its fields. At ERROR it unwinds, and the callback stays on the stack.
fn report(level: PgLogLevel, error: Error) {
    let mut message = error.message;
    if let Some(object) = error.object.filter(|object| !message.contains(object.as_str())) {
        message = format!("{object}: {message}");
    }
    let mut report = ErrorReport::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, message, "timescale_migrate");
    if let Some(detail) = error.detail {
        report = report.set_detail(detail);
    }
    if let Some(hint) = error.hint {
        report = report.set_hint(hint);
    }
    let context = error.context.unwrap_or_default().replace('\0', "");
    FIELDS.set(Some((pack(&error.code), CString::new(context).unwrap_or_default())));
    let callback = CALLBACK.with(Cell::as_ptr);
    // SAFETY: the callback is this thread's for good; what is below it on the stack is whatever was
    // there, and is there again when the error has been caught or reported.
    unsafe {
        let previous = pg_sys::error_context_stack;
        if previous != callback {
            (*callback).previous = previous;
            pg_sys::error_context_stack = callback;
        }
        report.report(level);
        pg_sys::error_context_stack = previous;
    }
}

/// Raises the error; does not return.
pub fn raise(error: Error) -> ! {
    report(PgLogLevel::ERROR, error);
    unreachable!("an error report at level ERROR does not return")
}

/// Writes an error that ended a worker to the server's log.
pub fn log(error: &Error) {
    report(PgLogLevel::LOG, error.clone());
}

/// Sends a NOTICE to the client.
pub fn notice(message: &str) {
    pgrx::notice!("{message}");
}

/// Sends a WARNING to the client.
pub fn warning(message: &str, hint: Option<&str>) {
    let report = ErrorReport::new(PgSqlErrorCode::ERRCODE_WARNING, message.to_string(), "timescale_migrate");
    match hint {
        Some(hint) => report.set_hint(hint).report(PgLogLevel::WARNING),
        None => report.report(PgLogLevel::WARNING),
    }
}

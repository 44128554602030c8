//! Catching PostgreSQL's errors whole, and the transactions that make catching them sound.
//!
//! pgrx turns an error into a Rust panic, but drops its CONTEXT, its constraint name and every
//! SQLSTATE it does not know (TimescaleDB's own `TSnnn`). An error context callback, pushed
//! below everything that can fail, sees the error while it is raised and keeps those fields.

use super::lock;
use crate::error::{Error, Result, SqlState};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{pg_guard, pg_sys};
use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::panic::AssertUnwindSafe;

thread_local! {
    /// The error in flight, as the callback saw it.
    static IN_FLIGHT: RefCell<Option<Error>> = const { RefCell::new(None) };
    /// An error of ours that PostgreSQL's frames only see the message of.
    static THROWN: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// Fails from inside a callback of PostgreSQL's: the enclosing [`transaction`] returns this
/// very error, with all its fields.
pub fn throw(error: Error) -> ! {
    let message = error.message.clone();
    THROWN.set(Some(error));
    // The guard around the callback turns the panic into PostgreSQL's way of failing.
    pgrx::error!("{message}");
}

/// # Safety
/// `text` is null or a NUL-terminated string.
unsafe fn owned(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller promises the rest.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// Unpacks an `sqlerrcode` as `MAKE_SQLSTATE` (elog.h) packed it: six bits a character.
fn unpack(code: i32) -> SqlState {
    let mut state = [0u8; 5];
    for (i, byte) in state.iter_mut().enumerate() {
        *byte = ((code >> (6 * i)) & 0x3f) as u8 + b'0';
    }
    SqlState(state)
}

/// The inverse of [`unpack`].
pub fn pack(state: &SqlState) -> i32 {
    state.0.iter().enumerate().map(|(i, byte)| i32::from(byte.wrapping_sub(b'0') & 0x3f) << (6 * i)).sum()
}

#[pg_guard]
unsafe extern "C-unwind" fn on_error(_argument: *mut c_void) {
    // SAFETY: called by errfinish() with the error on top of the error stack; CopyErrorData()
    // wants a memory context other than ErrorContext, and its copy is freed at once.
    unsafe {
        let previous = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        let data = pg_sys::CopyErrorData();
        pg_sys::MemoryContextSwitchTo(previous);
        if (*data).elevel >= pgrx::PgLogLevel::ERROR as i32 {
            let mut error = Error::new(
                unpack((*data).sqlerrcode),
                owned((*data).message).unwrap_or_else(|| "missing error text".into()),
            );
            error.detail = owned((*data).detail);
            error.hint = owned((*data).hint);
            error.context = owned((*data).context);
            IN_FLIGHT.set(Some(error));
        }
        pg_sys::FreeErrorData(data);
    }
}

/// Runs `f`; an error of PostgreSQL's, or a panic, comes back as an [`Error`].
///
/// The caller must abort the transaction or subtransaction that `f` ran in before it touches
/// the database again: use [`transaction`] or [`subtransaction`].
fn catch<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    IN_FLIGHT.set(None);
    THROWN.set(None);
    let mut callback = pg_sys::ErrorContextCallback { callback: Some(on_error), ..Default::default() };
    // SAFETY: the callback lives on this frame and is popped before the frame ends, on every
    // path: PgTryBuilder turns each error and panic into a normal return.
    unsafe {
        callback.previous = pg_sys::error_context_stack;
        pg_sys::error_context_stack = &mut callback;
    }
    let result = pg_sys::PgTryBuilder::new(AssertUnwindSafe(f))
        .catch_others(|cause| {
            let report = match &cause {
                CaughtError::PostgresError(report)
                | CaughtError::ErrorReport(report)
                | CaughtError::RustPanic { ereport: report, .. } => report,
            };
            let seen = IN_FLIGHT.take().filter(|seen| seen.message == report.message());
            Err(THROWN.take().or(seen).unwrap_or_else(|| {
                let mut error = Error::new(unpack(report.sql_error_code() as i32), report.message().to_string());
                error.detail = report.detail().map(str::to_string);
                error.hint = report.hint().map(str::to_string);
                error
            }))
        })
        .execute();
    // SAFETY: as above.
    unsafe { pg_sys::error_context_stack = callback.previous };
    result
}

/// For the top of an SQL function, which raises the error again, its transaction aborted by that:
/// runs `f`; of a cancelled wait, too, nothing but an [`Error`] is left, no trace of Rust's frames.
pub fn anything<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    catch(f)
}

/// Runs `f` in a transaction of its own and commits it; on any error everything is rolled
/// back and the error returned. Only outside a transaction, that is, in a background worker.
pub fn transaction<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    let result = catch(|| {
        // SAFETY: plain transaction control of a worker that is not in a transaction.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        lock::keep()?;
        let value = f()?;
        // SAFETY: the snapshot pushed above is the active one again.
        unsafe {
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
            pg_sys::pgstat_report_stat(false);
        }
        Ok(value)
    });
    if result.is_err() {
        // SAFETY: the error has been caught and flushed; this ends the transaction.
        unsafe { pg_sys::AbortCurrentTransaction() };
    }
    result
}

/// Runs `f` in a subtransaction (as PL/pgSQL's `BEGIN ... EXCEPTION` does): an error rolls
/// back what `f` did, and the surrounding transaction continues.
pub fn subtransaction<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    // SAFETY: the pattern of PL/pgSQL's exec_stmt_block(): memory context and resource owner
    // are restored after the subtransaction has ended either way.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let result = catch(f);
        match result {
            Ok(_) => pg_sys::ReleaseCurrentSubTransaction(),
            Err(_) => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        result
    }
}

/// For a worker's top: runs `f`, which makes its own transactions, and ends whatever
/// transaction an error or an interrupted wait left open.
pub fn everything<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    let result = catch(f);
    if result.is_err() {
        // SAFETY: the error has been caught; outside a transaction this does nothing.
        unsafe { pg_sys::AbortCurrentTransaction() };
    }
    result
}

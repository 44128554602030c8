//! Raising an [`Error`] to the caller, and sending notices.

use super::catch::pack;
use crate::error::{Error, SqlState};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

fn to_report(error: Error) -> ErrorReport {
    let code = match PgSqlErrorCode::from(pack(&error.code)) {
        // TimescaleDB's own codes and those of other extensions are not in PostgreSQL's list.
        PgSqlErrorCode::ERRCODE_INTERNAL_ERROR if error.code != SqlState::INTERNAL => {
            PgSqlErrorCode::ERRCODE_EXTERNAL_ROUTINE_EXCEPTION
        }
        code => code,
    };
    let mut message = error.message;
    if let Some(object) = error.object.filter(|object| !message.contains(object.as_str())) {
        message = format!("{object}: {message}");
    }
    let mut report = ErrorReport::new(code, message, "timescale_migrate");
    let detail = [error.detail, error.context];
    let detail: Vec<String> = detail.into_iter().flatten().filter(|s| !s.is_empty()).collect();
    if !detail.is_empty() {
        report = report.set_detail(detail.join("\n"));
    }
    if let Some(hint) = error.hint {
        report = report.set_hint(hint);
    }
    report
}

/// Raises the error; does not return.
pub fn raise(error: Error) -> ! {
    to_report(error).report(PgLogLevel::ERROR);
    unreachable!("an error report at level ERROR does not return")
}

/// Writes an error that ended a worker to the server's log.
pub fn log(error: &Error) {
    to_report(error.clone()).report(PgLogLevel::LOG);
}

pub fn notice(message: &str) {
    pgrx::notice!("{message}");
}

pub fn warning(message: &str) {
    pgrx::warning!("{message}");
}

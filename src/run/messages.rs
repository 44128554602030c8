//! The messages of runs.

use crate::error::Result;
use crate::pg::catch::transaction;
use crate::pg::spi;

/// A warning, in a transaction of its own.
pub fn warn(run: i64, message: &str) -> Result<()> {
    transaction(|| warn_here(run, message))
}

/// A warning with what to do, in a transaction of its own.
pub fn warn_with_hint(run: i64, message: &str, hint: &str) -> Result<()> {
    transaction(|| add(run, "warning", message, Some(hint).filter(|hint| !hint.is_empty())))
}

/// A notice, in a transaction of its own.
pub fn notice(run: i64, message: &str) -> Result<()> {
    transaction(|| notice_here(run, message))
}

/// A warning, in the current transaction.
pub fn warn_here(run: i64, message: &str) -> Result<()> {
    add(run, "warning", message, None)
}

/// A notice, in the current transaction.
pub fn notice_here(run: i64, message: &str) -> Result<()> {
    add(run, "notice", message, None)
}

fn add(run: i64, level: &str, message: &str, hint: Option<&str>) -> Result<()> {
    spi::execute(
        "INSERT INTO timescale_migrate.message_log (run, level, phase, message, hint)
         SELECT id, $2, phase, $3, $4 FROM timescale_migrate.run_log WHERE id = $1",
        &[run.into(), level.into(), message.into(), hint.into()],
    )
    .map(drop)
}

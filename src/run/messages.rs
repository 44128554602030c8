//! The messages of runs.

use crate::error::Result;
use crate::libpq::Teller;
use crate::pg::catch::transaction;
use crate::pg::{report, session, spi};

/// A warning, in a transaction of its own.
pub fn warn(run: i64, message: &str) -> Result<()> {
    transaction(|| warn_here(run, message))
}

/// A warning with what to do, in a transaction of its own.
pub fn warn_with_hint(run: i64, message: &str, hint: &str) -> Result<()> {
    transaction(|| warn_with_hint_here(run, message, hint))
}

/// The same in the current transaction.
pub fn warn_with_hint_here(run: i64, message: &str, hint: &str) -> Result<()> {
    add(run, "warning", message, Some(hint).filter(|hint| !hint.is_empty()))
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

/// Tells what is waited for, in notices of the run, or of this session if there is none. Those of a
/// transaction would be seen at its end.
pub fn teller(run: Option<i64>) -> Teller {
    Teller::new(move |message| match run {
        Some(run) if !session::is_in_transaction() => notice(run, message),
        Some(_) => Ok(()),
        None => {
            report::notice(message);
            Ok(())
        }
    })
}

fn add(run: i64, level: &str, message: &str, hint: Option<&str>) -> Result<()> {
    spi::execute(
        "INSERT INTO timescale_migrate.message_log (run, level, phase, message, hint)
         SELECT id, $2, phase, $3, $4 FROM timescale_migrate.run_log WHERE id = $1",
        &[run.into(), level.into(), message.into(), hint.into()],
    )
    .map(drop)
}

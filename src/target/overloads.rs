//! Functions that a call by name could run in place of an extension's own.

use crate::catalog::{self, Local};
use crate::error::{Error, Result, SqlState};

/// In a transaction that calls TimescaleDB's functions by name, before it does: refuses functions of
/// the same names that are not TimescaleDB's and that such a call could run, as a superuser. Between the two, only
/// a session could make one that was connected before the target was closed.
pub fn refuse_overloads() -> Result<()> {
    let found = catalog::overloads(&mut Local)?;
    if found.is_empty() {
        return Ok(());
    }
    let message = format!("functions have the names of extensions' functions: {}", found.join(", "));
    Err(Error::new(SqlState::DUPLICATE_FUNCTION, message)
        .detail("A call of the extension's function could run one of them as a superuser.")
        .hint("Drop or rename them."))
}

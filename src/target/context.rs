//! Which object is being made, and by which statement: what an error of a longer transaction is
//! reported with.

use crate::error::{Error, Result};
use std::cell::RefCell;

thread_local! {
    /// The object that is being made, and the statement for it, unless nobody may see it.
    static CURRENT: RefCell<Option<(String, Option<String>)>> = const { RefCell::new(None) };
}

/// Does the work that makes an object, which until its end is what [`describe`] adds to an error.
/// `statement`: what an error shows; None if it must not.
pub fn making<R>(object: &str, statement: Option<&str>, work: impl FnOnce() -> Result<R>) -> Result<R> {
    CURRENT.set(Some((object.to_string(), statement.map(|statement| statement.trim().to_string()))));
    let result = work()?;
    CURRENT.take();
    Ok(result)
}

/// Adds to an error what was being made when it was raised.
pub fn describe(error: Error) -> Error {
    let error = error.hint_at_functions();
    match CURRENT.take() {
        Some((object, Some(statement))) => error.about(object).within(format!("statement: {statement}")),
        // PostgreSQL's own context has it.
        Some((object, None)) => Error { context: None, ..error }.about(object),
        None => error,
    }
}

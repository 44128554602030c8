//! Work on all chunks of a hypertable in batches: each is a task, so that the workers share it,
//! and a transaction that locks the chunks of its batch only, `locks` at most.

use crate::core::plan::Stage;
use crate::error::Result;
use crate::pg::{catch::transaction, spi};
use pgrx::pg_sys::Oid;

/// Adds ANALYZE of every chunk that has been copied.
pub fn add_analyze(run: i64, locks: i64) -> Result<()> {
    let query = include_str!("../../sql/target/analyze_copied.sql");
    transaction(|| spi::execute(query, &[run.into(), locks.into()]).map(drop))
}

/// Adds what makes an index of a hypertable, or the constraint that it belongs to, on the chunks,
/// in the current transaction. `index` is an expression for the root's.
pub fn add_index(run: i64, stage: Stage, object: &str, index: &str, locks: i64) -> Result<()> {
    let index = spi::value::<Oid>(&format!("SELECT ({index})::pg_catalog.regclass::pg_catalog.oid"), &[])?;
    let query = include_str!("../../sql/target/index_batches.sql");
    spi::execute(query, &[run.into(), stage.name().into(), object.into(), index.into(), locks.into()]).map(drop)
}

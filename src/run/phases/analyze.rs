//! Statistics, collected by the workers in batches of chunks, each of which locks no more than its
//! own chunks.

use crate::error::Result;
use crate::pg::{catch::transaction, spi};

/// Adds ANALYZE of every chunk that has been copied; a batch takes `locks` locks at most.
pub fn add_tasks(run: i64, locks: i64) -> Result<()> {
    let query = include_str!("../../../sql/run/add_analyze.sql");
    transaction(|| spi::execute(query, &[run.into(), locks.into()]).map(drop))
}

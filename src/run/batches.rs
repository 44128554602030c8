//! Work on all chunks of a hypertable in batches: each is a task, so that the workers share it,
//! and a transaction that locks the chunks of its batch only.

use crate::error::Result;
use crate::pg::{catch::transaction, spi};

/// Adds ANALYZE of every chunk that has been copied.
pub fn add_analyze(run: i64) -> Result<()> {
    transaction(|| spi::execute(include_str!("../../sql/target/analyze_copied.sql"), &[run.into()]).map(drop))
}

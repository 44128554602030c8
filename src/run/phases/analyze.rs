//! Statistics, collected by the workers in batches of chunks, each of which locks no more than its
//! own chunks.

use crate::core::plan::{self, Phase, Sql, Work};
use crate::error::Result;
use crate::pg::{catch::transaction, spi};
use crate::run::tasks;

/// Adds ANALYZE of every chunk that has been copied; a batch takes `locks` locks at most.
pub fn add_tasks(run: i64, locks: i64) -> Result<()> {
    transaction(|| {
        let query = include_str!("../../../sql/run/analyze_batches.sql");
        let batches = spi::json_rows::<(String, Vec<i32>, i64)>(query, &[run.into(), locks.into()])?;
        let task = |(object, copies, bytes): (String, Vec<i32>, i64)| {
            let ids: Vec<String> = copies.iter().map(i32::to_string).collect();
            let statement = format!("SELECT timescale_migrate.analyze_chunks('{{{}}}')", ids.join(","));
            let work = Sql { statements: vec![statement], chunks: copies.len(), copies, ..Sql::default() };
            plan::task(Phase::Analyze, object, 0, bytes, Work::Sql(work)).beside(Phase::ForeignKey)
        };
        tasks::add(run, &batches.into_iter().map(task).collect::<Vec<_>>())
    })
}

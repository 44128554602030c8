//! Statistics, collected by the workers in batches of chunks, each of which locks no more than its
//! own chunks.

use crate::core::inventory::Server;
use crate::core::name::Name;
use crate::core::plan::{self, Phase, Sql, Work, analyze};
use crate::error::Result;
use crate::pg::{catch::transaction, spi};
use crate::run::{messages, tasks, undo};

/// Adds ANALYZE of every chunk that has been filled; a batch takes no more locks than a worker's share.
pub fn add_tasks(run: i64, target: &Server, jobs: u16) -> Result<()> {
    transaction(|| {
        leave_out(run, target, jobs)?;
        let query = include_str!("../../../sql/run/analyze_batches.sql");
        let locks = target.lock_share(jobs);
        let batches = spi::json_rows::<(String, Vec<i32>, Vec<u32>, i64)>(query, &[run.into(), locks.into()])?;
        let task = |(object, copies, chunks, bytes): (String, Vec<i32>, Vec<u32>, i64)| {
            let oids: Vec<String> = chunks.iter().map(u32::to_string).collect();
            let statement = format!("SELECT timescale_migrate.analyze_chunks('{{{}}}')", oids.join(","));
            let work = Sql { statements: vec![statement], chunks: chunks.len(), copies, ..Sql::default() };
            plan::task(Phase::Analyze, object, 0, bytes, Work::Sql(work)).beside(Phase::ForeignKey)
        };
        tasks::add(run, &batches.into_iter().map(task).collect::<Vec<_>>())
    })
}

/// Leaves out the statistics over all chunks of hypertables that have got too many. How many TimescaleDB makes for the
/// rows is not known before.
fn leave_out(run: i64, target: &Server, jobs: u16) -> Result<()> {
    let roots = spi::json_rows::<(i32, Name, i64)>(include_str!("../../../sql/run/routed_roots.sql"), &[run.into()])?;
    for (task, root, chunks) in roots {
        if analyze::whole(chunks, target, jobs) == analyze::Whole::LeftOut {
            let (detail, hint) = analyze::left_out(&root, chunks, target);
            messages::warn_with_hint_here(run, &format!("hypertable {}: {detail}", root.shown()), &hint)?;
            undo::delete(vec![task])?;
        }
    }
    Ok(())
}

//! Indexes and constraints of hypertables: made on the root, which holds no rows, and then by the
//! workers on the chunks, in batches. Each batch is a task and a transaction that locks no more
//! than its own chunks.

use crate::core::archive::Group;
use crate::core::name::literal;
use crate::core::plan::{self, Phase, Sql, Work};
use crate::error::{Error, Result};
use crate::pg::spi;
use crate::run::migration::Migration;
use crate::run::pieces::Piece;
use crate::run::{state, tasks};
use crate::target::context::making;
use pgrx::pg_sys::Oid;

/// The indexes of hypertables on their roots, which hold no rows, and the tasks for the chunks.
pub fn make_roots(migration: &Migration, group: Group, phase: Phase) -> Result<()> {
    let (run, locks) = (migration.run(), migration.locks_of_a_worker);
    let add_tasks = move |object: &str, index: &str| add(run, phase, object, index, locks).map(|()| Vec::new());
    let mut all = Vec::new();
    for (entry, index) in migration.maker.hypertable_indexes(&migration.contents, group) {
        all.push(Piece::new(migration.contents.name(entry).to_string(), move || {
            migration.maker.make_on_root(entry)?;
            add_tasks(&entry.object(), &literal(&index.to_string()))
        }));
    }
    let caggs = if group == Group::Index { plan::cagg_indexes(&migration.inventory) } else { Vec::new() };
    for (object, made) in caggs {
        all.push(Piece::new(object.clone(), move || {
            spi::set_local("timescaledb.restoring", "on")?;
            making(&object, Some(&made), || add_tasks(&object, &made))
        }));
    }
    if all.is_empty() {
        return Ok(());
    }
    state::enter(run, phase)?;
    migration.make_pieces(&format!("{} roots", phase.name()), all, || Ok(()))
}

/// Adds what makes an index of a hypertable, or the constraint that it belongs to, on the chunks,
/// in the current transaction. `index` is an expression for the root's.
fn add(run: i64, phase: Phase, object: &str, index: &str, locks: i64) -> Result<()> {
    let index = spi::value::<Oid>(&format!("SELECT ({index})::pg_catalog.regclass::pg_catalog.oid"), &[])?;
    let index = index.ok_or_else(|| Error::internal("no index was made"))?;
    let query = include_str!("../../../sql/run/index_batches.sql");
    let batches = spi::json_rows::<(String, Vec<u32>, i64)>(query, &[index.into(), locks.into()])?;
    let task = |(of, chunks, bytes): (String, Vec<u32>, i64)| {
        let oids: Vec<String> = chunks.iter().map(u32::to_string).collect();
        let (index, oids) = (index.to_u32(), oids.join(","));
        let statement = format!("SELECT timescale_migrate.create_on_chunks('{index}', '{{{oids}}}')");
        let work = Sql { statements: vec![statement], chunks: chunks.len(), copies: Vec::new(), author: None };
        plan::task(phase, format!("{object} on {of}"), 0, bytes, Work::Sql(work))
    };
    tasks::add(run, &batches.into_iter().map(task).collect::<Vec<_>>())
}

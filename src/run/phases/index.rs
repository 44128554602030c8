//! Indexes and constraints of hypertables: made on the root, which holds no rows, and then by the
//! workers on the chunks, in batches. Each batch is a task and a transaction that locks no more
//! than its own chunks.

use crate::core::archive::Group;
use crate::core::name::{Name, literal};
use crate::core::plan::{self, Phase, Sql, Work};
use crate::error::{Error, Result};
use crate::pg::spi;
use crate::run::migration::Migration;
use crate::run::pieces::Piece;
use crate::run::tasks;
use crate::target::context::making;
use pgrx::pg_sys::Oid;

/// The indexes of hypertables on their roots, which hold no rows, and the tasks for the chunks.
pub fn make_roots(migration: &Migration, group: Group, phase: Phase) -> Result<()> {
    let (run, locks) = (migration.run(), migration.locks_of_a_worker);
    let add_tasks =
        move |object: &str, index: &str, of: Name| add(run, phase, object, index, of, locks).map(|()| Vec::new());
    let mut all = Vec::new();
    for (entry, table, index) in migration.maker.hypertable_indexes(&migration.contents, group) {
        all.push(Piece::new(migration.contents.name(entry).to_string(), move || {
            migration.maker.make_on_root(entry)?;
            add_tasks(&entry.object(), &literal(&index.to_string()), table)
        }));
    }
    let mut own = Vec::new();
    if group == Group::Index {
        own = plan::cagg_indexes(&migration.inventory);
        own.extend(plan::default_indexes(&migration.inventory, &index_names(migration)));
    }
    for (object, made, table) in own {
        all.push(Piece::new(object.clone(), move || {
            spi::set_local("timescaledb.restoring", "on")?;
            making(&object, Some(&made), || add_tasks(&object, &made, table))
        }));
    }
    if all.is_empty() {
        return Ok(());
    }
    // The phase begins afterwards: a constraint's root keeps out all who work on the chunks, and a worker that adds a
    // constraint to chunks would keep out this, which asks for their sizes.
    migration.make_pieces(&format!("{} roots", phase.name()), all, || Ok(()))
}

/// The names of the source's indexes, also of those that belong to a constraint.
fn index_names(migration: &Migration) -> Vec<Name> {
    let groups = [Group::Constraint, Group::Index, Group::Attach, Group::Rest];
    let entries = groups.into_iter().flat_map(|group| migration.contents.group(group));
    let named = entries.filter_map(|entry| {
        let name = match entry.desc.as_str() {
            "INDEX" => entry.tag.as_str(),
            // The tag is the table's name and the constraint's: one of them may be too long here, which does no harm.
            "CONSTRAINT" => entry.tag.split_once(' ')?.1,
            _ => return None,
        };
        Some(Name::new(entry.namespace.as_ref()?, name))
    });
    named.collect()
}

/// Adds what makes an index of a hypertable, or the constraint that it belongs to, on the chunks,
/// in the current transaction. `index` is an expression for the root's.
fn add(run: i64, phase: Phase, object: &str, index: &str, hypertable: Name, locks: i64) -> Result<()> {
    let index = spi::value::<Oid>(&format!("SELECT ({index})::pg_catalog.regclass::pg_catalog.oid"), &[])?;
    let index = index.ok_or_else(|| Error::internal("no index was made"))?;
    let query = include_str!("../../../sql/run/index_batches.sql");
    let batches = spi::json_rows::<(String, Vec<u32>, i64)>(query, &[index.into(), locks.into()])?;
    let task = |(of, chunks, bytes): (String, Vec<u32>, i64)| {
        let oids: Vec<String> = chunks.iter().map(u32::to_string).collect();
        let (index, oids) = (index.to_u32(), oids.join(","));
        let statement = format!("SELECT timescale_migrate.create_on_chunks('{index}', '{{{oids}}}')");
        let tables = vec![hypertable.clone()];
        let work = Sql { statements: vec![statement], chunks: chunks.len(), tables, ..Sql::default() };
        plan::task(phase, format!("{object} on {of}"), 0, bytes, Work::Sql(work)).beside(Phase::Index)
    };
    tasks::add(run, &batches.into_iter().map(task).collect::<Vec<_>>())
}

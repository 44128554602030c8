//! What copy tasks have brought to the target, taken back.

use super::phases::{foreign_key, tiered};
use super::process::restricted;
use super::spec::together;
use super::tasks;
use crate::catalog::{self, Local};
use crate::core::inventory::SourceRelation;
use crate::core::name::{Name, literal, quoted};
use crate::core::plan::{CopyTask, Destination, Sql, Work};
use crate::error::{Error, Result, SqlState};
use crate::pg::{catch::transaction, spi};
use crate::target::{copy, overloads};
use pgrx::pg_sys::Oid;

/// What copy tasks of one relation have brought.
pub struct Brought {
    pub work: CopyTask,
    pub relation: Oid,
    pub rows: i64,
    /// The table that holds compressed rows until they become the chunk's own.
    pub batches: Option<Oid>,
    /// The source's, where all of the tasks have noted it.
    pub checksum: Option<String>,
    /// What they have read, by OID: several if these are partitions of one.
    pub sources: Vec<u32>,
}

/// None if nothing has arrived.
pub fn brought(copies: &[i32]) -> Result<Option<Brought>> {
    all_brought(&[copies]).map(|mut found| found.pop().flatten())
}

/// The same of several relations, of each of which these are the copy tasks.
pub fn all_brought(relations: &[&[i32]]) -> Result<Vec<Option<Brought>>> {
    let numbered =
        relations.iter().enumerate().flat_map(|(number, copies)| copies.iter().map(move |id| (*id, number as i32)));
    let (ids, numbers): (Vec<i32>, Vec<i32>) = numbered.unzip();
    let mut all: Vec<Option<Brought>> = relations.iter().map(|_| None).collect();
    let query = include_str!("../../sql/run/brought.sql");
    let found = spi::json_rows::<(usize, Work, u32, i64, Option<u32>, Option<String>, Vec<u32>)>(
        query,
        &[ids.into(), numbers.into()],
    )?;
    for (number, work, relation, rows, batches, checksum, sources) in found {
        let Work::Copy(work) = work else { return Err(Error::internal("not a copy task")) };
        let batches = batches.map(Oid::from_u32);
        all[number] = Some(Brought { work, relation: relation.into(), rows, batches, checksum, sources });
    }
    Ok(all)
}

/// Gives copy tasks other relations to lock when their rows are compared.
pub fn set_guards(copies: &[i32], guards: &[SourceRelation]) -> Result<()> {
    let tasks = spi::json_rows::<(i32, Work)>(
        "SELECT json_build_array(id, work)::text FROM timescale_migrate.task_log WHERE id = ANY ($1)",
        &[copies.to_vec().into()],
    )?;
    for (id, work) in tasks {
        let Work::Copy(mut copy) = work else { return Err(Error::internal("not a copy task")) };
        copy.source.guards = guards.to_vec();
        set_work(id, &Work::Copy(copy))?;
    }
    Ok(())
}

fn set_work(task: i32, work: &Work) -> Result<()> {
    let update = "UPDATE timescale_migrate.task_log SET work = $2 WHERE id = $1";
    spi::execute(update, &[task.into(), spi::json(work)?]).map(drop)
}

/// Drops the chunks of a table that has become a hypertable, before its copies are taken back, some at a time: one
/// transaction would lock them all, as one of so many workers. However this ends, the copies are no longer done, and are
/// taken back, at the latest by the next start.
pub fn drop_converted(run: i64, copies: &[i32], jobs: u16) -> Result<()> {
    let table = transaction(|| {
        let work = "SELECT json_build_array(work)::text FROM timescale_migrate.task_log WHERE id = $1";
        let found = spi::json_rows::<(Work,)>(work, &[copies.first().copied().into()])?;
        let copy = found.first().and_then(|(work,)| work.copy()).filter(|copy| copy.destination.is_converted());
        let Some(name) = copy.map(|copy| copy.destination.table()) else { return Ok(None) };
        let root = copy::own(run, name)?;
        drop_constraints(run, &[name])?;
        let open = "UPDATE timescale_migrate.task_log SET state = 'postponed' WHERE id = ANY ($1) AND state = 'done'";
        spi::execute(open, &[copies.to_vec().into()])?;
        Ok(Some(root))
    })?;
    let Some(root) = table else { return Ok(()) };
    while transaction(|| tiered::drop_chunks(run, root, Some(chunks_at_once(jobs)? as i64)))? {}
    Ok(())
}

/// How many chunks one of so many workers may drop, or read, in one transaction.
pub fn chunks_at_once(jobs: u16) -> Result<usize> {
    Ok(together(catalog::server(&mut Local)?.lock_share(jobs)))
}

/// Takes the copies of one relation back, so that what comes next begins with nothing; in the
/// current transaction.
pub fn take_back(run: i64, copies: Vec<i32>) -> Result<()> {
    if let Some(Brought { work, relation, batches, .. }) = brought(&copies)? {
        if work.is_shared() {
            return Err(cannot_be_taken_back(run, &work));
        }
        drop_constraints(run, &[work.destination.table()])?;
        match work.destination {
            Destination::Table(_) => empty(run, &work)?,
            // Made anew: it may be compressed by now, and another is not to find it in its way.
            Destination::Chunk { .. } => {
                drop_table(relation)?;
                // As long as it was not attached to the chunk, it does not go with it.
                batches.map_or(Ok(()), drop_table)?;
            }
            Destination::Routed { .. } => tiered::drop_chunks(run, relation, None).map(drop)?,
        }
    }
    let queries =
        [include_str!("../../sql/run/forget_compressions.sql"), include_str!("../../sql/run/analyze_again.sql")];
    for query in queries {
        spi::execute(query, &[run.into(), copies.clone().into()])?;
    }
    delete(copies)
}

/// Drops what is made again when all rows of tables have arrived, in the current transaction: their foreign keys, and
/// what rows need not fulfil, but new ones have to.
pub fn drop_constraints(run: i64, tables: &[&Name]) -> Result<()> {
    let found = unvalidated(run, tables)?;
    // First, as who drops one locks the tables that inherit it as well.
    foreign_key::lock(found.iter().flat_map(|(_, sql)| &sql.tables), "ACCESS EXCLUSIVE")?;
    foreign_key::undo(run, tables)?;
    if found.is_empty() {
        return Ok(());
    }
    // Others may have dropped some of them meanwhile.
    unvalidated(run, tables)?.into_iter().try_for_each(|(task, sql)| drop_unvalidated(run, task, sql))
}

/// The tasks that have added constraints NOT VALID to tables, or to those that they inherit from.
fn unvalidated(run: i64, tables: &[&Name]) -> Result<Vec<(i32, Sql)>> {
    let names: Vec<String> = tables.iter().map(|table| table.to_string()).collect();
    let query = include_str!("../../sql/run/constraints_of_tables.sql");
    let tasks = spi::json_rows::<(i32, Work)>(query, &[run.into(), names.into()])?;
    let sql = |(task, work)| match work {
        Work::Sql(sql) if sql.unvalidated.is_some() => Some((task, sql)),
        _ => None,
    };
    Ok(tasks.into_iter().filter_map(sql).collect())
}

/// Drops the constraint of such a task, which adds it again, with its comment.
fn drop_unvalidated(run: i64, task: i32, mut sql: Sql) -> Result<()> {
    let (Some(name), Some(table)) = (&sql.unvalidated, sql.tables.first()) else { return Ok(()) };
    let relation = copy::own(run, table)?;
    let query = include_str!("../../sql/run/constraint_comment.sql");
    let comments = || spi::json_rows::<Option<String>>(query, &[relation.into(), name.clone().into()]);
    let Some(comment) = comments()?.pop() else { return Ok(()) };
    spi::execute(&format!("ALTER TABLE {table} DROP CONSTRAINT {}", quoted(name)), &[])?;
    if !comments()?.is_empty() {
        return Err(copy::name_taken(&table.shown()));
    }
    let on = format!("COMMENT ON CONSTRAINT {} ON {table} IS ", quoted(name));
    sql.statements.retain(|statement| !statement.starts_with(&on));
    sql.statements.extend(comment.map(|comment| on + &literal(&comment)));
    set_work(task, &Work::Sql(sql))?;
    tasks::reopen(task)
}

/// Its rows are among others.
fn cannot_be_taken_back(run: i64, work: &CopyTask) -> Error {
    let (source, table) = (work.source.name.shown(), work.destination.table().shown());
    let message =
        format!("{source} has changed on the source since it was copied into {table}, and cannot be copied again");
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message)
        .detail(format!("{table} holds other rows as well, which cannot be distinguished from these."))
        .hint(format!(
            "Call migrate_cleanup({run}), empty the table if rows are left in it, then call migrate_from again."
        ))
}

/// Takes the rows of a table back that have arrived.
fn empty(run: i64, work: &CopyTask) -> Result<()> {
    spi::set_local("session_replication_role", "replica")?;
    match (&work.destination, work.condition()) {
        (Destination::Table(name), None) => copy::clear(copy::own(run, name)?).map(drop),
        // Others are the extension's own.
        (Destination::Table(name), Some(condition)) => spi::execute(
            "SELECT timescale_migrate.delete_rows($1, $2)",
            &[copy::own(run, name)?.into(), condition.into()],
        )
        .map(drop),
        (Destination::Chunk { .. } | Destination::Routed { .. }, _) => Ok(()),
    }
}

/// Drops the chunks that hold nothing and that no task has filled: one whose copy was interrupted
/// leaves such a chunk, which would be in the way of another one of its range.
pub fn drop_unused(run: i64) -> Result<()> {
    let chunks: Vec<u32> = transaction(|| {
        overloads::refuse_overloads()?;
        spi::json_rows(include_str!("../../sql/run/unused_chunks.sql"), &[run.into()])
    })?;
    for chunk in chunks.into_iter().map(Oid::from_u32) {
        transaction(|| if is_to_stay_empty(chunk)? { drop_table(chunk) } else { Ok(()) })?;
    }
    Ok(())
}

/// Whether a chunk has no rows, compressed ones included, nor will have any while this transaction lasts.
fn is_to_stay_empty(chunk: Oid) -> Result<bool> {
    let name = spi::value::<String>("SELECT $1::pg_catalog.regclass::text", &[chunk.into()])?.unwrap_or_default();
    spi::execute(&format!("LOCK TABLE ONLY {name} IN ACCESS EXCLUSIVE MODE"), &[])?;
    // ONLY would leave the compressed ones out.
    let query = format!("SELECT NOT EXISTS (SELECT FROM {name})");
    Ok(restricted(|| spi::value::<bool>(&query, &[]))?.unwrap_or(false))
}

/// Drops a table, unless it is gone already.
fn drop_table(table: Oid) -> Result<()> {
    let name = "SELECT oid::pg_catalog.regclass::text FROM pg_catalog.pg_class WHERE oid = $1";
    match spi::value::<String>(name, &[table.into()])? {
        Some(name) => spi::execute(&format!("DROP TABLE {name}"), &[]).map(drop),
        None => Ok(()),
    }
}

/// Forgets tasks, in the current transaction.
pub fn delete(ids: Vec<i32>) -> Result<()> {
    spi::execute("DELETE FROM timescale_migrate.task_log WHERE id = ANY ($1)", &[ids.into()]).map(drop)
}

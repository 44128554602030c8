//! Continuing a run under a new snapshot.
//!
//! What is done stays, unless the number of the source's rows or the age of one of them shows that
//! it was written to since: then it is copied anew. What was not done is planned anew, for the source
//! may have compressed or dropped it meanwhile. A table that was being copied in parts begins
//! from nothing: between two snapshots a row may have moved from one part to another, and would
//! be lost or doubled.

use super::worker::Context;
use super::{copy, keys, routed, state, tasks};
use crate::core::inventory::Inventory;
use crate::core::name::Name;
use crate::core::plan::again::{self, Again, Known, Snapshot, Unfit};
use crate::core::plan::{Copy, Doubt, Into, Recheck, Task, Work};
use crate::error::{Error, Result, SqlState};
use crate::pg::{catch::transaction, spi};
use crate::source::guard::{self, Hold};
use crate::target::schema;
use pgrx::pg_sys::Oid;
use std::collections::{BTreeSet, HashSet};

/// The copy tasks of a run.
pub fn known(run: i64) -> Result<Vec<Known>> {
    spi::json_rows(include_str!("../../sql/target/known_copies.sql"), &[run.into()])
}

/// Makes the run's tasks fit the source as it is under the newest snapshot; returns warnings.
pub fn reconcile(run: i64, planned: Vec<Task>) -> Result<Vec<String>> {
    let (known, snapshots) = transaction(|| {
        // What an interrupted start has not compared, this one does.
        spi::execute("DELETE FROM timescale_migrate.task_log WHERE run = $1 AND stage = 'recheck'", &[run.into()])?;
        let snapshots: Vec<Snapshot> = spi::json_rows(
            "SELECT json_build_object('id', id, 'horizon', horizon, 'started', started, 'timeline', timeline, 'durable', durable)::text
             FROM timescale_migrate.snapshot_log WHERE run = $1 ORDER BY id",
            &[run.into()],
        )?;
        Ok((known(run)?, snapshots))
    })?;
    let (copies, others): (Vec<Task>, Vec<Task>) =
        planned.into_iter().partition(|task| matches!(task.work, Work::Copy(_)));
    let again = again::resume(known, copies, &snapshots).map_err(|unfit| refused(run, unfit))?;
    let warnings = apply(run, again)?;
    transaction(|| add_new(run, others))?;
    transaction(|| {
        spi::execute(
            "UPDATE timescale_migrate.task_log
             SET state = 'pending', ended_at = NULL, side = NULL, sqlstate = NULL, error = NULL, detail = NULL, hint = NULL, context = NULL
             WHERE run = $1 AND state = 'failed'",
            &[run.into()],
        )
    })?;
    Ok(warnings)
}

/// Refuses a source on which the tables of the run have other names.
pub fn check_names(run: i64, inventory: &Inventory) -> Result<()> {
    let known = transaction(|| known(run))?;
    again::check_names(&known, inventory).map_err(|unfit| refused(run, unfit))
}

/// Adds what is to be done for objects that are new on the source.
fn add_new(run: i64, planned: Vec<Task>) -> Result<()> {
    let known: HashSet<(String, String)> = spi::json_rows::<(String, String)>(
        "SELECT json_build_array(stage, object)::text FROM timescale_migrate.task_log
         WHERE run = $1 AND stage NOT IN ('recheck', 'copy', 'tiered')",
        &[run.into()],
    )?
    .into_iter()
    .collect();
    let is_new = |task: &Task| !known.contains(&(task.stage.name().to_string(), task.object.clone()));
    tasks::add(run, &planned.into_iter().filter(is_new).collect::<Vec<_>>())
}

/// Replaces tasks. However this is interrupted, what is not entered any more is new to the next
/// start of the run.
pub fn apply(run: i64, again: Again) -> Result<Vec<String>> {
    for copies in again.take_back {
        transaction(|| take_back(run, copies))?;
    }
    transaction(|| {
        delete(again.forget)?;
        let tables: BTreeSet<&Name> = again.add.iter().filter_map(copied_into).collect();
        tables.into_iter().try_for_each(|table| keys::undo(run, table))?;
        tasks::add(run, &again.add)
    })?;
    Ok(again.warnings)
}

/// What cannot be made up for: the schema is here already.
pub fn refused(run: i64, Unfit(message): Unfit) -> Error {
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message).hint(format!(
        "Undo that on the source and call migrate_resume({run}) again; or migrate_cleanup({run}), then migrate_from."
    ))
}

/// Drops the chunks that hold nothing and that no task has filled: one whose copy was interrupted
/// leaves such a chunk, which would be in the way of another one of its range.
pub fn drop_unused(run: i64) -> Result<()> {
    let chunks: Vec<u32> = transaction(|| {
        schema::refuse_overloads()?;
        spi::json_rows(include_str!("../../sql/target/unused_chunks.sql"), &[run.into()])
    })?;
    for chunk in chunks.into_iter().map(Oid::from_u32) {
        transaction(|| if is_empty(chunk)? { drop_table(chunk) } else { Ok(()) })?;
    }
    Ok(())
}

/// Whether a table has no rows of its own, nor will have any while this transaction lasts.
fn is_empty(table: Oid) -> Result<bool> {
    let name = spi::value::<String>("SELECT $1::pg_catalog.regclass::text", &[table.into()])?.unwrap_or_default();
    spi::execute(&format!("LOCK TABLE ONLY {name} IN ACCESS EXCLUSIVE MODE"), &[])?;
    Ok(spi::value::<bool>(&format!("SELECT NOT EXISTS (SELECT FROM ONLY {name})"), &[])?.unwrap_or(false))
}

/// Drops a table, unless it is gone already.
fn drop_table(table: Oid) -> Result<()> {
    let name = "SELECT oid::pg_catalog.regclass::text FROM pg_catalog.pg_class WHERE oid = $1";
    match spi::value::<String>(name, &[table.into()])? {
        Some(name) => spi::execute(&format!("DROP TABLE {name}"), &[]).map(drop),
        None => Ok(()),
    }
}

fn copied_into(task: &Task) -> Option<&Name> {
    match &task.work {
        Work::Copy(copy) => Some(copy.into.table()),
        _ => None,
    }
}

fn delete(ids: Vec<i32>) -> Result<()> {
    spi::execute("DELETE FROM timescale_migrate.task_log WHERE id = ANY ($1)", &[ids.into()]).map(drop)
}

/// Takes the rows of a table back that are here.
fn empty(run: i64, work: &Copy) -> Result<()> {
    spi::set_local("session_replication_role", "replica")?;
    match (&work.into, &work.condition) {
        (Into::Table(name), None) => copy::clear(copy::own(run, name)?).map(drop),
        // Others are the extension's own.
        (Into::Table(name), Some(condition)) => spi::execute(
            "SELECT timescale_migrate.delete_rows($1, $2)",
            &[copy::own(run, name)?.into(), condition.clone().into()],
        )
        .map(drop),
        (Into::Chunk { .. } | Into::Routed { .. }, _) => Ok(()),
    }
}

/// What copy tasks of one relation have brought.
struct Brought {
    work: Copy,
    relation: Oid,
    rows: i64,
    /// The table that holds compressed rows until they become the chunk's own.
    batches: Option<Oid>,
}

/// None if nothing is here.
fn brought(copies: &[i32]) -> Result<Option<Brought>> {
    let found = spi::json_rows::<(Work, u32, i64, Option<u32>)>(
        "SELECT json_build_array((array_agg(work))[1], min(relation)::bigint, coalesce(sum(rows), 0), min(compressed)::bigint)::text
         FROM timescale_migrate.task_log WHERE id = ANY ($1) AND state = 'done' HAVING min(relation) IS NOT NULL",
        &[copies.to_vec().into()],
    )?
    .pop();
    match found {
        Some((Work::Copy(work), relation, rows, batches)) => {
            Ok(Some(Brought { work, relation: relation.into(), rows, batches: batches.map(Oid::from_u32) }))
        }
        Some(_) => Err(Error::internal("not a copy task")),
        None => Ok(None),
    }
}

/// Looks at a finished copy again; if the source holds something else now, it is taken back, and
/// made again unless the chunk is gone.
pub fn perform(context: &mut Context, id: i32, recheck: &Recheck) -> Result<()> {
    let brought = transaction(|| brought(&recheck.copies))?.ok_or_else(|| Error::internal("a copy task is gone"))?;
    let again = match recheck.again.first() {
        Some(Task { work: Work::Copy(again), .. }) => Some(again),
        _ => None,
    };
    let name = again.map_or(&brought.work.source, |again| &again.source).shown();
    let changed = Some(format!("{name} was written to on the source since it was copied: it is copied again"));
    let other = match (recheck.doubt, again) {
        (Doubt::Gone, _) | (_, None) => Some(format!("{name} is no longer on the source: its copy is dropped")),
        (Doubt::Changed, _) => changed,
        (Doubt::Lost, _) => Some(format!(
            "the source may have lost rows of {name} that were copied, in a crash or fail-over: it is copied again"
        )),
        (Doubt::None, Some(again)) => match since(context, id, again, recheck.horizon)? {
            // The copy finds out what it is now.
            None => changed,
            Some((now, newer)) => match (transaction(|| emptied(&brought))?, newer) {
                (true, _) => Some(format!("{name} was emptied here by a crash of this server: it is copied again")),
                (_, true) => changed,
                _ => (now != brought.rows).then(|| {
                    let rows = brought.rows;
                    format!("{name} has {now} rows on the source now, {rows} were copied: it is copied again")
                }),
            },
        },
    };
    let run = context.block.run;
    transaction(|| {
        if let Some(message) = other {
            take_back(run, recheck.copies.clone())?;
            tasks::add(run, &recheck.again)?;
            state::say_here(run, "notice", &message)?;
        } else if let Some(again) = again.filter(|again| again.guards != brought.work.guards) {
            // A comparison of the values reads under the same locks as this.
            spi::execute(
                "UPDATE timescale_migrate.task_log SET work = jsonb_set(work, '{guards}', $2) WHERE id = ANY ($1)",
                &[recheck.copies.clone().into(), spi::json(&again.guards)?],
            )?;
        }
        tasks::done(id, &tasks::Outcome::default())
    })
}

/// How many rows the source has now of what was copied under the snapshot with that horizon, and
/// whether any of them is newer; none if the newest snapshot cannot show it any more.
fn since(context: &mut Context, id: i32, now: &Copy, horizon: u64) -> Result<Option<(i64, bool)>> {
    if context.begin(id, now.snapshot, copy::reads(&now.guards, &now.query), &now.guards)? != Hold::Held {
        return Ok(None);
    }
    let source = context.source()?;
    if now.root {
        source.query("SET LOCAL timescaledb.restoring = on")?;
    }
    let answer = source.query(&now.since(horizon))?;
    let found = (answer.number(0, 0)?, answer.text(0, 1)? == "t");
    Ok(guard::end(source, &now.guards)?.then_some(found))
}

/// Whether an unlogged relation here has lost its rows, as such do in a crash.
fn emptied(Brought { relation, rows, .. }: &Brought) -> Result<bool> {
    let unlogged = "SELECT relpersistence = 'u' FROM pg_catalog.pg_class WHERE oid = $1";
    Ok(*rows > 0 && spi::value::<bool>(unlogged, &[(*relation).into()])? == Some(true) && is_empty(*relation)?)
}

/// Takes the copies of one relation back, so that what comes next begins with nothing; in the
/// current transaction.
fn take_back(run: i64, copies: Vec<i32>) -> Result<()> {
    if let Some(Brought { work, relation, batches, .. }) = brought(&copies)? {
        keys::undo(run, work.into.table())?;
        match work.into {
            Into::Table(_) => empty(run, &work)?,
            // Made anew: it may be compressed by now, and another is not to find it in its way.
            Into::Chunk { .. } => {
                drop_table(relation)?;
                // As long as it was not attached to the chunk, it does not go with it.
                batches.map_or(Ok(()), drop_table)?;
            }
            Into::Routed { .. } => routed::drop(run, relation)?,
        }
    }
    spi::execute(
        "DELETE FROM timescale_migrate.task_log
         WHERE run = $1 AND stage = 'compression' AND (work ->> 'copy')::integer = ANY ($2)",
        &[run.into(), copies.clone().into()],
    )?;
    delete(copies)
}

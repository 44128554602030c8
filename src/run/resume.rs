//! Continuing a run under a new snapshot.
//!
//! What is done stays, unless the number of the source's rows or the age of one of them shows that
//! it was written to since: then it is copied anew. What was not done is planned anew, for the source
//! may have compressed or dropped it meanwhile. A table that was being copied in parts begins
//! from nothing: between two snapshots a row may have moved from one part to another, and would
//! be lost or doubled.

use super::worker::Context;
use super::{copy, keys, routed, state, tasks};
use crate::core::name::Name;
use crate::core::plan::{self, Copy, Doubt, Into, Recheck, Stage, Task, Work};
use crate::error::{Error, Result, SqlState};
use crate::pg::{catch::transaction, spi};
use pgrx::pg_sys::Oid;
use std::collections::{BTreeMap, BTreeSet};

struct Known {
    id: i32,
    done: bool,
    object: String,
    work: Copy,
}

/// Makes the run's tasks fit the source as it is now; returns what there is to say about it.
pub fn reconcile(run: i64, planned: &[Task]) -> Result<Vec<String>> {
    let mut known = BTreeMap::<Name, Vec<Known>>::new();
    // A task that is done without a relation has found nothing to copy.
    for (id, done, object, work) in spi::json_rows::<(i32, bool, String, Work)>(
        "SELECT json_build_array(id, state = 'done' AND relation IS NOT NULL, object, work)::text
         FROM timescale_migrate.task_log WHERE run = $1 AND stage IN ('copy', 'tiered') ORDER BY id",
        &[run.into()],
    )? {
        if let Work::Copy(work) = work {
            known.entry(work.source.clone()).or_default().push(Known { id, done, object, work });
        }
    }
    // What an interrupted start has not compared, this one does.
    spi::execute("DELETE FROM timescale_migrate.task_log WHERE run = $1 AND stage = 'recheck'", &[run.into()])?;
    let mut messages = Vec::new();
    let (mut added, mut rechecks) = (Vec::new(), Vec::new());
    for (name, tasks) in by_source(planned) {
        let Some(before) = known.remove(&name) else {
            if let Some((task, Copy { into: Into::Table(_), .. })) = tasks.first() {
                return Err(unfit(run, format!("{} is new on the source since the run began", task.object)));
            }
            added.extend(tasks.into_iter().map(|(task, _)| task.clone()));
            continue;
        };
        let (first, now) = (&before[0].work, tasks[0].1);
        if first.columns != now.columns || first.types != now.types {
            let object = &before[0].object;
            let message = format!("the columns of {object} are others on the source than when the run began");
            return Err(unfit(run, message));
        }
        if before.iter().all(|task| task.done) {
            let doubt = match first.form.same_kind(&now.form) && first.into.same_place(&now.into) {
                true => Doubt::None,
                false => Doubt::Changed,
            };
            rechecks.push(recheck(&before, doubt, tasks.iter().map(|(task, _)| (*task).clone()).collect()));
            continue;
        }
        if before.len() > 1 {
            empty(first)?;
        }
        delete(before.iter().map(|task| task.id).collect())?;
        added.extend(tasks.into_iter().map(|(task, _)| task.clone()));
    }
    for gone in known.into_values().flatten() {
        // Else this side would hold rows that the source has dropped, as its retention does.
        if gone.done && matches!(gone.work.into, Into::Chunk { .. }) {
            rechecks.push(recheck(&[gone], Doubt::Gone, Vec::new()));
            continue;
        }
        let fate = if gone.done { "its rows stay here" } else { "it is left out" };
        messages.push(format!("{} is no longer on the source; {fate}", gone.object));
        delete(vec![gone.id])?;
    }
    let tables: BTreeSet<&Name> = added.iter().filter_map(copied_into).collect();
    tables.into_iter().try_for_each(|table| keys::undo(run, table))?;
    tasks::add(run, &added)?;
    tasks::add(run, &rechecks)?;
    spi::execute(
        "UPDATE timescale_migrate.task_log
         SET state = 'pending', ended_at = NULL, side = NULL, sqlstate = NULL, error = NULL, detail = NULL, hint = NULL, context = NULL
         WHERE run = $1 AND state = 'failed'",
        &[run.into()],
    )?;
    Ok(messages)
}

/// What cannot be made up for: the schema is here already.
fn unfit(run: i64, message: String) -> Error {
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message).hint(format!("migrate_cleanup({run}), then migrate_from."))
}

fn recheck(known: &[Known], doubt: Doubt, again: Vec<Task>) -> Task {
    let bytes = again.iter().map(|task| task.bytes).sum();
    let copies = known.iter().map(|task| task.id).collect();
    let work = Work::Recheck(Recheck { copies, doubt, again });
    plan::task(Stage::Recheck, known[0].object.clone(), 0, bytes, work)
}

fn by_source(planned: &[Task]) -> BTreeMap<Name, Vec<(&Task, &Copy)>> {
    let mut sources = BTreeMap::<Name, Vec<(&Task, &Copy)>>::new();
    for task in planned {
        if let Work::Copy(copy) = &task.work {
            sources.entry(copy.source.clone()).or_default().push((task, copy));
        }
    }
    sources
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
fn empty(work: &Copy) -> Result<()> {
    spi::set_local("session_replication_role", "replica")?;
    match (&work.into, &work.condition) {
        (Into::Table(name), None) => copy::clear(spi::relation_oid(&name.to_string())?).map(drop),
        // Others are the extension's own.
        (Into::Table(name), Some(condition)) => spi::execute(
            "SELECT timescale_migrate.delete_rows($1, $2)",
            &[spi::relation_oid(&name.to_string())?.into(), condition.clone().into()],
        )
        .map(drop),
        (Into::Chunk { .. } | Into::Routed { .. }, _) => Ok(()),
    }
}

/// Looks at a finished copy again; if the source holds something else now, it is taken back, and
/// made again unless the chunk is gone.
pub fn perform(context: &mut Context, id: i32, recheck: &Recheck) -> Result<()> {
    let copies = recheck.copies.clone();
    let (work, relation, rows, batches) = transaction(|| {
        spi::json_rows::<(Work, u32, i64, Option<u32>)>(
            "SELECT json_build_array((array_agg(work))[1], min(relation)::bigint, sum(rows), min(compressed)::bigint)::text
             FROM timescale_migrate.task_log WHERE id = ANY ($1) HAVING count(*) > 0",
            &[copies.clone().into()],
        )
    })?
    .pop()
    .ok_or_else(|| Error::internal("a copy task is gone"))?;
    let Work::Copy(work) = work else { return Err(Error::internal("not a copy task")) };
    let name = work.source.shown();
    let guards = match recheck.again.first() {
        Some(Task { work: Work::Copy(again), .. }) => again.guards.clone(),
        _ => Vec::new(),
    };
    let changed = format!("{name} was written to on the source since it was copied: it is copied again");
    let other = match recheck.doubt {
        Doubt::Changed => Some(changed),
        Doubt::Gone => Some(format!("{name} is no longer on the source: its copy is dropped")),
        Doubt::None => {
            let Some((now, newer)) = since(context, id, &work, &guards)? else {
                return transaction(|| tasks::done(id, &tasks::Outcome::default()));
            };
            match (transaction(|| emptied(relation.into(), rows))?, newer) {
                (true, _) => Some(format!("{name} was emptied here by a crash of this server: it is copied again")),
                (_, true) => Some(changed),
                _ => (now != rows).then(|| {
                    format!("{name} has {now} rows on the source now, {rows} were copied: it is copied again")
                }),
            }
        }
    };
    let run = context.block.run;
    transaction(|| {
        if let Some(message) = other {
            take_back(run, &work, relation.into(), batches.map(Oid::from_u32))?;
            spi::execute(
                "DELETE FROM timescale_migrate.task_log
                 WHERE run = $1 AND stage = 'compression' AND (work ->> 'copy')::integer = ANY ($2)",
                &[run.into(), copies.clone().into()],
            )?;
            delete(copies)?;
            tasks::add(run, &recheck.again)?;
            state::say_here(run, "notice", &message)?;
        } else if work.guards != guards {
            // A comparison of the values reads under the same locks as this.
            spi::execute(
                "UPDATE timescale_migrate.task_log SET work = jsonb_set(work, '{guards}', $2) WHERE id = ANY ($1)",
                &[copies.into(), spi::json(&guards)?],
            )?;
        }
        tasks::done(id, &tasks::Outcome::default())
    })
}

/// How many rows the source has of what a task copied, and whether any of them is newer; `None` if
/// it was dropped meanwhile.
fn since(context: &mut Context, id: i32, work: &Copy, guards: &[Name]) -> Result<Option<(i64, bool)>> {
    let Some(source) = context.begin(id, guards)? else { return Ok(None) };
    if work.root {
        source.query("SET LOCAL timescaledb.restoring = on")?;
    }
    let answer = source.query(&work.since())?;
    let found = (answer.number(0, 0)?, answer.text(0, 1)? == "t");
    source.query("COMMIT")?;
    Ok(Some(found))
}

/// Whether an unlogged relation here has lost its rows, as such do in a crash.
fn emptied(relation: Oid, rows: i64) -> Result<bool> {
    let unlogged =
        "SELECT oid::pg_catalog.regclass::text FROM pg_catalog.pg_class WHERE oid = $1 AND relpersistence = 'u'";
    match spi::value::<String>(unlogged, &[relation.into()])? {
        Some(name) if rows > 0 => {
            let empty = format!("SELECT NOT EXISTS (SELECT FROM ONLY {name})");
            Ok(spi::value::<bool>(&empty, &[])?.unwrap_or(false))
        }
        _ => Ok(false),
    }
}

/// Takes a copy back, so that what comes next begins with nothing.
fn take_back(run: i64, work: &Copy, relation: Oid, batches: Option<Oid>) -> Result<()> {
    keys::undo(run, work.into.table())?;
    match work.into {
        Into::Table(_) => empty(work),
        // Made anew: it may be compressed by now, and another is not to find it in its way.
        Into::Chunk { .. } => {
            drop_table(relation)?;
            // As long as it was not attached to the chunk, it does not go with it.
            batches.map_or(Ok(()), drop_table)
        }
        Into::Routed { .. } => routed::drop(run, relation),
    }
}

/// Drops a table, unless it is gone already.
fn drop_table(table: Oid) -> Result<()> {
    let name = "SELECT oid::pg_catalog.regclass::text FROM pg_catalog.pg_class WHERE oid = $1";
    match spi::value::<String>(name, &[table.into()])? {
        Some(name) => spi::execute(&format!("DROP TABLE {name}"), &[]).map(drop),
        None => Ok(()),
    }
}

//! Continuing a run under a new snapshot.
//!
//! What is done stays, unless the source's statistics or the number of its rows show that it was
//! written to since: then it is copied anew. What was not done is planned anew, for the source
//! may have compressed or dropped it meanwhile. A table that was being copied in parts begins
//! from nothing: between two snapshots a row may have moved from one part to another, and would
//! be lost or doubled.

use super::worker::Context;
use super::{copy, routed, state, tasks};
use crate::core::checksum;
use crate::core::name::Name;
use crate::core::plan::{self, Copy, Doubt, Form, Into, Recheck, Stage, Task, Work};
use crate::error::{Error, Result, SqlState};
use crate::pg::{catch::transaction, spi};
use std::collections::BTreeMap;

struct Known {
    id: i32,
    done: bool,
    object: String,
    work: Copy,
}

/// Makes the run's tasks fit the source as it is now; returns what there is to say about it.
pub fn reconcile(run: i64, planned: &[Task]) -> Result<Vec<String>> {
    let mut known = BTreeMap::<Name, Vec<Known>>::new();
    // A task that is done without a target has found nothing to copy.
    for (id, done, object, work) in spi::json_rows::<(i32, bool, String, Work)>(
        "SELECT json_build_array(id, state = 'done' AND target IS NOT NULL, object, work)::text
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
                return Err(Error::new(
                    SqlState::NOT_IN_PREREQUISITE_STATE,
                    format!("{} is new on the source since the run began", task.object),
                )
                .hint("Start a new run with migrate_from, into an empty database."));
            }
            added.extend(tasks.into_iter().map(|(task, _)| task.clone()));
            continue;
        };
        if before.iter().all(|task| task.done) {
            let first = &before[0].work;
            let doubt = match first.seen == tasks[0].1.seen && first.form.same_kind(&tasks[0].1.form) {
                true => Doubt::None,
                false => Doubt::Changed,
            };
            rechecks.push(recheck(&before, doubt, tasks.iter().map(|(task, _)| (*task).clone()).collect()));
            continue;
        }
        if before.len() > 1 {
            empty(&before[0].work.into)?;
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

fn delete(ids: Vec<i32>) -> Result<()> {
    spi::execute("DELETE FROM timescale_migrate.task_log WHERE id = ANY ($1)", &[ids.into()]).map(drop)
}

/// Takes back the parts of a table that are here.
fn empty(into: &Into) -> Result<()> {
    match into {
        Into::Table(name) => copy::clear(spi::relation_oid(&name.to_string())?).map(drop),
        Into::Chunk { .. } | Into::Routed { .. } => Ok(()),
    }
}

/// Looks at a finished copy again; if the source holds something else now, it is taken back, and
/// made again unless the chunk is gone.
pub fn perform(context: &mut Context, id: i32, recheck: &Recheck) -> Result<()> {
    let copies = recheck.copies.clone();
    let (work, target, rows, batches) = transaction(|| {
        spi::json_rows::<(Work, String, i64, Option<String>)>(
            "SELECT json_build_array((array_agg(work))[1], min(target), sum(rows), min(compressed))::text
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
    let other = match recheck.doubt {
        Doubt::Changed => Some(format!("{name} was written to on the source since it was copied: it is copied again")),
        Doubt::Gone => Some(format!("{name} is no longer on the source: its copy is dropped")),
        Doubt::None => {
            let Some(now) = count(context, id, &work, &guards)? else {
                return transaction(|| tasks::done(id, &tasks::Outcome::default()));
            };
            let again = format!("{name} has {now} rows on the source now, {rows} were copied: it is copied again");
            (now != rows).then_some(again)
        }
    };
    let run = context.block.run;
    transaction(|| {
        if let Some(message) = other {
            take_back(run, &work, &target, batches.as_deref(), recheck.doubt == Doubt::Gone)?;
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

/// How many rows the source has of what a task copied; `None` if it was dropped meanwhile.
fn count(context: &mut Context, id: i32, work: &Copy, guards: &[Name]) -> Result<Option<i64>> {
    let Some(source) = context.begin(id, guards)? else { return Ok(None) };
    let all = match &work.query {
        Some(query) => checksum::result(query),
        None => checksum::table(&work.source, !matches!(work.into, Into::Chunk { .. }), work.condition.as_deref()),
    };
    let now = source.query(&checksum::query(&all, &[], false))?.number(0, 0)?;
    source.query("COMMIT")?;
    Ok(Some(now))
}

/// Takes back as much of a copy as the next one cannot begin with.
fn take_back(run: i64, work: &Copy, target: &str, batches: Option<&str>, gone: bool) -> Result<()> {
    let compressed = matches!(work.form, Form::Compressed(_) | Form::Recompressed { .. });
    // A chunk that has become a compressed one cannot be filled again: it is made anew.
    if matches!(work.into, Into::Chunk { .. }) && (gone || compressed) {
        spi::execute(&format!("DROP TABLE {target}"), &[])?;
        // As long as it was not attached to the chunk, it does not go with it.
        if let Some(batches) = batches {
            spi::execute(&format!("DROP TABLE IF EXISTS {batches}"), &[])?;
        }
    }
    if matches!(work.into, Into::Routed { .. }) {
        routed::drop(run, target)?;
    }
    match work.pages {
        Some(_) => empty(&work.into),
        None => Ok(()),
    }
}

//! Continuing a run under a new snapshot.
//!
//! What is done stays, unless the number of the source's rows or the age of one of them shows that
//! it was written to since: then it is copied anew. What was not done is planned anew, for the source
//! may have compressed or dropped it meanwhile. A table that was being copied in parts begins
//! from nothing: between two snapshots a row may have moved from one part to another, and would
//! be lost or doubled.

use super::{pieces, tasks, undo};
use crate::core::digest::Digests;
use crate::core::inventory::Inventory;
use crate::core::name::Name;
use crate::core::plan::again::{self, Again, Known, Snapshot, Unfit};
use crate::core::plan::{Phase, Task, Work};
use crate::error::{Error, Result, SqlState};
use crate::pg::{catch::transaction, spi};
use std::collections::{BTreeSet, HashSet};

/// The copy tasks of a run.
pub fn known(run: i64) -> Result<Vec<Known>> {
    spi::json_rows(include_str!("../../sql/run/copies.sql"), &[run.into()])
}

/// What a resume has to do.
pub struct Planned {
    again: Again,
    /// What is planned besides copies.
    others: Vec<Task>,
}

/// Compares the run's tasks with the source as it is under the newest snapshot; refuses one that has changed too much. Nothing
/// is changed.
pub fn plan(run: i64, planned: Vec<Task>, inventory: &Inventory) -> Result<Planned> {
    let (known, snapshots) = transaction(|| {
        let snapshots: Vec<Snapshot> = spi::json_rows(
            "SELECT json_build_object('id', id, 'horizon', horizon, 'started', started, 'timeline', timeline, 'durable', durable)::text
             FROM timescale_migrate.snapshot_log WHERE run = $1 ORDER BY id",
            &[run.into()],
        )?;
        Ok((known(run)?, snapshots))
    })?;
    let (copies, others): (Vec<Task>, Vec<Task>) =
        planned.into_iter().partition(|task| matches!(task.work, Work::Copy(_)));
    let converted = inventory.hypertables.iter().filter(|root| root.is_converted()).map(|root| root.oid).collect();
    let again = again::resume(known, copies, &snapshots, &converted).map_err(|unfit| refused(run, unfit))?;
    Ok(Planned { again, others })
}

/// Makes the run's tasks fit the source; returns warnings. `digests`: what the schema consists of now, unless it was there
/// before the run.
pub fn reconcile(run: i64, planned: Planned, digests: Option<&Digests>) -> Result<Vec<String>> {
    transaction(|| {
        // What an interrupted start has not compared, this one does.
        // Refreshes that are to be done are added again, level by level.
        let stale = "DELETE FROM timescale_migrate.task_log
            WHERE run = $1 AND (phase = 'recheck' OR (phase = 'recompute' AND state <> 'done'))";
        spi::execute(stale, &[run.into()])
    })?;
    let warnings = apply(run, planned.again)?;
    transaction(|| match digests {
        Some(digests) => pieces::settle_again(run, digests, || add_new(run, planned.others)),
        None => add_new(run, planned.others),
    })?;
    transaction(|| spi::execute(include_str!("../../sql/run/reopen_failed.sql"), &[run.into()]))?;
    Ok(warnings)
}

/// Refuses a source on which the tables of the run have other names.
pub fn check_names(run: i64, inventory: &Inventory) -> Result<()> {
    let known = transaction(|| known(run))?;
    again::check_names(&known, inventory).map_err(|unfit| refused(run, unfit))
}

/// Adds what is to be done for objects that are new on the source.
fn add_new(run: i64, planned: Vec<Task>) -> Result<()> {
    let known: HashSet<(Phase, String)> = spi::json_rows::<(Phase, String)>(
        "SELECT json_build_array(phase, object)::text FROM timescale_migrate.task_log
         WHERE run = $1 AND phase NOT IN ('recheck', 'copy', 'tiered')",
        &[run.into()],
    )?
    .into_iter()
    .collect();
    let is_new = |task: &Task| !known.contains(&(task.phase, task.object.clone()));
    tasks::add(run, &planned.into_iter().filter(is_new).collect::<Vec<_>>())
}

/// Replaces tasks. However this is interrupted, what is not entered any more is new to the next
/// start of the run.
pub fn apply(run: i64, again: Again) -> Result<Vec<String>> {
    for copies in again.take_back {
        undo::drop_converted(run, &copies, 1)?;
        transaction(|| undo::take_back(run, copies))?;
    }
    transaction(|| {
        undo::delete(again.forget)?;
        let tables: BTreeSet<&Name> = again.add.iter().filter_map(copied_into).collect();
        undo::drop_constraints(run, &tables.into_iter().collect::<Vec<_>>())?;
        tasks::add(run, &again.add)
    })?;
    Ok(again.warnings)
}

/// What cannot be made up for: the schema exists already.
pub fn refused(run: i64, Unfit(message): Unfit) -> Error {
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message).hint(format!(
        "Undo the change on the source and call migrate_resume({run}) again, or call migrate_cleanup({run}) and then migrate_from."
    ))
}

fn copied_into(task: &Task) -> Option<&Name> {
    match &task.work {
        Work::Copy(copy) => Some(copy.destination.table()),
        _ => None,
    }
}

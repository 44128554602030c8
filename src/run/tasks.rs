//! The tasks of runs, and every transition there is.
//!
//! A task is `pending` until a worker writes `done` in the very transaction that holds its
//! data, or `failed` in a transaction of its own, or `postponed` if what it reads cannot be read
//! under its snapshot ([`super::rounds`] replaces it). That it is being worked on is no state but
//! the worker's lock on it, which goes with the worker: nothing needs repair after a
//! crash. A worker that gets the lock looks at the state again, for another one may have
//! finished the task between its reading and its locking.

use super::state::{fields, from_fields};
use crate::core::plan::{Columns, Phase, Task, Work};
use crate::error::{Error, Result, SqlState};
use crate::pg::catch::transaction;
use crate::pg::lock::Lock;
use crate::pg::{session, spi};
use pgrx::pg_sys::Oid;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Enters tasks, all pending, in the current transaction.
pub fn add(run: i64, tasks: &[Task]) -> Result<()> {
    #[derive(Serialize)]
    struct Row<'a> {
        #[serde(flatten)]
        task: &'a Task,
        method: String,
        #[serde(flatten)]
        columns: Columns<'a>,
    }
    // A statement takes its tasks as one JSON document, which is many times as large once it is read.
    for batch in tasks.chunks(100) {
        let rows: Vec<Row> =
            batch.iter().map(|task| Row { task, method: task.work.method(), columns: task.work.columns() }).collect();
        spi::briefly(|| spi::execute(include_str!("../../sql/run/add_tasks.sql"), &[run.into(), spi::json(&rows)?]))?;
    }
    Ok(())
}

/// A task that this worker holds.
#[derive(Deserialize)]
pub struct Claim {
    pub id: i32,
    pub object: String,
    pub work: Work,
    /// It may be taken together with others.
    pub is_small: bool,
}

/// Where a worker looks for its next task: behind the one before, phase by phase. Dead rows of
/// what is done stay in the index as long as any session's snapshot is older, for instance that
/// of the run's own caller; a search from the beginning would pass all of them each time.
#[derive(Default)]
pub struct Places(HashMap<Phase, (i64, i32)>);

/// The phase whose tasks are to be taken; none if there is no more work for anybody.
pub fn open_phase(run: i64) -> Result<Option<Phase>> {
    let phase = transaction(|| {
        spi::value::<String>(
            "SELECT phase FROM timescale_migrate.run_log WHERE id = $1 AND state = 'running'",
            &[run.into()],
        )
    })?;
    Ok(phase.and_then(|name| Phase::parse(&name)).filter(|phase| *phase != Phase::Stopping))
}

/// Tasks that one worker takes at once have no more bytes than this, unless it is one.
const TOGETHER: i64 = 2 << 20;
/// As what an empty relation counts.
const LEAST: i64 = 8192;

/// Takes open tasks of a phase, the largest first, and up to `most` if they are small; none if there
/// is none now, or the run is no longer in the phase `now`. The locks on them are this
/// session's, until [`release`] or its end.
///
/// The run's phase is looked at in the same statement as the tasks: between two statements it may have
/// ended, and the tasks be those of a round that has not begun.
pub fn claim(run: i64, now: Phase, phase: Phase, most: usize, places: &mut Places) -> Result<Vec<Claim>> {
    type Order = (i64, i32);
    const FIRST: Order = (i64::MIN, 0);
    let place = places.0.entry(phase).or_insert(FIRST);
    let next = |(size, id): Order, most: i64| {
        transaction(|| {
            let arguments = [
                run.into(),
                phase.name().into(),
                size.into(),
                id.into(),
                now.name().into(),
                most.into(),
                names(&now.passed()).into(),
                names(&phase.waits_for()).into(),
                phase.excludes_others().into(),
            ];
            spi::json_rows::<Order>(include_str!("../../sql/run/next_tasks.sql"), &arguments)
        })
    };
    loop {
        let mut found = next(*place, 1)?;
        let Some(&first) = found.first() else {
            if *place == FIRST {
                return Ok(Vec::new());
            }
            // What a worker that died has left is before.
            *place = FIRST;
            continue;
        };
        let others = (TOGETHER / (-first.0).max(LEAST)).min(most as i64) - 1;
        if others > 0 {
            found.extend(next(first, others)?);
        }
        let ids: Vec<i32> = found.iter().map(|order| order.1).collect();
        *place = found.pop().unwrap_or(first);
        let claims = transaction(|| {
            let mut claims = spi::json_rows::<Claim>(
                include_str!("../../sql/run/claim_tasks.sql"),
                &[ids.clone().into(), run.into(), now.name().into(), TOGETHER.into()],
            )?;
            claims.sort_by_key(|claim| ids.iter().position(|id| *id == claim.id));
            let lost = ids.iter().filter(|id| !claims.iter().any(|claim| claim.id == **id));
            lost.for_each(|id| Lock::Task(*id).release());
            Ok(claims)
        })?;
        if !claims.is_empty() {
            return Ok(claims);
        }
    }
}

fn names(phases: &[Phase]) -> Vec<String> {
    phases.iter().map(|phase| phase.name().to_string()).collect()
}

/// Whether any worker holds a task of the run.
pub fn any_held(run: i64) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM timescale_migrate.holder h JOIN timescale_migrate.task_log t ON t.id = h.id
               WHERE NOT h.is_run AND t.run = $1)";
    Ok(transaction(|| spi::value(sql, &[run.into()]))?.unwrap_or(false))
}

/// Lets go of tasks that were claimed, whatever became of them.
pub fn release(claims: &[Claim]) -> Result<()> {
    transaction(|| {
        claims.iter().for_each(|claim| Lock::Task(claim.id).release());
        Ok(())
    })
}

/// What a task has done, for its row.
#[derive(Default, Serialize)]
pub struct Outcome {
    pub rows: Option<i64>,
    pub bytes: Option<i64>,
    /// The relation of the target that it was about, whatever it is called by now.
    pub relation: Option<Oid>,
    /// The table that holds a chunk's compressed rows until they become its own.
    pub compressed: Option<Oid>,
    /// Of the rows as they were copied, where values are to be compared.
    pub source_checksum: Option<String>,
}

/// pending -> done, inside the transaction that did the work.
pub fn done(id: i32, outcome: Outcome) -> Result<()> {
    all_done(&[(id, outcome)])
}

/// The same for several tasks.
pub fn all_done(tasks: &[(i32, Outcome)]) -> Result<()> {
    #[derive(Serialize)]
    struct Row<'a> {
        id: i32,
        #[serde(flatten)]
        outcome: &'a Outcome,
    }
    let Some((first, _)) = tasks.first() else { return Ok(()) };
    let rows: Vec<Row> = tasks.iter().map(|(id, outcome)| Row { id: *id, outcome }).collect();
    match spi::execute(include_str!("../../sql/run/finish_tasks.sql"), &[spi::json(&rows)?])? {
        touched if touched == tasks.len() => Ok(()),
        _ => Err(Error::internal(format!("task {first} was ended by another process"))),
    }
}

/// done -> pending, in the transaction that has undone the work.
pub fn reopen(id: i32) -> Result<()> {
    spi::execute(
        "UPDATE timescale_migrate.task_log SET state = 'pending', ended_at = NULL WHERE id = $1 AND state = 'done'",
        &[id.into()],
    )
    .map(drop)
}

/// pending -> postponed
pub fn postpone(id: i32) -> Result<()> {
    transaction(|| {
        spi::execute(
            "UPDATE timescale_migrate.task_log SET state = 'postponed', ended_at = clock_timestamp()
             WHERE id = $1 AND state = 'pending'",
            &[id.into()],
        )
        .map(drop)
    })
}

/// What the postponed tasks read, as a user would name it.
pub fn postponed(run: i64) -> Result<Vec<String>> {
    spi::json_rows(
        "SELECT to_json(object)::text FROM timescale_migrate.task_log
         WHERE run = $1 AND state = 'postponed' ORDER BY id",
        &[run.into()],
    )
}

/// pending -> failed
pub fn failed(id: i32, error: &Error) -> Result<()> {
    transaction(|| {
        let [side, sqlstate, message, detail, hint, context, _] = fields(error);
        spi::execute(
            include_str!("../../sql/run/fail_task.sql"),
            &[
                id.into(),
                sqlstate.into(),
                message.into(),
                detail.into(),
                hint.into(),
                context.into(),
                session::pid().into(),
                side.into(),
            ],
        )
        .map(drop)
    })
}

/// Whether the task of a phase for an object has failed, in the current transaction.
pub fn has_failed(run: i64, phase: Phase, object: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM timescale_migrate.task_log
               WHERE run = $1 AND state = 'failed' AND phase = $2 AND object = $3)";
    Ok(spi::value(sql, &[run.into(), phase.name().into(), object.into()])?.unwrap_or(false))
}

/// A task that failed.
pub struct Failure {
    pub phase: Phase,
    pub error: Error,
}

/// How a run stands: whether a phase has open tasks, and of the failures in any phase the first
/// of each kind, for workers take tasks of the next phase beside the last ones of a phase.
pub fn standing(run: i64, phase: Phase) -> Result<(bool, Vec<Failure>)> {
    transaction(|| {
        // From the smallest: they are the last to be done, so that none of the dead rows is before.
        let open = spi::value::<i32>(
            "SELECT id FROM timescale_migrate.task_log WHERE run = $1 AND phase = $2 AND state = 'pending'
             ORDER BY -estimated_bytes DESC, id DESC LIMIT 1",
            &[run.into(), phase.name().into()],
        )?
        .is_some();
        let failed = spi::json_rows::<(Phase, [Option<String>; 7])>(
            include_str!("../../sql/run/first_failures.sql"),
            &[run.into()],
        )?;
        let failure = |(phase, fields)| Failure { phase, error: from_fields(fields) };
        Ok((open, failed.into_iter().map(failure).collect()))
    })
}

/// With `on_error => 'continue'`: the error that a run ends with whose every task had its try, if
/// any of them failed.
pub fn failures(run: i64) -> Result<()> {
    let failed: Vec<String> = transaction(|| {
        spi::json_rows(
            "SELECT to_json(pg_catalog.format('%s: %s: %s', phase, object, error))::text FROM timescale_migrate.task_log
             WHERE run = $1 AND state = 'failed' ORDER BY id",
            &[run.into()],
        )
    })?;
    if failed.is_empty() {
        return Ok(());
    }
    const SHOWN: usize = 20;
    let mut lines: Vec<String> = failed.iter().take(SHOWN).cloned().collect();
    if failed.len() > SHOWN {
        lines.push(format!("and {} more", failed.len() - SHOWN));
    }
    Err(Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, format!("{} tasks failed", failed.len()))
        .detail(lines.join("\n"))
        .hint(format!(
            "SELECT * FROM timescale_migrate.task WHERE run = {run} AND state = 'failed'; -- fix the causes, then call migrate_resume({run})"
        )))
}

//! The state of runs, and every transition there is; that of tasks is in [`super::tasks`].
//!
//! A run is `running` from its insertion until the coordinator writes how it ended: `done`,
//! `failed` or `cancelled`, or `refused` if it made nothing: then no view shows it, and its row stays
//! only for its caller to read the error. A resume makes it `running` again, unless it is done; a cleanup makes
//! it `removed`, for good. All the while the coordinator holds the run's lock; a run
//! that is `running` with nobody holding the lock was interrupted, and the view says so.

use crate::core::inventory::Inventory;
use crate::core::options::Options;
use crate::core::plan::{Phase, SnapshotId};
use crate::error::{Error, Result, Side, SqlState};
use crate::pg::catch::transaction;
use crate::pg::lock::Lock;
use crate::pg::{session, spi};
use crate::source::snapshot::{Keeper, Position};
use crate::target::made;

pub(super) fn fields(error: &Error) -> [Option<String>; 7] {
    [
        Some(error.side.name().to_string()),
        Some(error.code.as_str().to_string()),
        Some(error.message.clone()),
        error.detail.clone(),
        error.hint.clone(),
        error.context.clone(),
        error.object.clone(),
    ]
}

/// The tasks of a run are stored in a form of the version that began it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Makes the run known, and takes the one place for a run that a database has. Both locks
/// last until this process ends.
pub fn begin(run: i64, kind: &str, source: &str, options: &Options) -> Result<()> {
    transaction(|| {
        // Before anybody sees the run, whose holder has it for himself.
        if !Lock::Run(run).try_take() {
            return Err(Error::new(SqlState::OBJECT_IN_USE, format!("run {run} already has a coordinator")));
        }
        // Their callers have long read why.
        let refused = "DELETE FROM timescale_migrate.run_log WHERE state = 'refused' AND ended_at < clock_timestamp() - interval '10 minutes'";
        spi::execute(refused, &[])?;
        spi::execute(
            "INSERT INTO timescale_migrate.run_log (id, kind, source, options, extension_version)
             OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5)",
            &[run.into(), kind.into(), source.into(), spi::json(options)?, VERSION.into()],
        )
        .map(drop)
    })?;
    take_place()
}

/// failed | cancelled | interrupted -> running. False if the run has a coordinator: then nothing
/// was changed.
pub fn begin_again(run: i64, options: &Options) -> Result<bool> {
    let ours = transaction(|| {
        if !Lock::Run(run).try_take() {
            return Ok(false);
        }
        spi::execute(include_str!("../../sql/run/begin_again.sql"), &[run.into(), spi::json(options)?])
            .map(|touched| touched == 1)
    })?;
    if ours {
        take_place()?;
    }
    Ok(ours)
}

fn take_place() -> Result<()> {
    transaction(|| {
        if Lock::Place.try_take() {
            return Ok(());
        }
        let Some(other) = at_work()? else {
            return Err(Error::new(SqlState::OBJECT_IN_USE, "another run is running in this database"));
        };
        Err(Error::new(SqlState::OBJECT_IN_USE, format!("run {other} is running in this database")).hint(beside(other)))
    })
}

/// The run that has the one place for a run, in the current transaction.
pub fn at_work() -> Result<Option<i64>> {
    spi::value(include_str!("../../sql/run/active_run.sql"), &[])
}

/// What to do beside a run, as a hint.
pub fn beside(run: i64) -> String {
    format!("Call migrate_wait({run}) to wait for its end, or migrate_cancel({run}) to stop it.")
}

/// Begins a phase that is the coordinator's own, unless the run is to stop.
pub fn enter(run: i64, phase: Phase) -> Result<()> {
    checkpoint(run)?;
    set_phase(run, phase)
}

/// The phase that the run is in; workers take the tasks of it only.
pub fn set_phase(run: i64, phase: Phase) -> Result<()> {
    transaction(|| {
        spi::execute(
            "UPDATE timescale_migrate.run_log SET phase = $2 WHERE id = $1",
            &[run.into(), phase.name().into()],
        )
        .map(drop)
    })
}

/// What the run reads: the source as it was when the snapshot was taken. A resume must find the
/// very database that the run began with.
pub fn set_source(run: i64, inventory: &Inventory, snapshot: &str) -> Result<()> {
    let server = &inventory.server;
    let identity = format!("{}/{}", server.system_identifier.as_deref().unwrap_or_default(), server.database_oid);
    transaction(|| {
        let before = spi::value::<String>(
            "UPDATE timescale_migrate.run_log SET source_identity = coalesce(source_identity, $2) WHERE id = $1
             RETURNING source_identity",
            &[run.into(), identity.clone().into()],
        )?;
        if before.is_some_and(|before| before != identity) {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER,
                "the source is not the database that the run began with",
            )
            .hint(format!(
                "Call migrate_resume({run}) with the source that the run began with; or call migrate_cleanup({run}), then migrate_from."
            )));
        }
        spi::execute(
            "UPDATE timescale_migrate.run_log
             SET source_version = $2, snapshot = $3, tables = $4, hypertables = $5, chunks = $6 WHERE id = $1",
            &[
                run.into(),
                inventory.server.version.clone().into(),
                snapshot.into(),
                (inventory.plain_tables().count() as i64).into(),
                (inventory.hypertables.iter().filter(|h| h.cagg.is_none()).count() as i64).into(),
                (inventory.chunks.len() as i64).into(),
            ],
        )
        .map(drop)
    })
}

/// Enters a snapshot that the run reads under.
pub fn add_snapshot(run: i64, keeper: &Keeper) -> Result<SnapshotId> {
    let position = &keeper.position;
    let id = transaction(|| {
        spi::value(
            "INSERT INTO timescale_migrate.snapshot_log (run, snapshot, horizon, started, timeline, written, durable)
             VALUES ($1, $2, $3, $4, $5, $6::pg_catalog.pg_lsn, $6 IS NULL) RETURNING id",
            &[
                run.into(),
                keeper.snapshot.clone().into(),
                (keeper.horizon as i64).into(),
                position.started.into(),
                position.timeline.into(),
                position.written.clone().into(),
            ],
        )
    })?;
    id.ok_or_else(|| Error::internal("the snapshot was not entered"))
}

/// Notes which snapshots show nothing any more that a crash of the source could lose.
pub fn set_durable(run: i64, position: &Position) -> Result<()> {
    transaction(|| {
        spi::execute(
            "UPDATE timescale_migrate.snapshot_log SET durable = true
             WHERE run = $1 AND NOT durable AND started = $2 AND timeline = $3 AND written <= $4::pg_catalog.pg_lsn",
            &[run.into(), position.started.into(), position.timeline.into(), position.flushed.clone().into()],
        )
        .map(drop)
    })
}

/// How far the run is: whether it has had a snapshot in this start, and its finished tasks.
pub fn progress(run: i64) -> Result<(bool, i64)> {
    let row = transaction(|| spi::json_rows(include_str!("../../sql/run/tasks_done.sql"), &[run.into()]))?;
    row.into_iter().next().ok_or_else(|| Error::internal(format!("run {run} is gone")))
}

/// failed | cancelled | interrupted -> removed, in the current transaction.
pub fn set_removed(run: i64) -> Result<()> {
    spi::execute("UPDATE timescale_migrate.run_log SET state = 'removed' WHERE id = $1", &[run.into()]).map(drop)
}

/// running -> done, in the current transaction. Refused if the run is to stop: a request that
/// comes after this finds it done, and says so.
pub fn finish(run: i64) -> Result<()> {
    // All commits of the workers before this one are flushed with it: they ran with
    // synchronous_commit off.
    spi::set_local("synchronous_commit", "on")?;
    let touched = spi::execute(
        "UPDATE timescale_migrate.run_log SET state = 'done', phase = 'done', ended_at = clock_timestamp()
         WHERE id = $1 AND state = 'running' AND NOT stop_requested",
        &[run.into()],
    )?;
    match touched {
        1 => Ok(()),
        _ => Err(stop_requested_here(run)?.unwrap_or_else(|| Error::internal(format!("run {run} has ended already")))),
    }
}

/// running -> failed | cancelled | refused
pub fn fail(run: i64, error: &Error) -> Result<()> {
    let was_cancelled = error.code == SqlState::QUERY_CANCELED && error.side == Side::Target;
    let state = if was_cancelled { "cancelled" } else { "failed" };
    // What may pass leaves a run that can be resumed; a source that was never reached is a wrong address.
    let refused = !was_cancelled && (!error.is_transient() || error.code == SqlState::CANNOT_CONNECT);
    transaction(|| {
        spi::set_local("synchronous_commit", "on")?;
        let kind = spi::value::<String>("SELECT kind FROM timescale_migrate.run_log WHERE id = $1", &[run.into()])?;
        let cancelled = cancelled(run, kind.as_deref() == Some("migrate"));
        let [side, sqlstate, message, detail, hint, context, object] =
            fields(if was_cancelled { &cancelled } else { error });
        spi::execute(
            include_str!("../../sql/run/fail_run.sql"),
            &[
                run.into(),
                state.into(),
                sqlstate.into(),
                message.into(),
                detail.into(),
                hint.into(),
                context.into(),
                object.into(),
                side.into(),
                refused.into(),
            ],
        )
        .map(drop)
    })
}

/// The error that a run or task ended with, as it was stored.
pub fn from_fields([side, sqlstate, message, detail, hint, context, object]: [Option<String>; 7]) -> Error {
    let code = sqlstate.as_deref().map_or(SqlState::INTERNAL, SqlState::parse);
    let mut error = Error::new(code, message.unwrap_or_else(|| "unknown error".into()));
    (error.detail, error.hint, error.context, error.object) = (detail, hint, context, object);
    if side.as_deref() == Some(Side::Source.name()) {
        error.side = Side::Source;
    }
    error
}

/// Asks a run to stop. Graceful: no task is begun any more; immediate: its coordinator is
/// interrupted as well, and its workers end with it. True only if the run will not be done: whether
/// it is, is decided by the row that both this and [`finish`] write.
pub fn request_cancel(run: i64, graceful: bool) -> Result<bool> {
    source_of(run)?;
    let Some(pid) =
        spi::value::<i32>("SELECT pid FROM timescale_migrate.run WHERE id = $1 AND state = 'running'", &[run.into()])?
    else {
        return Ok(false);
    };
    let touched = spi::execute(
        "UPDATE timescale_migrate.run_log SET stop_requested = true WHERE id = $1 AND state = 'running'",
        &[run.into()],
    )?;
    if touched == 1 && !graceful {
        session::interrupt(pid);
    }
    Ok(touched == 1)
}

/// The source and the options of a run.
pub fn source_of(run: i64) -> Result<(String, String)> {
    spi::json_rows(
        "SELECT json_build_array(source, options::text)::text FROM timescale_migrate.run WHERE id = $1",
        &[run.into()],
    )?
    .pop()
    .ok_or_else(|| Error::new(SqlState::UNDEFINED_OBJECT, format!("run {run} does not exist")))
}

/// The error that a graceful cancel ends a run with, if it is to stop; in the current transaction.
pub fn stop_requested_here(run: i64) -> Result<Option<Error>> {
    let asked = "SELECT kind FROM timescale_migrate.run_log WHERE id = $1 AND stop_requested";
    Ok(spi::value::<String>(asked, &[run.into()])?.map(|kind| cancelled(run, kind == "migrate")))
}

/// The error of a run that was cancelled.
fn cancelled(run: i64, migrates: bool) -> Error {
    let error = Error::new(SqlState::QUERY_CANCELED, format!("run {run} was cancelled"));
    if migrates { error.hint(after_cancel(run)) } else { error }
}

/// What a cancel leaves of a migration, as a hint.
pub fn after_cancel(run: i64) -> String {
    format!(
        "Finished tasks are kept. Call migrate_resume({run}) to continue the run, or migrate_cleanup({run}) to remove what it made."
    )
}

/// The same in a transaction of its own.
pub fn stop_requested(run: i64) -> Result<Option<Error>> {
    transaction(|| stop_requested_here(run))
}

/// Between two pieces of work: ends the run here if it is to stop.
pub fn checkpoint(run: i64) -> Result<()> {
    stop_requested(run)?.map_or(Ok(()), Err)
}

/// Whether a step of the run was done, before an interruption or in this very start.
pub fn step_done(run: i64, step: &str) -> Result<bool> {
    let done = transaction(|| {
        spi::value::<bool>(
            "SELECT $2 = ANY (steps_done) FROM timescale_migrate.run_log WHERE id = $1",
            &[run.into(), step.into()],
        )
    })?;
    Ok(done.unwrap_or(false))
}

/// Does a step in one transaction, and enters that it was done in the same; not a second time.
pub fn step<R: Default>(run: i64, step: &str, work: impl FnOnce() -> Result<R>) -> Result<R> {
    if step_done(run, step)? {
        return Ok(R::default());
    }
    transaction(|| {
        let result = made::entering(run, work)?;
        step_here(run, step)?;
        Ok(result)
    })
}

/// Enters that a step was done, in the current transaction.
pub fn step_here(run: i64, step: &str) -> Result<()> {
    spi::execute(
        "UPDATE timescale_migrate.run_log SET steps_done = steps_done || $2 WHERE id = $1",
        &[run.into(), step.into()],
    )
    .map(drop)
}

//! What may be done with a run as it stands.

use super::state::{VERSION, source_of};
use crate::error::{Error, Result, SqlState};
use crate::pg::spi;

/// The source and the options of a run that can be continued.
pub fn resumable(run: i64) -> Result<(String, String)> {
    let found = given_up(run, "resumed", &["failed", "cancelled", "interrupted"])?;
    let version = "SELECT extension_version FROM timescale_migrate.run_log WHERE id = $1";
    match spi::value::<String>(version, &[run.into()])? {
        Some(version) if version != VERSION => {
            let message =
                format!("run {run} was begun by timescale_migrate {version} and cannot be resumed by {VERSION}");
            Err(Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message).hint(format!(
                "Call migrate_cleanup({run}) to remove what it made, then begin again with migrate_from."
            )))
        }
        _ => Ok(found),
    }
}

/// The same of a run that may be removed: it was given up, or an earlier removal was.
pub fn removable(run: i64) -> Result<(String, String)> {
    given_up(run, "removed", &["failed", "cancelled", "interrupted", "removed"])
}

/// Refuses a run whose policies and jobs are not on the target.
pub fn require_jobs(run: i64) -> Result<()> {
    source_of(run)?;
    let (kind, state) = kind_and_state(run)?;
    match kind.as_str() {
        "migrate" => not_done(run, &state, "; its policies and jobs are made at its end").map_or(Ok(()), Err)?,
        _ => return Err(refused(run, "is not a migration", LIST.into())),
    }
    require_no_later(run)
}

/// The source and the options of a run that can be compared. What a migration has not brought yet would be a difference.
pub fn comparable(run: i64) -> Result<(String, String)> {
    let found = source_of(run)?;
    let (kind, state) = kind_and_state(run)?;
    match kind.as_str() {
        "migrate" => not_done(run, &state, "").map_or(Ok(found), Err),
        "cleanup" => Err(refused(run, "is not a migration", LIST.into())),
        _ => Ok(found),
    }
}

const LIST: &str = "The view timescale_migrate.run lists all runs.";

/// The error for a migration that is not done; `also` is added to its hint to continue it.
fn not_done(run: i64, state: &str, also: &str) -> Option<Error> {
    Some(match state {
        "done" => return None,
        "running" => refused(run, "is not done yet", format!("Call migrate_wait({run}) to wait for its end.")),
        "removed" => refused(run, "was removed", LIST.into()),
        _ => refused(run, "is not done", format!("Call migrate_resume({run}) to continue it{also}.")),
    })
}

fn refused(run: i64, why: &str, hint: String) -> Error {
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, format!("run {run} {why}")).hint(hint)
}

/// How to continue with a run that has not ended, as a hint.
pub fn ways(run: i64) -> String {
    format!("Call migrate_resume({run}) to continue it, or migrate_cleanup({run}) to remove what it made.")
}

/// How to continue after the newest migration of which something is on the target, if it did not reach its end.
pub fn unfinished() -> Result<Option<String>> {
    let newest = include_str!("../../sql/run/unfinished_run.sql");
    Ok(spi::json_rows::<(i64, bool)>(newest, &[])?.pop().map(|(run, is_removed)| match is_removed {
        true => format!("Run {run} was removed in part. Call migrate_cleanup({run}) to remove the rest."),
        false => format!("Run {run} is not finished. {}", ways(run)),
    }))
}

/// Refuses a run after which another began to bring rows, and has not ended: jobs would find half of them.
fn require_no_later(run: i64) -> Result<()> {
    let later = include_str!("../../sql/run/later_run.sql");
    let Some(later) = spi::value::<i64>(later, &[run.into()])? else { return Ok(()) };
    let message = format!("cannot start the jobs of run {run}: run {later} is not done");
    Err(Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message).hint(ways(later)))
}

/// As in view `run`.
fn kind_and_state(run: i64) -> Result<(String, String)> {
    let query = "SELECT json_build_array(kind, state)::text FROM timescale_migrate.run WHERE id = $1";
    Ok(spi::json_rows(query, &[run.into()])?.pop().unwrap_or_default())
}

fn given_up(run: i64, what: &str, states: &[&str]) -> Result<(String, String)> {
    let found = source_of(run)?;
    let (kind, state) = kind_and_state(run)?;
    let (refused, hint) = match (kind.as_str(), state.as_str()) {
        ("migrate", state) if states.contains(&state) => return Ok(found),
        ("migrate", "running") => ("is running", format!("Call migrate_cancel({run}) to stop it.")),
        ("migrate", "removed") => ("was removed", "Begin a new run with migrate_from.".to_string()),
        ("migrate", _) => ("is done", "To begin again, migrate into another database.".to_string()),
        _ => ("is not a migration", LIST.to_string()),
    };
    Err(self::refused(run, &format!("{refused} and cannot be {what}"), hint))
}

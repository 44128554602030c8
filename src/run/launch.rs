//! Starting a run from a session, and waiting for it.

use super::crew::no_slots;
use super::spec::{Kind, Role, RunSpec};
use super::{request, standing, state};
use crate::core::options::Options;
use crate::error::{Error, Result, SqlState};
use crate::libpq::Params;
use crate::pg::shared::Segment;
use crate::pg::wait::{self, Event};
use crate::pg::worker::{Life, Worker};
use crate::pg::{catch, report, session, spi};
use crate::source::address;
use std::time::Duration;

/// How often the caller looks for messages.
const LOOK: Duration = Duration::from_millis(200);

/// A started run, cancelled if its caller's wait is.
pub struct Started {
    pub run: i64,
    migrates: bool,
    worker: Worker,
    /// Cancels the run when dropped before its end.
    watched: bool,
    ear: Ear,
}

/// Passes a run's messages on.
struct Ear {
    run: i64,
    /// The snapshot that they were last read under.
    seen: String,
    /// The last one's.
    hint: Option<String>,
}

/// Removes what a run has made; the number of objects that are gone, and of tables that are emptied.
pub fn cleanup(run: i64) -> Result<i64> {
    let (label, _) = standing::removable(run)?;
    let there = || -> Result<i64> {
        let made =
            "SELECT count(*) FROM timescale_migrate.made_log JOIN timescale_migrate.object USING (classid, objid)
             WHERE run = $1";
        let filled: Vec<serde_json::Value> =
            spi::json_rows(include_str!("../../sql/run/adopted_tables.sql"), &[run.into()])?;
        Ok(spi::value::<i64>(made, &[run.into()])?.unwrap_or(0) + filled.len() as i64)
    };
    let before = there()?;
    launch(label, Params::default(), Kind::Cleanup(run), Options::default(), None)?.wait()?;
    Ok(before - there()?)
}

/// Starts a coordinator, for a new run or for one to be continued. Errors of the run itself come
/// from [`Started::wait`].
pub fn start(source: &str, kind: Kind, options: Options, resume: Option<i64>) -> Result<Started> {
    let params = request::params(source)?;
    let label = address::shown(source)?;
    launch(label, params, kind, options, resume)
}

fn launch(label: String, params: Params, kind: Kind, options: Options, resume: Option<i64>) -> Result<Started> {
    let run = match resume {
        Some(run) => run,
        None => spi::value::<i64>("SELECT pg_catalog.nextval('timescale_migrate.run_log_id_seq')", &[])?
            .ok_or_else(|| Error::internal("no run id"))?,
    };
    let (database, user) = session::identity();
    let spec = RunSpec {
        role: Role::Coordinator,
        kind,
        run,
        resume: resume.is_some(),
        database: database.to_u32(),
        user: user.to_u32(),
        source: label,
        params,
        options,
        coordinator: 0,
        snapshot: String::new(),
        together: 1,
    };
    let segment = Segment::create(&spec.to_bytes()?);
    let name = format!("timescale_migrate run {run} coordinator");
    let before = starts(run)?;
    let ear = Ear::new(run)?;
    let worker =
        Worker::start(&name, "timescale_migrate coordinator", "timescale_migrate_coordinator", segment.handle())
            .ok_or_else(no_slots)?;
    let migrates = kind == Kind::Migrate;
    let mut started = Started { run, migrates, worker, watched: true, ear };
    // The segment has to stay until the coordinator has read it: its entry is the sign.
    while started.starts()? == before {
        if started.worker.life() == Life::Ended && started.starts()? == before {
            started.watched = false;
            return Err(silent_end(run)?);
        }
        wait::on_latch(LOOK, Event::Run);
    }
    Ok(started)
}

/// Waits for the end of any run, passing on what it says from now on; the run's error is this call's.
/// It goes on if the wait is cancelled.
pub fn wait_for(run: i64) -> Result<i64> {
    state::source_of(run)?;
    let mut ear = Ear::new(run)?;
    // A coordinator that ends between the looks at its row and at its lock seems to be gone.
    let mut gone = false;
    loop {
        let row = spi::json_rows::<(String, bool)>(
            "SELECT json_build_array(state, pid IS NOT NULL)::text FROM timescale_migrate.run WHERE id = $1",
            &[run.into()],
        )?
        .pop();
        ear.relay()?;
        match row.as_ref().map(|(state, there)| (state.as_str(), *there)) {
            Some(("interrupted", _)) if !gone => gone = true,
            Some(("interrupted", _)) => return Err(silent_end(run)?),
            // The workers have ended when the coordinator has.
            Some((_, true)) => gone = false,
            Some(("done", _)) => return Ok(run),
            Some(("removed", _)) => {
                let message = format!("run {run} was removed");
                return Err(Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message));
            }
            _ => return Err(failure(run)?),
        }
        wait::on_latch(LOOK, Event::Run);
    }
}

/// How often the run was started; none before its first entry.
fn starts(run: i64) -> Result<Option<i32>> {
    spi::value("SELECT starts FROM timescale_migrate.run_log WHERE id = $1", &[run.into()])
}

impl Started {
    fn starts(&self) -> Result<Option<i32>> {
        starts(self.run)
    }

    fn state(&self) -> Result<(String, String)> {
        let row = "SELECT json_build_array(state, phase)::text FROM timescale_migrate.run_log WHERE id = $1";
        Ok(spi::json_rows(row, &[self.run.into()])?.pop().unwrap_or_default())
    }

    /// Waits until the run has passed its preflight, then lets it go on by itself.
    pub fn detach(self) -> Result<i64> {
        self.until(|phase| !["start", "preflight"].contains(&phase))
    }

    /// Waits for the end, passing messages on; the run's error is this call's. To cancel the wait
    /// cancels the run.
    pub fn wait(self) -> Result<i64> {
        self.until(|_| false)
    }

    fn until(self, through: impl Fn(&str) -> bool) -> Result<i64> {
        let (run, migrates) = (self.run, self.migrates);
        catch::anything(|| self.until_end(through)).map_err(|error| match error.code {
            SqlState::QUERY_CANCELED if migrates && error.hint.is_none() => error.hint(state::after_cancel(run)),
            _ => error,
        })
    }

    /// Until the run ends, or is in a phase from which on the caller lets it go.
    fn until_end(mut self, through: impl Fn(&str) -> bool) -> Result<i64> {
        loop {
            // Asked before the state is read: the coordinator writes the state, then ends.
            let life = self.worker.life();
            self.ear.relay()?;
            let (state, phase) = self.state()?;
            // However it has ended since.
            if through(&phase) {
                self.watched = false;
                return Ok(self.run);
            }
            // The workers have ended when the coordinator has.
            if life == Life::Ended {
                self.ear.relay()?;
                self.watched = false;
                return match state.as_str() {
                    "done" => Ok(self.run),
                    "failed" | "cancelled" | "refused" => Err(failure(self.run)?),
                    _ => Err(silent_end(self.run)?),
                };
            }
            wait::on_latch(LOOK, Event::Run);
        }
    }
}

/// The error of a run that nobody has written the end of, with how to continue.
fn silent_end(run: i64) -> Result<Error> {
    let interrupted =
        "SELECT true FROM timescale_migrate.run WHERE id = $1 AND kind = 'migrate' AND state = 'interrupted'";
    let ways = spi::value::<bool>(interrupted, &[run.into()])?.map(|_| format!(" {}", standing::ways(run)));
    let message = format!("the coordinator of run {run} ended unexpectedly");
    Ok(Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message)
        .hint(format!("See the server log for details.{}", ways.unwrap_or_default())))
}

/// The error that a run ended with.
fn failure(run: i64) -> Result<Error> {
    let rows = spi::json_rows(
        "SELECT json_build_array(side, sqlstate, error, detail, hint, context, object)::text
         FROM timescale_migrate.run_log WHERE id = $1",
        &[run.into()],
    )?;
    rows.into_iter().next().map_or_else(|| silent_end(run), |row| Ok(state::from_fields(row)))
}

impl Ear {
    fn new(run: i64) -> Result<Ear> {
        let seen = spi::value::<String>("SELECT pg_catalog.pg_current_snapshot()::text", &[])?;
        Ok(Ear { run, seen: seen.unwrap_or_default(), hint: None })
    }

    fn relay(&mut self) -> Result<()> {
        let query = include_str!("../../sql/run/new_messages.sql");
        let answer = spi::json_rows::<(String, Vec<(String, String, Option<String>)>)>(
            query,
            &[self.run.into(), self.seen.as_str().into()],
        )?;
        for (now, messages) in answer {
            self.seen = now;
            for (level, message, hint) in messages {
                match level.as_str() {
                    // As preflight's rows, without the same hint twice.
                    "warning" => report::warning(&message, hint.as_deref().filter(|_| hint != self.hint)),
                    _ => report::notice(&message),
                }
                self.hint = hint;
            }
        }
        Ok(())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.watched
            && let Life::Running(pid) = self.worker.life()
        {
            session::interrupt(pid);
        }
    }
}

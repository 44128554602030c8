//! The workers of a run, from the coordinator's side.

use super::spec::{Role, RunSpec};
use super::tasks::{self, Failure};
use super::{messages, state};
use crate::core::options::OnError;
use crate::core::plan::Phase;
use crate::error::{Error, Result, SqlState};
use crate::pg::shared::Segment;
use crate::pg::wait::{self, Event};
use crate::pg::worker::{self, Life, Worker};
use crate::pg::{session, spi};
use crate::source::watch::Watch;
use std::time::{Duration, Instant};

/// How often the coordinator looks at its workers, unless one of them wakes it.
const LOOK: Duration = Duration::from_millis(200);
/// How often it reports progress.
const REPORT: Duration = Duration::from_secs(5);

/// The workers that a coordinator has started; they end with it.
pub struct Crew {
    run: i64,
    on_error: OnError,
    workers: Vec<Worker>,
    /// Holds what workers read at their start; wiped when the crew is dropped.
    _segment: Segment,
    reported: Instant,
    /// Only while the workers read the source.
    watch: Option<Watch>,
}

impl Crew {
    /// Starts up to `jobs` workers, but no more than there are tasks. Fewer free slots make a smaller crew and a warning, none an error.
    pub fn start(spec: &RunSpec, jobs: u16, tasks: usize, watch: Watch) -> Result<Crew> {
        let jobs = jobs.min(u16::try_from(tasks.max(1)).unwrap_or(u16::MAX));
        let spec = RunSpec { role: Role::Worker, coordinator: session::pid(), ..spec.clone() };
        let segment = Segment::create(&spec.to_bytes()?);
        let mut workers = Vec::new();
        for number in 1..=jobs {
            let name = format!("timescale_migrate run {} worker {number}", spec.run);
            match Worker::start(&name, "timescale_migrate worker", "timescale_migrate_worker", segment.handle()) {
                Some(worker) => workers.push(worker),
                None => break,
            }
        }
        worker::end_with_me(&workers);
        if workers.is_empty() {
            return Err(no_slots());
        }
        let crew = Crew {
            run: spec.run,
            on_error: spec.options.on_error,
            workers,
            _segment: segment,
            reported: Instant::now(),
            watch: Some(watch),
        };
        if crew.workers.len() < usize::from(jobs) {
            let message = format!(
                "{} of {jobs} workers could be started; raise max_worker_processes for more",
                crew.workers.len()
            );
            messages::warn(spec.run, &message)?;
        }
        Ok(crew)
    }

    fn wake(&self) {
        for worker in &self.workers {
            if let Life::Running(pid) = worker.life() {
                session::wake(pid);
            }
        }
    }

    /// Opens a phase and waits for its end: every task done, or with `on_error => 'continue'`
    /// also failed. Else the first failed task ends it, after the other tasks in flight. What a
    /// new start of the run may cure ends it in any case, also if it failed in another phase, as
    /// a comparison does beside the last statistics.
    pub fn work(&mut self, phase: Phase) -> Result<()> {
        let mut begun = false;
        loop {
            // Asked before the tasks are looked at: a worker that ends after this has written
            // what it did.
            let alive = self.workers.iter().filter(|w| w.life() != Life::Ended).count();
            let (open, failures) = tasks::standing(self.run, phase)?;
            let failure = failures.into_iter().find(|f| self.on_error == OnError::Stop || f.error.is_transient());
            if let Some(Failure { phase, error }) = failure {
                return self.stop(phase, error);
            }
            if let Some(cancelled) = state::stop_requested(self.run)? {
                return self.stop(phase, cancelled);
            }
            if !open {
                return Ok(());
            }
            if !begun {
                state::set_phase(self.run, phase)?;
                self.wake();
                begun = true;
            }
            if alive == 0 {
                return Err(Error::new(
                    SqlState::NOT_IN_PREREQUISITE_STATE,
                    "all workers ended before their tasks were done",
                )
                .hint("See the server log for details."));
            }
            self.report()?;
            self.look_at_source()?;
            wait::on_latch(LOOK, Event::Workers);
            // A task that has ended may have been what others wait for.
            if !phase.ahead().is_empty() {
                self.wake();
            }
        }
    }

    /// Begins a phase of the coordinator's in which no worker may be at work: waits for the tasks that were
    /// taken beside earlier ones.
    pub fn pause(&mut self, phase: Phase) -> Result<()> {
        state::enter(self.run, phase)?;
        while tasks::any_held(self.run)? {
            self.look_at_source()?;
            wait::on_latch(LOOK, Event::Workers);
        }
        Ok(())
    }

    /// Ends the run by an error, after the tasks in flight; `phase` is where it ended, for who asks
    /// afterwards.
    fn stop(&mut self, phase: Phase, error: Error) -> Result<()> {
        self.dismiss()?;
        state::set_phase(self.run, phase)?;
        Err(error)
    }

    fn look_at_source(&mut self) -> Result<()> {
        self.watch.as_mut().map_or(Ok(()), |watch| look(self.run, watch))
    }

    /// Nothing is read from the source any more.
    pub fn leave_source(&mut self) {
        self.watch = None;
    }

    fn report(&mut self) -> Result<()> {
        if self.reported.elapsed() < REPORT {
            return Ok(());
        }
        self.reported = Instant::now();
        crate::pg::catch::transaction(|| {
            spi::execute(include_str!("../../sql/run/report_progress.sql"), &[self.run.into()]).map(drop)
        })
    }

    /// Lets the workers finish the tasks they hold, and ends them.
    pub fn dismiss(&mut self) -> Result<()> {
        state::set_phase(self.run, Phase::Stopping)?;
        self.wake();
        while self.workers.iter().any(|w| w.life() != Life::Ended) {
            self.look_at_source()?;
            wait::on_latch(LOOK, Event::Workers);
            self.wake();
        }
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.terminate();
        }
    }
}

/// Lets go of what others on the source wait for, and notes which snapshots are safe by now.
pub fn look(run: i64, watch: &mut Watch) -> Result<()> {
    let Some((messages, position)) = watch.look() else { return Ok(()) };
    messages.iter().try_for_each(|message| messages::notice(run, message))?;
    state::set_durable(run, &position)
}

/// The error for a server without a free slot for a background worker.
pub fn no_slots() -> Error {
    Error::new(SqlState::INSUFFICIENT_RESOURCES, "no background worker could be started")
        .detail("Every slot of max_worker_processes is taken.")
        .hint("Raise max_worker_processes, which needs a restart of the server.")
}

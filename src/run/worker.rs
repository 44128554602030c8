//! A copy worker: takes one task after the other, each in a transaction of its own.

use super::messages;
use super::phases::{compression, copy, foreign_key, recheck, recompute, verify};
use super::process::{self, Context};
use super::spec::RunSpec;
use super::tasks::{self, Claim, Outcome, Places};
use crate::core::options::OnError;
use crate::core::plan::{Sql, Work};
use crate::core::retry::Pauses;
use crate::error::{Result, SqlState};
use crate::pg::shared::Segment;
use crate::pg::wait::{self, Event};
use crate::pg::{catch, report, session};
use crate::target::{context, schema};
use std::time::{Duration, Instant};

/// Of so many relations a worker keeps what PostgreSQL remembers; reading it again takes as long as
/// some tasks.
const MOST_REMEMBERED: usize = 500;
/// A worker without a task looks for one this often, unless it is woken.
const LOOK: Duration = Duration::from_millis(500);

/// The main function of a worker's process.
pub fn main(handle: u32) {
    let spec = match Segment::read(handle, false).and_then(|bytes| RunSpec::from_bytes(&bytes)) {
        Ok(spec) => spec,
        Err(error) => return report::log(&error),
    };
    session::connect(spec.database.into(), spec.user.into());
    let run = spec.run;
    let mut context = Context::new(spec);
    if let Err(error) = catch::everything(|| work(&mut context)) {
        report::log(&error.within(format!("timescale_migrate run {run}, worker")));
    }
}

fn work(context: &mut Context) -> Result<()> {
    process::settings()?;
    let (run, coordinator) = (context.spec.run, context.spec.coordinator);
    let (mut places, mut busy, mut relations) = (Places::default(), false, 0);
    while let Some(phase) = tasks::open_phase(run)? {
        // When all rows are here, no session of the source is kept idle through what follows.
        if !phase.reads_source() {
            context.drop_source();
        }
        let claim = match (tasks::claim(run, phase, phase, &mut places)?, phase.beside()) {
            (None, Some(beside)) => tasks::claim(run, phase, beside, &mut places)?,
            (claim, _) => claim,
        };
        let Some(claim) = claim else {
            // It may have been the phase's last task.
            if std::mem::take(&mut busy) {
                session::wake(coordinator);
            }
            wait::on_latch(LOOK, Event::Task);
            continue;
        };
        busy = true;
        let result = attempts(context, &claim).map_err(|e| e.about(claim.object.clone()).hint_at_functions());
        if let Err(error) = &result {
            tasks::failed(claim.id, error)?;
            session::wake(coordinator);
        }
        tasks::release(&claim)?;
        context.drop_swollen_source();
        if context.spec.options.on_error == OnError::Stop {
            result?;
        }
        relations += claim.work.relations();
        if relations >= MOST_REMEMBERED {
            session::forget_relations()?;
            relations = 0;
        }
    }
    Ok(())
}

/// A task, tried again after errors that may pass. Under a snapshot that is gone none can
/// succeed: then the run as a whole has to begin again.
fn attempts(context: &mut Context, claim: &Claim) -> Result<()> {
    let (run, limit) = (context.spec.run, context.spec.options.retries);
    let mut pauses = Pauses::new(limit);
    loop {
        let Err(error) = perform(context, claim) else { return Ok(()) };
        context.drop_source();
        if !error.is_transient() || error.code == SqlState::SNAPSHOT_GONE {
            return Err(error);
        }
        let Some((pause, attempt)) = pauses.next() else { return Err(error) };
        messages::retrying(run, &claim.object, &error, pause, attempt, limit)?;
        let until = Instant::now() + pause;
        while Instant::now() < until {
            wait::on_latch(LOOK.min(pause), Event::Retry);
            // Without this a failed run would wait for the pause's end.
            if tasks::open_phase(run)?.is_none() {
                return Err(error);
            }
        }
    }
}

fn perform(context: &mut Context, claim: &Claim) -> Result<()> {
    match &claim.work {
        Work::Copy(work) => copy::perform(context, claim.id, work),
        Work::Sql(work) => statements(claim, work),
        Work::ForeignKey(key) => foreign_key::perform(context, claim, key),
        Work::Attach(work) => compression::perform(claim, work),
        Work::Recompute(work) => recompute::perform(claim, work),
        Work::Recheck(work) => recheck::perform(context, claim.id, work),
        Work::Verify(work) => verify::perform(context, claim, work),
        Work::VerifyCopied(work) => verify::perform_copied(context, claim, work),
    }
}

fn statements(claim: &Claim, work: &Sql) -> Result<()> {
    catch::transaction(|| {
        for statement in &work.statements {
            schema::execute(&claim.object, statement, work.author.as_deref())?;
        }
        tasks::done(claim.id, &Outcome::default())
    })
    .map_err(context::describe)
}

//! A copy worker: takes one task after the other, each in a transaction of its own.

use super::phases::{compression, copy, foreign_key, recheck, recompute, verify};
use super::process::{self, Context};
use super::retry::Retry;
use super::spec::RunSpec;
use super::tasks::{self, Claim, Outcome, Places};
use crate::core::options::OnError;
use crate::core::plan::{Phase, Sql, Work};
use crate::error::{Error, Result, SqlState};
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

/// How many small tasks a worker takes at once: more of them as long as that is quick, so that little
/// is done again after an error, and others see how far a run is.
struct Pace {
    /// None: a task is done alone, as after an error.
    now: usize,
    most: usize,
}

impl Pace {
    const QUICK: Duration = Duration::from_millis(250);
    const SLOW: Duration = Duration::from_secs(1);
    /// What is done alone waits for the source as often. More tasks at once make none of that longer.
    const ROUND_TRIPS: u32 = 3;

    fn after(&mut self, spent: Duration, round_trip: Duration, failed: bool) {
        let spent = spent.saturating_sub(round_trip * Self::ROUND_TRIPS);
        self.now = match spent {
            _ if failed => 0,
            _ if spent < Self::QUICK => (self.now * 2).clamp(1, self.most),
            _ if spent > Self::SLOW => self.now / 2,
            _ => self.now,
        };
    }
}

fn work(context: &mut Context) -> Result<()> {
    process::settings()?;
    let (run, coordinator) = (context.spec.run, context.spec.coordinator);
    let mut pace = Pace { now: 1, most: context.spec.together };
    let (mut places, mut last, mut relations, mut connected) = (Places::default(), None, 0, false);
    while let Some(phase) = tasks::open_phase(run)? {
        // When all rows have arrived, no session of the source is kept idle through what follows.
        if phase > Phase::Snapshot && !phase.reads_source() {
            context.drop_source();
        }
        let most = |phase: Phase| if phase.shares_transactions() { pace.now.max(1) } else { 1 };
        let (mut of, mut claims) = (phase, tasks::claim(run, phase, phase, most(phase), &mut places)?);
        for ahead in phase.ahead() {
            if claims.is_empty() {
                (of, claims) = (ahead, tasks::claim(run, phase, ahead, most(ahead), &mut places)?);
            }
        }
        // What this worker has just done may have been the phase's last task, or what others wait for.
        let now = (!claims.is_empty()).then_some(of);
        if last.is_some() && (now != last || of != phase) {
            session::wake(coordinator);
        }
        last = now;
        if claims.is_empty() {
            if phase < Phase::Copy && !connected {
                context.connect();
                connected = true;
                continue;
            }
            wait::on_latch(LOOK, Event::Task);
            continue;
        }
        let begun = Instant::now();
        let result = perform_all(context, phase, &claims, pace.now == 0);
        tasks::release(&claims)?;
        context.drop_swollen_source();
        pace.after(begun.elapsed(), context.round_trip(), !result?);
        relations += claims.iter().map(|claim| claim.work.relations()).sum::<usize>();
        if relations >= MOST_REMEMBERED {
            session::forget_relations()?;
            relations = 0;
        }
    }
    Ok(())
}

/// Performs tasks: those that can share a transaction in one, unless there is an error, the others one
/// by one. What is not begun within a second, or when the run has left this phase, is left to whoever
/// takes it next. Returns whether what was to share a transaction did.
fn perform_all(context: &mut Context, phase: Phase, claims: &[Claim], alone: bool) -> Result<bool> {
    let shared = match claims {
        // One small table, too, takes one message this way. A chunk would keep others of its hypertable from being made.
        [Claim { work: Work::Copy(copy), is_small: true, .. }] if !alone && copy.place().is_none() => {
            copy::together(context, claims)
        }
        [] | [_] => Ok(Vec::new()),
        [Claim { work: Work::Copy(_), .. }, ..] => copy::together(context, claims),
        _ => verify::together(context.spec.run, claims),
    };
    let done = shared.as_deref().unwrap_or_else(|_| {
        // Half of its answers may be unread.
        context.drop_source();
        &[]
    });
    let begun = Instant::now();
    for (number, claim) in claims.iter().filter(|claim| !done.contains(&claim.id)).enumerate() {
        let is_late = number > 0 && begun.elapsed() > Pace::SLOW;
        if is_late || (claims.len() > 1 && tasks::open_phase(context.spec.run)? != Some(phase)) {
            break;
        }
        if let Err(error) = attempts(context, claim) {
            failed(context, claim, error)?;
        }
    }
    Ok(shared.is_ok())
}

/// Enters that a task has failed; the error itself if the worker is to end with it.
fn failed(context: &Context, claim: &Claim, error: Error) -> Result<()> {
    let error = error.about(claim.object.clone()).hint_at_functions();
    tasks::failed(claim.id, &error)?;
    session::wake(context.spec.coordinator);
    if context.spec.options.on_error == OnError::Stop { Err(error) } else { Ok(()) }
}

/// A task, tried again after errors that may pass. Under a snapshot that is gone none can
/// succeed: then the run as a whole has to begin again.
fn attempts(context: &mut Context, claim: &Claim) -> Result<()> {
    let run = context.spec.run;
    let mut retry = Retry::new(run, &claim.object, context.spec.options.retries);
    loop {
        let Err(error) = perform(context, claim) else { return Ok(()) };
        context.drop_source();
        if error.code == SqlState::SNAPSHOT_GONE {
            return Err(error);
        }
        // Without this a failed run would wait for the pause's end.
        retry.after(error, || Ok(tasks::open_phase(run)?.is_none()))?;
    }
}

fn perform(context: &mut Context, claim: &Claim) -> Result<()> {
    match &claim.work {
        Work::Copy(work) => copy::perform(context, claim.id, work),
        Work::Sql(work) => statements(context.spec.run, claim, work),
        Work::ForeignKey(key) => foreign_key::perform(context, claim, key),
        Work::Attach(work) => compression::perform(claim, work),
        Work::Compress(work) => compression::compress_chunk(claim, work),
        Work::Recompute(work) => recompute::perform(claim, work),
        Work::Recheck(work) => recheck::perform(context, claim.id, work),
        Work::Verify(work) => verify::perform(context, claim, work),
        Work::VerifyCopied(work) => verify::perform_copied(context, claim, work),
    }
}

fn statements(run: i64, claim: &Claim, work: &Sql) -> Result<()> {
    catch::transaction(|| {
        if work.upon_index && tasks::has_failed(run, Phase::Index, &claim.object)? {
            let message = format!("{} cannot be made without its index", claim.object);
            return Err(Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message)
                .detail("The task that builds it has failed.")
                .hint(format!("Fix its cause, then call migrate_resume({run}), which makes both.")));
        }
        for statement in &work.statements {
            schema::execute(&claim.object, statement, work.author.as_deref())?;
        }
        tasks::done(claim.id, Outcome::default())
    })
    .map_err(context::describe)
}

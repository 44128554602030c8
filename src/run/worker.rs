//! A copy worker: takes one task after the other, each in a transaction of its own.

use super::launch::Block;
use super::tasks::{self, Claim, Outcome, Places};
use super::{attach, coordinator, copy, keys, recompute, resume, state, verify};
use crate::core::inventory::SourceRelation;
use crate::core::options::OnError;
use crate::core::plan::{SnapshotId, Sql, Stage, Work};
use crate::core::retry::Pauses;
use crate::error::{Error, Result, SqlState};
use crate::libpq::Connection;
use crate::pg::shared::Segment;
use crate::pg::wait::{self, Event};
use crate::pg::{catch, report, session, spi};
use crate::source::guard::{self, Hold, Reads};
use crate::source::session as source_session;
use crate::target::schema;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Of so many relations a worker keeps what PostgreSQL remembers; reading it again takes as long as
/// some tasks.
const MOST_REMEMBERED: usize = 500;
/// A worker without a task looks for one this often, unless it is woken.
const LOOK: Duration = Duration::from_millis(500);

/// The stages in which workers read the source: beside the last of the statistics they compare.
const READS_SOURCE: [Stage; 5] = [Stage::Recheck, Stage::Copy, Stage::Tiered, Stage::Analyze, Stage::Verify];

pub struct Context {
    pub block: Block,
    source: Option<Connection>,
    /// Those that are not the block's, by what `SET TRANSACTION SNAPSHOT` takes.
    snapshots: HashMap<SnapshotId, String>,
}

impl Context {
    /// The connection to the source, made when first wanted. A task that fails drops it.
    pub fn source(&mut self) -> Result<&mut Connection> {
        let connection = match self.source.take() {
            Some(connection) => connection,
            None => {
                let Block { params, options, run, .. } = &self.block;
                let name = format!("timescale_migrate run {run} worker");
                source_session::open(params, &name, options)?
            }
        };
        Ok(self.source.insert(connection))
    }

    /// The next task makes a new connection.
    pub fn drop_source(&mut self) {
        self.source = None;
    }

    /// Begins a transaction on the connection to the source that reads the snapshot, has locks on
    /// `guards` and bears the task's number in its `application_name`. There is none if the
    /// relations are not as the snapshot shows them.
    pub fn begin(&mut self, task: i32, snapshot: SnapshotId, reads: Reads, guards: &[SourceRelation]) -> Result<Hold> {
        let name = format!("timescale_migrate run {} task {task}", self.block.run);
        let snapshot = self.snapshot(snapshot)?;
        let lock_timeout = self.block.options.lock_timeout;
        guard::begin(self.source()?, &snapshot, &name, reads, guards, lock_timeout)
    }

    fn snapshot(&mut self, id: SnapshotId) -> Result<String> {
        if id == 0 {
            return Ok(self.block.snapshot.clone());
        }
        if let Some(known) = self.snapshots.get(&id) {
            return Ok(known.clone());
        }
        // Chunks were dropped between two rounds, and TimescaleDB may remember them by their range.
        session::forget_relations()?;
        let sql = "SELECT snapshot FROM timescale_migrate.snapshot_log WHERE id = $1";
        let found = catch::transaction(|| spi::value::<String>(sql, &[id.into()]))?;
        let found = found.ok_or_else(|| Error::internal("a snapshot is not known"))?;
        Ok(self.snapshots.entry(id).or_insert(found).clone())
    }
}

/// The main function of a worker's process.
pub fn main(handle: u32) {
    let block = match Segment::read(handle, false).and_then(|bytes| Block::from_bytes(&bytes)) {
        Ok(block) => block,
        Err(error) => return report::log(&error),
    };
    session::connect(block.database.into(), block.user.into());
    let run = block.run;
    let mut context = Context { block, source: None, snapshots: HashMap::new() };
    if let Err(error) = catch::everything(|| work(&mut context)) {
        report::log(&error.within(format!("timescale_migrate run {run}, worker")));
    }
}

fn work(context: &mut Context) -> Result<()> {
    coordinator::settings()?;
    let (run, coordinator) = (context.block.run, context.block.coordinator);
    let (mut places, mut busy, mut relations) = (Places::default(), false, 0);
    while let Some(phase) = tasks::open_phase(run)? {
        // When all rows are here, no session of the source is kept idle through what follows.
        if !READS_SOURCE.iter().any(|reads| reads.name() == phase) {
            context.drop_source();
        }
        let claim = match tasks::claim(run, &phase, &phase, &mut places)? {
            // The comparisons need not wait for the last of the statistics.
            None if phase == Stage::Analyze.name() => tasks::claim(run, &phase, Stage::Verify.name(), &mut places)?,
            claim => claim,
        };
        let Some(claim) = claim else {
            // It may have been the stage's last task.
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
        if context.block.options.on_error == OnError::Stop {
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
    let (run, limit) = (context.block.run, context.block.options.retries);
    let mut pauses = Pauses::new(limit);
    loop {
        let Err(error) = perform(context, claim) else { return Ok(()) };
        context.drop_source();
        if !error.is_transient() || error.code == SqlState::SNAPSHOT_GONE {
            return Err(error);
        }
        let Some((pause, attempt)) = pauses.next() else { return Err(error) };
        state::say_again(run, &claim.object, &error, pause, attempt, limit)?;
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
        Work::ForeignKey(key) => keys::perform(context, claim, key),
        Work::Attach(work) => attach::perform(claim, work),
        Work::Recompute(work) => recompute::perform(claim, work),
        Work::Recheck(work) => resume::perform(context, claim.id, work),
        Work::Verify(work) => verify::perform(context, claim, work),
    }
}

fn statements(claim: &Claim, work: &Sql) -> Result<()> {
    catch::transaction(|| {
        for statement in &work.statements {
            schema::making(&claim.object, Some(statement), || spi::execute(statement, &[]))?;
        }
        tasks::done(claim.id, &Outcome::default())
    })
    .map_err(schema::describe)
}

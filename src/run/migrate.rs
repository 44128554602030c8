//! A migration, phase by phase, in the order of their list.

use super::crew::{self, Crew};
use super::migration::Migration;
use super::phases::{
    analyze, compression, index, jobs, key_check, large_objects, recompute, refresh, rest, schema as schema_phase,
    sequences, verify,
};
use super::pieces;
use super::prepare::Source;
use super::rounds::{self, Snapshots};
use super::spec::RunSpec;
use super::{adoption, messages, preflight, resume, state, tasks, undo};
use crate::core::archive::{Archive, Group};
use crate::core::options::{Caggs, Level, Mode};
use crate::core::plan::again::Unfit;
use crate::core::plan::{self, Phase, SnapshotId};
use crate::core::progress;
use crate::error::{Error, Result};
use crate::pg::{catch::transaction, session};
use crate::source::{dump, watch::Watch};
use crate::target::database::Database;
use crate::target::schema::Maker;
use crate::target::{caggs, hypertables};

/// Makes a run from its beginning, or what is left of it: each step that was done is not done
/// again, and each task that was done stays done.
pub fn run(spec: &RunSpec) -> Result<()> {
    let (id, options) = (spec.run, &spec.options);
    let begun = state::step_done(id, "tasks")?;
    state::enter(id, Phase::Preflight)?;
    let mut source = Source::of_run(&spec.params, options, id)?;
    let mut report = preflight::Report::default();
    transaction(|| source.check(&mut report))?;
    report.refuse()?;
    let (keeper, inventory) = source.hold(id)?;
    if begun {
        // Before the options choose by the names of now.
        resume::check_names(id, &inventory)?;
    }
    let snapshot = keeper.snapshot.clone();
    let settled = state::step_done(id, "schema")?;
    let fresh = !settled && pieces::made(id)?.is_empty();
    let (mut scope, adoption) = transaction(|| {
        let mut scope = source.scope(inventory)?;
        let adoption = adoption::adapt(&mut scope, options, Some(id))?;
        preflight::check(&mut report, &mut source.connection, &scope, options, fresh)?;
        Ok((scope, adoption))
    })?;
    report.refuse()?;
    let reader = source.release(&scope.inventory);
    state::set_source(id, &scope.inventory, &snapshot)?;
    let mut snapshots = Snapshots::new(id, keeper)?;
    let mut watch = Watch::new(&spec.params, options, id, session::pid());
    let archive = match options.mode {
        Mode::Data => {
            drop(reader);
            Archive::default()
        }
        Mode::All | Mode::Schema => {
            let between = || crew::look(id, &mut watch);
            let (server, teller) = (&scope.inventory.server, messages::teller(Some(id)));
            let archive = dump::dump(&spec.params, server, Some(&snapshot), options, reader, teller, between)?;
            let (server, dump) = (&archive.server_version, &archive.dump_version);
            messages::notice(id, &format!("run {id}: schema of PostgreSQL {server} read by pg_dump {dump}"))?;
            archive
        }
    };
    let contents = preflight::check_schema(&mut report, &mut scope, &archive);
    report.refuse()?;
    let inventory = scope.inventory;
    let maker = transaction(|| Maker::new(&inventory, options))?;
    // Of a schema that the run has made, a later start cannot tell whether it was wanted.
    let mut digests = contents.digests(|entry| entry.desc == "SCHEMA" || maker.wants(entry));
    if adoption.is_none() {
        digests.extend(inventory.digests());
    }
    let arrivals = adoption.as_ref().map(|adoption| adoption.arrivals.clone());
    let target = plan::Target { arrivals, ..transaction(|| maker.target(&inventory))? };
    let (locks, locks_of_a_worker) = (target.server.lock_share(2), target.server.lock_share(options.jobs));
    let migration = Migration { spec, inventory, adoption, maker, contents, digests, locks, locks_of_a_worker };

    let mut tasks = migration.tasks(&target)?;
    snapshots.give(&mut tasks);
    let (count, early) = (tasks.len(), plan::compressed_early(&tasks));
    let copies = tasks.iter().filter(|t| t.phase == Phase::Copy);
    let summary = format!(
        "run {id}: {}, {} in {}, under snapshot {}",
        migration.inventory.summed_up(),
        progress::size(copies.map(|t| t.bytes.max(0) as u64).sum()),
        progress::counted(count, "task"),
        snapshot,
    );
    // What is refused is refused before anything is changed.
    if let Some(query) = pieces::other_query(id, &migration.digests)? {
        return Err(resume::refused(id, Unfit(format!("the {query} has changed on the source since the run began"))));
    }
    let resumed = if begun { Some(resume::plan(id, std::mem::take(&mut tasks), &migration.inventory)?) } else { None };
    for (change, hint) in pieces::changes(id, &migration.digests, settled)? {
        messages::warn_with_hint(id, &change, hint)?;
    }
    for warning in report.warnings() {
        messages::warn_with_hint(id, &format!("{}: {}", warning.subject, warning.detail), &warning.hint)?;
    }
    messages::notice(id, &summary)?;
    // The workers get ready while the schema is made.
    let locks_there = migration.inventory.server.lock_share(options.jobs);
    let started = spec.for_workers(&snapshot, locks_of_a_worker.min(locks_there));
    let crew = Crew::start(&started, options.jobs, count, watch)?;

    let database = schema_phase::make(&migration, snapshots.newest()?, &early)?;
    state::step(id, "tasks", || tasks::add(id, &tasks))?;
    drop(tasks);
    if let Some(resumed) = resumed {
        messages::notice(id, &format!("run {id} continues under the new snapshot {snapshot}"))?;
        for message in resume::reconcile(id, resumed, migration.adoption.is_none().then_some(&migration.digests))? {
            messages::warn(id, &message)?;
        }
    }
    let checksum = options.verify == Level::Checksum;
    let first = snapshots.first;
    let mut course = Course { migration, target, database, crew, snapshots: Some(snapshots), first, begun, checksum };
    Phase::Schema.after().try_for_each(|phase| course.perform(phase))
}

/// What the phases of a migration hand to each other.
struct Course<'a> {
    migration: Migration<'a>,
    target: plan::Target,
    /// What the source's database itself is.
    database: Database,
    crew: Crew,
    /// As long as something may still read under one of them.
    snapshots: Option<Snapshots>,
    /// The first of this start.
    first: SnapshotId,
    /// An earlier start has made tasks.
    begun: bool,
    /// All values are compared.
    checksum: bool,
}

impl Course<'_> {
    /// Does a phase's work, if there is any in this run. When it returns, the phase has no open task.
    fn perform(&mut self, phase: Phase) -> Result<()> {
        let (migration, crew, run) = (&self.migration, &mut self.crew, self.migration.run());
        let recomputes = migration.options().caggs == Caggs::Recompute;
        match phase {
            Phase::Recheck if self.begun => {
                crew.work(phase)?;
                undo::drop_unused(run)
            }
            Phase::Copy => self.copy(),
            Phase::Sequences => sequences::carry(migration),
            Phase::LargeObjects => {
                large_objects::carry(migration, held(&mut self.snapshots)?.newest()?)?;
                // A comparison that will ask the source needs the snapshots until then; nothing else does.
                if !self.checksum || !verify::asks_source(run)? {
                    self.leave_source();
                }
                Ok(())
            }
            Phase::Index => {
                // The indexes of chunks are placed by them.
                transaction(|| hypertables::attach_tablespaces(&migration.inventory, &migration.maker))?;
                index::make_roots(migration, Group::Constraint, Phase::Constraint)?;
                index::make_roots(migration, Group::Index, phase)?;
                crew.work(phase)
            }
            Phase::Attach if migration.has(Group::Attach) => {
                crew.pause(phase)?;
                migration.make(phase, Group::Attach)
            }
            Phase::Compression => {
                compression::begin(migration, &self.target.server)?;
                crew.work(phase)
            }
            Phase::ForeignKey => {
                analyze::add_tasks(run, &self.target.server, migration.options().jobs)?;
                verify::add_tasks(run, self.checksum, self.first, self.snapshots.is_none())?;
                crew.work(phase)?;
                key_check::all(migration)
            }
            Phase::Recompute if recomputes => {
                crew.pause(phase)?;
                recompute::all(run, crew, &plan::recompute::levels(&migration.inventory))
            }
            Phase::Rest => {
                crew.pause(phase)?;
                rest::make(migration)
            }
            Phase::Refresh => refresh::all(migration),
            Phase::Constraint | Phase::HypertableKey | Phase::Analyze | Phase::Verify => crew.work(phase),
            Phase::Stopping => {
                self.leave_source();
                tasks::failures(run)?;
                verify::judge(run)?;
                self.crew.dismiss()
            }
            Phase::Publications => migration.make(phase, Group::Publication),
            Phase::Jobs => jobs::finish(migration, &self.database),
            // No work in this run.
            Phase::Recheck | Phase::Attach | Phase::Recompute => Ok(()),
            // Done before, and in the rounds of Copy.
            Phase::Start | Phase::Preflight | Phase::Schema | Phase::Tiered | Phase::Snapshot => Ok(()),
            // Of another run, and the end.
            Phase::Cleanup | Phase::Done => Ok(()),
        }
    }

    /// Copies in rounds. Afterwards nothing is written to hypertables any more, and what follows may read the aggregates.
    fn copy(&mut self) -> Result<()> {
        let (spec, snapshots) = (self.migration.spec, held(&mut self.snapshots)?);
        let later = rounds::copy(&spec.params, &spec.options, &mut self.crew, snapshots, &self.target, self.checksum)?;
        transaction(|| {
            if spec.options.caggs != Caggs::Recompute {
                caggs::set_state(&self.migration.inventory, later.as_ref())?;
            }
            self.migration.adoption.as_ref().map_or(Ok(()), |adoption| adoption::renew(&adoption.renewed))
        })
    }

    /// Nothing is read under a snapshot any more.
    fn leave_source(&mut self) {
        self.snapshots = None;
        self.crew.leave_source();
    }
}

fn held(snapshots: &mut Option<Snapshots>) -> Result<&mut Snapshots> {
    snapshots.as_mut().ok_or_else(|| Error::internal("no snapshot is held"))
}

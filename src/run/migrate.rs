//! A migration, phase by phase.

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
use super::{here, messages, preflight, resume, state, tasks, undo};
use crate::core::archive::{Archive, Group};
use crate::core::options::{Caggs, Level, Mode};
use crate::core::plan::{self, Phase};
use crate::core::progress;
use crate::error::Result;
use crate::pg::{catch::transaction, session};
use crate::source::{dump, watch::Watch};
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
        let adoption = here::adapt(&mut scope, options, Some(id))?;
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
    let digests = contents.digests();
    for change in pieces::changes(id, &digests, settled)? {
        messages::warn(id, &change)?;
    }
    for warning in report.warnings() {
        messages::warn_with_hint(id, &format!("{}: {}", warning.subject, warning.detail), &warning.hint)?;
    }
    let inventory = scope.inventory;
    let maker = transaction(|| Maker::new(&inventory, options))?;
    let arrivals = adoption.as_ref().map(|adoption| adoption.arrivals.clone());
    let target = plan::Target { arrivals, ..transaction(|| maker.target(&inventory))? };
    let (locks, locks_of_a_worker) = (target.server.lock_share(2), target.server.lock_share(options.jobs));
    let migration = Migration { spec, inventory, adoption, maker, contents, digests, locks, locks_of_a_worker };

    let mut tasks = migration.tasks(&target)?;
    snapshots.give(&mut tasks);
    let copies = tasks.iter().filter(|t| t.phase == Phase::Copy);
    messages::notice(
        id,
        &format!(
            "run {id}: {}, {} in {}, under snapshot {}",
            migration.inventory.summed_up(),
            progress::size(copies.clone().map(|t| t.bytes.max(0) as u64).sum()),
            progress::counted(tasks.len(), "task"),
            snapshot,
        ),
    )?;
    // The workers get ready while the schema is made.
    let locks_there = migration.inventory.server.lock_share(options.jobs);
    let started = spec.for_workers(&snapshot, locks_of_a_worker.min(locks_there));
    let mut crew = Crew::start(&started, options.jobs, tasks.len(), watch)?;

    let database = schema_phase::make(&migration, snapshots.newest()?, &plan::compressed_early(&tasks))?;
    state::step(id, "tasks", || tasks::add(id, &tasks))?;
    if begun {
        messages::notice(id, &format!("run {id} continues under the new snapshot {snapshot}"))?;
        for message in resume::reconcile(id, tasks)? {
            messages::warn(id, &message)?;
        }
        crew.work(Phase::Recheck)?;
        undo::drop_unused(id)?;
    } else {
        drop(tasks);
    }
    let checksum = options.verify == Level::Checksum;
    let later = rounds::copy(&spec.params, options, &mut crew, &mut snapshots, &target, checksum)?;
    sequences::carry(&migration)?;
    large_objects::carry(&migration, snapshots.newest()?)?;
    // Nothing is written to hypertables any more, and what follows may read the aggregates.
    let recomputes = options.caggs == Caggs::Recompute;
    transaction(|| {
        if !recomputes {
            caggs::set_state(&migration.inventory, later.as_ref())?;
        }
        migration.adoption.as_ref().map_or(Ok(()), |adoption| here::renew(&adoption.renewed))
    })?;
    drop(later);
    // A comparison that will ask the source needs the snapshots until then; nothing else does.
    let first = snapshots.first;
    let asks = checksum && verify::asks_source(id)?;
    let snapshots = Some(snapshots).filter(|_| asks);
    if !asks {
        crew.leave_source();
    }

    // The indexes of chunks are placed by them.
    transaction(|| hypertables::attach_tablespaces(&migration.inventory, &migration.maker))?;
    index::make_roots(&migration, Group::Constraint, Phase::Constraint)?;
    index::make_roots(&migration, Group::Index, Phase::Index)?;
    crew.work(Phase::Index)?;
    crew.work(Phase::Constraint)?;
    if migration.has(Group::Attach) {
        crew.pause(Phase::Attach)?;
        migration.make(Phase::Attach, Group::Attach)?;
    }
    crew.work(Phase::HypertableKey)?;
    compression::begin(&migration, &target.server)?;
    crew.work(Phase::Compression)?;
    analyze::add_tasks(id, migration.locks_of_a_worker)?;
    verify::add_tasks(id, checksum, first, !asks)?;
    crew.work(Phase::ForeignKey)?;
    key_check::all(&migration)?;
    crew.pause(Phase::Rest)?;
    if recomputes {
        recompute::all(id, &mut crew, &plan::recompute::levels(&migration.inventory))?;
    }
    rest::make(&migration)?;
    refresh::all(&migration)?;
    crew.work(Phase::Analyze)?;
    crew.work(Phase::Verify)?;
    drop(snapshots);
    crew.leave_source();
    tasks::failures(id)?;
    verify::judge(id)?;
    crew.dismiss()?;
    migration.make(Phase::Publications, Group::Publication)?;
    jobs::finish(&migration, &database)
}

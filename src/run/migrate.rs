//! A migration, phase by phase.

use super::crew::{self, Crew};
use super::launch::Block;
use super::pieces::{self, Piece};
use super::rounds::{self, Snapshots};
use super::{attach, batches, cleanup, preflight, recompute, resume, scope, state, tasks, verify};
use crate::core::archive::{Digests, Plan, Stage};
use crate::core::inventory::Inventory;
use crate::core::name::{Name, literal};
use crate::core::options::{Caggs, Connections, Level, Roles};
use crate::core::{self, analyze, plan, progress};
use crate::error::{Error, Result, SqlState};
use crate::pg::{catch::transaction, session, spi};
use crate::source::snapshot::{self, Keeper};
use crate::source::watch::Watch;
use crate::source::{inventory, schema as source_schema};
use crate::target::database::Database;
use crate::target::schema::Maker;
use crate::target::{database, large_objects, roles, schema, sequences};
use std::collections::HashSet;

struct Migration<'a> {
    block: &'a Block,
    inventory: Inventory,
    maker: Maker,
    plan: Plan<'a>,
    digests: Digests,
    /// How many locks one transaction may take here while no worker does, so that the server has
    /// room for others.
    locks: i64,
    locks_of_a_worker: i64,
}

/// Makes a run from its beginning, or what is left of it: each step that was done is not done
/// again, and each task that was done stays done.
pub fn run(block: &Block) -> Result<()> {
    let (id, options) = (block.run, &block.options);
    let begun = state::step_done(id, "tasks")?;
    state::enter(id, "preflight")?;
    let mut source = snapshot::reader(&block.params, id, options)?;
    let server = inventory::server(&mut source)?;
    let mut report = transaction(|| preflight::check_servers(&mut source, &block.params, &server, options))?;
    report.refuse()?;
    let before = snapshot::read(&mut source, server)?;
    let settled = state::step_done(id, "schema")?;
    let fresh = !settled && pieces::made(id)?.is_empty();
    let before = transaction(|| {
        let scope = scope::of(&mut source, before, options)?;
        preflight::check(&mut report, &mut source, &scope, options, fresh)?;
        Ok(scope.inventory)
    })?;
    report.refuse()?;
    let (keeper, inventory) = snapshot::hold(&mut source, &block.params, id, options, &before.server)?;
    let snapshot = keeper.snapshot.clone();
    let mut scope = transaction(|| scope::of(&mut source, inventory, options))?;
    // What came in between.
    report.objects(&scope);
    report.refuse()?;
    drop(source);
    state::set_source(id, &scope.inventory, &snapshot)?;
    let mut snapshots = Snapshots::new(id, keeper)?;
    let mut watch = Watch::new(&block.params, options, id, session::pid());
    if begun {
        resume::check_names(id, &scope.inventory)?;
    }
    let archive = source_schema::dump(&block.params, &scope.inventory.server, Some(&snapshot), options, || {
        crew::look(id, &mut watch)
    })?;
    let plan = schema::sorted(&archive, &scope.inventory, options);
    let versions = (&archive.server_version, &archive.dump_version);
    state::say(id, "notice", &format!("run {id}: schema of PostgreSQL {} read by pg_dump {}", versions.0, versions.1))?;
    preflight::check_schema(&mut report, &mut scope, &plan);
    report.refuse()?;
    let digests = plan.digests();
    for change in pieces::changes(id, &digests, settled)? {
        say_warning(id, &change)?;
    }
    for warning in report.warnings() {
        say_warning(id, &format!("{}: {}", warning.subject, warning.detail))?;
    }
    let inventory = scope.inventory;
    let maker = transaction(|| Maker::new(&inventory, options))?;
    let target = transaction(|| maker.target())?;
    let (locks, locks_of_a_worker) = (target.server.lock_share(2), target.server.lock_share(options.jobs));
    let migration = Migration { block, inventory, maker, plan, digests, locks, locks_of_a_worker };

    let mut tasks = migration.tasks(&target)?;
    snapshots.give(&mut tasks);
    let copies = tasks.iter().filter(|t| t.stage == plan::Stage::Copy);
    state::say(
        id,
        "notice",
        &format!(
            "run {id}: {} tables, {} hypertables, {} chunks, {} in {} tasks, under snapshot {}",
            migration.inventory.plain_tables().count(),
            migration.inventory.hypertables.len(),
            migration.inventory.chunks.len(),
            progress::size(copies.clone().map(|t| t.bytes.max(0) as u64).sum()),
            tasks.len(),
            snapshot,
        ),
    )?;
    // The workers get ready while the schema is made.
    let started = Block { snapshot: snapshot.clone(), ..block.clone() };
    let mut crew = Crew::start(&started, options.jobs, tasks.len(), watch)?;

    let database = migration.make_schema(snapshots.newest()?, &plan::compressed_early(&tasks))?;
    state::step(id, "tasks", || tasks::add(id, &tasks))?;
    if begun {
        state::say(id, "notice", &format!("run {id} continues under the new snapshot {snapshot}"))?;
        for message in resume::reconcile(id, tasks)? {
            say_warning(id, &message)?;
        }
        crew.work("recheck")?;
        resume::drop_unused(id)?;
    } else {
        drop(tasks);
    }
    let checksum = options.verify == Level::Checksum;
    let later = rounds::copy(&block.params, options, &mut crew, &mut snapshots, &target, checksum)?;
    state::enter(id, "sequences")?;
    for warning in sequences::carry(&block.params, id, options, &migration.inventory)? {
        say_warning(id, &warning)?;
    }
    migration.large_objects(snapshots.newest()?)?;
    // Nothing is written to hypertables any more, and what follows may read the aggregates.
    let recompute = options.caggs == Caggs::Recompute;
    if !recompute {
        transaction(|| schema::cagg_state(&migration.inventory, later.as_ref()))?;
    }
    drop(later);
    // A comparison of all values at the end needs the snapshots until then; nothing else does.
    let first = snapshots.first;
    let snapshots = Some(snapshots).filter(|_| checksum);
    if !checksum {
        crew.leave_source();
    }

    // The indexes of chunks are placed by them.
    transaction(|| schema::tablespaces(&migration.inventory, &migration.maker))?;
    for (from, to) in [(Stage::Index, plan::Stage::Index), (Stage::Constraint, plan::Stage::Constraint)] {
        migration.make_roots(from, to)?;
        crew.work(to.name())?;
    }
    migration.make("attach", Stage::Attach)?;
    crew.work("hypertable_key")?;
    transaction(|| schema::compression(&migration.inventory, |_| true))?;
    attach::add_tasks(id, &target.server)?;
    crew.work("compression")?;
    crew.work("foreign_key")?;
    if recompute {
        recompute::all(id, &mut crew, &core::recompute::levels(&migration.inventory))?;
    }
    migration.finish_schema()?;
    batches::add_analyze(id, migration.locks_of_a_worker)?;
    verify::add_copied(id, checksum, first)?;
    crew.work("analyze")?;
    crew.work("verify")?;
    drop(snapshots);
    crew.leave_source();
    tasks::failures(id)?;
    verify::judge(id)?;
    crew.dismiss()?;
    migration.make("publications", Stage::Publication)?;
    migration.finish(&database)
}

fn say_warning(id: i64, message: &str) -> Result<()> {
    state::say(id, "warning", message)
}

impl Migration<'_> {
    fn tasks(&self, target: &plan::Target) -> Result<Vec<plan::Task>> {
        let mut tasks = plan::copies(&self.inventory, target, &self.block.options);
        for (from, to) in [(Stage::Index, plan::Stage::Index), (Stage::Constraint, plan::Stage::Constraint)] {
            tasks.extend(self.maker.tasks(&self.plan, from, to));
        }
        tasks.extend(self.maker.foreign_keys(&self.plan, &self.inventory, target)?);
        tasks.extend(analyze::tasks(&self.inventory, target, self.block.options.jobs));
        Ok(tasks)
    }

    /// Roles, then everything that has to be there before the rows. Returns what the source's
    /// database itself is, for the run's end.
    fn make_schema(&self, keeper: &mut Keeper, early: &HashSet<Name>) -> Result<Database> {
        let (id, options) = (self.block.run, &self.block.options);
        state::enter(id, "schema")?;
        // By itself: what else is made in the same transaction could not be cancelled meanwhile.
        transaction(|| {
            cleanup::keep_database(id)?;
            if options.connections == Connections::Allow {
                return Ok(());
            }
            let until = "superusers alone may log in to this database until the run is done or removed";
            state::say_here(id, "notice", &format!("run {id}: {until}"))?;
            database::close()
        })?;
        let mut all = Vec::new();
        if options.roles != Roles::None {
            let roles = transaction(|| roles::needed(&mut keeper.connection, &self.inventory.jobs, options))?;
            let passwords = roles::passwords(&mut keeper.connection, self.inventory.server.superuser)?;
            all.push(Piece::new(None, move || roles::make(&roles, &passwords, options)));
        }
        all.extend(self.entries(Stage::PreData));
        for root in self.inventory.hypertables.iter().filter(|h| h.cagg.is_none()) {
            let name = format!("HYPERTABLE {}", root.qualified().shown());
            all.push(Piece::new(name, || schema::hypertable(root).map(|()| Vec::new())));
        }
        for cagg in &self.inventory.caggs {
            let name = format!("CONTINUOUS AGGREGATE {}", cagg.qualified().shown());
            all.push(Piece::new(name, || schema::cagg(cagg, &self.maker).map(|()| Vec::new())));
        }
        all.extend(self.entries(Stage::OnProvided));
        let database = database::read(&mut keeper.connection)?;
        all.push(Piece::new(None, move || {
            schema::compression(&self.inventory, |name| early.contains(name))?;
            schema::chunk_skipping(&self.inventory)?;
            Ok(Vec::new())
        }));
        self.make_pieces("schema", all, || pieces::settle(id, &self.digests))?;
        Ok(database)
    }

    /// All of them, in place of those that an earlier start has brought: whether the source has
    /// written to one since, nothing tells.
    fn large_objects(&self, keeper: &mut Keeper) -> Result<()> {
        let (run, source) = (self.block.run, &mut keeper.connection);
        state::enter(run, "large_objects")?;
        while transaction(|| large_objects::remove(run, self.locks))? > 0 {
            state::checkpoint(run)?;
        }
        let objects = large_objects::read(source)?;
        if objects.is_empty() {
            return Ok(());
        }
        let about = |error: Error| error.about("large objects");
        transaction(|| cleanup::entering(run, || large_objects::make(&objects))).map_err(about)?;
        for batch in objects.chunks(self.locks as usize) {
            state::checkpoint(run)?;
            transaction(|| large_objects::fill(source, batch, &self.block.options)).map_err(about)?;
        }
        Ok(())
    }

    fn entries(&self, stage: Stage) -> impl Iterator<Item = Piece<'_>> {
        self.plan.stage(stage).iter().map(|entry| {
            let make = || Ok(self.maker.make(entry, &self.plan)?.into_iter().collect());
            Piece::new(self.plan.name(entry).to_string(), make)
        })
    }

    /// A stage that the coordinator runs itself, one entry after the other.
    fn make(&self, phase: &str, stage: Stage) -> Result<()> {
        if self.plan.stage(stage).is_empty() {
            return Ok(());
        }
        state::enter(self.block.run, phase)?;
        self.make_pieces(phase, self.entries(stage).collect(), || Ok(()))
    }

    fn make_pieces(&self, step: &str, all: Vec<Piece>, end: impl Fn() -> Result<()>) -> Result<()> {
        pieces::make(self.block.run, step, all, &self.digests, self.locks, end)
    }

    /// The indexes of hypertables on their roots, which hold no rows, and the tasks for the chunks.
    fn make_roots(&self, from: Stage, to: plan::Stage) -> Result<()> {
        let (run, locks) = (self.block.run, self.locks_of_a_worker);
        let add =
            move |object: &str, index: &str| batches::add_index(run, to, object, index, locks).map(|()| Vec::new());
        let mut all = Vec::new();
        for (entry, index) in self.maker.hypertable_indexes(&self.plan, from) {
            all.push(Piece::new(self.plan.name(entry).to_string(), move || {
                self.maker.make_on_root(entry)?;
                add(&entry.object(), &literal(&index.to_string()))
            }));
        }
        let caggs = if from == Stage::Index { plan::cagg_indexes(&self.inventory) } else { Vec::new() };
        for (object, made) in caggs {
            all.push(Piece::new(object.clone(), move || {
                spi::set_local("timescaledb.restoring", "on")?;
                schema::making(&object, Some(&made), || add(&object, &made))
            }));
        }
        if all.is_empty() {
            return Ok(());
        }
        state::enter(run, to.name())?;
        self.make_pieces(&format!("{} roots", to.name()), all, || Ok(()))
    }

    /// The last transaction: from its commit on this database lives by itself, and the run is done.
    fn finish(&self, database: &Database) -> Result<()> {
        let (run, options) = (self.block.run, &self.block.options);
        state::enter(run, "jobs")?;
        transaction(|| {
            let before = cleanup::database_before(run)?.filter(|_| options.connections == Connections::Refuse);
            for warning in database::make(database, before.as_ref(), options)? {
                state::say_here(run, "warning", &warning)?;
            }
            schema::late_compression(&self.inventory)?;
            for warning in schema::jobs(&self.inventory, &self.maker, options.policies)? {
                state::say_here(run, "warning", &warning)?;
            }
            for entry in self.plan.stage(Stage::Last) {
                if let Some(warning) = self.maker.make(entry, &self.plan)? {
                    state::say_here(run, "warning", &warning)?;
                }
            }
            state::finish(run)
        })
        .map_err(schema::describe)
    }

    fn finish_schema(&self) -> Result<()> {
        self.make("rest", Stage::Rest)?;
        let own = |cagg| Piece::new(None, move || Ok(schema::cagg_own(cagg)?.into_iter().collect()));
        let caggs = &self.inventory.caggs;
        let own = caggs.iter().filter(|cagg| cagg.spec["own"].as_object().is_some_and(|own| !own.is_empty())).map(own);
        self.make_pieces("materialization hypertables", own.collect(), || Ok(()))?;
        let refreshes = schema::refreshes(&self.plan, &self.inventory);
        if !refreshes.is_empty() {
            state::enter(self.block.run, "refresh")?;
        }
        for (name, statement) in refreshes {
            state::checkpoint(self.block.run)?;
            let mut warnings = Vec::new();
            let refreshed = transaction(|| {
                let defaults = &self.inventory.server.defaults;
                // Not every server has the names of all.
                let zone = format!("SET LOCAL timezone = {}", literal(&defaults.timezone));
                roles::attempt(&zone, &mut warnings, "materialized views are refreshed in UTC")?;
                spi::set_local("datestyle", &defaults.datestyle)?;
                spi::set_local("intervalstyle", &defaults.intervalstyle)?;
                spi::execute(&statement, &[]).map(drop)
            });
            for warning in warnings {
                say_warning(self.block.run, &warning)?;
            }
            match refreshed {
                Err(error) if error.is_transient() || error.code == SqlState::QUERY_CANCELED => {
                    return Err(error.about(format!("materialized view {}", name.shown())));
                }
                // It may read what only its users reach, as another server: no reason to end here.
                Err(error) => {
                    let message = format!("materialized view {} could not be refreshed: {error}", name.shown());
                    say_warning(self.block.run, &message)?;
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

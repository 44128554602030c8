//! Copying from a source in use: what has changed since the run's snapshot is read under a
//! later one.
//!
//! Nothing of the run's keeps the source from compressing, truncating or dropping what is still to
//! be copied. A task that finds its relation changed is postponed. When all others are done, a new
//! snapshot is taken, what was postponed is planned anew under it, and so on until nothing is left.
//! The other relations keep what they have. So the target holds the source as it was under the
//! run's snapshot, and of some relations a later state.

use super::crew::Crew;
use super::prepare::Source;
use super::{messages, resume, state, tasks, undo};
use crate::core::inventory::Inventory;
use crate::core::name::Name;
use crate::core::options::Options;
use crate::core::plan::again::{self, Again};
use crate::core::plan::{self, Phase, SnapshotId, Task, Work};
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::Params;
use crate::pg::{catch::transaction, spi};
use crate::source::snapshot::Keeper;
use std::collections::HashMap;

/// Rounds in a row after which no less is left.
const PATIENCE: usize = 20;

/// The sessions that hold the snapshots of this start, the newest last.
pub struct Snapshots {
    run: i64,
    held: Vec<Keeper>,
    /// The first of this start.
    pub first: SnapshotId,
    newest: SnapshotId,
}

impl Snapshots {
    /// Records the first snapshot of this start.
    pub fn new(run: i64, keeper: Keeper) -> Result<Snapshots> {
        let first = state::add_snapshot(run, &keeper)?;
        Ok(Snapshots { run, held: vec![keeper], first, newest: first })
    }

    /// `all`: those before are needed for a comparison of all values.
    fn add(&mut self, keeper: Keeper, all: bool) -> Result<()> {
        self.newest = state::add_snapshot(self.run, &keeper)?;
        if !all {
            self.held.clear();
        }
        self.held.push(keeper);
        Ok(())
    }

    /// The session that holds the newest one.
    pub fn newest(&mut self) -> Result<&mut Keeper> {
        self.held.last_mut().ok_or_else(|| Error::internal("no snapshot is held"))
    }

    /// Lets these tasks read the newest snapshot.
    pub fn give(&self, tasks: &mut [Task]) {
        for task in tasks {
            if let Work::Copy(copy) = &mut task.work {
                copy.snapshot = self.newest;
            }
        }
    }
}

/// Works on the copies until none is postponed; returns what the source held under the last
/// snapshot, if that is not the first.
pub fn copy(
    params: &Params,
    options: &Options,
    crew: &mut Crew,
    snapshots: &mut Snapshots,
    target: &plan::Target,
    checksum: bool,
) -> Result<Option<Inventory>> {
    let run = snapshots.run;
    let (mut last, mut least, mut idle) = (None, usize::MAX, 0);
    loop {
        crew.work(Phase::Copy)?;
        crew.work(Phase::Tiered)?;
        let postponed = transaction(|| tasks::postponed(run))?;
        if postponed.is_empty() {
            return Ok(last);
        }
        idle = if postponed.len() < least { 0 } else { idle + 1 };
        least = least.min(postponed.len());
        if idle == PATIENCE {
            return Err(Error::new(
                SqlState::SNAPSHOT_GONE,
                format!("{} kept changing on the source before it could be copied", postponed[0]),
            )
            .hint(
                "Pause the jobs on the source that compress, move or rewrite chunks, and continue with migrate_resume.",
            )
            .on(Side::Source));
        }
        let message = format!(
            "{} has changed on the source since the snapshot{}: copied under a later one",
            postponed[0],
            match postponed.len() - 1 {
                0 => String::new(),
                others => format!(", and {others} more relations have"),
            }
        );
        messages::notice(run, &message)?;
        // No worker may take a task of the new ones before what is in its way is gone.
        state::set_phase(run, Phase::Snapshot)?;
        let (again, inventory) = plan_again(params, options, snapshots, target, checksum)?;
        for warning in resume::apply(run, again)? {
            messages::warn(run, &warning)?;
        }
        undo::drop_unused(run)?;
        last = Some(inventory);
    }
}

/// What replaces the postponed tasks, and what the source holds under the new snapshot.
fn plan_again(
    params: &Params,
    options: &Options,
    snapshots: &mut Snapshots,
    target: &plan::Target,
    checksum: bool,
) -> Result<(Again, Inventory)> {
    let run = snapshots.run;
    let mut source = Source::of_run(params, options, run)?;
    let (keeper, inventory) = source.hold(run)?;
    let names: HashMap<u32, Name> = again::names(&inventory).collect();
    let inventory = transaction(|| source.scope(inventory))?.inventory;
    drop(source);
    let known = transaction(|| resume::known(run))?;
    again::check_chosen(&known, names, &inventory).map_err(|unfit| resume::refused(run, unfit))?;
    if let Some(arrivals) = &target.arrivals {
        let hypertables = inventory.hypertables.iter().filter(|h| h.cagg.is_none()).map(|h| (h.oid, h.qualified()));
        let tables = inventory.filled_tables().map(|table| (table.oid, table.qualified())).chain(hypertables);
        transaction(|| refuse_swapped(run, tables.filter(|(oid, _)| !arrivals.contains_key(oid))))?;
    }
    snapshots.add(keeper, checksum)?;
    let mut planned = plan::copies(&inventory, target, options);
    snapshots.give(&mut planned);
    let again = again::round(known, planned, &inventory).map_err(|unfit| resume::refused(run, unfit))?;
    Ok((again, inventory))
}

/// Into an existing schema, what becomes of a table was decided by the first snapshot.
fn refuse_swapped(run: i64, mut new: impl Iterator<Item = (u32, Name)>) -> Result<()> {
    new.try_for_each(|(_, name)| {
        let query = "SELECT EXISTS (SELECT FROM timescale_migrate.task_log WHERE run = $1 AND phase = 'copy' AND tables[1] = $2)";
        if spi::value::<bool>(query, &[run.into(), name.to_string().into()])? != Some(true) {
            return Ok(());
        }
        let message = format!("another table of the source has taken the name of {} since the run began", name.shown());
        Err(Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message)
            .hint(format!("Call migrate_cleanup({run}), then migrate_from again.")))
    })
}

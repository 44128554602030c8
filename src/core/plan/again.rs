//! What becomes of a run's copies when the source is read under a later snapshot: on a resume of
//! all of them, in a round of those that the snapshot before could not show.
//!
//! A relation is known by its OID, which outlives new names; one that was dropped and made anew,
//! by its place: its name, or its hypertable and slices.

use super::shape::{difference, shape};
use super::{CopyTask, Destination, Doubt, Phase, Recheck, SnapshotId, Task, Work, task};
use crate::core::inventory::{Cagg, Hypertable, Inventory, Partitioned, Slices};
use crate::core::name::Name;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A copy task that the run has, with what it has copied where it is done.
#[derive(Clone, Debug, Deserialize)]
pub struct Known {
    pub id: i32,
    /// Its rows have arrived.
    pub done: bool,
    /// What it reads had changed.
    #[serde(default)]
    pub postponed: bool,
    pub object: String,
    pub work: CopyTask,
}

/// `snapshot_log`: a snapshot that something was copied under.
#[derive(Clone, Debug, Deserialize)]
pub struct Snapshot {
    pub id: SnapshotId,
    pub horizon: u64,
    pub started: i64,
    pub timeline: i64,
    pub durable: bool,
}

impl Snapshot {
    /// Whether transactions that this snapshot showed may be lost on the source, as it is now:
    /// after a crash those whose log was not on disk, after a fail-over any. Their ids are given
    /// out again, so that rows do not tell.
    fn may_be_lost(&self, now: &Snapshot) -> bool {
        self.timeline != now.timeline || (self.started != now.started && !self.durable)
    }

    /// Whether the age of a row tells if it was there: transaction ids of rows come again after
    /// 2^32 transactions, and are compared within half of that.
    fn tells_ages(&self, now: &Snapshot) -> bool {
        now.horizon.saturating_sub(self.horizon) < 1 << 31
    }
}

/// What there is to do.
#[derive(Default)]
pub struct Again {
    /// Tasks of which nothing is on the target.
    pub forget: Vec<i32>,
    /// Relations of which something is on the target that has to go: the ids of their tasks.
    pub take_back: Vec<Vec<i32>>,
    pub add: Vec<Task>,
    pub warnings: Vec<String>,
}

impl Again {
    /// These tasks are replaced.
    fn replace(&mut self, tasks: &[Known]) {
        let ids = tasks.iter().map(|task| task.id);
        // The start before may have stopped while it dropped the chunks that a table has become, by which none is done
        // any more.
        match tasks.iter().any(|task| task.done || task.work.destination.is_converted()) {
            true => self.take_back.push(ids.collect()),
            false => self.forget.extend(ids),
        }
    }
}

/// Why a run cannot take over what the source has become.
#[derive(Debug, PartialEq)]
pub struct Unfit(pub String);

/// What has another name on the source by now. The schema of the target has the old one, and would get
/// another relation by the new one.
pub fn check_names(known: &[Known], inventory: &Inventory) -> Result<(), Unfit> {
    for work in known.iter().map(|task| &task.work).filter(|work| work.destination.is_converted()) {
        check_partition(work.whole(), &name_of(work), inventory)?;
    }
    check(known, &names(inventory).collect())
}

/// What an option has chosen by its name, and chooses no more because it has another one by now. `names` are those of
/// all that is on the source.
pub fn check_chosen(known: &[Known], mut names: HashMap<u32, Name>, chosen: &Inventory) -> Result<(), Unfit> {
    for oid in chosen.plain_tables().map(|table| table.oid).chain(chosen.hypertables.iter().map(|root| root.oid)) {
        names.remove(&oid);
    }
    check(known, &names)
}

/// The tables of an inventory by their OIDs, with the names that users know them by.
pub fn names(inventory: &Inventory) -> impl Iterator<Item = (u32, Name)> {
    let tables = inventory.plain_tables().map(|table| (table.oid, table.qualified()));
    let partitioned = inventory.partitioned.iter().map(|table| (table.oid, Name::new(&table.schema, &table.name)));
    let hypertables = inventory.hypertables.iter().map(|hypertable| (hypertable.oid, hypertable.known_as()));
    tables.chain(partitioned).chain(hypertables)
}

fn check(known: &[Known], now: &HashMap<u32, Name>) -> Result<(), Unfit> {
    for task in known {
        let (oid, before) = match (task.work.place(), &task.work.destination) {
            (Some((root, _)), to) => (root, to.table()),
            (None, Destination::Routed { buckets: None, .. }) => continue,
            (None, to) => (task.work.whole(), to.table()),
        };
        if let Some(name) = now.get(&oid).filter(|name| *name != before) {
            let (before, name) = (before.shown(), name.shown());
            return Err(Unfit(format!("{before} was renamed to {name} on the source since the run began")));
        }
    }
    Ok(())
}

/// A resume: each relation is compared, copied, or copied again.
///
/// `converted`: the tables that there are and that become hypertables, by OID.
pub fn resume(
    known: Vec<Known>,
    planned: Vec<Task>,
    snapshots: &[Snapshot],
    converted: &HashSet<u32>,
) -> Result<Again, Unfit> {
    let mut again = Again::default();
    let Some(now) = snapshots.last() else { return Ok(again) };
    let (mut known, planned) = (by_oid(known), planned_by_oid(planned));
    for (oid, tasks) in planned.iter().map(|(oid, tasks)| (*oid, tasks.clone())) {
        let Some(before) = take(&mut known, &planned, oid) else {
            again.add.extend(tasks);
            continue;
        };
        check_columns(&before, &tasks)?;
        if before.iter().all(|task| task.done) {
            let (was, is) = pairs(&before, &tasks).next().unwrap_or((&before[0].work, copy_of(&tasks[0])));
            let doubt = doubt(was, is, snapshots, now);
            let horizon = snapshots.iter().find(|s| s.id == before[0].work.snapshot).map_or(0, |s| s.horizon);
            again.add.push(recheck(&before, doubt, horizon, tasks));
            continue;
        }
        again.replace(&before);
        again.add.extend(tasks);
    }
    for gone in known.into_values() {
        let done = gone.iter().all(|task| task.done);
        let work = &gone[0].work;
        // Else this side would hold rows that the source has dropped, as its retention does: a chunk's, or those of all
        // partitions of a table.
        let is_empty = work.destination.is_converted() && converted.contains(&work.whole());
        if done && (work.place().is_some() || is_empty) {
            again.add.push(recheck(&gone, Doubt::Gone, 0, Vec::new()));
            continue;
        }
        let fate = if done { "its rows stay on the target" } else { "it is left out" };
        again.warnings.push(format!("{} no longer exists on the source: {fate}", name_of(work)));
        match done {
            true => again.forget.extend(gone.iter().map(|task| task.id)),
            false => again.replace(&gone),
        }
    }
    Ok(again)
}

/// A round: what was postponed is replaced, and with it what has to be read no earlier than that.
pub fn round(known: Vec<Known>, planned: Vec<Task>, inventory: &Inventory) -> Result<Again, Unfit> {
    let mut again = Again::default();
    let (mut known, planned) = (by_oid(known), planned_by_oid(planned));
    let affected = affected(&known, &planned, inventory);
    for (oid, mut tasks) in planned.iter().filter(|(oid, _)| affected.contains(oid)).map(|(o, t)| (*o, t.clone())) {
        if let Some(before) = take(&mut known, &planned, oid) {
            check_columns(&before, &tasks)?;
            again.warnings.extend(no_more_partitions(&before, &tasks));
            // The schema on the target is that of the first snapshot.
            let destination = &before[0].work.destination;
            if matches!(destination, Destination::Table(_)) || destination.is_converted() {
                tasks.iter_mut().for_each(|task| copy_mut(task).destination = before[0].work.destination.clone());
            }
            again.replace(&before);
        }
        again.add.extend(tasks);
    }
    for (_, gone) in known.into_iter().filter(|(oid, _)| affected.contains(oid)) {
        if gone[0].work.place().is_none() {
            let (whole, name) = (gone[0].work.whole(), name_of(&gone[0].work));
            check_partition(whole, &name, inventory)?;
            let root = inventory.hypertables.iter().find(|root| root.oid == whole);
            if gone[0].work.source.root && root.is_some() {
                // Its own rows.
                again.replace(&gone);
                continue;
            }
            let becomes_one = root.is_some_and(Hypertable::is_converted);
            // A partitioned table has no tasks of its own, and a hypertable those of its chunks.
            if !becomes_one && (root.is_some() || inventory.partitioned.iter().any(|table| table.oid == whole)) {
                let what = match (root, gone[0].work.destination.is_converted()) {
                    (None, _) => "has changed on the source so that it cannot become a hypertable",
                    (Some(_), true) => "has changed on the source so that it cannot get other chunks",
                    (Some(_), false) => "has become a hypertable on the source since the run began",
                };
                return Err(Unfit(format!("{name} {what}")));
            }
            let what = if becomes_one { "has no partitions or chunks any more" } else { "was dropped" };
            again
                .warnings
                .push(format!("{name} {what} on the source since the snapshot: it stays empty on the target"));
        }
        again.replace(&gone);
    }
    Ok(again)
}

fn by_oid(known: Vec<Known>) -> BTreeMap<u32, Vec<Known>> {
    let mut all = BTreeMap::<u32, Vec<Known>>::new();
    for task in known {
        all.entry(task.work.whole()).or_default().push(task);
    }
    all
}

fn copy_of(task: &Task) -> &CopyTask {
    match &task.work {
        Work::Copy(copy) => copy,
        _ => unreachable!("only copies are planned again"),
    }
}

fn copy_mut(task: &mut Task) -> &mut CopyTask {
    match &mut task.work {
        Work::Copy(copy) => copy,
        _ => unreachable!("only copies are planned again"),
    }
}

fn planned_by_oid(planned: Vec<Task>) -> BTreeMap<u32, Vec<Task>> {
    let mut all = BTreeMap::<u32, Vec<Task>>::new();
    for task in planned {
        all.entry(copy_of(&task).whole()).or_default().push(task);
    }
    all
}

/// The tasks that the run has for a relation: by its OID, else those of one that is gone and was
/// in the same place.
fn take(known: &mut BTreeMap<u32, Vec<Known>>, planned: &BTreeMap<u32, Vec<Task>>, oid: u32) -> Option<Vec<Known>> {
    if let Some(tasks) = known.remove(&oid) {
        return Some(tasks);
    }
    let new = copy_of(planned[&oid].first()?);
    let same = |(other, tasks): (&u32, &Vec<Known>)| {
        (!planned.contains_key(other) && new.replaces(&tasks[0].work)).then_some(*other)
    };
    let other = known.iter().find_map(same)?;
    known.remove(&other)
}

/// Of the partitions of a table that becomes a hypertable, those whose rows do not come any more.
fn no_more_partitions(before: &[Known], now: &[Task]) -> Vec<String> {
    let copied: BTreeSet<&Name> = now.iter().map(|task| &copy_of(task).source.name).collect();
    let converted = before.iter().map(|task| &task.work).filter(|work| work.destination.is_converted());
    let gone: BTreeMap<u32, &CopyTask> = converted.map(|work| (work.source.oid, work)).collect();
    let gone = gone.into_iter().filter(|(oid, work)| *oid != work.whole() && !copied.contains(&work.source.name));
    gone.map(|(_, work)| {
        let (name, table) = (work.source.name.shown(), work.destination.table().shown());
        format!("{name} is no longer part of {table} on the source: its rows are not copied")
    })
    .collect()
}

/// What messages call it: several relations are the partitions of one.
pub fn name_of(work: &CopyTask) -> String {
    if work.destination.is_converted() { work.destination.table().shown() } else { work.source.name.shown() }
}

/// Refuses a table whose rows have become those of another one.
fn check_partition(oid: u32, name: &str, inventory: &Inventory) -> Result<(), Unfit> {
    let has = |table: &&Partitioned| table.partitions.contains(&oid) || table.leaves.iter().any(|leaf| leaf.0 == oid);
    match inventory.partitioned.iter().find(has) {
        None => Ok(()),
        Some(Partitioned { schema, name: parent, .. }) => {
            let parent = Name::new(schema, parent).shown();
            Err(Unfit(format!("{name} has become a partition of {parent} on the source since the run began")))
        }
    }
}

/// What was and what is copied of the same relations.
fn pairs<'a>(before: &'a [Known], now: &'a [Task]) -> impl Iterator<Item = (&'a CopyTask, &'a CopyTask)> {
    before.iter().filter_map(|task| {
        let is_same = |copy: &&CopyTask| copy.source.oid == task.work.source.oid;
        Some((&task.work, now.iter().map(copy_of).find(is_same)?))
    })
}

fn check_columns(before: &[Known], now: &[Task]) -> Result<(), Unfit> {
    let first = &before[0].work;
    for copy in now.iter().map(copy_of) {
        let was = before.iter().map(|task| &task.work).find(|was| was.source.oid == copy.source.oid);
        let is_same = match was {
            Some(was) => was.columns == copy.columns && was.types == copy.types,
            // A partition may have them in another order.
            None if copy.destination.is_converted() => shape(first) == shape(copy),
            None => first.columns == copy.columns && first.types == copy.types,
        };
        if !is_same {
            let work = was.unwrap_or(first);
            let name = if work.place().is_some() { work.destination.table() } else { &work.source.name }.shown();
            let what = difference(&shape(work), &shape(copy));
            return Err(Unfit(format!("the columns of {name} have changed on the source since the run began: {what}")));
        }
    }
    Ok(())
}

fn doubt(before: &CopyTask, now: &CopyTask, snapshots: &[Snapshot], last: &Snapshot) -> Doubt {
    let read = |copy: &CopyTask| copy.source.guards.iter().map(|guard| guard.oid).collect::<Vec<_>>();
    let same = before.recipe.same_kind(&now.recipe) && before.place() == now.place() && read(before) == read(now);
    match snapshots.iter().find(|snapshot| snapshot.id == before.snapshot) {
        _ if !same => Doubt::Changed,
        Some(snapshot) if snapshot.may_be_lost(last) => Doubt::Lost,
        Some(snapshot) if snapshot.tells_ages(last) => Doubt::None,
        _ => Doubt::Changed,
    }
}

fn recheck(known: &[Known], doubt: Doubt, horizon: u64, again: Vec<Task>) -> Task {
    let bytes = again.iter().map(|task| task.bytes).sum();
    let copies = known.iter().map(|task| task.id).collect();
    let work = Work::Recheck(Recheck { copies, doubt, horizon, again });
    task(Phase::Recheck, known[0].object.clone(), 0, bytes, work)
}

fn overlap(a: &Slices, b: &Slices) -> bool {
    a.len() == b.len()
        && a.iter().all(|(column, [from, to])| b.get(column).is_some_and(|[start, end]| start < to && from < end))
}

/// What a round reads, by OID: what was postponed, whatever covers anything of the same range
/// before or after chunks were merged or split, and of continuous aggregates the chunks that may
/// hold what was made of those rows. An aggregate that is older than its rows would never be
/// refreshed: the source has forgotten what it had to refresh.
fn affected(
    known: &BTreeMap<u32, Vec<Known>>,
    planned: &BTreeMap<u32, Vec<Task>>,
    inventory: &Inventory,
) -> BTreeSet<u32> {
    let chunks: Vec<(u32, u32, &Slices)> = known
        .iter()
        .map(|(oid, tasks)| (oid, &tasks[0].work))
        .chain(planned.iter().map(|(oid, tasks)| (oid, copy_of(&tasks[0]))))
        .filter_map(|(oid, copy)| copy.place().map(|(root, slices)| (*oid, root, slices)))
        .collect();
    let mut affected: BTreeSet<u32> =
        known.iter().filter(|(_, tasks)| tasks.iter().any(|task| task.postponed)).map(|(oid, _)| *oid).collect();
    loop {
        let before = affected.len();
        let ranges: Vec<(u32, &Slices)> = chunks
            .iter()
            .filter(|(oid, ..)| affected.contains(oid))
            .map(|(_, root, slices)| (*root, *slices))
            .collect();
        for (root, slices) in ranges {
            let same = chunks.iter().filter(|(_, other, others)| *other == root && overlap(slices, others));
            affected.extend(same.map(|(oid, ..)| *oid));
            let time = inventory.hypertables.iter().find(|h| h.oid == root).and_then(|h| h.dimensions.first());
            let range = time.and_then(|dimension| slices.get(&dimension.column)).copied();
            for cagg in inventory.caggs.iter().filter(|cagg| cagg.raw.oid == root) {
                affected.extend(made_of(&chunks, cagg, range.unwrap_or([i64::MIN, i64::MAX])));
            }
        }
        // Of a hypertable with other chunks on the target all rows are read again.
        let whole: Vec<&Cagg> = inventory.caggs.iter().filter(|cagg| affected.contains(&cagg.raw.oid)).collect();
        affected.extend(whole.iter().flat_map(|cagg| made_of(&chunks, cagg, [i64::MIN, i64::MAX])));
        if affected.len() == before {
            return affected;
        }
    }
}

/// The chunks of a continuous aggregate that may hold buckets of rows of this range of time: those
/// of the same range, and the last one before it, as a bucket is where it begins.
fn made_of(chunks: &[(u32, u32, &Slices)], cagg: &Cagg, [from, to]: [i64; 2]) -> BTreeSet<u32> {
    let own: Vec<(u32, [i64; 2])> = chunks
        .iter()
        .filter(|(_, root, _)| *root == cagg.relation.oid)
        .filter_map(|(oid, _, slices)| slices.get(&cagg.time_column).map(|range| (*oid, *range)))
        .collect();
    let last_before = own.iter().map(|(_, [start, _])| *start).filter(|start| *start < from).max();
    let is_made_of = |[start, end]: [i64; 2]| (start < to && from < end) || Some(start) == last_before;
    own.into_iter().filter(|(_, range)| is_made_of(*range)).map(|(oid, _)| oid).collect()
}

//! The copy tasks of everything that an inventory lists.

use super::{Buckets, CopyTask, Destination, Filter, Phase, Recipe, RowStorage, Task, Work, task};
use super::{adopted, compressed};
use crate::core::arrival::{Arrivals, Way};
use crate::core::inventory::{Collation, Hypertable, Inventory, Relation, Server, Size};
use crate::core::name::Name;
use crate::core::options::Options;
use std::collections::{HashMap, HashSet};

/// Of one table. Whatever size the source says it has, the tasks for it fit into memory.
const MOST_PARTS: i64 = 100_000;

/// In bytes, of a table that becomes a hypertable.
const LEAST_SHARE: i64 = 16 << 20;

/// The parts of a table: page ranges of about `split` bytes each, by the table's whole size.
/// Its TOAST counts, so that a small heap with large values is split too.
fn parts(table: Size, split: i64) -> Vec<(i64, Option<i64>)> {
    let pages = i64::from(table.pages);
    let count = if split == 0 { 1 } else { (table.bytes / split).clamp(0, MOST_PARTS - 1) + 1 };
    let count = count.min(pages.max(1));
    let bound = |i: i64| pages * i / count;
    (0..count).map(|i| (bound(i), (i + 1 < count).then(|| bound(i + 1)))).collect()
}

/// Into parts of which size tables are split, 0 for not at all: where a range of pages cannot be
/// scanned, each part would read the whole table.
fn split(source: &Server, options: &Options) -> i64 {
    if source.scans_page_ranges() { options.split_bytes } else { 0 }
}

/// Why a table is copied in one part that is large enough for several.
pub fn unsplit(size: i64, source: &Server, options: &Options) -> Option<&'static str> {
    let wanted = options.split_bytes > 0 && size / options.split_bytes > 0;
    (wanted && split(source, options) == 0)
        .then_some("in one part: before PostgreSQL 14, each part of a table is found by reading all of it")
}

/// What the plan has to know of the target.
pub struct Target {
    pub server: Server,
    pub collations: Vec<Collation>,
    /// Tablespaces that are kept and exist on the target; what is in others goes to the default.
    pub tablespaces: HashSet<String>,
    /// What becomes of each table in an existing schema.
    pub arrivals: Option<Arrivals>,
}

/// The copy tasks of everything that the inventory lists. Chunks go to their tablespace where
/// it is among `tablespaces`, those that are kept and exist on the target.
pub fn copies(inventory: &Inventory, target: &Target, options: &Options) -> Vec<Task> {
    let mut tasks = Vec::new();
    for table in inventory.filled_tables() {
        // What cannot be taken back comes in one transaction.
        let arrival = target.arrivals.as_ref().and_then(|arrivals| arrivals.get(&table.oid));
        let is_whole = arrival.is_some_and(|arrival| arrival.keeps || arrival.way != Way::Table);
        tasks.extend(of_table(table, Destination::Table(table.qualified()), is_whole, inventory, options));
    }
    for hypertable in inventory.hypertables.iter().filter(|h| !inventory.selection.is_empty(h.oid)) {
        let tables = inventory.relations.iter().filter(|table| hypertable.tables.contains(&table.oid));
        tasks.extend(
            tables.flat_map(|table| of_table(table, divided(hypertable, inventory, target), false, inventory, options)),
        );
    }
    let compressed = inventory.compressed();
    let read = inventory.of_chunks();
    let mut ranges: HashMap<i32, Vec<serde_json::Value>> = HashMap::new();
    for range in inventory.skipping.iter().flat_map(|column| &column.chunks) {
        if let Some(id) = range["chunk_id"].as_i64().and_then(|id| i32::try_from(id).ok()) {
            ranges.entry(id).or_default().push(range.clone());
        }
    }
    for hypertable in &inventory.hypertables {
        let name = hypertable.known_as();
        let Some(root) = inventory.root(hypertable) else { continue };
        let destination = Destination::Table(name.clone());
        let mut of_root = CopyTask::new(hypertable.oid, hypertable.qualified(), destination, &root.columns);
        of_root.skipping = inventory.skipping.iter().any(|s| s.hypertable_id == hypertable.id);
        if hypertable.root_may_have_rows {
            let mut copy = of_root.clone();
            if let Some(filter) = inventory.selection.filters.get(&hypertable.oid) {
                copy = copy.only(Filter::Condition(filter.clone()));
            }
            copy.source.root = true;
            copy.source.guards = root.guards();
            let object = format!("{} (its own rows)", name.shown());
            let size = inventory.size(hypertable.oid);
            tasks.push(task(Phase::Copy, object, size.rows, size.bytes, Work::Copy(copy)));
        }
        for chunk in inventory.chunks_of(hypertable) {
            if chunk.osm {
                let (hypertable, cagg) = (name.clone(), hypertable.cagg.is_some());
                let destination = Destination::Routed { hypertable, cagg, buckets: None };
                let mut copy = CopyTask { destination, ..of_root.clone() };
                (copy.source.oid, copy.source.name) = (chunk.oid, chunk.qualified());
                copy.recipe = Recipe::Queried { reason: "in tiered storage on the source".to_string() };
                copy.source.storage = RowStorage::External;
                let object = format!("{} of {}", chunk.qualified().shown(), name.shown());
                tasks.push(task(Phase::Tiered, object, 0, 0, Work::Copy(copy)));
                continue;
            }
            let destination = match hypertable.is_converted() {
                true => divided(hypertable, inventory, target),
                false => Destination::Chunk {
                    hypertable: name.clone(),
                    root: hypertable.oid,
                    cagg: hypertable.cagg.is_some(),
                    slices: chunk.slices.clone(),
                    tablespace: chunk.tablespace.clone().filter(|name| target.tablespaces.contains(name)),
                    creation_time: chunk.creation_time.clone(),
                    own: chunk.own.clone(),
                },
            };
            let mut copy = CopyTask { destination, ..of_root.clone() };
            (copy.source.oid, copy.source.name) = (chunk.oid, chunk.qualified());
            copy.source.guards = read[&chunk.oid].clone();
            let packed = compressed.get(&chunk.oid).copied();
            copy.source.storage = RowStorage::of(packed);
            let packed = packed.filter(|_| chunk.query.is_none());
            let Size { rows, bytes, .. } = inventory.chunk_size(chunk.oid, packed);
            match (packed, &chunk.query) {
                _ if hypertable.is_converted() => {
                    (copy.owns_relation, copy.skipping) = (false, false);
                    if packed.is_some() || chunk.frozen {
                        copy.recipe = Recipe::Queried { reason: "other chunks on the target".to_string() };
                    }
                }
                (Some(chunk), _) => copy.recipe = compressed::form(chunk, inventory, target),
                (None, None) if chunk.frozen => copy.recipe = compressed::frozen(target),
                _ if chunk.cut => copy.recipe = Recipe::Queried { reason: "only rows in the time range".to_string() },
                _ => {}
            }
            copy.source.query = chunk.query.clone();
            // No write to a chunk that is not compressed corrects its ranges.
            if !matches!(copy.recipe, Recipe::Queried { .. }) && !hypertable.is_converted() {
                copy.ranges = ranges.get(&chunk.id).cloned().unwrap_or_default();
            }
            let object = format!("{} of {}", chunk.qualified().shown(), name.shown());
            tasks.push(task(Phase::Copy, object, rows, bytes, Work::Copy(copy)));
        }
    }
    target.arrivals.iter().for_each(|arrivals| adopted::redirect(&mut tasks, arrivals));
    tasks
}

/// Where the rows go of a hypertable that has other chunks on the target.
fn divided(hypertable: &Hypertable, inventory: &Inventory, target: &Target) -> Destination {
    let tablespace = hypertable.tablespaces.iter().find(|name| target.tablespaces.contains(*name));
    let buckets = Some(Buckets::of(hypertable, &inventory.server, tablespace));
    Destination::Routed { hypertable: hypertable.qualified(), cagg: false, buckets }
}

/// The copy tasks of one table: several if it is large, unless it is to come as a whole.
fn of_table(
    table: &Relation,
    destination: Destination,
    is_whole: bool,
    inventory: &Inventory,
    options: &Options,
) -> Vec<Task> {
    let name = table.qualified();
    let mut copy = CopyTask::new(table.oid, name.clone(), destination, &table.columns);
    copy.source.guards = table.guards();
    // No task empties a hypertable: there are none in it but its own rows.
    copy.owns_relation = !copy.destination.is_converted();
    let size = inventory.size(table.oid);
    let split = split(&inventory.server, options);
    // All workers are to have a share of a large table, and each few chunks at a time.
    let share = (size.bytes / (4 * i64::from(options.jobs))).max(LEAST_SHARE);
    let parts = parts(size, if copy.destination.is_converted() { split.min(share) } else { split });
    if let Some(condition) = &table.condition {
        copy = copy.only(Filter::Condition(condition.clone()));
    }
    if is_whole || parts.len() == 1 || copy.filter != Filter::All || copy.columns.is_empty() {
        return vec![task(Phase::Copy, name.shown(), size.rows, size.bytes, Work::Copy(copy))];
    }
    let count = parts.len() as i64;
    let part = |(i, pages): (usize, (i64, Option<i64>))| {
        let object = format!("{} part {} of {count}", name.shown(), i + 1);
        let part = copy.clone().only(Filter::Pages(pages.0, pages.1));
        task(Phase::Copy, object, size.rows / count, size.bytes / count, Work::Copy(part))
    };
    parts.into_iter().enumerate().map(part).collect()
}

/// Which hypertables need compression enabled before their rows come: those of which a chunk is
/// compressed as soon as it is copied.
pub fn compressed_early(tasks: &[Task]) -> HashSet<Name> {
    let copies = tasks.iter().filter_map(|task| match &task.work {
        Work::Copy(copy) if matches!(copy.recipe, Recipe::Recompressed { late: false, .. }) => Some(&copy.destination),
        _ => None,
    });
    let names = copies.filter_map(|destination| match destination {
        Destination::Chunk { hypertable, .. } => Some(hypertable.clone()),
        Destination::Table(_) | Destination::Routed { .. } => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_every_page_once() {
        for (pages, bytes, split) in [
            (100, 1000, 300),
            (7, 1_000_000, 10),
            (1, 500, 10),
            (0, 0, 10),
            (50, 50, 0),
            // Sizes that no relation has.
            (50, -1000, 10),
            (u32::MAX, i64::MAX, 1),
        ] {
            let parts = parts(Size { pages, bytes, rows: 10 }, split);
            assert!(parts.len() <= MOST_PARTS as usize);
            assert_eq!(parts[0].0, 0);
            assert_eq!(parts.last().unwrap().1, None);
            for pair in parts.windows(2) {
                assert_eq!(pair[0].1, Some(pair[1].0));
            }
        }
        // A small heap with a large TOAST is split by its whole size.
        assert_eq!(parts(Size { pages: 10, bytes: 10_000, rows: 10 }, 1_000).len(), 10);
    }
}

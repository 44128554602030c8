//! What continuous aggregates still have to refresh, where their rows and what they are made of
//! were read under several snapshots.

use super::inventory::{Cagg, Inventory};
use serde_json::Value;

/// What `timescale_migrate.set_cagg_state` takes: the aggregates, and what interrupted refreshes
/// have left.
///
/// Whatever is to be refreshed under one of the snapshots is to be refreshed here: a chunk that was
/// read `later` may hold rows that the first snapshot does not show, and an aggregate that was
/// read first is to be refreshed for what has been refreshed on the source since.
pub fn of(inventory: &Inventory, later: Option<&Inventory>) -> (Vec<Value>, Vec<Value>) {
    let specs = inventory.caggs.iter().map(|cagg| {
        let mut spec = cagg.spec.clone();
        let other = later.and_then(|later| later.caggs.iter().find(|other| is_same(cagg, other)));
        for path in ["/invalidations", "/raw/invalidations"] {
            let more = other.and_then(|other| other.spec.pointer(path)).and_then(Value::as_array);
            if let (Some(Value::Array(all)), Some(more)) = (spec.pointer_mut(path), more) {
                let new: Vec<Value> = more.iter().filter(|entry| !all.contains(entry)).cloned().collect();
                all.extend(new);
            }
        }
        spec
    });
    let mut ranges = inventory.cagg_ranges.clone();
    ranges.extend(later.into_iter().flat_map(|later| later.cagg_ranges.clone()));
    (specs.collect(), ranges)
}

fn is_same(cagg: &Cagg, other: &Cagg) -> bool {
    cagg.relation.oid == other.relation.oid
}

//! What continuous aggregates still have to refresh, where their rows and what they are made of
//! were read under several snapshots.

use super::inventory::{Cagg, Inventory};
use serde_json::Value;

/// What `timescale_migrate.set_cagg_state` takes: the aggregates, and what interrupted refreshes
/// have left.
///
/// Whatever is to be refreshed under one of the snapshots is to be refreshed on the target: a chunk that was
/// read `later` may hold rows that the first snapshot does not show, and an aggregate that was
/// read first is to be refreshed for what has been refreshed on the source since.
pub fn of(inventory: &Inventory, later: Option<&Inventory>) -> (Vec<Value>, Vec<Value>) {
    let refreshable = &inventory.selection.refreshable;
    let filled = |cagg: &&Cagg| !inventory.selection.is_empty(cagg.relation.oid);
    let specs = inventory.caggs.iter().filter(filled).map(|cagg| {
        let mut spec = cagg.spec.clone();
        let other = later.and_then(|later| later.caggs.iter().find(|other| is_same(cagg, other)));
        for path in ["/invalidations", "/raw/invalidations"] {
            let more = other.and_then(|other| other.spec.pointer(path)).and_then(Value::as_array);
            if let (Some(Value::Array(all)), Some(more)) = (spec.pointer_mut(path), more) {
                let new: Vec<Value> = more.iter().filter(|entry| !all.contains(entry)).cloned().collect();
                all.extend(new);
            }
        }
        if let Some(range) = refreshable.get(&cagg.oid) {
            keep_buckets(&mut spec, *range);
        }
        spec
    });
    let mut ranges = inventory.cagg_ranges.clone();
    ranges.extend(later.into_iter().flat_map(|later| later.cagg_ranges.clone()));
    ranges.retain_mut(|pending| {
        let of = |cagg: &&Cagg| pending["schema"] == cagg.schema.as_str() && pending["name"] == cagg.name.as_str();
        let Some(cagg) = inventory.caggs.iter().find(of).filter(filled) else { return false };
        if let (Some(range), Some(all)) = (refreshable.get(&cagg.oid), pending["invalidations"].as_array_mut()) {
            within(all, &[*range]);
        }
        true
    });
    (specs.collect(), ranges)
}

/// Where raw rows stay behind, a refresh would change the buckets that they have given rows to: of
/// what is materialized, only buckets in the range are left to be refreshed. What was written to the
/// raw data is entered for each aggregate, as each refresh does (TimescaleDB's invalidation.c), since
/// the ranges differ.
fn keep_buckets(spec: &mut Value, range: [i64; 2]) {
    let Some(watermark) = spec["watermark"].as_i64() else { return };
    let raw = spec.pointer_mut("/raw/invalidations").map(Value::take);
    spec["raw"]["invalidations"] = Value::Array(Vec::new());
    if let Some(all) = spec["invalidations"].as_array_mut() {
        all.extend(raw.iter().filter_map(Value::as_array).flatten().cloned());
        within(all, &[range, [watermark.max(range[1]), i64::MAX]]);
    }
}

/// What of these ranges, whose ends belong to them, is within some others `[from, to)`; the largest
/// number stands for no end.
fn within(all: &mut Vec<Value>, kept: &[[i64; 2]]) {
    let ends = |range: &Value| Some([range[0].as_i64()?, range[1].as_i64()?]);
    let cut = |[lowest, greatest]: [i64; 2]| {
        let parts = kept.iter().filter(|[from, to]| from < to).map(move |[from, to]| {
            [lowest.max(*from), greatest.min(if *to == i64::MAX { *to } else { to.saturating_sub(1) })]
        });
        parts.filter(|[lowest, greatest]| lowest <= greatest).map(|part| serde_json::json!(part))
    };
    *all = all.iter().filter_map(ends).flat_map(cut).collect();
}

fn is_same(cagg: &Cagg, other: &Cagg) -> bool {
    cagg.relation.oid == other.relation.oid
}

//! Continuous aggregates that are made anew from what they read, instead of being copied.

use super::{Phase, Recompute, Task, Work, task};
use crate::core::inventory::{Cagg, Inventory};
use crate::core::name::quoted;
use std::collections::HashMap;

/// The refreshes, level by level: those of one level can run at once, after all of the level
/// before.
pub fn levels(inventory: &Inventory) -> Vec<Vec<Task>> {
    let mut levels: Vec<Vec<Task>> = Vec::new();
    let mut level_of = HashMap::new();
    for cagg in inventory.caggs.iter().filter(|cagg| !inventory.selection.is_empty(cagg.relation.oid)) {
        let below = cagg.raw.cagg.then(|| level_of.get(&cagg.raw.qualified())).flatten();
        let level = below.map_or(0, |level| level + 1);
        let name = cagg.qualified();
        level_of.insert(name.clone(), level);
        levels.resize(levels.len().max(level + 1), Vec::new());
        let work = Work::Recompute(Recompute { cagg: name.clone() });
        levels[level].push(task(Phase::Recompute, name.shown(), 0, 0, work));
    }
    levels
}

/// A query for the first and the last bucket that begin where the raw hypertable has no chunk;
/// of such, a refresh cannot bring what dropped chunks gave to them.
pub fn lost(inventory: &Inventory, cagg: &Cagg) -> Option<String> {
    let mut lowest = cagg;
    while lowest.raw.cagg {
        lowest = inventory.caggs.iter().find(|other| other.qualified() == lowest.raw.qualified())?;
    }
    let raw = lowest.raw.qualified();
    let raw = inventory.hypertables.iter().find(|h| h.cagg.is_none() && h.qualified() == raw)?;
    let dimension = &raw.dimensions.first()?.column;
    let gaps = gaps(inventory.chunks_of(raw).filter_map(|c| c.slices.get(dimension).copied()).collect());
    let bucket = quoted(&cagg.time_column);
    let type_name = &cagg.relation.columns.iter().find(|c| c.name == cagg.time_column)?.type_name;
    let conditions: Vec<String> = gaps.iter().map(|[start, end]| within(&bucket, type_name, *start, *end)).collect();
    (!conditions.is_empty()).then(|| {
        format!(
            "SELECT min({bucket})::pg_catalog.text, max({bucket})::pg_catalog.text FROM {} WHERE {}",
            cagg.relation.qualified(),
            conditions.join(" OR ")
        )
    })
}

/// What the ranges leave open, from the smallest number to the largest.
fn gaps(mut ranges: Vec<[i64; 2]>) -> Vec<[i64; 2]> {
    ranges.sort_unstable();
    ranges.push([i64::MAX, i64::MAX]);
    let mut gaps = Vec::new();
    let mut covered = i64::MIN;
    for [start, end] in ranges {
        if start > covered {
            gaps.push([covered, start]);
        }
        covered = covered.max(end);
    }
    gaps
}

/// The limits are no bounds. Times are in microseconds since 1970, everything else as it is.
fn within(column: &str, type_name: &str, start: i64, end: i64) -> String {
    let since = |epoch: &str, bound: i64| format!("{epoch} 'epoch' + {bound} * interval '1 microsecond'");
    let value = |bound: i64| match type_name {
        "timestamp with time zone" => since("timestamptz", bound),
        "timestamp without time zone" => since("timestamp", bound),
        "date" => format!("({})::date", since("timestamp", bound)),
        _ => bound.to_string(),
    };
    let from = (start > i64::MIN).then(|| format!("{column} >= {}", value(start)));
    let to = (end < i64::MAX).then(|| format!("{column} < {}", value(end)));
    match from.into_iter().chain(to).collect::<Vec<_>>() {
        bounds if bounds.is_empty() => "true".to_string(),
        bounds => format!("({})", bounds.join(" AND ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_between_ranges() {
        let (least, most) = (i64::MIN, i64::MAX);
        assert_eq!(gaps(vec![]), [[least, most]]);
        assert_eq!(gaps(vec![[10, 20], [0, 10], [30, 40], [30, 40]]), [[least, 0], [20, 30], [40, most]]);
        assert_eq!(gaps(vec![[0, 50], [10, 20], [least, 0]]), [[50, most]]);
        assert_eq!(gaps(vec![[least, most]]), Vec::<[i64; 2]>::new());
    }

    #[test]
    fn conditions() {
        assert_eq!(within("b", "bigint", i64::MIN, 5), "(b < 5)");
        assert_eq!(within("b", "bigint", -5, 5), "(b >= -5 AND b < 5)");
        assert_eq!(within("b", "date", i64::MIN, i64::MAX), "true");
        let time = within("b", "timestamp with time zone", 0, i64::MAX);
        assert_eq!(time, "(b >= timestamptz 'epoch' + 0 * interval '1 microsecond')");
    }
}

//! The rows of hypertables that a user asks for, by their time.

use super::{Chunk, Hypertable, Inventory};
use crate::core::name::{literal, quoted};
use std::collections::HashMap;

/// The rows of a hypertable from a time on, and up to another one that is not part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeRange {
    column: String,
    type_name: String,
    from: Option<String>,
    to: Option<String>,
    /// Both ends in TimescaleDB's internal form, as in [`super::Slices`].
    pub internal: [i64; 2],
}

/// Where a hypertable's time column is kept in the internal form by its type: the factor from the
/// seconds since 1970, or for integers themselves (TimescaleDB's time_utils.c).
fn is_time(type_name: &str) -> Option<bool> {
    match type_name {
        "smallint" | "integer" | "bigint" => Some(false),
        "date" => Some(true),
        other => other.starts_with("timestamp").then_some(true),
    }
}

impl TimeRange {
    /// A range of this hypertable; None if its time column is of a type that has no such ranges.
    pub fn new(
        hypertable: &Hypertable,
        inventory: &Inventory,
        from: Option<String>,
        to: Option<String>,
    ) -> Option<TimeRange> {
        let dimension = hypertable.dimensions.first().filter(|dimension| dimension.partitioning_func.is_none())?;
        let column = inventory.root(hypertable)?.columns.iter().find(|column| column.name == dimension.column)?;
        is_time(&column.type_name)?;
        let (column, type_name) = (column.name.clone(), column.type_name.clone());
        Some(TimeRange { column, type_name, from, to, internal: [i64::MIN, i64::MAX] })
    }

    fn value(&self, text: &str) -> String {
        format!("{}::{}", literal(text), self.type_name)
    }

    /// An expression for a value in TimescaleDB's internal form; NULL stays NULL.
    pub fn to_internal(&self, value: &str) -> String {
        match is_time(&self.type_name) {
            Some(true) => format!("(extract(epoch FROM ({value})::{}) * 1000000)::int8", self.zoneless()),
            _ => format!("({value})::int8"),
        }
    }

    /// The type whose epoch is the internal form.
    fn zoneless(&self) -> &str {
        if self.type_name == "date" { "timestamp" } else { &self.type_name }
    }

    /// A query on the source for both ends in internal form.
    pub fn ends(&self) -> String {
        let end = |end: &Option<String>| end.as_ref().map_or("NULL".into(), |text| self.to_internal(&self.value(text)));
        format!("SELECT json_build_array({}, {})::text", end(&self.from), end(&self.to))
    }

    /// `column >= from AND column < to`
    fn condition(&self) -> String {
        let column = quoted(&self.column);
        let from = self.from.iter().map(|from| format!("{column} >= {}", self.value(from)));
        let to = self.to.iter().map(|to| format!("{column} < {}", self.value(to)));
        from.chain(to).collect::<Vec<_>>().join(" AND ")
    }

    /// A query on the source for the first bucket in the range, and the last one that begins in it, of
    /// what a continuous aggregate on the hypertable has materialized. All buckets from the first on
    /// to the one before the last are computed from rows in the range alone.
    pub fn whole_buckets(&self, materialization: &str, bucket: &str) -> String {
        let bucket = quoted(bucket);
        let within = |end: &Option<String>, aggregate: &str, operator: &str| match end {
            Some(text) => {
                let value = format!("{aggregate}({bucket}) FILTER (WHERE {bucket} {operator} {})", self.value(text));
                self.to_internal(&value)
            }
            None => "NULL".to_string(),
        };
        let (first, last) = (within(&self.from, "min", ">="), within(&self.to, "max", "<"));
        format!("SELECT json_build_array({first}, {last})::text FROM {materialization}")
    }

    /// Reads of a chunk no more than the rows in the range; false if there are none.
    fn cut(&self, chunk: &mut Chunk) -> bool {
        let [from, to] = self.internal;
        let Some([start, end]) = chunk.slices.get(&self.column).copied() else { return true };
        if from <= start && end <= to {
            return true;
        }
        let rows = match &chunk.query {
            Some(query) => format!("({query}) q"),
            None => chunk.qualified().to_string(),
        };
        chunk.query = Some(format!("SELECT * FROM {rows} WHERE {}", self.condition()));
        chunk.cut = true;
        start < to && from < end
    }

    /// `WHERE ...` for rows that are in no chunk.
    pub fn filter(&self) -> String {
        format!("WHERE {}", self.condition())
    }

    /// Whether it has an end on this side.
    pub fn is_open(&self) -> [bool; 2] {
        [self.from.is_none(), self.to.is_none()]
    }
}

impl Inventory {
    /// Lists no more chunks than those with rows in the ranges, by their hypertables' OIDs.
    pub fn cut(&mut self, ranges: &HashMap<u32, TimeRange>) {
        let by_id: HashMap<i32, &TimeRange> =
            self.hypertables.iter().filter_map(|h| Some((h.id, ranges.get(&h.oid)?))).collect();
        self.chunks.retain_mut(|chunk| by_id.get(&chunk.hypertable_id).is_none_or(|range| range.cut(chunk)));
    }
}

//! How a hypertable is compressed.

use super::{Column, Facts};

/// Rows of a segment in a chunk: a batch is 1,000.
const LEAST_ROWS: f64 = 1_000.0;

/// A column to segment by, and about how many values it has.
#[derive(Clone, Debug, PartialEq)]
pub struct Segments<'a> {
    pub column: &'a str,
    pub values: f64,
}

/// The column that the rows of a chunk are divided by best: most likely the one that queries name, with enough
/// rows for each of its values.
pub fn segments<'a>(facts: &'a Facts, time: &str, rows: i64, of_chunk: f64) -> Option<Segments<'a>> {
    let found = facts.columns.iter().rev().filter_map(|column| {
        let rank = rank(facts, column, time)?;
        let distinct = column.distinct.filter(|distinct| *distinct != 0.0)?;
        let values = if distinct < 0.0 { -distinct * rows as f64 } else { distinct };
        let serves = values >= 2.0 && of_chunk / values >= LEAST_ROWS;
        serves.then_some((rank, values.round(), column))
    });
    let best = found.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))?;
    Some(Segments { column: &best.2.name, values: best.1 })
}

/// How likely queries are to select by a column; none if they hardly do.
fn rank(facts: &Facts, column: &Column, time: &str) -> Option<u8> {
    let name = column.name.as_str();
    let is_word = match column.type_name.as_str() {
        "text" | "character varying" | "character" | "uuid" | "enum" | "name" => true,
        "smallint" | "integer" | "bigint" => false,
        _ => return None,
    };
    let with_time = |index: &&super::Index| index.has(name) && index.has(time);
    match () {
        _ if name == time => None,
        _ if facts.indexes.iter().filter(with_time).any(|index| index.begins_with(name)) => Some(4),
        _ if facts.indexes.iter().any(|index| with_time(&index)) => Some(3),
        _ if column.refers || facts.indexes.iter().any(|index| index.begins_with(name)) => Some(2),
        _ if is_word => Some(1),
        // It may be what is measured.
        _ => None,
    }
}

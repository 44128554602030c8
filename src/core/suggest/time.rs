//! Which column of a table is its time.

use super::{Column, Facts};

/// What the values of a time column are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clock {
    Time,
    Date,
    /// So many a second, since 1970.
    Integer(i64),
}

impl Clock {
    /// Of values: how many are a second.
    pub fn per_second(self) -> f64 {
        match self {
            Clock::Time | Clock::Date => 1.0,
            Clock::Integer(per_second) => per_second as f64,
        }
    }

    /// Of a type, and of about the lowest and the highest value.
    pub fn of(type_name: &str, values: Option<[f64; 2]>) -> Option<Clock> {
        match type_name {
            "timestamp with time zone" | "timestamp without time zone" => Some(Clock::Time),
            "date" => Some(Clock::Date),
            "bigint" | "integer" => epoch(values?).map(Clock::Integer),
            _ => None,
        }
    }
}

/// What integers count that can only be times between 2001 and 2100: seconds, or thousandths, millionths or
/// billionths.
fn epoch([from, to]: [f64; 2]) -> Option<i64> {
    const FIRST: f64 = 1e9;
    const LAST: f64 = 4.1e9;
    [1, 1_000, 1_000_000, 1_000_000_000].into_iter().find(|per_second| {
        let per_second = *per_second as f64;
        from >= FIRST * per_second && to <= LAST * per_second
    })
}

/// Whether a column is of a type for times alone.
pub fn is_time(column: &Column) -> bool {
    Clock::of(&column.type_name, None).is_some()
}

/// A column by which the rows of a table can be divided.
#[derive(Clone, Debug)]
pub struct Time<'a> {
    pub column: &'a Column,
    pub clock: Clock,
    pub partitioned: bool,
    pub indexed: bool,
    pub ordered: bool,
}

/// Below it, new rows are all over the table.
const LEAST_CORRELATION: f64 = 0.8;

/// The best such column, if any will do.
pub fn best<'a>(facts: &'a Facts, partitioned_by: Option<&str>) -> Option<Time<'a>> {
    let times = facts.columns.iter().rev().filter_map(|column| time(facts, column, partitioned_by));
    times.max_by_key(|time| {
        let leads = facts.indexes.iter().any(|index| index.begins_with(&time.column.name));
        let correlation = time.column.correlation.unwrap_or_default().abs();
        (time.column.not_null, time.partitioned, leads, time.indexed, (correlation * 100.0) as i64)
    })
}

fn time<'a>(facts: &Facts, column: &'a Column, partitioned_by: Option<&str>) -> Option<Time<'a>> {
    let name = &column.name;
    let clock = Clock::of(&column.type_name, column.quantiles.map(|[from, _, to]| [from, to]))?;
    let ordered = column.correlation.is_some_and(|correlation| correlation.abs() >= LEAST_CORRELATION);
    let partitioned = partitioned_by == Some(name);
    let indexed = facts.indexes.iter().any(|index| index.has(name));
    let varies = column.quantiles.map_or(!facts.analyzed, |[from, _, to]| from < to);
    // It may be a number like any other.
    let is_key = column.numbered || column.refers;
    let alone = |index: &super::Index| index.unique && index.columns.len() == 1 && index.has(name);
    let doubtful = matches!(clock, Clock::Integer(_)) && (is_key || !ordered || facts.indexes.iter().any(alone));
    let serves = partitioned || indexed || ordered || !facts.analyzed;
    (varies && serves && !doubtful).then_some(Time { column, clock, partitioned, indexed, ordered })
}

//! Which tables of a source would benefit from becoming hypertables, and which of its
//! hypertables could be improved: decided by the source's statistics alone.

mod compress;
mod hypertable;
mod interval;
mod table;
#[cfg(test)]
mod tests;
mod time;

pub use hypertable::Chunked;
pub use table::Table;
pub use time::Clock;

use super::name::Name;
use serde::Deserialize;

/// A smaller table gains nothing by chunks.
const LEAST_ROWS: i64 = 100_000;
/// The same of its bytes.
const LEAST_BYTES: i64 = 10 << 20;

/// Whether a table is large enough.
pub fn is_large(rows: i64, bytes: i64) -> bool {
    rows >= LEAST_ROWS && bytes >= LEAST_BYTES
}

/// A row of `migrate_suggest`.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// As a key of the option `hypertables`.
    pub object: String,
    pub reason: String,
    pub rows: i64,
    pub bytes: i64,
    /// The value of that key; none if something else has to be done first, or afterwards.
    pub options: Option<serde_json::Value>,
}

impl Suggestion {
    /// Enters something that has to be changed first.
    pub fn hinder(&mut self, obstacle: &str) {
        self.options = None;
        self.reason.push_str(&format!(" Obstacle: {obstacle}"));
    }
}

/// What of the target decides.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub community: bool,
    /// Its `shared_buffers`, in bytes.
    pub shared_buffers: i64,
}

/// `tables.sql`
#[derive(Clone, Debug, Deserialize)]
pub struct Facts {
    pub oid: u32,
    pub readable: bool,
    pub analyzed: bool,
    pub inserted: i64,
    pub updated: i64,
    pub deleted: i64,
    pub row_security: bool,
    pub referenced_by: Vec<Reference>,
    pub indexes: Vec<Index>,
    pub columns: Vec<Column>,
}

/// A foreign key that refers to a table.
#[derive(Clone, Debug, Deserialize)]
pub struct Reference {
    pub name: String,
    pub table: Name,
    /// Those that it refers to.
    pub columns: Vec<String>,
}

/// An index of a table; of its columns those that are sorted by.
#[derive(Clone, Debug, Deserialize)]
pub struct Index {
    pub columns: Vec<Option<String>>,
    pub unique: bool,
    pub partial: bool,
    /// The first and the last value are found at once.
    pub ordered: bool,
}

impl Index {
    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name.as_deref() == Some(column))
    }

    fn begins_with(&self, column: &str) -> bool {
        self.columns.first().is_some_and(|name| name.as_deref() == Some(column))
    }
}

/// A column with its statistics, as far as there are any.
#[derive(Clone, Debug, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub type_name: String,
    pub not_null: bool,
    /// By a sequence.
    pub numbered: bool,
    /// To another table.
    pub refers: bool,
    /// As in `pg_stats`: a number of values, or if negative a part of the number of rows.
    pub distinct: Option<f64>,
    pub correlation: Option<f64>,
    /// Below which 5, 50 and 95 percent of the rows are: seconds since 1970, or integers.
    pub quantiles: Option<[f64; 3]>,
}

impl Facts {
    /// The columns whose first and last value an index tells at once, where there are no statistics.
    pub fn unknown_times(&self) -> Vec<usize> {
        let tells = |column: &Column| {
            let has_index =
                self.indexes.iter().any(|index| index.ordered && !index.partial && index.begins_with(&column.name));
            time::is_time(column) && column.quantiles.is_none() && has_index
        };
        match self.analyzed || !self.readable || self.row_security {
            true => Vec::new(),
            false => (0..self.columns.len()).filter(|column| tells(&self.columns[*column])).collect(),
        }
    }
}

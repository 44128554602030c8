//! What a copy asks the source: the COPY statements, and whether the rows are still the same.

use super::{CopyTask, Destination, Filter, Recipe, RowStorage};
use crate::core::checksum;
use crate::core::name::column_list;

impl CopyTask {
    /// The statement for the source. `COPY table TO` reads the table's own rows, never those
    /// of children, like ONLY.
    pub fn statement(&self) -> String {
        let format = if self.binary() { "binary" } else { "text" };
        let columns = column_list(&self.columns);
        if let Some(query) = &self.source.query {
            return format!("COPY (SELECT {columns} FROM {}) TO STDOUT (FORMAT {format})", checksum::result(query));
        }
        let name = &self.source.name;
        let from = match (&self.recipe, self.filtered()) {
            _ if self.is_queried() => format!("(SELECT {columns} FROM {name})"),
            (Recipe::Compressed(compressed), _) if compressed.frozen() => {
                format!("(SELECT {columns} FROM ONLY {name})")
            }
            (_, None) if self.columns.is_empty() => name.to_string(),
            (_, None) => format!("{name} ({columns})"),
            (_, Some(_)) => format!("(SELECT {columns} FROM {})", self.rows()),
        };
        format!("COPY {from} TO STDOUT (FORMAT {format})")
    }

    /// Whether only a query decompresses its rows, or reads them in every version, as those of a frozen chunk.
    fn is_queried(&self) -> bool {
        matches!(self.recipe, Recipe::Recompressed { .. } | Recipe::Queried { .. } | Recipe::Frozen)
    }

    /// What FROM names, with the condition of the rows.
    pub fn rows(&self) -> String {
        let only = if self.is_queried() { "" } else { "ONLY " };
        let condition = self.filtered().map(|condition| format!(" {condition}")).unwrap_or_default();
        format!("{only}{}{condition}", self.source.name)
    }

    /// The statement for those of the rows that fulfil a condition as well.
    pub fn statement_of(&self, condition: &str) -> String {
        let (columns, rows) = (column_list(&self.columns), self.rows());
        let and = if self.filter == Filter::All { "WHERE" } else { "AND" };
        let format = if self.binary() { "binary" } else { "text" };
        format!("COPY (SELECT {columns} FROM {rows} {and} {condition}) TO STDOUT (FORMAT {format})")
    }

    /// All statements for the source, in their order: of compressed rows their number and their
    /// batches come last.
    pub fn statements(&self) -> Vec<String> {
        match &self.recipe {
            Recipe::Compressed(compressed) => {
                let rows = compressed.has_rows.then(|| self.statement());
                rows.into_iter().chain([compressed.count(), compressed.statement()]).collect()
            }
            _ => vec![self.statement()],
        }
    }

    /// `WHERE ...`, unless all rows are copied.
    pub fn filtered(&self) -> Option<String> {
        match &self.filter {
            Filter::All => None,
            Filter::Condition(condition) => Some(condition.clone()),
            Filter::Pages(from, to) => {
                let to = to.map(|to| format!(" AND ctid < '({to},0)'::pg_catalog.tid")).unwrap_or_default();
                Some(format!("WHERE ctid >= '({from},0)'::pg_catalog.tid{to}"))
            }
        }
    }

    /// `WHERE ...` of an extension's configuration table.
    pub fn condition(&self) -> Option<&str> {
        match &self.filter {
            Filter::Condition(condition) => Some(condition),
            Filter::All | Filter::Pages(..) => None,
        }
    }

    /// A query on the source for how many rows there are, and whether any of them may have been
    /// written since an earlier snapshot. `horizon` is the oldest transaction that was not over
    /// under that one. If as many rows were copied then and none is newer, they are the same
    /// rows: each that is older than the horizon was there then.
    ///
    /// Transaction ids of rows have 32 bits, and `age()` compares such, as VACUUM keeps them within
    /// half of that range (PostgreSQL's manual, "Preventing Transaction ID Wraparound Failures");
    /// the horizon must be within it, too.
    pub fn since(&self, horizon: u64) -> String {
        let horizon = horizon as u32;
        let newer = format!("coalesce(bool_or(age(t.xmin) <= (SELECT age('{horizon}'::xid))), false)");
        let own = checksum::table(&self.source.name, true, self.condition());
        let own = format!("SELECT count(*) AS rows, {newer} AS newer FROM {own}");
        match (&self.source.storage, &self.source.query) {
            (RowStorage::External, _) => {
                let tiered = matches!(self.destination, Destination::Routed { buckets: None, .. });
                format!("SELECT count(*), {} FROM {}", !tiered, checksum::table(&self.source.name, false, None))
            }
            (RowStorage::Heap, None) => own,
            (RowStorage::Heap, Some(query)) => {
                format!("SELECT (SELECT count(*) FROM {}), o.newer FROM ({own}) o", checksum::result(query))
            }
            (RowStorage::Compressed(batches), query) => {
                let batches = checksum::table(batches, true, None);
                let rows = match query {
                    Some(query) => format!("(SELECT count(*) FROM {})", checksum::result(query)),
                    None => "o.rows + b.rows".to_string(),
                };
                format!(
                    "SELECT {rows}, o.newer OR b.newer FROM ({own}) o,
                     (SELECT coalesce(sum(t._ts_meta_count), 0) AS rows, {newer} AS newer FROM {batches}) b"
                )
            }
        }
    }
}

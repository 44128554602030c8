//! A relation's rows on their way: from where, to where, in which form.

use crate::core::checksum;
use crate::core::inventory::{
    Column, CompressedChunk, CompressedColumn, FROZEN, HYPERCORE, Layout, Slices, SourceRelation, Spec,
};
use crate::core::name::{Name, column_list, quoted};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A row of `timescale_migrate.snapshot_log`; 0 stands for the run's snapshot at hand.
pub type SnapshotId = i32;

/// Where a copy's rows go.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Into {
    /// A table that is there by this name, or a hypertable's own root.
    Table(Name),
    /// A chunk of this hypertable with these slices; made by the task. `root` is the hypertable's
    /// OID on the source. `cagg`: the name is a continuous aggregate's, the hypertable the one
    /// that holds its rows.
    Chunk {
        hypertable: Name,
        root: u32,
        cagg: bool,
        slices: Slices,
        tablespace: Option<String>,
        creation_time: Option<String>,
        /// What it has otherwise than its hypertable.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        own: Option<serde_json::Value>,
    },
    /// Chunks of this hypertable that TimescaleDB finds or makes, row by row.
    Routed { hypertable: Name, cagg: bool },
}

impl Into {
    /// The table that the rows belong to here; of chunks, what their hypertable is known as.
    pub fn table(&self) -> &Name {
        match self {
            Into::Table(name) => name,
            Into::Chunk { hypertable, .. } | Into::Routed { hypertable, .. } => hypertable,
        }
    }

    /// As in `task_log.destination`.
    pub fn kind(&self) -> &'static str {
        match self {
            Into::Table(_) => "table",
            Into::Chunk { .. } => "chunk",
            Into::Routed { .. } => "routed",
        }
    }

    /// What a chunk has otherwise than its hypertable.
    pub fn own(&self) -> Option<&serde_json::Value> {
        match self {
            Into::Chunk { own, .. } => own.as_ref(),
            Into::Table(_) | Into::Routed { .. } => None,
        }
    }

    /// Whether a relation that is made there replaces one that was there: of the same name, or a
    /// chunk of the same hypertable and range.
    pub fn replaces(&self, other: &Into) -> bool {
        match (self, other) {
            (Into::Table(name), Into::Table(other)) => name == other,
            (Into::Chunk { hypertable, slices, .. }, Into::Chunk { hypertable: other, slices: others, .. }) => {
                hypertable == other && slices == others
            }
            _ => false,
        }
    }
}

/// In which form a relation's rows travel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    Rows,
    /// Rows of a chunk that is frozen again when constraints are made.
    Frozen,
    /// Rows that only a query gives, of a chunk that is compressed, frozen or tiered on the
    /// source and cannot be so here.
    Queried {
        reason: String,
    },
    /// Its compressed relation as it is, then what rows it has besides.
    Compressed(Box<Compressed>),
    /// Decompressed by the source and compressed again here.
    /// `late`: only when constraints are made, which this target refuses on compressed chunks.
    Recompressed {
        reason: String,
        spec: Spec,
        late: bool,
    },
}

impl Form {
    /// As in `task_log.recipe`.
    pub fn name(&self) -> &'static str {
        match self {
            Form::Rows => "rows",
            Form::Frozen => "frozen",
            Form::Queried { .. } => "queried",
            Form::Compressed(_) => "compressed",
            Form::Recompressed { late: false, .. } => "recompressed",
            Form::Recompressed { late: true, .. } => "recompressed_late",
        }
    }

    pub fn same_kind(&self, other: &Form) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// Where the rows lie that a relation's name stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// In itself.
    Rows,
    /// In itself and, in batches, in this one.
    Compressed(Name),
    /// Where nothing is known of them but by a query: in tiered storage, or in an access method of
    /// its own.
    Elsewhere,
}

impl Kept {
    /// Of a chunk, which may be a compressed one.
    pub fn of(compressed: Option<&CompressedChunk>) -> Kept {
        match compressed {
            None => Kept::Rows,
            Some(CompressedChunk { relation: Some(relation), access_method, .. })
                if access_method.as_deref() != Some(HYPERCORE) =>
            {
                Kept::Compressed(Name::new(&relation.schema, &relation.name))
            }
            Some(_) => Kept::Elsewhere,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compressed {
    pub relation: Name,
    pub has_rows: bool,
    /// Blocks that stand for all-NULL columns, which this target cannot read, are sent as NULL.
    pub null_blocks: bool,
    /// Columns that are not copied, to be made anew.
    pub left_out: Vec<String>,
    pub spec: Spec,
}

impl Compressed {
    fn copied(&self) -> impl Iterator<Item = &CompressedColumn> {
        self.spec.layout.columns.iter().filter(|column| !self.left_out.contains(&column.name))
    }

    pub fn columns(&self) -> Vec<String> {
        self.copied().map(|column| column.name.clone()).collect()
    }

    pub fn binary(&self) -> bool {
        self.copied().all(|column| column.binary)
    }

    /// The source refuses a plain COPY from a frozen chunk's relations.
    fn frozen(&self) -> bool {
        self.spec.status & FROZEN != 0
    }

    /// What `timescale_migrate.create_compressed_relation` takes.
    pub fn layout(&self) -> Layout {
        Layout { columns: self.copied().cloned().collect(), ..Layout::clone(&self.spec.layout) }
    }

    pub fn statement(&self) -> String {
        let format = if self.binary() { "binary" } else { "text" };
        let columns = self.columns();
        if !self.frozen() && !self.null_blocks {
            return format!("COPY {} ({}) TO STDOUT (FORMAT {format})", self.relation, column_list(&columns));
        }
        let value = |column: &String| {
            let column = quoted(column);
            match self.null_blocks {
                // Such a block is three bytes, of which this is the base64 form.
                true => format!(
                    "CASE WHEN pg_catalog.pg_column_size({column}) < 8 AND {column}::text = 'Bg==' THEN NULL ELSE {column} END"
                ),
                false => column,
            }
        };
        let columns: Vec<String> = columns.iter().map(value).collect();
        format!("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT {format})", columns.join(", "), self.relation)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Copy {
    /// The relation's OID on the source, by which it is the same relation in every snapshot.
    pub oid: u32,
    /// Its name there under the snapshot.
    pub source: Name,
    pub into: Into,
    pub form: Form,
    /// Named on both sides: their order and dropped columns may differ. None means that there
    /// is no column that could be named.
    pub columns: Arc<[String]>,
    /// Their types, so that a resume notices others.
    pub types: Arc<str>,
    pub binary: bool,
    /// `WHERE ...` of an extension's configuration table.
    pub condition: Option<String>,
    /// The rows are what this query gives.
    pub query: Option<String>,
    /// Ranges of columns that chunks are skipped by.
    #[serde(default)]
    pub ranges: Vec<serde_json::Value>,
    /// There are such columns.
    #[serde(default)]
    pub skipping: bool,
    /// A hypertable's own rows, which no query sees unless TimescaleDB is switched off.
    #[serde(default)]
    pub root: bool,
    pub kept: Kept,
    /// The snapshot that it is read under.
    #[serde(default)]
    pub snapshot: SnapshotId,
    /// Pages `[from, to)` of a large table's part; an open end takes all that follows.
    pub pages: Option<(i64, Option<i64>)>,
    /// What it locks on the source to read it; the relation itself is the first. Nothing can be
    /// locked of a tiered chunk, which is a foreign table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<SourceRelation>,
}

impl Copy {
    pub fn new(oid: u32, source: Name, into: Into, columns: &[Column]) -> Self {
        let sent: Vec<&Column> = columns.iter().filter(|c| !c.generated).collect();
        Copy {
            oid,
            source,
            into,
            form: Form::Rows,
            binary: sent.iter().all(|c| c.binary),
            columns: sent.iter().map(|c| c.name.clone()).collect(),
            types: sent.iter().map(|c| c.type_name.as_str()).collect::<Vec<_>>().join(",").into(),
            condition: None,
            query: None,
            ranges: Vec::new(),
            skipping: false,
            root: false,
            kept: Kept::Rows,
            snapshot: 0,
            pages: None,
            guards: Vec::new(),
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
        let own = checksum::table(&self.source, true, self.condition.as_deref());
        let own = format!("SELECT count(*) AS rows, {newer} AS newer FROM {own}");
        match (&self.kept, &self.query) {
            (Kept::Elsewhere, _) => {
                let tiered = matches!(self.into, Into::Routed { .. });
                format!("SELECT count(*), {} FROM {}", !tiered, checksum::table(&self.source, false, None))
            }
            (Kept::Rows, None) => own,
            (Kept::Rows, Some(query)) => {
                format!("SELECT (SELECT count(*) FROM {}), o.newer FROM ({own}) o", checksum::result(query))
            }
            (Kept::Compressed(batches), query) => {
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

    /// The relation whose batches a query decompresses on the source.
    pub fn decompressed(&self) -> Option<&Name> {
        match (&self.kept, &self.form) {
            (Kept::Compressed(batches), Form::Recompressed { .. } | Form::Queried { .. }) if self.query.is_none() => {
                Some(batches)
            }
            _ => None,
        }
    }

    /// Whether what the task brings becomes a compressed or frozen chunk only in the phase for that.
    pub fn is_attached_late(&self) -> bool {
        matches!(self.form, Form::Compressed(_) | Form::Recompressed { late: true, .. } | Form::Frozen)
    }

    /// Whether this task alone fills its relation, which it may then empty first.
    pub fn is_whole(&self) -> bool {
        self.pages.is_none() && self.condition.is_none()
    }

    /// The statement for the source. `COPY table TO` reads the table's own rows, never those
    /// of children, like ONLY.
    pub fn statement(&self) -> String {
        let format = if self.binary { "binary" } else { "text" };
        let columns = column_list(&self.columns);
        if let Some(query) = &self.query {
            return format!("COPY (SELECT {columns} FROM {}) TO STDOUT (FORMAT {format})", checksum::result(query));
        }
        let from = match (&self.pages, &self.condition) {
            // Only a query decompresses, or reads a frozen chunk in every version.
            _ if matches!(self.form, Form::Recompressed { .. } | Form::Queried { .. } | Form::Frozen) => {
                format!("(SELECT {columns} FROM {})", self.source)
            }
            _ if matches!(&self.form, Form::Compressed(c) if c.frozen()) => {
                format!("(SELECT {columns} FROM ONLY {})", self.source)
            }
            (None, None) if self.columns.is_empty() => self.source.to_string(),
            (None, None) => format!("{} ({columns})", self.source),
            (pages, condition) => {
                let mut query = format!("SELECT {columns} FROM ONLY {}", self.source);
                query.push_str(condition.as_deref().map(|c| format!(" {c}")).as_deref().unwrap_or_default());
                if let Some((from, to)) = pages {
                    query.push_str(&format!(" WHERE ctid >= '({from},0)'::pg_catalog.tid"));
                    if let Some(to) = to {
                        query.push_str(&format!(" AND ctid < '({to},0)'::pg_catalog.tid"));
                    }
                }
                format!("({query})")
            }
        };
        format!("COPY {from} TO STDOUT (FORMAT {format})")
    }

    pub fn method(&self) -> String {
        let format = if self.binary { "binary" } else { "text" };
        match (&self.form, self.pages) {
            (Form::Compressed(compressed), _) if compressed.binary() => "COPY binary, compressed".to_string(),
            (Form::Compressed(_), _) => "COPY text, compressed".to_string(),
            (Form::Recompressed { .. }, _) => format!("COPY {format}, compressed again"),
            (Form::Frozen, _) => format!("COPY {format}, frozen again"),
            (Form::Queried { .. }, _) if matches!(self.into, Into::Routed { .. }) => format!("COPY {format}, INSERT"),
            (Form::Queried { .. }, _) => format!("COPY {format} of a query"),
            (Form::Rows, Some(_)) => format!("COPY {format}, part of a large table"),
            (Form::Rows, None) => format!("COPY {format}"),
        }
    }

    /// Why the fastest way was not taken; empty if it was.
    pub fn note(&self) -> String {
        match &self.form {
            Form::Recompressed { reason, .. } | Form::Queried { reason } => reason.clone(),
            Form::Compressed(compressed) if compressed.binary() => String::new(),
            Form::Rows | Form::Frozen if self.binary => String::new(),
            _ => "text, because a column's binary form differs between servers".to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements() {
        let columns: Vec<Column> = serde_json::from_value(serde_json::json!([
            {"name": "a", "type": "int", "generated": false, "binary": true},
            {"name": "g", "type": "int", "generated": true, "binary": true},
        ]))
        .unwrap();
        let name = Name::new("public", "t");
        let mut copy = Copy::new(1, name.clone(), Into::Table(name), &columns);
        assert_eq!(copy.statement(), "COPY \"public\".\"t\" (\"a\") TO STDOUT (FORMAT binary)");
        copy.pages = Some((5, Some(9)));
        assert!(copy.statement().contains("WHERE ctid >= '(5,0)'::pg_catalog.tid AND ctid < '(9,0)'::pg_catalog.tid"));
        assert!(!copy.is_whole());
        copy.pages = None;
        copy.columns = [].into();
        copy.binary = false;
        assert_eq!(copy.statement(), "COPY \"public\".\"t\" TO STDOUT (FORMAT text)");
    }
}

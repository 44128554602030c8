//! The plan of a run: every task that a worker can take, in stages. Pure: from the inventory
//! and the options alone.

use super::inventory::{
    Collation, Column, CompressedChunk, CompressedColumn, Inventory, Layout, Relation, Server, Slices, Spec,
};
use super::name::{Name, column_list, literal, quoted};
use super::options::Options;
use super::{checksum, compression};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Stages that workers work on, in the order of a run. A stage begins when the one before it
/// has no open task left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// On a resume: whether what was copied is still what the source has.
    Recheck,
    Copy,
    /// Tiered rows, once all chunks are there that have a place of their own.
    Tiered,
    Index,
    Constraint,
    ForeignKey,
    /// Compressed relations become their chunks' own.
    Compression,
    /// Continuous aggregates are refreshed, each after those that it reads.
    Recompute,
    Analyze,
    Verify,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Stage::Recheck => "recheck",
            Stage::Copy => "copy",
            Stage::Tiered => "tiered",
            Stage::Index => "index",
            Stage::Constraint => "constraint",
            Stage::ForeignKey => "foreign_key",
            Stage::Compression => "compression",
            Stage::Recompute => "recompute",
            Stage::Analyze => "analyze",
            Stage::Verify => "verify",
        }
    }
}

/// Something one worker does in one go.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub stage: Stage,
    /// As its user would name it.
    pub object: String,
    /// Estimates of the source, for the order, the progress and the ETA.
    pub rows: i64,
    pub bytes: i64,
    pub work: Work,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
// Most tasks are copies: nothing is gained by keeping them elsewhere.
#[allow(clippy::large_enum_variant)]
pub enum Work {
    Copy(Copy),
    Sql(Sql),
    Attach(Attach),
    Recompute(Recompute),
    Recheck(Recheck),
    Verify(Verify),
}

impl Work {
    /// How many relations it works on.
    pub fn relations(&self) -> usize {
        match self {
            Work::Sql(sql) => sql.chunks.max(1),
            _ => 1,
        }
    }

    pub fn method(&self) -> String {
        match self {
            Work::Copy(copy) => copy.method(),
            Work::Sql(_) => "SQL".to_string(),
            Work::Attach(_) => "attach".to_string(),
            Work::Recompute(_) => "refresh_continuous_aggregate".to_string(),
            Work::Recheck(_) => "count".to_string(),
            Work::Verify(verify) if verify.checksum => "checksum".to_string(),
            Work::Verify(_) => "count".to_string(),
        }
    }
}

/// Where a copy's rows go.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Into {
    /// A table that is there by this name, or a hypertable's own root.
    Table(Name),
    /// A chunk of this hypertable with these slices; made by the task. `cagg`: the name is a
    /// continuous aggregate's, the hypertable the one that holds its rows.
    Chunk { hypertable: Name, cagg: bool, slices: Slices, tablespace: Option<String>, creation_time: Option<String> },
    /// Chunks of this hypertable that TimescaleDB finds or makes, row by row.
    Routed { hypertable: Name, cagg: bool },
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
    pub fn same_kind(&self, other: &Form) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
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
        // The bit of a frozen chunk, the same in every version (TimescaleDB's chunk.h).
        self.spec.status & 4 != 0
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
    pub source: Name,
    pub into: Into,
    pub form: Form,
    /// Named on both sides: their order and dropped columns may differ. None means that there
    /// is no column that could be named.
    pub columns: Arc<[String]>,
    pub binary: bool,
    /// `WHERE ...` of an extension's configuration table.
    pub condition: Option<String>,
    /// The rows are what this query gives.
    pub query: Option<String>,
    /// Ranges of columns that chunks are skipped by.
    #[serde(default)]
    pub ranges: Vec<serde_json::Value>,
    /// A hypertable's own rows, which no query sees unless TimescaleDB is switched off.
    #[serde(default)]
    pub root: bool,
    /// Evidence of the source's last change before the run's snapshot.
    #[serde(default)]
    pub seen: Option<String>,
    /// Pages `[from, to)` of a large table's part; an open end takes all that follows.
    pub pages: Option<(i64, Option<i64>)>,
    /// What it reads without the keeper having a lock on it; the relation itself is the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Name>,
}

impl Copy {
    fn new(source: Name, into: Into, columns: &[Column]) -> Self {
        let sent: Vec<&Column> = columns.iter().filter(|c| !c.generated).collect();
        Copy {
            source,
            into,
            form: Form::Rows,
            binary: sent.iter().all(|c| c.binary),
            columns: sent.iter().map(|c| c.name.clone()).collect(),
            condition: None,
            query: None,
            ranges: Vec::new(),
            root: false,
            seen: None,
            pages: None,
            guards: Vec::new(),
        }
    }

    /// The evidence of the last change of all that the task reads.
    pub fn evidence(&self, changes: &HashMap<Name, String>) -> Option<String> {
        let own = changes.get(&self.source)?;
        match &self.form {
            Form::Compressed(chunk) => Some(format!("{own} {}", changes.get(&chunk.relation)?)),
            _ => Some(own.clone()),
        }
    }

    /// Whether what the task brings becomes a compressed or frozen chunk only in the stage for that.
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

/// Statements for the target, in one transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sql {
    pub statements: Vec<String>,
    /// A foreign key that the source itself violates is made NOT VALID instead, with a warning.
    #[serde(default)]
    pub not_valid_instead: bool,
    /// How many chunks a batch works on.
    #[serde(default)]
    pub chunks: usize,
}

/// The end of a compressed chunk's way: what its copy task brought becomes a compressed chunk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attach {
    /// The copy task's id.
    pub copy: i32,
}

/// A refresh of a continuous aggregate over its whole range.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recompute {
    pub cagg: Name,
}

/// Why a finished copy is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doubt {
    /// The source's statistics show no change, but may have been reset: rows are counted.
    None,
    /// Something was written, or the chunk is compressed now and was not, or the other way round.
    Changed,
    /// The chunk is no longer on the source.
    Gone,
}

/// Whether finished copy tasks of a relation still hold what the source has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recheck {
    /// The ids of the copy tasks: several if the relation was copied in parts.
    pub copies: Vec<i32>,
    pub doubt: Doubt,
    /// What copies the relation as the source has it now.
    pub again: Vec<Task>,
}

/// A comparison of one relation on both sides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verify {
    pub source: Option<Name>,
    /// More than one where a tiered chunk's rows are in several.
    pub targets: Vec<Name>,
    /// All columns, generated ones included.
    pub columns: Vec<String>,
    pub condition: Option<String>,
    /// What gives the source's rows in place of the relation.
    pub query: Option<String>,
    /// As in [`Copy`].
    pub root: bool,
    /// A chunk, whose compressed rows are no rows of its own.
    pub chunk: bool,
    pub checksum: bool,
    /// The source's count where it is known already: what the copy was told by the source.
    pub source_rows: Option<i64>,
    /// As in [`Copy`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Name>,
}

pub fn task(stage: Stage, object: String, rows: i64, bytes: i64, work: Work) -> Task {
    Task { stage, object, rows, bytes, work }
}

/// Of one table. Whatever size the source says it has, the tasks for it fit into memory.
const MOST_PARTS: i64 = 100_000;

/// The parts of a table: page ranges of about `split` bytes each, by the table's whole size.
/// Its TOAST counts, so that a small heap with large values is split too.
fn parts(table: &Relation, split: i64) -> Vec<(i64, Option<i64>)> {
    let pages = i64::from(table.pages);
    let count = if split == 0 { 1 } else { (table.bytes / split).clamp(0, MOST_PARTS - 1) + 1 };
    let count = count.min(pages.max(1));
    let bound = |i: i64| pages * i / count;
    (0..count).map(|i| (bound(i), (i + 1 < count).then(|| bound(i + 1)))).collect()
}

/// What the plan has to know of the target.
pub struct Target {
    pub server: Server,
    pub collations: Vec<Collation>,
    /// Tablespaces that are kept and exist here; what is in others goes to the default.
    pub tablespaces: HashSet<String>,
}

/// The copy tasks of everything that the inventory lists. Chunks go to their tablespace where
/// it is among `tablespaces`, those that are kept and exist here.
pub fn copies(inventory: &Inventory, target: &Target, options: &Options) -> Vec<Task> {
    let mut tasks = Vec::new();
    for table in inventory.plain_tables() {
        let name = table.qualified();
        let mut copy = Copy::new(name.clone(), Into::Table(name.clone()), &table.columns);
        copy.condition = table.condition.clone();
        copy.guards = inventory.guards(&[(table.oid, name.clone())]);
        let parts = parts(table, options.split_bytes);
        if parts.len() == 1 || copy.condition.is_some() || copy.columns.is_empty() {
            tasks.push(task(Stage::Copy, name.shown(), table.rows, table.bytes, Work::Copy(copy)));
            continue;
        }
        let count = parts.len() as i64;
        for (i, pages) in parts.into_iter().enumerate() {
            let object = format!("{} part {} of {count}", name.shown(), i + 1);
            let part = Copy { pages: Some(pages), ..copy.clone() };
            tasks.push(task(Stage::Copy, object, table.rows / count, table.bytes / count, Work::Copy(part)));
        }
    }
    let compressed: HashMap<u32, &CompressedChunk> = inventory.compressed_chunks.iter().map(|c| (c.oid, c)).collect();
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
        let of_root = Copy::new(hypertable.qualified(), Into::Table(name.clone()), &root.columns);
        if hypertable.root_may_have_rows {
            let mut copy = Copy { root: true, ..of_root.clone() };
            copy.guards = inventory.guards(&[(hypertable.oid, hypertable.qualified())]);
            let object = format!("{} (its own rows)", name.shown());
            tasks.push(task(Stage::Copy, object, root.rows, root.bytes, Work::Copy(copy)));
        }
        for chunk in inventory.chunks_of(hypertable) {
            if chunk.osm {
                let into = Into::Routed { hypertable: name.clone(), cagg: hypertable.cagg.is_some() };
                let mut copy = Copy { source: chunk.qualified(), into, ..of_root.clone() };
                copy.form = Form::Queried { reason: "in tiered storage on the source".to_string() };
                let object = format!("{} of {}", chunk.qualified().shown(), name.shown());
                tasks.push(task(Stage::Tiered, object, 0, 0, Work::Copy(copy)));
                continue;
            }
            let into = Into::Chunk {
                hypertable: name.clone(),
                cagg: hypertable.cagg.is_some(),
                slices: chunk.slices.clone(),
                tablespace: chunk.tablespace.clone().filter(|name| target.tablespaces.contains(name)),
                creation_time: chunk.creation_time.clone(),
            };
            let mut copy = Copy { source: chunk.qualified(), into, ..of_root.clone() };
            copy.guards = inventory.guards(&read[&chunk.oid]);
            let (mut rows, mut bytes) = (chunk.rows, chunk.bytes);
            match (compressed.get(&chunk.oid), &chunk.query) {
                (Some(chunk), None) => {
                    copy.form = compression::form(chunk, inventory, target);
                    bytes = bytes.saturating_add(chunk.relation.as_ref().map_or(0, |r| r.bytes));
                    rows = rows.saturating_add(chunk.rows.unwrap_or(0));
                }
                (None, None) if chunk.frozen => copy.form = compression::frozen(target),
                _ => {}
            }
            copy.query = chunk.query.clone();
            // No write to a chunk that is not compressed corrects its ranges.
            if !matches!(copy.form, Form::Queried { .. }) {
                copy.ranges = ranges.get(&chunk.id).cloned().unwrap_or_default();
            }
            let object = format!("{} of {}", chunk.qualified().shown(), name.shown());
            tasks.push(task(Stage::Copy, object, rows, bytes, Work::Copy(copy)));
        }
    }
    tasks
}

/// One statement as a task.
pub fn sql(stage: Stage, object: String, bytes: i64, statements: Vec<String>) -> Task {
    let not_valid_instead = stage == Stage::ForeignKey;
    task(stage, object, 0, bytes, Work::Sql(Sql { statements, not_valid_instead, chunks: 0 }))
}

/// An expression for a hypertable here by the name it is known as: with `cagg` that of the
/// continuous aggregate whose rows it holds.
pub fn hypertable(name: &Name, cagg: bool) -> String {
    match cagg {
        true => materialization_hypertable(name),
        false => format!("{}::pg_catalog.regclass", literal(&name.to_string())),
    }
}

fn materialization_hypertable(view: &Name) -> String {
    format!("timescale_migrate.materialization_hypertable({}, {})", literal(&view.schema), literal(&view.name))
}

/// Which hypertables need compression enabled before their rows come: those of which a chunk is
/// compressed as soon as it is copied.
pub fn compressed_early(tasks: &[Task]) -> HashSet<Name> {
    let copies = tasks.iter().filter_map(|task| match &task.work {
        Work::Copy(copy) if matches!(copy.form, Form::Recompressed { late: false, .. }) => Some(&copy.into),
        _ => None,
    });
    let names = copies.filter_map(|into| match into {
        Into::Chunk { hypertable, .. } => Some(hypertable.clone()),
        Into::Table(_) | Into::Routed { .. } => None,
    });
    names.collect()
}

/// The indexes of continuous aggregates, each with the expression that makes it on the root and
/// is its OID.
pub fn cagg_indexes(inventory: &Inventory) -> Vec<(String, String)> {
    let indexes = inventory.caggs.iter().flat_map(|cagg| {
        cagg.indexes.iter().map(|spec| {
            let made = format!(
                "timescale_migrate.create_cagg_index({}, {}, {}, {}::pg_catalog.jsonb)",
                literal(&cagg.schema),
                literal(&cagg.name),
                literal(&cagg.relation.name),
                literal(&spec.to_string())
            );
            let name = spec.get("name").and_then(|name| name.as_str()).unwrap_or_default();
            (format!("INDEX {name} of {}", cagg.qualified().shown()), made)
        })
    });
    indexes.collect()
}

pub fn verify(object: String, rows: i64, bytes: i64, work: Verify) -> Task {
    task(Stage::Verify, object, rows, bytes, Work::Verify(work))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(pages: u32, bytes: i64) -> Relation {
        serde_json::from_value(serde_json::json!({
            "oid": 1, "schema": "public", "name": "t", "has_children": false, "row_security": false,
            "force_row_security": false, "owner": "o", "pages": pages, "bytes": bytes, "rows": 10,
            "columns": [
                {"name": "a", "type": "int", "generated": false, "binary": true},
                {"name": "g", "type": "int", "generated": true, "binary": true},
            ]
        }))
        .unwrap()
    }

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
            let parts = parts(&table(pages, bytes), split);
            assert!(parts.len() <= MOST_PARTS as usize);
            assert_eq!(parts[0].0, 0);
            assert_eq!(parts.last().unwrap().1, None);
            for pair in parts.windows(2) {
                assert_eq!(pair[0].1, Some(pair[1].0));
            }
        }
        // A small heap with a large TOAST is split by its whole size.
        assert_eq!(parts(&table(10, 10_000), 1_000).len(), 10);
    }

    #[test]
    fn statements() {
        let name = Name::new("public", "t");
        let mut copy = Copy::new(name.clone(), Into::Table(name), &table(1, 1).columns);
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

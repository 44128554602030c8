//! A relation's rows on their way: from where, to where, in which form.

use super::batches::Compressed;
use super::{Adopted, Buckets};
use crate::core::inventory::{Column, CompressedChunk, HYPERCORE, Slices, SourceRelation, Spec};
use crate::core::name::Name;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A row of `timescale_migrate.snapshot_log`; 0 stands for the first of this start.
pub type SnapshotId = i32;

/// Where a copy's rows go.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
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
        /// Properties that its hypertable does not have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        own: Option<serde_json::Value>,
    },
    /// Chunks of this hypertable that TimescaleDB finds or makes, row by row. `buckets`: the hypertable is made of the table
    /// that the rows come from, and holds no others.
    Routed {
        hypertable: Name,
        cagg: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        buckets: Option<Buckets>,
    },
}

impl Destination {
    /// The table that the rows belong to on the target; of chunks, what their hypertable is known as.
    pub fn table(&self) -> &Name {
        match self {
            Destination::Table(name) => name,
            Destination::Chunk { hypertable, .. } | Destination::Routed { hypertable, .. } => hypertable,
        }
    }

    /// As in `task_log.destination`.
    pub fn kind(&self) -> &'static str {
        match self {
            Destination::Table(_) => "table",
            Destination::Chunk { .. } => "chunk",
            Destination::Routed { .. } => "routed",
        }
    }

    /// Whether a hypertable is made of the table.
    pub fn is_converted(&self) -> bool {
        matches!(self, Destination::Routed { buckets: Some(_), .. })
    }

    /// Properties of a chunk that its hypertable does not have.
    pub fn own(&self) -> Option<&serde_json::Value> {
        match self {
            Destination::Chunk { own, .. } => own.as_ref(),
            Destination::Table(_) | Destination::Routed { .. } => None,
        }
    }
}

/// In which form a relation's rows travel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    Rows,
    /// Rows of a chunk that is frozen again when constraints are made.
    Frozen,
    /// Rows that only a query gives, of a chunk that is compressed, frozen or tiered on the
    /// source and cannot be so on the target.
    Queried {
        reason: String,
    },
    /// Its compressed relation as it is, then what rows it has besides.
    Compressed(Box<Compressed>),
    /// Decompressed by the source and compressed again on the target.
    /// `late`: only when constraints are made, which this target refuses on compressed chunks.
    Recompressed {
        reason: String,
        spec: Spec,
        late: bool,
    },
}

impl Recipe {
    /// As in `task_log.recipe`.
    pub fn name(&self) -> &'static str {
        match self {
            Recipe::Rows => "rows",
            Recipe::Frozen => "frozen",
            Recipe::Queried { .. } => "queried",
            Recipe::Compressed(_) => "compressed",
            Recipe::Recompressed { late: false, .. } => "recompressed",
            Recipe::Recompressed { late: true, .. } => "recompressed_late",
        }
    }

    /// Whether both are the same variant, whatever they hold.
    pub fn same_kind(&self, other: &Recipe) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// Where the rows lie that a relation's name stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowStorage {
    /// In itself.
    Heap,
    /// In itself and, in batches, in this one.
    Compressed(Name),
    /// Where nothing is known of them but by a query: in tiered storage, or in an access method of
    /// its own.
    External,
}

impl RowStorage {
    /// Of a chunk, which may be a compressed one.
    pub fn of(compressed: Option<&CompressedChunk>) -> RowStorage {
        match compressed {
            None => RowStorage::Heap,
            Some(CompressedChunk { relation: Some(relation), access_method, .. })
                if access_method.as_deref() != Some(HYPERCORE) =>
            {
                RowStorage::Compressed(Name::new(&relation.schema, &relation.name))
            }
            Some(_) => RowStorage::External,
        }
    }

    /// The relation whose batches reading the rows decompresses, unless `query` gives them.
    pub fn batches(&self, query: Option<&str>) -> Option<&Name> {
        match self {
            RowStorage::Compressed(batches) if query.is_none() => Some(batches),
            _ => None,
        }
    }
}

/// The rows of a relation on the source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceRows {
    /// By its OID it is the same relation in every snapshot.
    pub oid: u32,
    /// Its name under the snapshot.
    pub name: Name,
    pub storage: RowStorage,
    /// The rows are what this query gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A hypertable's own rows, which no query sees unless TimescaleDB is switched off.
    #[serde(default)]
    pub root: bool,
    /// What is locked to read them; the relation itself is the first. Nothing can be locked of a
    /// tiered chunk, which is a foreign table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<SourceRelation>,
}

/// Which of a relation's rows are copied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    All,
    /// Pages `[from, to)`, a part of a large table; an open end takes all that follows.
    Pages(i64, Option<i64>),
    /// `WHERE ...` of an extension's configuration table.
    Condition(String),
}

/// A relation's rows, copied from the source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CopyTask {
    pub source: SourceRows,
    pub destination: Destination,
    pub recipe: Recipe,
    pub filter: Filter,
    /// No other task fills the relation on the target, which this one may therefore empty first.
    pub owns_relation: bool,
    /// Named on both sides: their order and dropped columns may differ. None means that there
    /// is no column that could be named.
    pub columns: Arc<[String]>,
    /// Their types, so that a resume notices others.
    pub types: Arc<[String]>,
    /// The first column, with its type, whose binary form may differ between servers: rows with one travel
    /// as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_column: Option<String>,
    /// Ranges of columns that chunks are skipped by.
    #[serde(default)]
    pub ranges: Vec<serde_json::Value>,
    /// There are such columns.
    #[serde(default)]
    pub skipping: bool,
    /// The snapshot that it is read under.
    #[serde(default)]
    pub snapshot: SnapshotId,
    /// The relation on the target is not the run's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Adopted>,
}

impl CopyTask {
    /// All rows of an ordinary table or chunk.
    pub fn new(oid: u32, name: Name, destination: Destination, columns: &[Column]) -> Self {
        let sent: Vec<&Column> = columns.iter().filter(|c| !c.generated).collect();
        let storage = RowStorage::Heap;
        CopyTask {
            source: SourceRows { oid, name, storage, query: None, root: false, guards: Vec::new() },
            destination,
            recipe: Recipe::Rows,
            filter: Filter::All,
            owns_relation: true,
            text_column: sent.iter().find(|c| !c.binary).map(|c| format!("{} ({})", c.name, c.type_name)),
            columns: sent.iter().map(|c| c.name.clone()).collect(),
            types: sent.iter().map(|c| c.type_name.clone()).collect(),
            ranges: Vec::new(),
            skipping: false,
            snapshot: 0,
            adopted: None,
        }
    }

    /// With a filter, other tasks or the extension itself may fill the relation, too.
    pub fn only(self, filter: Filter) -> Self {
        CopyTask { owns_relation: filter == Filter::All, filter, ..self }
    }

    /// The relation of the source that it is a part of: what is copied of that is compared, taken back and copied again as
    /// one. Mostly the one that it reads.
    pub fn whole(&self) -> u32 {
        match &self.destination {
            Destination::Routed { buckets: Some(buckets), .. } => buckets.table,
            _ => self.source.oid,
        }
    }

    /// The relation whose batches a query decompresses on the source.
    pub fn decompressed(&self) -> Option<&Name> {
        let queried = matches!(self.recipe, Recipe::Recompressed { .. } | Recipe::Queried { .. });
        self.source.storage.batches(self.source.query.as_deref()).filter(|_| queried)
    }

    /// Whether what the task brings becomes a compressed or frozen chunk only in the phase for that.
    pub fn is_attached_late(&self) -> bool {
        matches!(self.recipe, Recipe::Compressed(_) | Recipe::Recompressed { late: true, .. } | Recipe::Frozen)
    }

    /// Whether its rows travel in binary form.
    pub fn binary(&self) -> bool {
        self.text_column.is_none()
    }

    /// Whether it can share its transactions with other tasks: nothing is looked at between its
    /// statements, as the checksum of compressed rows has to be.
    pub fn can_share(&self, checksum: bool) -> bool {
        matches!(self.recipe, Recipe::Rows | Recipe::Frozen | Recipe::Compressed(_))
            && !matches!(self.destination, Destination::Routed { .. })
            && self.source.query.is_none()
            && !self.source.root
            && !self.source.guards.is_empty()
            && (!checksum || self.source.storage == RowStorage::Heap)
    }

    /// How the rows travel, as users see it in the column `method`.
    pub fn method(&self) -> String {
        let format = if self.binary() { "binary" } else { "text" };
        match (&self.recipe, &self.filter) {
            _ if self.destination.is_converted() => format!("COPY {format}, into its chunks"),
            _ if matches!(self.destination, Destination::Routed { .. }) => format!("COPY {format}, INSERT"),
            (Recipe::Compressed(compressed), _) if compressed.binary() => "COPY binary, compressed".to_string(),
            (Recipe::Compressed(_), _) => "COPY text, compressed".to_string(),
            (Recipe::Recompressed { .. }, _) => format!("COPY {format}, compressed again"),
            (Recipe::Frozen, _) => format!("COPY {format}, frozen again"),
            (Recipe::Queried { .. }, _) => format!("COPY {format} of a query"),
            (Recipe::Rows, Filter::Pages(..)) => format!("COPY {format}, part of a large table"),
            (Recipe::Rows, _) => format!("COPY {format}"),
        }
    }

    /// Why the fastest way was not taken; empty if it was.
    pub fn note(&self) -> String {
        let column = match &self.recipe {
            Recipe::Recompressed { reason, .. } | Recipe::Queried { reason } => return reason.clone(),
            Recipe::Compressed(compressed) => compressed.text_column(),
            Recipe::Rows | Recipe::Frozen => self.text_column.as_deref(),
        };
        column.map_or(String::new(), |column| {
            format!("text, because the binary form of column {column} may differ between servers")
        })
    }
}

//! Hypertables and their chunks.

use crate::core::name::Name;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A column that chunks are made by.
#[derive(Clone, Debug, Deserialize)]
pub struct Dimension {
    pub column: String,
    #[serde(default)]
    pub(super) partitioning_func_schema: Option<String>,
    #[serde(default)]
    pub partitioning_func: Option<String>,
    #[serde(default)]
    pub(super) integer_now_func_schema: Option<String>,
    #[serde(default)]
    pub(super) integer_now_func: Option<String>,
}

/// `hypertables.sql`. The whole object, as JSON, is what `timescale_migrate.create_hypertable`
/// takes; only what the plan needs is read here.
#[derive(Clone, Debug, Deserialize)]
pub struct Hypertable {
    pub id: i32,
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// The continuous aggregate whose rows it holds; it is made with that, under another name.
    pub cagg: Option<Name>,
    pub root_may_have_rows: bool,
    pub access_method: Option<String>,
    pub tablespaces: Vec<String>,
    pub dimensions: Vec<Dimension>,
    /// It is none on the source, but an ordinary or a partitioned table; or it has other chunks there.
    #[serde(skip)]
    pub converted: bool,
    /// Then the ordinary tables whose rows it gets, by OID: itself, or its partitions. None if it gets those of chunks.
    #[serde(skip)]
    pub tables: Vec<u32>,
    /// Indexes that it gets besides those of the source, by their columns.
    #[serde(skip)]
    pub indexes: Vec<Vec<String>>,
    /// Its chunks that are older than this interval are compressed as well.
    #[serde(skip)]
    pub compress_after: Option<String>,
    #[serde(skip)]
    pub spec: serde_json::Value,
}

impl Hypertable {
    /// One that the source does not have, of a table there.
    pub fn new(id: i32, oid: u32, name: &Name, tablespaces: Vec<String>, spec: serde_json::Value) -> Hypertable {
        let column = |dimension: &serde_json::Value| Dimension {
            column: dimension["column"].as_str().unwrap_or_default().to_string(),
            partitioning_func_schema: None,
            partitioning_func: None,
            integer_now_func_schema: None,
            integer_now_func: None,
        };
        Hypertable {
            id,
            oid,
            schema: name.schema.clone(),
            name: name.name.clone(),
            cagg: None,
            root_may_have_rows: false,
            access_method: None,
            tablespaces,
            dimensions: spec["dimensions"].as_array().into_iter().flatten().map(column).collect(),
            converted: true,
            tables: vec![oid],
            indexes: Vec::new(),
            compress_after: None,
            spec,
        }
    }

    /// Whether it is an ordinary or a partitioned table on the source, or has other chunks there.
    pub fn is_converted(&self) -> bool {
        self.converted
    }

    /// With its schema.
    pub fn qualified(&self) -> Name {
        Name::new(&self.schema, &self.name)
    }

    /// What messages call it when it is made.
    pub fn made_as(&self) -> String {
        format!("HYPERTABLE {}", self.qualified().shown())
    }

    /// The name by which it is the same on both sides: its own, or its continuous aggregate's.
    pub fn known_as(&self) -> Name {
        self.cagg.clone().unwrap_or_else(|| self.qualified())
    }
}

/// A chunk's slices: per dimension's column the range `[start, end)` in TimescaleDB's
/// internal 64-bit form.
pub type Slices = BTreeMap<String, [i64; 2]>;

/// `chunks.sql`
#[derive(Clone, Debug, Deserialize)]
pub struct Chunk {
    pub id: i32,
    pub oid: u32,
    pub hypertable_id: i32,
    pub schema: String,
    pub name: String,
    pub slices: Slices,
    pub frozen: bool,
    /// A foreign table, whose rows are in tiered storage. Its slices need not be where they lie.
    pub osm: bool,
    /// What gives its rows where they are not the chunk's own, as for old continuous aggregates.
    pub query: Option<String>,
    /// `query` gives only some of its rows.
    #[serde(skip)]
    pub cut: bool,
    pub creation_time: Option<String>,
    pub tablespace: Option<String>,
    /// Properties that its hypertable does not have.
    #[serde(default)]
    pub own: Option<serde_json::Value>,
}

impl Chunk {
    /// With its schema.
    pub fn qualified(&self) -> Name {
        Name::new(&self.schema, &self.name)
    }
}

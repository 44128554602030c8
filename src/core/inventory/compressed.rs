//! Compression: hypertables that have it enabled, and compressed chunks.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// `collations.sql`: two of the same content sort alike, unless the version is unknown.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Collation {
    pub name: String,
    pub provider: String,
    pub locale: Option<String>,
    pub version: Option<String>,
}

impl fmt::Display for Collation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // pg_collation.collprovider
        let provider = match self.provider.as_str() {
            "c" => "libc",
            "i" => "icu",
            _ => "builtin",
        };
        write!(f, "{provider} {}", self.locale.as_deref().unwrap_or_default())?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, " ({version})"))
    }
}

/// `compression.sql`: what `timescale_migrate.enable_compression` takes for a hypertable.
#[derive(Clone, Debug, Deserialize)]
pub struct Compression {
    pub hypertable_id: i32,
    #[serde(skip)]
    pub spec: serde_json::Value,
}

/// `compressed_chunks.sql`: a chunk and the relation that holds its compressed rows.
#[derive(Clone, Debug, Deserialize)]
pub struct CompressedChunk {
    pub oid: u32,
    pub access_method: Option<String>,
    /// Rows that are, if known.
    pub rows: Option<i64>,
    pub relation: Option<CompressedRelation>,
    #[serde(flatten)]
    pub spec: Spec,
}

/// How a chunk is compressed: what `timescale_migrate.attach_compressed` takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub status: i32,
    /// A row of `compression_chunk_size`, JSON.
    pub sizes: Option<Arc<str>>,
    #[serde(flatten)]
    pub layout: Arc<Layout>,
}

/// What is the same for most chunks of a hypertable. They share it: ten thousand of their own
/// would be too large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    pub settings: serde_json::Value,
    pub missing: Vec<Missing>,
    pub unportable: Vec<Unportable>,
    pub has_uuid: bool,
    pub collations: Vec<String>,
    /// Of the compressed relation, as the rest.
    pub columns: Vec<CompressedColumn>,
    pub reloptions: Vec<String>,
    pub indexes: Vec<serde_json::Value>,
}

/// The default of a column that was added later; batches from before hold NULL for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Missing {
    pub column: String,
    /// As in `pg_attribute.attmissingval`: an array of one.
    pub value: String,
}

/// A column whose compressed values mean something on one server only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unportable {
    pub column: String,
    #[serde(rename = "type")]
    pub type_name: String,
}

/// The table that holds a chunk's compressed rows.
#[derive(Clone, Debug, Deserialize)]
pub struct CompressedRelation {
    pub oid: u32,
    pub schema: String,
    pub name: String,
}

/// A column of the table that holds compressed rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompressedColumn {
    pub name: String,
    pub kind: String,
    pub binary: bool,
    #[serde(flatten)]
    pub definition: serde_json::Map<String, serde_json::Value>,
}

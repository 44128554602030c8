//! What a database holds, as `sql/inventory/*.sql` reports it: the same types for the source
//! and, where the two are compared, for the target.

mod cagg;
mod compressed;
mod hypertable;
mod keys;
mod schema;
mod selection;
mod server;
mod time_range;

pub use cagg::Cagg;
#[cfg(test)]
pub use compressed::Unportable;
pub use compressed::{Collation, CompressedChunk, CompressedColumn, Compression, Layout, Spec};
pub use hypertable::{Chunk, Hypertable, Slices};
pub use keys::Key;
pub use schema::{ForeignKey, Matview, Partitioned, Sequence};
pub use selection::{Object, Selection};
pub use server::{Server, Timescaledb};
pub use time_range::TimeRange;

use super::digest::{Digests, md5};
use super::name::Name;
use super::progress::counted;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// A column of a table, in its order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub type_name: String,
    pub generated: bool,
    /// If it is not its type's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// Its binary form means the same on every server.
    pub binary: bool,
}

/// A relation of the source: its OID, and the name that it had under the snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceRelation {
    pub oid: u32,
    pub name: Name,
}

/// `relations.sql`: a table whose own rows are copied.
#[derive(Clone, Debug, Deserialize)]
pub struct Relation {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// Not read of a materialization hypertable.
    pub owner: Option<String>,
    /// An extension's condition on which rows of its table are the user's.
    #[serde(rename = "where")]
    pub condition: Option<String>,
    pub columns: Vec<Column>,
}

impl Relation {
    /// With its schema.
    pub fn qualified(&self) -> Name {
        Name::new(&self.schema, &self.name)
    }

    /// What reading it has to lock.
    pub fn guards(&self) -> Vec<SourceRelation> {
        vec![SourceRelation { oid: self.oid, name: self.qualified() }]
    }
}

/// `sizes.sql`: pages of the table alone, bytes with those of its TOAST, and about how many rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Size {
    pub pages: u32,
    pub bytes: i64,
    pub rows: i64,
}

/// `chunk_column_stats.sql`: a column that chunks are skipped by. Its ranges are what
/// `timescale_migrate.set_chunk_ranges` takes.
#[derive(Clone, Debug, Deserialize)]
pub struct Skipping {
    pub hypertable_id: i32,
    pub column: String,
    pub chunks: Vec<serde_json::Value>,
}

/// An object by its catalog and OID; those of `excluded.sql` the schema must be made without.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct Excluded {
    pub class_oid: u32,
    pub oid: u32,
}

/// What a database holds, as read at one time.
#[derive(Clone, Debug)]
pub struct Inventory {
    pub server: Server,
    pub relations: Vec<Relation>,
    pub hypertables: Vec<Hypertable>,
    pub chunks: Vec<Chunk>,
    pub caggs: Vec<Cagg>,
    pub compressions: Vec<Compression>,
    pub compressed_chunks: Vec<CompressedChunk>,
    pub jobs: Vec<serde_json::Value>,
    /// `cagg_ranges.sql`, for `timescale_migrate.set_cagg_state`.
    pub cagg_ranges: Vec<serde_json::Value>,
    pub skipping: Vec<Skipping>,
    pub collations: Vec<Collation>,
    pub sequences: Vec<Sequence>,
    pub matviews: Vec<Matview>,
    pub foreign_keys: Vec<ForeignKey>,
    pub keys: Vec<Key>,
    /// Unique keys and indexes that get further columns on the target.
    pub extended: HashMap<Object, Vec<String>>,
    /// Read only for tables that become hypertables.
    pub partitioned: Vec<Partitioned>,
    /// Tables that inherit from a hypertable without being its chunks.
    pub children: Vec<Excluded>,
    pub excluded: Vec<Excluded>,
    /// What of all that is asked for.
    pub selection: Selection,
    /// By OID.
    pub sizes: HashMap<u32, Size>,
}

/// What begins the name of a continuous aggregate's query, without which its rows mean nothing.
pub const QUERY_OF: &str = "query of ";
/// The bit of a frozen chunk's status, the same in every version (TimescaleDB's chunk.h).
pub const FROZEN: i32 = 4;
/// The extension that keeps tiered chunks; no server but its vendor's has it.
pub const OSM: &str = "timescaledb_osm";
/// The access method of chunks that read their compressed relation by themselves, in TimescaleDB
/// 2.18 to 2.21.
pub const HYPERCORE: &str = "hypercore";
/// OID of the catalog `pg_class`, fixed in every PostgreSQL (catalog/pg_class.h).
pub const PG_CLASS: u32 = 1259;
/// The same of `pg_proc`.
pub const PG_PROC: u32 = 1255;
/// The same of `pg_constraint`.
pub const PG_CONSTRAINT: u32 = 2606;
/// The same of `pg_extension`.
pub const PG_EXTENSION: u32 = 3079;

impl Inventory {
    /// Of a server of which nothing more is known yet.
    pub fn new(server: Server) -> Inventory {
        Inventory {
            server,
            relations: Vec::new(),
            hypertables: Vec::new(),
            chunks: Vec::new(),
            caggs: Vec::new(),
            compressions: Vec::new(),
            compressed_chunks: Vec::new(),
            jobs: Vec::new(),
            cagg_ranges: Vec::new(),
            skipping: Vec::new(),
            collations: Vec::new(),
            sequences: Vec::new(),
            matviews: Vec::new(),
            foreign_keys: Vec::new(),
            keys: Vec::new(),
            extended: HashMap::new(),
            partitioned: Vec::new(),
            children: Vec::new(),
            excluded: Vec::new(),
            selection: Selection::default(),
            sizes: HashMap::new(),
        }
    }

    /// Tables that are neither hypertables nor TimescaleDB's own.
    pub fn plain_tables(&self) -> impl Iterator<Item = &Relation> {
        let left_out: HashSet<u32> = self
            .hypertables
            .iter()
            .map(|h| h.oid)
            .chain(self.excluded.iter().filter(|e| e.class_oid == PG_CLASS).map(|e| e.oid))
            .collect();
        self.relations.iter().filter(move |r| !left_out.contains(&r.oid))
    }

    /// Those of them whose rows are copied.
    pub fn filled_tables(&self) -> impl Iterator<Item = &Relation> {
        self.plain_tables().filter(|table| !self.selection.is_empty(table.oid))
    }

    /// How much it is, for people: what they have made, and the chunks of both kinds of hypertables.
    pub fn summed_up(&self) -> String {
        let caggs = self.hypertables.iter().filter(|h| h.cagg.is_some()).count();
        let mut parts = vec![
            counted(self.plain_tables().count(), "table"),
            counted(self.hypertables.len() - caggs, "hypertable"),
            counted(self.chunks.len(), "chunk"),
        ];
        if caggs > 0 {
            parts.insert(2, counted(caggs, "continuous aggregate"));
        }
        parts.join(", ")
    }

    /// The columns of a hypertable, which are those of its chunks by name.
    pub fn root(&self, hypertable: &Hypertable) -> Option<&Relation> {
        let caggs = self.caggs.iter().map(|cagg| &cagg.relation);
        self.relations.iter().chain(caggs).find(|r| r.oid == hypertable.oid)
    }

    /// By the name of what the schema does not make from a dump, the MD5 of what it is made with.
    pub fn digests(&self) -> Digests {
        let digest = |parts: &[&serde_json::Value]| md5(&serde_json::json!(parts).to_string());
        let hypertables = self.hypertables.iter().filter(|hypertable| hypertable.cagg.is_none()).map(|hypertable| {
            let fields = ["dimensions", "tablespaces", "associated_schema_name", "associated_table_prefix"];
            (hypertable.made_as(), digest(&fields.map(|field| &hypertable.spec[field])))
        });
        let caggs = self.caggs.iter().flat_map(|cagg| {
            let fields = ["owner", "materialized_only", "chunk_interval", "keys", "options", "own", "indexes"];
            let query = (format!("{QUERY_OF}{}", cagg.made_as()), digest(&[&cagg.spec["definition"]]));
            [query, (cagg.made_as(), digest(&fields.map(|field| &cagg.spec[field])))]
        });
        hypertables.chain(caggs).collect()
    }

    /// What the rows of a hypertable that is not the source's come from, if not from one table: each part's OID and name, and
    /// what is locked to read it.
    pub fn parts(&self, hypertable: &Hypertable) -> Option<Vec<(u32, Name, Vec<SourceRelation>)>> {
        if !hypertable.is_converted() || hypertable.tables == [hypertable.oid] {
            return None;
        }
        let tables = self.relations.iter().filter(|table| hypertable.tables.contains(&table.oid));
        let tables = tables.map(|table| (table.oid, table.qualified(), table.guards()));
        let read = self.of_chunks();
        let chunks = self.chunks_of(hypertable).map(|chunk| (chunk.oid, chunk.qualified(), read[&chunk.oid].clone()));
        Some(tables.chain(chunks).collect())
    }

    /// Of a table by its OID; nothing if it is empty, or unknown.
    pub fn size(&self, oid: u32) -> Size {
        self.sizes.get(&oid).copied().unwrap_or_default()
    }

    /// Of a chunk with its compressed rows.
    pub fn chunk_size(&self, oid: u32, compressed: Option<&CompressedChunk>) -> Size {
        let mut size = self.size(oid);
        if let Some(chunk) = compressed {
            let relation = chunk.relation.as_ref().map_or(0, |relation| self.size(relation.oid).bytes);
            size.bytes = size.bytes.saturating_add(relation);
            size.rows = size.rows.saturating_add(chunk.rows.unwrap_or(0));
        }
        size
    }

    /// The chunks of a hypertable, tiered ones included.
    pub fn chunks_of(&self, hypertable: &Hypertable) -> impl Iterator<Item = &Chunk> + Clone {
        self.chunks.iter().filter(|chunk| chunk.hypertable_id == hypertable.id)
    }

    /// Tables that are no chunks: hypertables' roots, too.
    pub fn tables(&self) -> impl Iterator<Item = &Relation> {
        let chunks: HashSet<u32> = self.chunks.iter().map(|c| c.oid).collect();
        self.relations.iter().filter(move |r| !chunks.contains(&r.oid))
    }

    /// The compressed ones among the chunks, by the chunk's OID.
    pub fn compressed(&self) -> HashMap<u32, &CompressedChunk> {
        self.compressed_chunks.iter().map(|chunk| (chunk.oid, chunk)).collect()
    }

    /// What is read of each chunk, by its OID: itself, and what holds its compressed rows.
    /// Nothing of a tiered one, which is a foreign table and cannot be locked.
    pub fn of_chunks(&self) -> HashMap<u32, Vec<SourceRelation>> {
        let own =
            |chunk: &Chunk| Some(SourceRelation { oid: chunk.oid, name: chunk.qualified() }).filter(|_| !chunk.osm);
        let mut all: HashMap<_, _> =
            self.chunks.iter().map(|c| (c.oid, own(c).into_iter().collect::<Vec<_>>())).collect();
        for chunk in &self.compressed_chunks {
            if let (Some(read), Some(relation)) = (all.get_mut(&chunk.oid), &chunk.relation) {
                let name = Name::new(&relation.schema, &relation.name);
                read.push(SourceRelation { oid: relation.oid, name });
            }
        }
        all
    }
}

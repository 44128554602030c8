//! What a database holds, as `sql/inventory/*.sql` reports it: the same types for the source
//! and, where the two are compared, for the target.

use super::name::Name;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// `server.sql`
#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    pub version: String,
    pub version_num: i32,
    pub system_identifier: Option<String>,
    pub database: String,
    pub database_oid: u32,
    pub encoding: String,
    pub collate: String,
    pub ctype: String,
    pub locale_provider: String,
    pub locale: Option<String>,
    pub user: String,
    pub superuser: bool,
    pub max_connections: i64,
    pub max_worker_processes: i64,
    pub max_locks_per_transaction: i64,
    pub max_prepared_transactions: i64,
    pub timescaledb: Option<Timescaledb>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Timescaledb {
    pub version: String,
    pub schema: String,
    pub restoring: bool,
    pub catalog: Catalog,
}

/// The version-dependent shapes of TimescaleDB's catalog that queries are chosen by.
#[derive(Clone, Debug, Deserialize)]
pub struct Catalog {
    pub compress_relid: bool,
    pub chunk_column_stats: bool,
}

impl Server {
    pub fn major(&self) -> i32 {
        self.version_num / 10000
    }

    /// Locks that the server's lock table is made for; the documented formula of
    /// `max_locks_per_transaction`.
    pub fn lock_capacity(&self) -> i64 {
        self.max_locks_per_transaction * (self.max_connections + self.max_prepared_transactions)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub type_name: String,
    pub generated: bool,
    /// Its binary form means the same on every server.
    pub binary: bool,
}

/// `relations.sql`: a table whose own rows are copied.
#[derive(Clone, Debug, Deserialize)]
pub struct Relation {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// An extension's condition on which rows of its table are the user's.
    #[serde(rename = "where")]
    pub condition: Option<String>,
    pub pages: i64,
    pub bytes: i64,
    pub rows: i64,
    pub columns: Vec<Column>,
}

impl Relation {
    pub fn qualified(&self) -> Name {
        Name::new(&self.schema, &self.name)
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct Dimension {
    pub column: String,
}

/// `hypertables.sql`. The whole object, as JSON, is what `timescale_migrate.create_hypertable`
/// takes; only what the plan needs is read here.
#[derive(Clone, Debug, Deserialize)]
pub struct Hypertable {
    pub id: i32,
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub root_may_have_rows: bool,
    pub tablespaces: Vec<String>,
    pub dimensions: Vec<Dimension>,
    #[serde(skip)]
    pub spec: String,
}

impl Hypertable {
    pub fn qualified(&self) -> Name {
        Name::new(&self.schema, &self.name)
    }
}

/// A chunk's slices: per dimension's column the range `[start, end)` in TimescaleDB's
/// internal 64-bit form.
pub type Slices = BTreeMap<String, [i64; 2]>;

/// `chunks.sql`
#[derive(Clone, Debug, Deserialize)]
pub struct Chunk {
    pub oid: u32,
    pub hypertable_id: i32,
    pub schema: String,
    pub name: String,
    pub slices: Slices,
    pub creation_time: Option<String>,
    pub tablespace: Option<String>,
    pub bytes: i64,
    pub rows: i64,
}

impl Chunk {
    pub fn qualified(&self) -> Name {
        Name::new(&self.schema, &self.name)
    }
}

/// `sequences.sql`, `matviews.sql`
#[derive(Clone, Debug, Deserialize)]
pub struct Sequence {
    pub schema: String,
    pub name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Matview {
    pub oid: u32,
    pub populated: bool,
}

/// `excluded.sql`: an object that the schema must be made without.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct Excluded {
    pub class_oid: u32,
    pub oid: u32,
}

#[derive(Clone, Debug)]
pub struct Inventory {
    pub server: Server,
    pub relations: Vec<Relation>,
    pub hypertables: Vec<Hypertable>,
    pub chunks: Vec<Chunk>,
    pub sequences: Vec<Sequence>,
    pub matviews: Vec<Matview>,
    pub excluded: Vec<Excluded>,
}

/// OID of the catalog `pg_class`, fixed in every PostgreSQL (catalog/pg_class.h).
pub const PG_CLASS: u32 = 1259;

impl Inventory {
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

    /// The columns of a hypertable, which are those of its chunks by name.
    pub fn root(&self, hypertable: &Hypertable) -> Option<&Relation> {
        self.relations.iter().find(|r| r.oid == hypertable.oid)
    }

    /// What must be the same before and after the snapshot was taken: every relation that is
    /// read. A difference means that something was made, dropped or compressed in between.
    pub fn fingerprint(&self) -> Vec<u32> {
        let mut oids: Vec<u32> =
            self.relations.iter().map(|r| r.oid).chain(self.chunks.iter().map(|c| c.oid)).collect();
        oids.sort_unstable();
        oids
    }
}

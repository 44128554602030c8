//! A server, its database and what TimescaleDB is there.

use serde::Deserialize;

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
    pub user: String,
    pub superuser: bool,
    pub max_connections: i32,
    pub max_worker_processes: i32,
    pub max_locks_per_transaction: i32,
    pub max_prepared_transactions: i32,
    /// What a session has by default.
    #[serde(default)]
    pub defaults: Defaults,
    pub timescaledb: Option<Timescaledb>,
}

/// What the text form of a time, and the day that it is in, depend on.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Defaults {
    pub timezone: String,
    pub datestyle: String,
    pub intervalstyle: String,
}

/// The TimescaleDB that is installed in the database.
#[derive(Clone, Debug, Deserialize)]
pub struct Timescaledb {
    pub version: String,
    pub schema: String,
    /// The Community edition's functions can be used.
    pub tsl: bool,
    pub restoring: bool,
    /// The schema of its internal functions.
    pub functions_schema: String,
    pub catalog: Catalog,
}

/// The version-dependent shapes of TimescaleDB's catalog that queries are chosen by.
#[derive(Clone, Debug, Deserialize)]
pub struct Catalog {
    pub compress_relid: bool,
    pub compression_settings: bool,
    #[serde(default)]
    pub materialization_ranges: bool,
    pub chunk_column_stats: bool,
}

impl Timescaledb {
    /// As messages call it.
    pub fn edition(&self) -> &'static str {
        if self.tsl { "Community" } else { "Apache" }
    }
}

impl Server {
    /// Whether TimescaleDB's Community edition is in use.
    pub fn community(&self) -> bool {
        self.timescaledb.as_ref().is_some_and(|t| t.tsl)
    }

    /// Locks that the server's lock table is made for; the documented formula of
    /// `max_locks_per_transaction`.
    pub fn lock_capacity(&self) -> i64 {
        i64::from(self.max_locks_per_transaction) * self.lock_holders()
    }

    /// What each counts `max_locks_per_transaction` once.
    pub fn lock_holders(&self) -> i64 {
        i64::from(self.max_connections) + i64::from(self.max_prepared_transactions)
    }

    /// Locks that one of so many workers may take: all together half of the lock table.
    pub fn lock_share(&self, jobs: u16) -> i64 {
        (self.lock_capacity() / 2 / i64::from(jobs)).max(1)
    }
}

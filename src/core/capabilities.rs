//! What versions of PostgreSQL and TimescaleDB can do. No other file compares versions. The shape of
//! TimescaleDB's catalog is asked of the catalog itself (`sql/inventory/server.sql`), and whether a
//! setting exists, of the server (`settings.rs`). What differs between PostgreSQL's headers is in `pg/`.

use super::inventory::{Server, Timescaledb};

/// The oldest major version of PostgreSQL that a run reads from.
const OLDEST_SOURCE: i32 = 13;
/// Before it, the catalog has another shape than the inventory knows.
const OLDEST_TIMESCALEDB_SOURCE: Version = (2, 11, 0);
/// Before it, chunks and aggregates are made in other ways than the functions of this extension
/// know.
const OLDEST_TIMESCALEDB_TARGET: Version = (2, 19, 0);

/// For instance (2, 29, 2).
type Version = (u32, u32, u32);

impl Timescaledb {
    /// A development version counts as its release.
    fn numbers(&self) -> Version {
        let mut parts = self.version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        (next(), next(), next())
    }

    /// Whether a run can read from this version.
    pub fn is_known_source(&self) -> bool {
        self.numbers() >= OLDEST_TIMESCALEDB_SOURCE
    }

    /// Whether this version may store what the other one does not know.
    pub fn is_newer_than(&self, other: &Timescaledb) -> bool {
        self.numbers() > other.numbers()
    }

    /// For instance 2.29.2.
    pub fn release(&self) -> String {
        let (major, minor, patch) = self.numbers();
        format!("{major}.{minor}.{patch}")
    }

    /// Whether a run can write to this version.
    pub fn is_known_target(&self) -> bool {
        self.numbers() >= OLDEST_TIMESCALEDB_TARGET
    }
}

impl Server {
    /// For instance 17.
    pub fn major(&self) -> i32 {
        self.version_num / 10000
    }

    /// Whether a run can read from this version.
    pub fn is_known_source(&self) -> bool {
        self.major() >= OLDEST_SOURCE
    }

    /// Whether this major version may store what the other one does not know.
    pub fn is_newer_than(&self, other: &Server) -> bool {
        self.major() > other.major()
    }

    fn timescaledb_since(&self, version: Version) -> bool {
        self.timescaledb.as_ref().is_some_and(|timescaledb| timescaledb.numbers() >= version)
    }

    /// A scan of a range of a table's pages reads these alone: since PostgreSQL 14.
    pub fn scans_page_ranges(&self) -> bool {
        self.major() >= 14
    }

    /// There is `date_bin`: since PostgreSQL 14.
    pub fn bins_times(&self) -> bool {
        self.major() >= 14
    }

    /// ANALYZE of a table does its children as well, and has an option ONLY: since PostgreSQL 18.
    pub fn analyzes_only(&self) -> bool {
        self.major() >= 18
    }

    /// Hypertables with compressed chunks can be given constraints: since TimescaleDB 2.20.
    pub fn constrains_compressed_chunks(&self) -> bool {
        self.timescaledb_since((2, 20, 0))
    }

    /// Columns of type uuid are compressed by an algorithm of their own: since TimescaleDB 2.22.
    pub fn compresses_uuid(&self) -> bool {
        self.timescaledb_since((2, 22, 0))
    }

    /// In compressed rows, columns that are all NULL are blocks of their own: since TimescaleDB 2.19.
    pub fn has_null_blocks(&self) -> bool {
        self.timescaledb_since((2, 19, 0))
    }

    /// COPY can write such blocks: since TimescaleDB 2.20.1.
    pub fn receives_null_blocks(&self) -> bool {
        self.timescaledb_since((2, 20, 1))
    }

    /// The sparse index of first and last values is known: since TimescaleDB 2.28.
    pub fn indexes_first_and_last(&self) -> bool {
        self.timescaledb_since((2, 28, 0))
    }

    /// Tables other than chunks may inherit from a hypertable: until TimescaleDB 2.26.
    pub fn lets_tables_inherit(&self) -> bool {
        self.timescaledb.is_some() && !self.timescaledb_since((2, 27, 0))
    }
}

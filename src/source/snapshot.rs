//! The keeper: a session on the source that holds a snapshot, and nothing else.
//!
//! It has no lock on any table: one that is held for a whole run would make the source's own jobs
//! wait, and everybody behind them. What is read is locked by who reads it ([`super::guard`]); what
//! has changed by then is read under a later snapshot (`run/rounds.rs`).
//!
//! The inventory is read under the snapshot by another session: what a server keeps in a session's
//! memory for each table that it has described (some 40 kB) is there until that session ends, and
//! the keeper stays as long as there are rows to read.

use super::guard::{self, Reads};
use crate::catalog::{self, Catalog};
use crate::core::inventory::{Inventory, Server};
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::Connection;
use serde::{Deserialize, Serialize};

/// `position.sql`: where the source is in its history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// When its server was started, in microseconds since 1970.
    pub started: i64,
    pub timeline: i64,
    /// Up to where its log is written, as a `pg_lsn`; none on a standby.
    pub written: Option<String>,
    /// Up to where it is on disk.
    pub flushed: Option<String>,
}

/// A session that holds a snapshot, and nothing else.
pub struct Keeper {
    pub connection: Connection,
    /// What `SET TRANSACTION SNAPSHOT` takes.
    pub snapshot: String,
    /// The oldest transaction that was not over under it.
    pub horizon: u64,
    pub position: Position,
}

/// The inventory as it is now. Sizes and definitions are read under locks too, so this can wait
/// for one.
pub fn read(connection: &mut Connection, server: Server) -> Result<Inventory> {
    let read = match catalog::read(connection, server.clone()) {
        // Dropped after it was listed, as retention does.
        Err(error) if error.code == SqlState::UNDEFINED_TABLE => catalog::read(connection, server),
        read => read,
    };
    read.map_err(|error| guard::name_blockers(connection, error))
}

/// The `application_name` of the session that reads what there is in the source.
pub fn reader_name(run: i64) -> String {
    format!("timescale_migrate run {run} reader")
}

/// Takes a snapshot, and reads with `reader` what there is under it; the reader continues to see
/// that.
pub fn hold(reader: &mut Connection, mut keeper: Connection, run: i64, server: &Server) -> Result<(Keeper, Inventory)> {
    for _ in 0..5 {
        match attempt(&mut keeper, reader, run, server) {
            Ok((snapshot, horizon, position, inventory)) => {
                return Ok((Keeper { connection: keeper, snapshot, horizon, position }, inventory));
            }
            // Dropped after it was listed, as retention does.
            Err(error) if error.code == SqlState::UNDEFINED_TABLE => {}
            Err(error) => return Err(guard::name_blockers(reader, error)),
        }
        keeper.roll_back()?;
        reader.roll_back()?;
    }
    Err(Error::new(SqlState::OBJECT_IN_USE, "tables or chunks were dropped on the source each time they were listed")
        .hint("Pause the jobs on the source that create or drop chunks, and start again.")
        .on(Side::Source))
}

fn attempt(
    keeper: &mut Connection,
    reader: &mut Connection,
    run: i64,
    server: &Server,
) -> Result<(String, u64, Position, Inventory)> {
    let answer = keeper.query(&format!(
        "SET application_name = 'timescale_migrate run {run} keeper'; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
         SELECT pg_catalog.pg_export_snapshot(), pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())",
    ))?;
    let (snapshot, horizon) = (answer.text(0, 0)?.to_string(), answer.number(0, 1)? as u64);
    // After the snapshot: all that it shows is at or before this position.
    let position = position(keeper)?;
    guard::begin(reader, &snapshot, &reader_name(run), Reads::Any, &[], 0)?;
    Ok((snapshot, horizon, position, catalog::read(reader, server.clone())?))
}

/// Asks where the source is.
pub(super) const POSITION: &str = include_str!("../../sql/source/position.sql");

/// Where the source is now.
pub(super) fn position(source: &mut Connection) -> Result<Position> {
    source
        .ask(POSITION)?
        .pop()
        .ok_or_else(|| Error::protocol("the source did not report its position in the write-ahead log"))
}

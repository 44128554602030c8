//! The keeper: the one connection that holds the run's snapshot, and the locks without which
//! the snapshot would not be enough.
//!
//! TRUNCATE is not MVCC-safe: a compression or retention job on the source empties a chunk
//! under an older snapshot, and rows vanish silently. So the keeper first takes ACCESS SHARE
//! locks on what is read, then opens the snapshot (LOCK TABLE takes none, as its manual page
//! says). Under that the inventory is read again, by another session: what a server keeps in a
//! session's memory for each table that it has told of (some 40 kB) is there until that session
//! ends, and the keeper stays as long as there are rows to read. What came in between, and the
//! chunks if the source's lock table has no room for them all, is locked by who reads it
//! ([`super::guard`]).

use super::inventory::{self, Ask};
use super::{guard, session};
use crate::core::inventory::{Inventory, Server};
use crate::core::name::Name;
use crate::core::options::Options;
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::{Connection, Params};
use std::collections::HashSet;

/// Names in one LOCK TABLE statement.
const LOCK_BATCH: usize = 500;

pub struct Keeper {
    pub connection: Connection,
    /// What `SET TRANSACTION SNAPSHOT` takes.
    pub snapshot: String,
    /// The oldest transaction that was not over under it.
    pub horizon: u64,
}

/// The session that reads what there is in the source.
pub fn reader(params: &Params, run: i64, options: &Options) -> Result<Connection> {
    session::open(params, &reader_name(run), options)
}

/// The inventory as it is now. Sizes and definitions are read under locks too, so this can wait
/// for one.
pub fn read(connection: &mut Connection, server: Server) -> Result<Inventory> {
    let read = match inventory::read(connection, server.clone()) {
        // Dropped after it was listed, as retention does.
        Err(error) if error.code == SqlState::UNDEFINED_TABLE => inventory::read(connection, server),
        read => read,
    };
    read.map_err(|error| name_blockers(connection, error))
}

fn reader_name(run: i64) -> String {
    format!("timescale_migrate run {run} reader")
}

/// Locks what the reader has read `before`, and takes the snapshot; with what there is under it,
/// which the reader goes on to see.
pub fn hold(
    reader: &mut Connection,
    params: &Params,
    run: i64,
    options: &Options,
    mut before: Inventory,
) -> Result<(Keeper, Inventory)> {
    let mut keeper = session::open(params, &format!("timescale_migrate run {run} keeper"), options)?;
    // It reads sequences, which it has no lock on: none may be a view by now, whose functions would
    // be run with this session's rights. The others read tiered chunks and old aggregates.
    keeper.query(
        "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings
         WHERE name = 'restrict_nonsystem_relation_kind'",
    )?;
    let mut chunks = true;
    for _ in 0..5 {
        match attempt(&mut keeper, reader, &reader_name(run), &before, chunks) {
            Ok((snapshot, horizon, inventory)) => {
                return Ok((Keeper { connection: keeper, snapshot, horizon }, inventory));
            }
            // Dropped after it was listed, as retention does.
            Err(error) if error.code == SqlState::UNDEFINED_TABLE => {}
            // Others hold more locks than were to be seen.
            Err(error) if error.code == SqlState::OUT_OF_MEMORY && chunks => chunks = false,
            Err(error) => return Err(name_blockers(reader, error)),
        }
        keeper.roll_back()?;
        reader.roll_back()?;
        before = read(reader, before.server)?;
    }
    Err(Error::new(SqlState::OBJECT_IN_USE, "the source's tables or chunks kept changing while they were being locked")
        .hint("Pause the jobs on the source that create, compress or drop chunks, and start again.")
        .on(Side::Source))
}

/// The snapshot with its horizon, and what there is under it; with `chunks` these are locked too, if there is room.
fn attempt(
    keeper: &mut Connection,
    reader: &mut Connection,
    name: &str,
    before: &Inventory,
    chunks: bool,
) -> Result<(String, u64, Inventory)> {
    let of_chunks = before.of_chunks();
    let mut names: Vec<(u32, Name)> = before.tables().map(|r| (r.oid, r.qualified())).collect();
    let held = keeper.query("SELECT count(*) FROM pg_catalog.pg_locks")?.number(0, 0)?;
    if chunks && before.server.has_room(held + before.locks()) {
        names.extend(of_chunks.into_values().flatten());
    }
    keeper.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    let (locked, names): (HashSet<u32>, Vec<Name>) = names.into_iter().unzip();
    for batch in names.chunks(LOCK_BATCH) {
        keeper.query(&guard::lock_statement(batch))?;
    }
    let answer = keeper.query(
        "SELECT pg_catalog.pg_export_snapshot(), pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())",
    )?;
    let (snapshot, horizon) = (answer.text(0, 0)?.to_string(), answer.number(0, 1)? as u64);
    guard::begin(reader, &snapshot, name, &[])?;
    let inventory = Inventory { locked, ..inventory::read(reader, before.server.clone())? };
    Ok((snapshot, horizon, inventory))
}

/// Says which tables a lock that was waited for in vain is on, and who holds it.
pub(super) fn name_blockers(connection: &mut Connection, error: Error) -> Error {
    if error.code != SqlState::LOCK_NOT_AVAILABLE {
        return error;
    }
    let blockers = connection.roll_back().and_then(|_| connection.ask(include_str!("../../sql/source/blockers.sql")));
    let lines: Vec<String> = blockers.unwrap_or_default();
    let error = Error::new(error.code, "source: a table could not be locked within lock_timeout").on(Side::Source);
    let error = if lines.is_empty() { error } else { error.detail(lines.join("\n")) };
    error.hint("Wait for the session that holds the lock, or raise the option lock_timeout.")
}

//! The keeper: the one connection that holds the run's snapshot, and the locks without which
//! the snapshot would not be enough.
//!
//! TRUNCATE is not MVCC-safe: a compression or retention job on the source empties a chunk
//! under an older snapshot, and rows vanish silently. So the keeper first takes ACCESS SHARE
//! locks on everything that is read, then opens the snapshot (LOCK TABLE takes none, as its
//! manual page says), and then reads the inventory again: if relations came or went in
//! between, it starts over.

use super::{inventory, session};
use crate::core::inventory::{Inventory, Server};
use crate::core::name::Name;
use crate::core::options::Options;
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::{Connection, Params};
use std::collections::HashMap;

/// Names in one LOCK TABLE statement.
const LOCK_BATCH: usize = 500;

pub struct Keeper {
    pub connection: Connection,
    /// What `SET TRANSACTION SNAPSHOT` takes.
    pub snapshot: String,
    pub inventory: Inventory,
    /// Evidence of each table's last change, from before the snapshot: what changes in between
    /// looks as if it had changed after it, never the other way round.
    pub changes: HashMap<Name, String>,
}

/// Connects, locks, and takes the snapshot.
pub fn keep(params: &Params, name: &str, options: &Options) -> Result<Keeper> {
    let mut connection = session::open(params, name, options)?;
    let server = inventory::server(&mut connection)?;
    let changes = inventory::changes(&mut connection)?;
    for _ in 0..5 {
        match attempt(&mut connection, &server) {
            Ok((snapshot, before, inventory)) if before == inventory.fingerprint() => {
                return Ok(Keeper { connection, snapshot, inventory, changes });
            }
            Ok(_) => {}
            // Dropped after it was listed, as retention does.
            Err(error) if error.code == SqlState::UNDEFINED_TABLE => {}
            Err(error) => return Err(name_blockers(&mut connection, error)),
        }
        connection.query("ROLLBACK")?;
    }
    Err(Error::new(SqlState::OBJECT_IN_USE, "the source's tables or chunks kept changing while they were being locked")
        .hint("Pause the jobs on the source that create, compress or drop chunks, and start again.")
        .on(Side::Source))
}

/// The snapshot, what was locked before it was taken, and what there is under it.
fn attempt(connection: &mut Connection, server: &Server) -> Result<(String, Vec<u32>, Inventory)> {
    // Sizes and definitions are read under locks too, so this can wait for one as well.
    let before = inventory::read(connection, server.clone())?;
    connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    lock(connection, &before)?;
    let snapshot = connection.query("SELECT pg_catalog.pg_export_snapshot()")?.text(0, 0)?.to_string();
    Ok((snapshot, before.fingerprint(), inventory::read(connection, server.clone())?))
}

/// Says which tables a lock that was waited for in vain is on, and who holds it.
fn name_blockers(connection: &mut Connection, error: Error) -> Error {
    if error.code != SqlState::LOCK_NOT_AVAILABLE {
        return error;
    }
    let blockers =
        connection.query("ROLLBACK").and_then(|_| connection.query(include_str!("../../sql/source/blockers.sql")));
    let lines = blockers.and_then(|rows| rows.json::<String>()).unwrap_or_default();
    let error = Error::new(error.code, "source: a table could not be locked within lock_timeout").on(Side::Source);
    let error = if lines.is_empty() { error } else { error.detail(lines.join("\n")) };
    error.hint("Wait for the session that holds the lock, or raise the option lock_timeout.")
}

fn lock(connection: &mut Connection, inventory: &Inventory) -> Result<()> {
    let mut names: Vec<Name> = inventory.relations.iter().map(|r| r.qualified()).collect();
    // Foreign tables cannot be locked.
    names.extend(inventory.chunks.iter().filter(|c| !c.osm).map(|c| c.qualified()));
    let capacity = inventory.server.lock_capacity();
    if names.len() as i64 > capacity {
        return Err(Error::new(
            SqlState::INSUFFICIENT_RESOURCES,
            format!("the source's lock table holds {capacity} locks, {} are needed", names.len()),
        )
        .detail("Each table and chunk is locked in ACCESS SHARE mode, so that no job empties it under the snapshot.")
        .hint("Raise max_locks_per_transaction on the source.")
        .on(Side::Source));
    }
    for batch in names.chunks(LOCK_BATCH) {
        let list: Vec<String> = batch.iter().map(|name| format!("ONLY {name}")).collect();
        connection.query(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", list.join(", ")))?;
    }
    Ok(())
}

//! Reading a relation under a snapshot that is older than the lock on it.
//!
//! TRUNCATE is not MVCC-safe: what a compression or retention job has emptied or rewritten since
//! the snapshot was taken has no rows under it any more, and they would be missed without a word.
//! So who reads a relation locks it first, in its own transaction, and then looks whether it is
//! still the relation, and in the storage, that the snapshot knows.
//!
//! Nothing of the run's holds a lock longer than it takes to read one relation, or several small ones
//! together, and nothing waits for a lock while it holds another, but for the half of a second in
//! which the server does not yet look for a deadlock: so the source's own statement can be the
//! victim of none. It lets go, and tries again.

use super::session;
use crate::catalog::Catalog;
use crate::core::checksum;
use crate::core::inventory::{Slices, SourceRelation};
use crate::core::name::{Name, literal};
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::{ALL, Connection, LONG, Rows, Script};
use crate::pg::wait::{self, Event};
use std::time::{Duration, Instant};

/// Between two attempts to lock a relation.
const PAUSE: Duration = Duration::from_millis(100);
/// For how long an attempt waits, in seconds: others may have to wait behind it.
const WAIT: u32 = 2;
/// For how long a lock is waited for when a chunk's is held, in milliseconds; else without limit, as for an index that is rebuilt.
/// TimescaleDB locks rows of its catalog when a query of a chunk is planned; whoever drops that chunk waits for its lock, and
/// would be ended for the deadlock after a second. (Chunks in a schema of the user's own are rare.)
const FURTHER_WAIT: u32 = 500;

/// What a transaction reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Tables only: no view or foreign table that has taken a table's name runs its owner's code.
    Tables,
    /// Views or foreign tables as well: the catalog's, an old continuous aggregate's, a tiered chunk.
    Any,
}

impl Reads {
    /// What reading a relation takes: of a tiered chunk nothing is locked, and a query may be of anything.
    pub fn of(guards: &[SourceRelation], query: &Option<String>) -> Reads {
        if guards.is_empty() || query.is_some() { Reads::Any } else { Reads::Tables }
    }
}

/// What became of a relation since the snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It is locked and can be read.
    Held,
    /// It was rewritten, renamed or replaced: it cannot be read under this snapshot. There is no
    /// transaction.
    Changed,
    /// It was dropped. There is no transaction.
    Gone,
}

/// Begins a transaction under the snapshot, with locks on `guards`; `name` becomes its
/// `application_name`. Fails with `55P03` if a lock is not to be had within `lock_timeout`
/// seconds (0: no limit), and with `72000` if the snapshot is gone.
pub fn begin(
    source: &mut Connection,
    snapshot: &str,
    name: &str,
    reads: Reads,
    guards: &[SourceRelation],
    lock_timeout: u32,
) -> Result<Hold> {
    let begun = Instant::now();
    let locks = lock(&guards.iter().map(|guard| guard.name.to_string()).collect::<Vec<_>>());
    loop {
        let error = match source.query(&statements(snapshot, name, reads, &locks, guards)) {
            Ok(rows) if guards.is_empty() || kept(&rows)?.0 => return Ok(Hold::Held),
            Ok(rows) => {
                let gone = kept(&rows)?.1;
                source.query("ROLLBACK")?;
                return Ok(if gone { Hold::Gone } else { Hold::Changed });
            }
            Err(error) => error,
        };
        match error.code {
            SqlState::LOCK_NOT_AVAILABLE => {
                let limit = Duration::from_secs(lock_timeout.into());
                if lock_timeout > 0 && begun.elapsed() >= limit {
                    return Err(name_blockers(source, error));
                }
                source.roll_back()?;
                if begun.elapsed() >= LONG {
                    source.tell_of_locks(&oids(guards))?;
                }
                wait::on_latch(PAUSE, Event::SourceLock);
            }
            // The name, or its schema, is gone, or is that of something else.
            SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_SCHEMA | SqlState::WRONG_OBJECT_TYPE => {
                source.roll_back()?;
                let (_, gone) = kept(&source.query(&statements(snapshot, name, reads, "", guards))?)?;
                source.query("ROLLBACK")?;
                return Ok(if gone { Hold::Gone } else { Hold::Changed });
            }
            // The first since PostgreSQL 17, the other before.
            SqlState::UNDEFINED_OBJECT | SqlState::INVALID_PARAMETER => {
                let gone = "the session on the source that held the run's snapshot is gone";
                return Err(Error::new(SqlState::SNAPSHOT_GONE, gone)
                    .hint("Continue with migrate_resume.")
                    .on(Side::Source));
            }
            _ => return Err(error),
        }
    }
}

/// Whether the names have meant the same relations until now.
pub fn is_kept(source: &mut Connection, guards: &[SourceRelation]) -> Result<bool> {
    Ok(guards.is_empty() || kept(&source.query(&kept_query(guards))?)?.0)
}

/// What begins a transaction as [`begin`] does, as the first part of a script, which fails at once if
/// a lock is not to be had, and if any of its statements takes long: it holds more than what that
/// statement reads. Whatever the script reads is a table.
pub fn opening(snapshot: &str, name: &str, guards: &[SourceRelation]) -> String {
    let names: Vec<String> = guards.iter().map(|guard| guard.name.to_string()).collect();
    // What is alone holds nothing else up, and its rows may take their time over a slow link.
    let timeout = if guards.len() > 1 { "SET LOCAL statement_timeout = '5s'; " } else { "" };
    let lock = format!("SET LOCAL lock_timeout = '500ms'; {timeout}{}", lock_others(&names));
    statements(snapshot, name, Reads::Tables, &lock, guards)
}

/// Takes the answers to [`opening`].
pub fn opened(script: &mut Script) -> Result<()> {
    // Of the setting that is made.
    script.row()?;
    check(&script.row()?)
}

/// The last part of a script, which ends the transaction.
pub fn closing(guards: &[SourceRelation]) -> String {
    format!("{}; COMMIT", kept_query(guards))
}

/// Takes the answers to [`closing`].
pub fn closed(mut script: Script) -> Result<()> {
    check(&script.row()?)?;
    script.end()
}

/// Whether the relations are as the snapshot shows them; which one is not is found out by reading them
/// one by one.
fn check(rows: &Rows) -> Result<()> {
    match kept(rows)?.0 {
        true => Ok(()),
        false => Err(Error::new(SqlState::SNAPSHOT_GONE, "a relation has changed on the source").on(Side::Source)),
    }
}

/// Ends the transaction; whether the names have meant the same relations until now. Locks do not
/// keep a schema from being renamed.
pub fn end(source: &mut Connection, guards: &[SourceRelation]) -> Result<bool> {
    if guards.is_empty() {
        return source.query("COMMIT").map(|_| true);
    }
    Ok(kept(&source.query(&closing(guards))?)?.0)
}

/// In one message: the lock has to come before the snapshot, and LOCK TABLE takes none.
fn statements(snapshot: &str, name: &str, reads: Reads, lock: &str, asked: &[SourceRelation]) -> String {
    let (snapshot, name) = (literal(snapshot), literal(name));
    let kept = if asked.is_empty() { String::new() } else { kept_query(asked) };
    let restrict = match reads {
        Reads::Tables => session::restrict("view, foreign-table", true),
        Reads::Any => String::new(),
    };
    format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL application_name = {name}; {lock}\
         SET TRANSACTION SNAPSHOT {snapshot}; {restrict} {kept}"
    )
}

/// Locks the first of these quoted names, which may be waited for, then the others.
pub fn lock(names: &[String]) -> String {
    let is_chunk = names.iter().any(|name| name.starts_with("\"_timescaledb_internal\"."));
    let further = if is_chunk { FURTHER_WAIT } else { 0 };
    let first = |name| {
        format!(
            "SET LOCAL lock_timeout = '{WAIT}s'; LOCK TABLE ONLY {name} IN ACCESS SHARE MODE; SET LOCAL lock_timeout = {further}; "
        )
    };
    match names {
        [] => String::new(),
        [name] => first(name),
        [name, others @ ..] => first(name) + &lock_others(others),
    }
}

/// Locks all of these quoted names, or none.
fn lock_others(names: &[String]) -> String {
    format!("LOCK TABLE ONLY {} IN ACCESS SHARE MODE NOWAIT; ", names.join(", ONLY "))
}

/// A query that gives their OIDs.
fn oids(guards: &[SourceRelation]) -> String {
    let oids: Vec<String> = guards.iter().map(|guard| guard.oid.to_string()).collect();
    format!("SELECT unnest('{{{}}}'::pg_catalog.oid[])", oids.join(","))
}

fn kept_query(guards: &[SourceRelation]) -> String {
    let row = |(number, guard): (usize, &SourceRelation)| {
        format!("{}, {}, {}", number + 1, guard.oid, literal(&guard.name.to_string()))
    };
    let rows: Vec<String> = guards.iter().enumerate().map(row).collect();
    include_str!("../../sql/source/kept.sql").replace("VALUES (:relations)", &format!("VALUES ({})", rows.join("), (")))
}

fn kept(rows: &Rows) -> Result<(bool, bool)> {
    serde_json::from_str(rows.text(0, 0)?).map_err(|e| Error::protocol(format!("unexpected answer: {e}")))
}

/// Looks whether a query has read all rows of a compressed chunk, in the same transaction.
///
/// TimescaleDB plans such a query by the chunk's state as it is now, whatever the snapshot: once
/// a compressed chunk's further rows have been compressed too, without rewriting it, it does not
/// look for them where the snapshot has them.
pub fn is_decompressed(source: &mut Connection, chunk: &Name, batches: &Name, rows: i64) -> Result<bool> {
    Ok(source.query(&checksum::held(chunk, batches))?.number(0, 0)? == rows)
}

/// Whether the hypertable with this OID has a chunk now for what these slices cover.
pub fn is_covered(source: &mut Connection, root: u32, slices: &Slices) -> Result<bool> {
    let slices = serde_json::to_string(slices).map_err(|e| Error::internal(e.to_string()))?;
    let sql = include_str!("../../sql/source/covered.sql")
        .replace("c.oid = :root", &format!("c.oid = {root}"))
        .replace("json_each(:slices)", &format!("json_each({})", literal(&slices)));
    Ok(source.ask(&sql)?.pop().unwrap_or(true))
}

/// What a relation ends with that cannot be read under the snapshot and not be read otherwise.
pub fn changed(name: &Name) -> Error {
    let message = format!("{} has changed on the source since the snapshot", name.shown());
    Error::new(SqlState::SNAPSHOT_GONE, message)
        .hint("Continue with migrate_resume, under a new snapshot.")
        .on(Side::Source)
}

/// Names the tables that could not be locked in time, and who holds the locks.
pub fn name_blockers(connection: &mut Connection, error: Error) -> Error {
    if error.code != SqlState::LOCK_NOT_AVAILABLE {
        return error;
    }
    let blockers = connection.roll_back().and_then(|_| connection.blockers(ALL));
    let lines: Vec<String> = blockers.unwrap_or_default();
    let error = Error::new(error.code, "source: a table could not be locked within lock_timeout").on(Side::Source);
    let error = if lines.is_empty() { error } else { error.detail(lines.join("\n")) };
    error.hint("Wait for the session that holds the lock, or raise the option lock_timeout.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_locks_and_looks() {
        let guard = SourceRelation { oid: 7, name: Name::new("a", "it's") };
        let sql = statements("3-1", "n", Reads::Any, &lock(&[guard.name.to_string()]), std::slice::from_ref(&guard));
        assert!(sql.contains("LOCK TABLE ONLY \"a\".\"it's\" IN ACCESS SHARE MODE;"), "{sql}");
        assert!(sql.contains("SET TRANSACTION SNAPSHOT '3-1';  -- Whether"), "{sql}");
        assert!(
            lock(&["a".into(), "b".into(), "c".into()])
                .ends_with("LOCK TABLE ONLY b, ONLY c IN ACCESS SHARE MODE NOWAIT; ")
        );
        assert!(sql.contains("(VALUES (1, 7, '\"a\".\"it''s\"')) w"), "{sql}");
    }
}

//! Reading what the keeper has no lock on: where the source's lock table has no room for all
//! chunks, each task locks what it reads in its own transaction, and looks whether that is still
//! what the run's snapshot knows. What was truncated or rewritten since, as compressing does it,
//! has lost its rows for the snapshot; read all the same, it would be empty.

use super::inventory::Ask;
use crate::core::checksum;
use crate::core::inventory::Slices;
use crate::core::name::{Name, literal};
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::Connection;

/// Begins a transaction under the snapshot, with locks on `guards`. False if the first of them
/// was dropped since: then there is nothing to read, and no transaction.
pub fn begin(source: &mut Connection, snapshot: &str, name: &str, guards: &[Name]) -> Result<bool> {
    let statements = |lock: &str| {
        let (snapshot, name) = (literal(snapshot), literal(name));
        // The lock has to come first, and LOCK TABLE is no query that takes a snapshot.
        format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {lock} SET TRANSACTION SNAPSHOT {snapshot};
             SET LOCAL application_name = {name}"
        )
    };
    let lock = match guards {
        [] => String::new(),
        _ => format!("{};", lock_statement(guards)),
    };
    match source.query(&statements(&lock)) {
        Err(error) if error.code == SqlState::UNDEFINED_TABLE => {
            source.query("ROLLBACK")?;
            source.query(&statements(""))?;
            let (_, gone) = state(source, &guards[0])?;
            source.query("ROLLBACK")?;
            if gone { Ok(false) } else { Err(rewritten(&guards[0])) }
        }
        // The first since PostgreSQL 17, the other before.
        Err(error) if [SqlState::UNDEFINED_OBJECT, SqlState::INVALID_PARAMETER].contains(&error.code) => {
            let gone = "the session on the source that held the run's snapshot is gone";
            Err(Error::new(SqlState::SNAPSHOT_GONE, gone).hint("Continue with migrate_resume.").on(Side::Source))
        }
        Err(error) => Err(error),
        Ok(_) => {
            for guard in guards {
                if !state(source, guard)?.0 {
                    return Err(rewritten(guard));
                }
            }
            Ok(true)
        }
    }
}

/// Looks whether a query has read all rows of a compressed chunk, in the same transaction.
///
/// TimescaleDB plans such a query by the chunk's state as it is now, whatever the snapshot: once
/// a compressed chunk's further rows have been compressed too, without rewriting it, it does not
/// look for them where the snapshot has them.
pub fn check_decompressed(source: &mut Connection, chunk: &Name, batches: &Name, rows: i64) -> Result<()> {
    match source.query(&checksum::held(chunk, batches))?.number(0, 0)? == rows {
        true => Ok(()),
        false => Err(rewritten(chunk)),
    }
}

/// LOCK TABLE, in the mode of reading.
pub fn lock_statement(names: &[Name]) -> String {
    let list: Vec<String> = names.iter().map(|name| format!("ONLY {name}")).collect();
    format!("LOCK TABLE {} IN ACCESS SHARE MODE", list.join(", "))
}

/// Whether a hypertable has a chunk now for what these slices cover.
pub fn is_covered(source: &mut Connection, hypertable: &Name, slices: &Slices) -> Result<bool> {
    let slices = serde_json::to_string(slices).map_err(|e| Error::internal(e.to_string()))?;
    let sql = include_str!("../../sql/source/covered.sql")
        .replace("(:hypertable)", &format!("({}, {})", literal(&hypertable.schema), literal(&hypertable.name)))
        .replace(":slices", &literal(&slices));
    Ok(source.ask(&sql)?.pop().unwrap_or(true))
}

/// Whether a relation is the same as under the snapshot, and whether it is gone.
fn state(source: &mut Connection, name: &Name) -> Result<(bool, bool)> {
    let relation = format!("{}, {}", literal(&name.schema), literal(&name.name));
    let sql = include_str!("../../sql/source/kept.sql").replace("(:relation)", &format!("({relation})"));
    source.ask(&sql)?.pop().ok_or_else(|| rewritten(name))
}

fn rewritten(name: &Name) -> Error {
    let message = format!("{} was rewritten on the source since the snapshot", name.shown());
    Error::new(SqlState::SNAPSHOT_GONE, message)
        .hint("Continue with migrate_resume, under a new snapshot.")
        .on(Side::Source)
}

//! Foreign keys of tables that the run did not make. Rows come in without the keys' triggers, so each key is checked
//! when all rows have arrived.

use crate::core::arrival::Arrivals;
use crate::core::name::literal;
use crate::core::options::IntoTables;
use crate::core::plan::Phase;
use crate::error::{Error, Result, SqlState};
use crate::libpq::Connection;
use crate::pg::{catch::transaction, spi};
use crate::run::migration::Migration;
use crate::run::process::restricted;
use crate::run::{messages, state, tasks};
use crate::source::session;
use pgrx::pg_sys::Oid;

/// `existing_keys.sql`
type Key = (u32, String, String, String, String, String);

/// Checks all, one after the other. A row that violates one is a warning if the source has such a row itself.
pub fn all(migration: &Migration) -> Result<()> {
    if migration.adoption.is_none() {
        return Ok(());
    }
    let run = migration.run();
    // Which rows are to blame shows when all have arrived, on the resume.
    if !tasks::standing(run, Phase::Copy)?.1.is_empty() {
        return Ok(());
    }
    let keys = transaction(|| keys(Some(run), Vec::new()))?;
    if keys.is_empty() {
        return Ok(());
    }
    state::enter(run, Phase::ForeignKey)?;
    let arrives_whole = migration.options().is_whole() && migration.options().into == IntoTables::Empty;
    let mut source = None;
    for (oid, name, table, referenced, keyed, read) in keys {
        state::checkpoint(run)?;
        let Some((columns, row)) = transaction(|| violation(oid, &keyed, &read))? else { continue };
        let about = about(&name, &table);
        let shown = |row: &str| format!("Key ({columns})=({row}) is not present in {referenced}.");
        let mut original = None;
        if arrives_whole {
            // On the source, tables may have chunks that have none on the target.
            let query =
                transaction(|| violating(oid, &table, &referenced))?.map_or_else(String::new, |(_, query)| query);
            original = of_source(migration, &mut source, &query)?;
        }
        match original {
            Some(row) => {
                let message = format!("{about} is violated by the source's own rows: {}", shown(&row));
                messages::warn(run, &message)?;
            }
            None => {
                return Err(Error::new(SqlState::FOREIGN_KEY_VIOLATION, format!("{about} is violated by rows on the target"))
                    .detail(shown(&row))
                    .hint(
                        "The rows that it references were left out, or the target contained rows before the run. Correct the rows, then call migrate_resume.",
                    ));
            }
        }
    }
    Ok(())
}

/// The keys that a run checks, or one would that wrote to these tables.
fn keys(run: Option<i64>, tables: Vec<Oid>) -> Result<Vec<Key>> {
    spi::json_rows(include_str!("../../../sql/run/existing_keys.sql"), &[run.into(), tables.into()])
}

fn about(name: &str, table: &str) -> String {
    format!("foreign key {name} of {table}")
}

/// Those that a run would check.
pub fn of(arrivals: &Arrivals) -> Result<Vec<String>> {
    let tables = arrivals.values().filter_map(|arrival| arrival.relation).map(Oid::from_u32).collect();
    Ok(keys(None, tables)?.iter().map(|(_, name, table, ..)| about(name, table)).collect())
}

/// A row of the target that violates a key: the key's columns, and their values.
fn violation(oid: u32, keyed: &str, referenced: &str) -> Result<Option<(String, String)>> {
    let Some((columns, query)) = violating(oid, keyed, referenced)? else { return Ok(None) };
    Ok(restricted(|| spi::value::<String>(&query, &[]))?.map(|row| (columns, row)))
}

/// The key's columns, and the query that finds a row that violates it.
fn violating(oid: u32, keyed: &str, referenced: &str) -> Result<Option<(String, String)>> {
    let parameters = format!("VALUES ({oid}, {}, {})", literal(keyed), literal(referenced));
    let query = include_str!("../../../sql/source/violating_row.sql").replace("VALUES (:parameters)", &parameters);
    let found = spi::json_rows::<(String, String, String)>(&query, &[])?.pop();
    Ok(found.map(|(_, columns, query)| (columns, query)))
}

/// Such a row of the source; none if it has no such tables.
fn of_source(migration: &Migration, source: &mut Option<Connection>, query: &str) -> Result<Option<String>> {
    let source = match source {
        Some(source) => source,
        None => {
            let name = format!("timescale_migrate run {} keys", migration.run());
            let mut opened = session::open(&migration.spec.params, &name, migration.options())?;
            opened.teller = Some(messages::teller(Some(migration.run())));
            opened.query(&session::restrict("view", false))?;
            source.insert(opened)
        }
    };
    match source.query(query) {
        Ok(rows) => Ok(rows.0.into_iter().next().and_then(|row| row.into_iter().next()?)),
        Err(error) if matches!(&error.code.0, b"42P01" | b"3F000" | b"42703") => Ok(None),
        Err(error) => Err(error),
    }
}

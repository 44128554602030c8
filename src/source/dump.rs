//! The source's schema: what the target's own `pg_dump` says of it, under the run's snapshot.

use super::relay::Relay;
use super::{guard, session as source_session};
use crate::catalog::Catalog;
use crate::core::archive::Archive;
use crate::core::inventory::Server;
use crate::core::options::Options;
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::{ALL, Connection, LONG, Params, Teller};
use crate::pg::child::Child;
use crate::pg::session;
use crate::pg::wait::Event;
use std::process::Command;
use std::time::{Duration, Instant};

/// Dumps the schema, over a session of this process: `open`, whose transaction ends, or a new one. `between` is called
/// between any two queries of pg_dump; an error of it ends the dump. Fails with `72000` if a table is gone
/// that the snapshot shows: under a later one there is none.
pub fn dump(
    params: &Params,
    server: &Server,
    snapshot: Option<&str>,
    options: &Options,
    mut open: Option<Connection>,
    teller: Teller,
    mut between: impl FnMut() -> Result<()>,
) -> Result<Archive> {
    let (begun, mut first, mut teller) = (Instant::now(), Vec::new(), Some(teller));
    loop {
        let mut source = match open.take() {
            Some(mut source) => {
                source.query(&format!("COMMIT; SET application_name = '{}'", session_name()))?;
                source
            }
            None => source_session::open(params, &session_name(), options)?,
        };
        source.teller = teller.take();
        let error = match attempt(&mut source, server, snapshot, &first, &mut between) {
            Err(error) if error.code == SqlState::LOCK_NOT_AVAILABLE => error,
            // It may be what was to be locked first.
            Err(error) if error.code == SqlState::UNDEFINED_TABLE && !first.is_empty() => {
                first.clear();
                teller = source.teller.take();
                continue;
            }
            Err(error) if error.code == SqlState::UNDEFINED_TABLE && error.side == Side::Source => {
                let gone =
                    Error::new(SqlState::SNAPSHOT_GONE, "a table was dropped on the source while its schema was read");
                return Err(Error { detail: error.detail, ..gone }.on(Side::Source));
            }
            other => return other,
        };
        let limit = Duration::from_secs(options.lock_timeout.into());
        if options.lock_timeout > 0 && begun.elapsed() >= limit {
            return Err(guard::name_blockers(&mut source, error));
        }
        source.roll_back()?;
        if begun.elapsed() >= LONG {
            source.tell_of_locks(ALL)?;
        }
        teller = source.teller.take();
        first = source.ask(include_str!("../../sql/source/locked.sql"))?;
        first.truncate(1);
        between()?;
    }
}

/// Of the process that dumps.
fn session_name() -> String {
    format!("timescale_migrate schema {}", session::pid())
}

fn attempt(
    source: &mut Connection,
    server: &Server,
    snapshot: Option<&str>,
    first: &[String],
    between: &mut dyn FnMut() -> Result<()>,
) -> Result<Archive> {
    let relay = Relay::open()?;
    let mut command = Command::new(session::program("pg_dump")?);
    command.args([
        "--schema-only",
        "--format=custom",
        "--compress=0",
        "--encoding=UTF8",
        "--no-subscriptions",
        "--no-password",
    ]);
    command.arg(format!("--dbname={}", relay.conninfo(&server.database)));
    if let Some(snapshot) = snapshot {
        command.arg(format!("--snapshot={snapshot}"));
    }
    if server.timescaledb.is_some() {
        // Chunks, mostly; the rest of what TimescaleDB owns is filtered by its OIDs.
        command.arg("--exclude-schema=_timescaledb_internal");
    }
    // libpq's variables among them, which are for connections that this is none of.
    for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(variable);
    }
    command.env_remove("RUST_BACKTRACE");
    let mut child = Child::start(command)?;
    let said = relay.serve(&mut child, source, |query| lock_only(query, first), between)?;
    let bytes = child.finish(Event::SchemaDump).map_err(|failed| match said {
        Some(error) => Error { code: error.code, ..failed }.on(Side::Source),
        None => failed,
    })?;
    Archive::parse(&bytes)
        .map_err(|e| Error::new(SqlState::EXTERNAL_ROUTINE, format!("could not read pg_dump's archive: {e}")))
}

/// pg_dump locks each table with all that inherit from it: those that it dumps are named
/// themselves, and the source's lock table need not hold the chunks of the hypertables. And it
/// would wait for a lock with others in its hands: of the tables that are to be locked `first` one
/// is waited for, before all others.
fn lock_only(query: Vec<u8>, first: &[String]) -> Vec<u8> {
    let Some(names) = query.strip_prefix(b"LOCK TABLE ") else { return query };
    let mut only = guard::lock(first).into_bytes();
    only.extend(b"LOCK TABLE ONLY ");
    let mut quoted = false;
    for byte in names {
        only.push(*byte);
        quoted ^= *byte == b'"';
        if *byte == b',' && !quoted {
            only.extend(b" ONLY");
        }
    }
    only.extend(b" NOWAIT");
    only
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_on_tables_alone() {
        let query = |text: &str| String::from_utf8(lock_only(text.into(), &[])).unwrap();
        assert_eq!(query("SELECT 1, 2"), "SELECT 1, 2");
        assert_eq!(
            query("LOCK TABLE public.a, \"S, \"\"\".\"b, c\" IN ACCESS SHARE MODE"),
            "LOCK TABLE ONLY public.a, ONLY \"S, \"\"\".\"b, c\" IN ACCESS SHARE MODE NOWAIT"
        );
    }
}

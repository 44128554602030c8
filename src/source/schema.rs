//! The source's schema: what the target's own `pg_dump` says of it, under the run's snapshot.

use super::relay::Relay;
use super::{session as source_session, snapshot};
use crate::core::archive::Archive;
use crate::core::inventory::Server;
use crate::core::options::Options;
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::Params;
use crate::pg::child::Child;
use crate::pg::session;
use crate::pg::wait::Event;
use std::process::Command;

/// Dumps the schema, over a session of this process.
pub fn dump(params: &Params, server: &Server, snapshot: Option<&str>, options: &Options) -> Result<Archive> {
    let name = format!("timescale_migrate schema {}", session::pid());
    let mut source = source_session::open(params, &name, options)?;
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
    let said = relay.serve(&mut child, &mut source, |query| lock_only(query, options.lock_timeout))?;
    let bytes = child.finish(Event::SchemaDump).map_err(|failed| match said {
        Some(error) if error.code == SqlState::LOCK_NOT_AVAILABLE => snapshot::name_blockers(&mut source, error),
        Some(error) => Error { code: error.code, ..failed }.on(Side::Source),
        None => failed,
    })?;
    Archive::parse(&bytes)
        .map_err(|e| Error::new(SqlState::EXTERNAL_ROUTINE, format!("could not read pg_dump's archive: {e}")))
}

/// pg_dump locks each table with all that inherit from it: those that it dumps are named
/// themselves, and the source's lock table need not hold the chunks of the hypertables.
fn lock_only(query: Vec<u8>, lock_timeout: u32) -> Vec<u8> {
    let Some(names) = query.strip_prefix(b"LOCK TABLE ") else { return query };
    let mut only = format!("SET lock_timeout = '{lock_timeout}s'; LOCK TABLE ONLY ").into_bytes();
    let mut quoted = false;
    for byte in names {
        only.push(*byte);
        quoted ^= *byte == b'"';
        if *byte == b',' && !quoted {
            only.extend(b" ONLY");
        }
    }
    only
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_on_tables_alone() {
        let query = |text: &str| String::from_utf8(lock_only(text.into(), 60)).unwrap();
        assert_eq!(query("SELECT 1, 2"), "SELECT 1, 2");
        assert_eq!(
            query("LOCK TABLE public.a, \"S, \"\"\".\"b, c\" IN ACCESS SHARE MODE"),
            "SET lock_timeout = '60s'; LOCK TABLE ONLY public.a, ONLY \"S, \"\"\".\"b, c\" IN ACCESS SHARE MODE"
        );
    }
}

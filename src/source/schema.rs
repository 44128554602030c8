//! The source's schema: what the target's own `pg_dump` says of it, under the run's snapshot.

use crate::core::archive::Archive;
use crate::core::inventory::Server;
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::Params;
use crate::pg::wait::Event;
use crate::pg::{child, session};
use std::process::Command;

/// Dumps the schema. The connection string goes without its password, which pg_dump gets in
/// its environment: readable by this server's own user only, unlike an argument.
pub fn dump(params: &Params, server: &Server, snapshot: Option<&str>, lock_timeout: u32) -> Result<Archive> {
    let mut public = params.clone();
    public.set("application_name", "timescale_migrate schema");
    let mut command = Command::new(session::program("pg_dump")?);
    command.args([
        "--schema-only",
        "--format=custom",
        "--compress=0",
        "--encoding=UTF8",
        "--no-subscriptions",
        "--no-password",
    ]);
    command.arg(format!("--dbname={}", public.public_conninfo()));
    if lock_timeout > 0 {
        command.arg(format!("--lock-wait-timeout={lock_timeout}s"));
    }
    if let Some(snapshot) = snapshot {
        command.arg(format!("--snapshot={snapshot}"));
    }
    if server.timescaledb.is_some() {
        // Chunks, mostly; the rest of what TimescaleDB owns is filtered by its OIDs.
        command.arg("--exclude-schema=_timescaledb_internal");
    }
    for variable in
        ["PGOPTIONS", "PGPASSWORD", "PGSERVICE", "PGDATABASE", "PGHOST", "PGPORT", "PGUSER", "RUST_BACKTRACE"]
    {
        command.env_remove(variable);
    }
    if let Some(password) = params.get("password") {
        command.env("PGPASSWORD", password);
    }
    let bytes = child::output(command, Event::SchemaDump).map_err(|e| e.on(Side::Source))?;
    Archive::parse(&bytes)
        .map_err(|e| Error::new(SqlState::EXTERNAL_ROUTINE, format!("could not read pg_dump's archive: {e}")))
}

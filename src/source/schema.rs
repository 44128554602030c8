//! The source's schema: what the target's own `pg_dump` says of it, under the run's snapshot.

use crate::core::archive::Archive;
use crate::core::inventory::Server;
use crate::core::name::literal;
use crate::core::options::Options;
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::{Connection, Params};
use crate::pg::wait::Event;
use crate::pg::{child, session};
use std::process::Command;
use std::time::Duration;

/// Dumps the schema. The connection string goes without its password, which pg_dump gets in
/// its environment: readable by this server's own user only, unlike an argument. `connection`
/// is another one to the source, over which pg_dump's is looked after.
pub fn dump(
    connection: &mut Connection,
    params: &Params,
    server: &Server,
    snapshot: Option<&str>,
    options: &Options,
) -> Result<Archive> {
    let name = format!("timescale_migrate schema {}", session::pid());
    let mut public = params.clone();
    public.set("application_name", &name);
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
    if options.lock_timeout > 0 {
        command.arg(format!("--lock-wait-timeout={}s", options.lock_timeout));
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
    // Its messages are read below.
    command.env("LC_ALL", "C");
    let mut before = None;
    let look_after = || {
        let now = connection.query(&activity(&name))?.0;
        if now.is_empty() || before.as_ref() == Some(&now) {
            return Err(Error::new(SqlState::CONNECTION_FAILURE, "pg_dump's session on the source stands still")
                .hint("Raise the option source_timeout if the source only needs longer."));
        }
        before = Some(now);
        Ok(())
    };
    let every = Duration::from_secs(options.source_timeout.into()) / 2;
    let bytes = child::output(command, Event::SchemaDump, every, look_after)
        .map_err(|e| if is_lost(&e) { Error { code: SqlState::CONNECTION_FAILURE, ..e } } else { e })
        .map_err(|e| e.on(Side::Source))?;
    Archive::parse(&bytes)
        .map_err(|e| Error::new(SqlState::EXTERNAL_ROUTINE, format!("could not read pg_dump's archive: {e}")))
}

/// What a session is at: the same twice means that it stands still, unless it works on one long
/// statement.
fn activity(name: &str) -> String {
    format!(
        "SELECT state_change, CASE WHEN state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'
                              THEN pg_catalog.clock_timestamp() END
         FROM pg_catalog.pg_stat_activity WHERE application_name = {}",
        literal(name)
    )
}

/// Whether pg_dump failed because of its connection.
fn is_lost(error: &Error) -> bool {
    let said = error.detail.as_deref().unwrap_or_default();
    ["server closed the connection", "terminating connection", "connection to server", "could not receive data"]
        .iter()
        .any(|text| said.contains(text))
}

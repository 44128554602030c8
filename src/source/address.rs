//! Where the source is: a foreign server's name, a conninfo string or a URI.

use super::validator::NOT_TAKEN;
use crate::error::{Error, Result, SqlState};
use crate::libpq::{self, Params};
use crate::pg::spi;

const HINT: &str =
    "Name a server made with CREATE SERVER ... FOREIGN DATA WRAPPER timescale_migrate, or give a connection string.";

/// Looks the source up. A foreign server of this extension's wrapper gives its options and
/// those of the calling role's user mapping; anything with `=` or `://` goes to libpq.
pub fn resolve(source: &str) -> Result<Params> {
    if source.trim().is_empty() {
        return Err(Error::new(SqlState::INVALID_PARAMETER, "source must not be empty").hint(HINT));
    }
    let mut params = if is_conninfo(source) { libpq::parse_conninfo(source)? } else { server(source)? };
    if let Some(name) = NOT_TAKEN.into_iter().find(|name| params.get(name).is_some()) {
        return Err(Error::new(SqlState::INVALID_PARAMETER, format!("connection option \"{name}\" is not accepted"))
            .detail("A run needs ordinary sessions, with settings of its own."));
    }
    // The text form of every value is the target's own encoding; dead peers are noticed.
    params.set("client_encoding", &crate::pg::session::encoding());
    params.set_default("application_name", "timescale_migrate");
    params.set_default("keepalives_idle", "30");
    params.set_default("keepalives_interval", "10");
    params.set_default("keepalives_count", "3");
    params.set_default("tcp_user_timeout", "60000");
    params.refuse_clear_password();
    Ok(params)
}

fn is_conninfo(source: &str) -> bool {
    source.contains('=') || source.contains("://")
}

/// The source as it may be stored and shown; it can be given to [`resolve`] again, but for what is
/// secret.
pub fn shown(source: &str) -> Result<String> {
    if is_conninfo(source) { Ok(libpq::parse_conninfo(source)?.public_conninfo()) } else { Ok(source.to_string()) }
}

/// Whether the source is a connection string with a password.
pub fn holds_password(source: &str) -> Result<bool> {
    Ok(is_conninfo(source) && libpq::parse_conninfo(source)?.has_secret())
}

fn server(name: &str) -> Result<Params> {
    let wrapper = spi::value::<String>(
        "SELECT w.fdwname::text FROM pg_catalog.pg_foreign_server s
         JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE s.srvname = $1",
        &[name.into()],
    )?;
    match wrapper.as_deref() {
        None => {
            return Err(Error::new(SqlState::UNDEFINED_OBJECT, format!("server \"{name}\" does not exist")).hint(HINT));
        }
        Some("timescale_migrate") => {}
        Some(other) => {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER,
                format!("server \"{name}\" belongs to the foreign-data wrapper \"{other}\""),
            )
            .hint("Create one with CREATE SERVER ... FOREIGN DATA WRAPPER timescale_migrate."));
        }
    }
    let mut params = Params::default();
    // The role's own mapping goes before the public one.
    for pair in spi::json_rows::<[String; 2]>(include_str!("../../sql/preflight/server_options.sql"), &[name.into()])? {
        params.set(&pair[0], &pair[1]);
    }
    Ok(params)
}

//! Filling a relation of the target with rows of the source.

use crate::core::name::Name;
use crate::core::plan;
use crate::error::{Error, Result, SqlState};
use crate::libpq::Script;
use crate::pg::{copy, spi};
use pgrx::pg_sys::Oid;

/// Copies what the script's next COPY gives into the relation; returns rows and bytes.
pub fn stream(source: &mut Script, relation: Oid, options: &copy::Options, name: &str) -> Result<(u64, u64)> {
    let mut data = source.copy_out()?;
    let written = copy::into_relation(relation, options, &mut data)?;
    let bytes = data.bytes();
    let sent = data.finish()?;
    if sent != written {
        return Err(copy::count_mismatch(name, sent, written));
    }
    Ok((sent, bytes))
}

/// Empties a relation, in a transaction with `session_replication_role` replica; whether its storage is
/// new in that transaction. What foreign keys refer to, on a resume, cannot be truncated: its rows are deleted
/// without the keys' triggers.
pub fn clear(relation: Oid) -> Result<bool> {
    if copy::is_new(relation) {
        return Ok(true);
    }
    // A key has triggers on both sides. Without any, the constraints need not be searched, which
    // have no index for this: with many chunks that takes longer than to copy one.
    let referenced = spi::value::<bool>(include_str!("../../sql/run/is_referenced.sql"), &[relation.into()])?;
    if referenced != Some(true) {
        copy::truncate(relation)?;
        return Ok(true);
    }
    spi::execute("SELECT timescale_migrate.delete_rows($1)", &[relation.into()])?;
    Ok(false)
}

/// The error for a statement that has met another relation than the run's under its name.
pub fn name_taken(name: &str) -> Error {
    let message = format!("another relation has taken the name of {name}");
    Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message)
        .hint("Rename the other relation, then call migrate_resume.")
}

/// The relation of that name, which must be what the run made.
pub fn own(run: i64, name: &Name) -> Result<Oid> {
    spi::value(
        "SELECT timescale_migrate.own_relation($1, $2::pg_catalog.regclass)::pg_catalog.oid",
        &[run.into(), name.to_string().into()],
    )?
    .ok_or_else(|| Error::internal("no relation"))
}

/// The same of a hypertable, or of a continuous aggregate, whose rows are in a hypertable of another name.
pub fn root(run: i64, name: &Name, cagg: bool) -> Result<Oid> {
    let known = own(run, name)?;
    if !cagg {
        return Ok(known);
    }
    let root = format!("SELECT {}::pg_catalog.oid", plan::hypertable(name, cagg));
    spi::value(&root, &[])?.ok_or_else(|| Error::internal("no hypertable"))
}

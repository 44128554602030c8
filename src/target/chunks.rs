//! Creating chunks.

use crate::core::inventory::Slices;
use crate::error::{Error, Result};
use crate::pg::spi;
use pgrx::pg_sys::Oid;
use serde::Serialize;

/// Locks a hypertable as making a chunk of it does, until the transaction's end.
pub fn lock_root(hypertable: Oid) -> Result<()> {
    let name = spi::value::<String>("SELECT $1::pg_catalog.regclass::text", &[hypertable.into()])?.unwrap_or_default();
    spi::execute(&format!("LOCK TABLE ONLY {name} IN SHARE UPDATE EXCLUSIVE MODE"), &[]).map(drop)
}

/// A chunk that is to be made.
#[derive(Serialize)]
pub struct Wanted<'a> {
    pub slices: &'a Slices,
    pub tablespace: Option<&'a str>,
    pub creation_time: Option<&'a str>,
}

/// Makes chunks of a hypertable, which is locked until the transaction's end; those that exist
/// already are found.
pub fn create(hypertable: Oid, wanted: &[Wanted]) -> Result<Vec<Oid>> {
    let made = spi::json_rows::<u32>(
        "SELECT u.chunk::pg_catalog.oid::text
         FROM unnest(timescale_migrate.create_chunks($1, $2)) WITH ORDINALITY u(chunk, number) ORDER BY u.number",
        &[hypertable.into(), spi::json(&wanted)?],
    )?;
    match made.len() == wanted.len() {
        true => Ok(made.into_iter().map(Oid::from_u32).collect()),
        false => Err(Error::internal("chunks are missing")),
    }
}

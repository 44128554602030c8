//! Hypertables, made of empty tables, and what else TimescaleDB keeps about them.

use super::context::making;
use super::overloads::refuse_overloads;
use super::schema::Maker;
use crate::core::inventory::{Hypertable, Inventory};
use crate::core::name::Name;
use crate::core::plan;
use crate::error::Result;
use crate::pg::spi;
use pgrx::pg_sys::Oid;

/// Makes a hypertable out of an empty table.
pub fn make(hypertable: &Hypertable, maker: &Maker) -> Result<()> {
    refuse_overloads()?;
    call("create_hypertable", &hypertable.qualified(), &hypertable.spec)?;
    // Its chunks are in the tablespace that the table is in on the source.
    if hypertable.is_converted() { attach(hypertable, maker) } else { Ok(()) }
}

/// An expression for a hypertable of the target.
pub(super) fn expression(hypertable: &Hypertable) -> String {
    plan::hypertable(&hypertable.known_as(), hypertable.cagg.is_some())
}

/// Names the columns that chunks are skipped by.
pub fn enable_chunk_skipping(inventory: &Inventory) -> Result<()> {
    for skipping in &inventory.skipping {
        let Some(root) = inventory.hypertables.iter().find(|h| h.id == skipping.hypertable_id) else { continue };
        refuse_overloads()?;
        making(&root.known_as().shown(), Some("enable_chunk_skipping"), || {
            spi::execute(
                &format!("SELECT timescale_migrate.enable_chunk_skipping({}, $1)", expression(root)),
                &[skipping.column.clone().into()],
            )
        })?;
    }
    Ok(())
}

/// Attaches the tablespaces that hypertables spread their future chunks over, as far as they
/// exist on the target.
pub fn attach_tablespaces(inventory: &Inventory, maker: &Maker) -> Result<()> {
    inventory.hypertables.iter().try_for_each(|hypertable| attach(hypertable, maker))
}

/// The same of one.
fn attach(hypertable: &Hypertable, maker: &Maker) -> Result<()> {
    let kept: Vec<String> = hypertable.tablespaces.iter().filter(|t| maker.has_tablespace(t)).cloned().collect();
    if kept.is_empty() {
        return Ok(());
    }
    let root = expression(hypertable);
    let attach = format!("SELECT timescale_migrate.attach_tablespaces({root}, $1::pg_catalog.name[])");
    spi::execute(&attach, &[kept.into()]).map(drop)
}

/// Gives a chunk its own triggers, or those of its hypertable in the same state; returns what could not
/// be made.
pub fn set_chunk_triggers(chunk: Oid, name: &str, triggers: Option<&serde_json::Value>) -> Result<Option<String>> {
    making(name, Some("set_chunk_triggers"), || {
        spi::value(
            "SELECT timescale_migrate.set_chunk_triggers($1, $2::pg_catalog.jsonb)",
            &[chunk.into(), triggers.map(|triggers| triggers.to_string()).into()],
        )
    })
}

/// Checks a CHECK constraint of a chunk that is NOT VALID, with the rights of the chunk's owner.
pub fn validate_check(chunk: Oid, name: &str, check: &str) -> Result<()> {
    making(name, None, || {
        spi::execute("CALL timescale_migrate.validate_check($1, $2)", &[chunk.into(), check.into()]).map(drop)
    })
}

/// Calls a function of this extension that makes an object out of its description.
pub(super) fn call(function: &str, object: &Name, spec: &serde_json::Value) -> Result<()> {
    making(&object.shown(), Some(function), || {
        spi::execute(&format!("SELECT timescale_migrate.{function}($1)"), &[spi::json(spec)?]).map(drop)
    })
}

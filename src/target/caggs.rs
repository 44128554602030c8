//! Continuous aggregates: made without rows, and given the source's state of materialization at the end.

use super::context::making;
use super::hypertables::call;
use super::overloads::refuse_overloads;
use super::schema::Maker;
use crate::core::cagg_state;
use crate::core::inventory::{Cagg, Inventory};
use crate::error::Result;
use crate::pg::spi;

/// Makes a continuous aggregate, empty, after those that it reads.
pub fn make(cagg: &Cagg, maker: &Maker) -> Result<()> {
    refuse_overloads()?;
    let mut spec = cagg.spec.clone();
    if let Some(fields) = spec.as_object_mut() {
        if !maker.owners {
            fields.remove("owner");
        }
        let tablespace = fields.get("tablespace").and_then(|t| t.as_str());
        if !tablespace.is_some_and(|name| maker.has_tablespace(name)) {
            fields.remove("tablespace");
        }
    }
    call("create_cagg", &cagg.qualified(), &spec)
}

/// Puts on a continuous aggregate's materialization hypertable what its users have put there; returns
/// what could not be made.
pub fn set_own(cagg: &Cagg) -> Result<Option<String>> {
    let name = cagg.qualified();
    let lost = making(&name.shown(), Some("set_cagg_own"), || {
        spi::value::<String>(
            "SELECT timescale_migrate.set_cagg_own($1::pg_catalog.name, $2::pg_catalog.name, $3)",
            &[name.schema.clone().into(), name.name.clone().into(), spi::json(&cagg.spec["own"])?],
        )
    })?;
    Ok(lost.map(|lost| format!("continuous aggregate {}: {lost}", name.shown())))
}

/// Makes TimescaleDB see the continuous aggregates as the source does: what is materialized,
/// and what was written since.
/// `later`: what the source held under the last snapshot, if not all was read under the first.
pub fn set_state(inventory: &Inventory, later: Option<&Inventory>) -> Result<()> {
    if inventory.caggs.is_empty() {
        return Ok(());
    }
    let (specs, ranges) = cagg_state::of(inventory, later);
    spi::execute("SELECT timescale_migrate.set_cagg_state($1, $2)", &[spi::json(&specs)?, spi::json(&ranges)?])
        .map(drop)
}

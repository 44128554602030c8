//! Which hypertables have compression enabled, and with which settings.

use super::context::making;
use super::hypertables::expression;
use super::overloads::refuse_overloads;
use crate::core::inventory::{Hypertable, Inventory};
use crate::core::name::Name;
use crate::error::Result;
use crate::pg::spi;

/// Enables compression as on the source, on hypertables known by a name that is `wanted`.
pub fn enable(inventory: &Inventory, wanted: impl Fn(&Name) -> bool) -> Result<()> {
    compressions(inventory)
        .filter(|(root, _)| wanted(&root.known_as()))
        .try_for_each(|(root, spec)| set(root, spec, &serde_json::Value::Null))
}

/// What changes how rows come in and are compressed: for when all have arrived as they are on the
/// source.
pub fn enable_late(inventory: &Inventory) -> Result<()> {
    compressions(inventory)
        .filter(|(_, spec)| spec["late"].as_object().is_some_and(|late| !late.is_empty()))
        .try_for_each(|(root, spec)| set(root, spec, &spec["late"]))
}

fn compressions(inventory: &Inventory) -> impl Iterator<Item = (&Hypertable, &serde_json::Value)> {
    inventory.compressions.iter().filter_map(|compression| {
        let root = inventory.hypertables.iter().find(|h| h.id == compression.hypertable_id)?;
        Some((root, &compression.spec))
    })
}

fn set(root: &Hypertable, spec: &serde_json::Value, late: &serde_json::Value) -> Result<()> {
    let name = root.known_as();
    refuse_overloads()?;
    making(&name.shown(), Some("enable_compression"), || {
        spi::execute(
            &format!("SELECT timescale_migrate.enable_compression({}, $1, $2)", expression(root)),
            &[spi::json(&spec["settings"])?, spi::json(late)?],
        )
    })?;
    // ALTER TABLE makes policies by itself along with certain settings.
    let named = serde_json::json!([{"schema": name.schema, "name": name.name, "cagg": root.cagg.is_some()}]);
    spi::execute("SELECT timescale_migrate.delete_policies($1)", &[spi::json(&named)?]).map(drop)
}

//! Sequences' values. They are not MVCC: read after the snapshot was taken, they are at or
//! past every value that the copied rows hold.

use crate::core::inventory::Inventory;
use crate::core::name::literal;
use crate::error::{Error, Result};
use crate::libpq::Connection;
use crate::pg::spi;
use crate::source::inventory::Ask;

/// Sequences in one query.
const BATCH: usize = 200;

/// Carries every value over; returns how many.
pub fn carry(source: &mut Connection, inventory: &Inventory) -> Result<usize> {
    for batch in inventory.sequences.chunks(BATCH) {
        let parts: Vec<String> = batch
            .iter()
            .map(|s| {
                let name = crate::core::name::Name::new(&s.schema, &s.name);
                format!(
                    "SELECT json_build_array({}::text, last_value, is_called)::text FROM {name}",
                    literal(&name.to_string())
                )
            })
            .collect();
        for (name, last, called) in source.ask::<(String, i64, bool)>(&parts.join(" UNION ALL "))? {
            crate::pg::catch::transaction(|| {
                spi::execute(
                    "SELECT pg_catalog.setval($1::pg_catalog.regclass, $2, $3)",
                    &[name.clone().into(), last.into(), called.into()],
                )
                .map(drop)
            })
            .map_err(|e: Error| e.about(format!("sequence {name}")))?;
        }
    }
    Ok(inventory.sequences.len())
}

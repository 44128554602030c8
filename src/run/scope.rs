//! What a run is about: of what the source holds, that which arrives here.

use crate::core::inventory::{Chunk, Inventory};
use crate::core::options::{Caggs, Options};
use crate::core::recompute;
use crate::core::scope::Scope;
use crate::error::Result;
use crate::libpq::Connection;
use crate::source::inventory::{self, Ask, Here};

pub fn of(source: &mut Connection, inventory: Inventory, options: &Options) -> Result<Scope> {
    let target = inventory::server(&mut Here)?;
    let found = match inventory.server.timescaledb {
        Some(_) => source.ask(include_str!("../../sql/inventory/unsupported_timescaledb.sql"))?,
        None => Vec::new(),
    };
    let mut scope = Scope::new(inventory, found, &target, options);
    if options.caggs == Caggs::Recompute {
        for cagg in scope.inventory.caggs.clone() {
            let Some(query) = recompute::lost(&scope.inventory, &cagg) else { continue };
            if let [Some(first), Some(last)] = source.query(&query)?.0[0].as_slice() {
                scope.lost(&cagg.qualified(), first, last);
            }
        }
    }
    let tiered: Vec<Chunk> = scope.inventory.chunks.iter().filter(|c| c.osm).cloned().collect();
    for chunk in tiered {
        let probe = format!("SELECT FROM ONLY {} LIMIT 1", chunk.qualified());
        let unreadable = source.probe(&probe)?.map(|error| error.message);
        scope.tiered(&chunk, unreadable.as_deref());
    }
    Ok(scope)
}

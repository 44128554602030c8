//! Reading a database's inventory, from the source over its connection or from the target
//! through SPI.

use crate::core::inventory::{Hypertable, Inventory, Server};
use crate::error::{Error, Result, Side};
use crate::libpq::Connection;
use crate::pg::spi;
use serde::de::DeserializeOwned;

/// Something that answers inventory queries with JSON rows.
pub trait Ask {
    fn ask<T: DeserializeOwned>(&mut self, sql: &str) -> Result<Vec<T>>;
}

impl Ask for Connection {
    fn ask<T: DeserializeOwned>(&mut self, sql: &str) -> Result<Vec<T>> {
        self.query(sql)?.json()
    }
}

/// This database, through SPI.
pub struct Here;

impl Ask for Here {
    fn ask<T: DeserializeOwned>(&mut self, sql: &str) -> Result<Vec<T>> {
        spi::json_rows(sql, &[])
    }
}

pub fn server(db: &mut impl Ask) -> Result<Server> {
    db.ask(include_str!("../../sql/inventory/server.sql"))?
        .pop()
        .ok_or_else(|| Error::internal("the server did not describe itself").on(Side::Source))
}

/// Everything that is copied, in one read.
pub fn read(db: &mut impl Ask, server: Server) -> Result<Inventory> {
    let mut inventory = Inventory {
        relations: db.ask(include_str!("../../sql/inventory/relations.sql"))?,
        sequences: db.ask(include_str!("../../sql/inventory/sequences.sql"))?,
        matviews: db.ask(include_str!("../../sql/inventory/matviews.sql"))?,
        hypertables: Vec::new(),
        chunks: Vec::new(),
        excluded: Vec::new(),
        server,
    };
    let Some(timescaledb) = &inventory.server.timescaledb else { return Ok(inventory) };
    for spec in db.ask::<serde_json::Value>(include_str!("../../sql/inventory/hypertables.sql"))? {
        let unreadable = |e| Error::internal(format!("unexpected hypertable: {e}")).on(Side::Source);
        let text = spec.to_string();
        let mut hypertable: Hypertable = serde_json::from_value(spec).map_err(unreadable)?;
        hypertable.spec = text;
        inventory.hypertables.push(hypertable);
    }
    inventory.chunks = db.ask(include_str!("../../sql/inventory/chunks.sql"))?;
    inventory.excluded = db.ask(include_str!("../../sql/inventory/excluded.sql"))?;
    if timescaledb.catalog.compress_relid {
        inventory.excluded.extend(db.ask(include_str!("../../sql/inventory/excluded_compressed.sql"))?);
    }
    Ok(inventory)
}

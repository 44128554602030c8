//! What a run is about: of what the source holds, that which arrives here.

use crate::catalog::{self, Catalog, Local};
use crate::core::inventory::{Chunk, Excluded, Inventory, PG_CLASS, Server};
use crate::core::options::{Caggs, Options};
use crate::core::plan::recompute;
use crate::core::scope::{Found, Scope};
use crate::error::Result;
use crate::libpq::Connection;
use crate::pg::spi;
use crate::target::schema;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Asks both servers what the decision needs.
pub fn of(source: &mut Connection, inventory: Inventory, options: &Options) -> Result<Scope> {
    let target = catalog::server(&mut Local)?;
    let mut found = Vec::new();
    if inventory.server.timescaledb.is_some() {
        found = source.ask(include_str!("../../sql/preflight/unsupported_timescaledb.sql"))?;
        found.extend(lacking(source, &inventory, &target)?);
    }
    let mut scope = Scope::new(inventory, found, &target, options);
    if target.timescaledb.is_some() {
        let policies = "SELECT to_json(p.proname)::text FROM pg_catalog.pg_proc p
                        WHERE p.pronamespace = pg_catalog.to_regnamespace('_timescaledb_functions')";
        scope.unknown_policies(&Local.ask(policies)?.into_iter().collect());
    }
    if options.caggs == Caggs::Recompute {
        for cagg in scope.inventory.caggs.clone() {
            let Some(query) = recompute::lost(&scope.inventory, &cagg) else { continue };
            if let Some([Some(first), Some(last)]) = source.query(&query)?.0.first().map(Vec::as_slice) {
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

/// `needs.sql`
#[derive(Deserialize)]
struct Needs {
    subject: String,
    class_oid: u32,
    oid: u32,
    relation_oid: Option<u32>,
    object: Option<Excluded>,
    needs: Vec<Need>,
}

#[derive(Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
struct Need {
    kind: String,
    name: String,
    column: Option<String>,
}

impl Need {
    fn shown(&self) -> String {
        match &self.column {
            Some(column) => format!("column {column} of {}", self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }
}

/// The user's objects that need something of TimescaleDB's which this version of it has not.
fn lacking(source: &mut Connection, inventory: &Inventory, target: &Server) -> Result<Vec<Found>> {
    let mut users: Vec<Needs> = source.ask(include_str!("../../sql/preflight/needs.sql"))?;
    let own: HashSet<(u32, u32)> = schema::filter(inventory).not_made().collect();
    users.retain(|user| {
        let relation = user.relation_oid.is_some_and(|oid| own.contains(&(PG_CLASS, oid)));
        !relation && !own.contains(&(user.class_oid, user.oid))
    });
    let needs: HashSet<&Need> = users.iter().flat_map(|user| &user.needs).collect();
    let missing = spi::json_rows::<Need>(include_str!("../../sql/preflight/lacking.sql"), &[spi::json(&needs)?])?;
    let missing: HashSet<Need> = missing.into_iter().collect();
    let version = target.timescaledb.as_ref().map_or("", |timescaledb| &timescaledb.version);
    let found = users.into_iter().filter_map(|user| {
        let lacks: Vec<String> = user.needs.iter().filter(|need| missing.contains(need)).map(Need::shown).collect();
        let detail = format!("It needs {}, which TimescaleDB {version} does not have.", lacks.join(", "));
        let kind = "dependence on TimescaleDB".to_string();
        (!lacks.is_empty()).then_some(Found { kind, subject: user.subject, detail, object: user.object })
    });
    Ok(found.collect())
}

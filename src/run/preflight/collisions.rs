//! What the target has already under the names of what is to be made.

use super::{Report, Status, queries};
use crate::catalog::{Catalog, Local};
use crate::core::inventory::{Inventory, PG_CLASS, PG_PROC};
use crate::core::name::quoted;
use crate::error::Result;
use crate::libpq::Connection;
use crate::pg::spi;
use crate::run::standing;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// `objects.sql`
#[derive(Deserialize)]
struct Object {
    kind: String,
    identity: String,
    #[serde(rename = "type")]
    type_name: String,
    class_oid: u32,
    oid: u32,
    table_oid: Option<u32>,
}

impl Object {
    /// The statement that drops it, as a hint.
    fn drop(&self, is_cagg: bool) -> String {
        let kind = match self.type_name.as_str() {
            "view" if is_cagg => "MATERIALIZED VIEW".to_string(),
            "composite type" => "TYPE".to_string(),
            "statistics object" => "STATISTICS".to_string(),
            "foreign-data wrapper" => "FOREIGN DATA WRAPPER".to_string(),
            "large object" => {
                return format!("SELECT lo_unlink({}); -- or migrate into an empty database", self.identity);
            }
            // Its statement has other words than its name.
            "transform" => return "Drop it, or migrate into an empty database.".to_string(),
            other => other.to_uppercase(),
        };
        format!("DROP {kind} {}; -- or migrate into an empty database", self.identity)
    }

    /// How a part of the database can be migrated without it, as a hint.
    fn leave_out(&self) -> &'static str {
        match (self.class_oid, self.table_oid) {
            (_, Some(_)) => "Leave its table out with the option exclude, or migrate into another database.",
            (PG_CLASS | PG_PROC, None) => "Leave it out with the option exclude, or migrate into another database.",
            // Only a pattern for its whole schema matches it.
            _ => "No pattern can leave it out alone: migrate both parts by one call, into another database.",
        }
    }
}

/// What finished runs made on the target, and which.
fn made_here() -> Result<HashMap<(u32, u32), i64>> {
    let text = "SELECT json_build_array(m.classid::int8, m.objid::int8, m.run)::text
         FROM timescale_migrate.made_log m JOIN timescale_migrate.run r ON r.id = m.run AND r.state = 'done'";
    let made = spi::json_rows::<(u32, u32, i64)>(text, &[])?;
    Ok(made.into_iter().map(|(class_oid, oid, run)| ((class_oid, oid), run)).collect())
}

/// What the target already has under a name that is to be made; if no schema is made, only large objects are.
pub(super) fn collisions(
    report: &mut Report,
    source: &mut Connection,
    inventory: &Inventory,
    makes: bool,
) -> Result<()> {
    let text = queries::OBJECTS;
    let here: HashMap<(String, String), (u32, u32)> =
        Local.ask::<Object>(text)?.into_iter().map(|o| ((o.kind, o.identity), (o.class_oid, o.oid))).collect();
    let excluded: HashSet<u32> = inventory.excluded.iter().map(|e| e.oid).collect();
    let arrives = |object: &Object| {
        let selection = &inventory.selection;
        let left_out = |oid: &u32| excluded.contains(oid);
        (makes || object.type_name == "large object")
            && !left_out(&object.oid)
            && match &object.table_oid {
                Some(table) => selection.arrives(PG_CLASS, *table) && !left_out(table),
                None => selection.arrives(object.class_oid, object.oid),
            }
    };
    let mut taken: Vec<(Object, (u32, u32))> = Vec::new();
    for object in source.ask::<Object>(text)? {
        let name = (object.kind.clone(), object.identity.clone());
        // A schema may exist already.
        if let Some(local) = here.get(&name).filter(|_| object.kind != "schema" && arrives(&object)) {
            taken.push((object, *local));
        }
    }
    // An index, or an identity column's sequence, goes with its table.
    let tables: HashSet<u32> = taken.iter().map(|(object, _)| object.oid).collect();
    taken.retain(|(object, _)| object.table_oid.is_none_or(|table| !tables.contains(&table)));
    let made_here = if taken.is_empty() { HashMap::new() } else { made_here()? };
    let unfinished = standing::unfinished()?;
    let caggs: HashSet<u32> = inventory.caggs.iter().map(|cagg| cagg.oid).collect();
    for (object, local) in taken {
        let hint = match (&unfinished, made_here.get(&local)) {
            (Some(unfinished), _) => unfinished.clone(),
            (None, Some(run)) => format!("Run {run} made it. {}", object.leave_out()),
            (None, None) => object.drop(caggs.contains(&object.oid)),
        };
        let subject = format!("{} {}", object.type_name, object.identity);
        report.add("target", Status::Error, subject, "already exists on the target", hint);
    }
    if makes && !inventory.hypertables.is_empty() {
        let everything = "SELECT to_json(pubname)::text FROM pg_catalog.pg_publication WHERE puballtables";
        for publication in spi::json_rows::<String>(everything, &[])? {
            report.add(
                "target",
                Status::Error,
                format!("publication {publication}"),
                "is FOR ALL TABLES, and a table in a publication cannot become a hypertable",
                format!("DROP PUBLICATION {}; -- and make it again after the migration", quoted(&publication)),
            );
        }
    }
    report.settle("target", "this database", "has none of the objects to be made");
    Ok(())
}

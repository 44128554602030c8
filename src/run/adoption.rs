//! Rows into an existing schema: what it has, and what a run has decided about it.

use super::process::restricted;
use crate::catalog::{self, Local};
use crate::core::arrival::{self, Arrival, Arrivals, Here, Standing, Way};
use crate::core::inventory::{Hypertable, Inventory, Relation};
use crate::core::name::Name;
use crate::core::options::{Keep, Mode, Options};
use crate::core::progress;
use crate::core::scope::{Left, Scope};
use crate::error::{Error, Result, SqlState};
use crate::pg::{rows, spi};
use pgrx::pg_sys::Oid;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap, HashSet};

/// What a run does with what exists.
pub struct Adoption {
    pub arrivals: Arrivals,
    /// Continuous aggregates whose next refresh has to begin anew.
    pub renewed: Vec<Name>,
}

/// Lets a scope be about rows alone, if the options say so: what becomes of each table, entered in the scope
/// as far as it is to be told. `run` may have begun to fill them.
pub fn adapt(scope: &mut Scope, options: &Options, run: Option<i64>) -> Result<Option<Adoption>> {
    if options.mode != Mode::Data {
        return Ok(None);
    }
    let own = catalog::read(&mut Local, catalog::server(&mut Local)?)?;
    let here = here(&scope.inventory, &own, run)?;
    let (mut arrivals, left) = arrival::of(&scope.inventory, &here, options);
    let (caggs, told) = arrival::caggs(&mut scope.inventory, &here);
    arrivals.extend(caggs);
    let (renewed, refused) = arrival::renewed(&arrivals, &here);
    scope.left.extend(left.into_iter().chain(told).chain(refused));
    for chunk in scope.inventory.chunks.iter().filter(|chunk| chunk.osm) {
        let subject = format!("tiered chunk {}", chunk.qualified().shown());
        let detail = "Its rows cannot be copied into an existing schema.".to_string();
        scope.left.push(Left { subject, detail, hint: "Untier it on the source.".to_string(), refused: true });
    }
    scope.left.extend(sequences(&mut scope.inventory, &own));
    if options.owners == Keep::Keep {
        scope.left.extend(other_owners(&scope.inventory, &here, &arrivals));
    }
    let known: HashSet<(&str, &str)> = own.matviews.iter().map(|m| (m.schema.as_str(), m.name.as_str())).collect();
    scope.inventory.matviews.retain(|m| known.contains(&(m.schema.as_str(), m.name.as_str())));
    arrival::nothing_made(&mut scope.inventory);
    Ok(Some(Adoption { arrivals, renewed }))
}

fn here<'a>(source: &Inventory, own: &'a Inventory, run: Option<i64>) -> Result<Here<'a>> {
    let roots = source.hypertables.iter().filter(|h| h.cagg.is_none()).map(|h| h.qualified());
    let sequences = source.sequences.iter().map(|s| Name::new(&s.schema, &s.name));
    let names: Vec<Name> =
        source.filled_tables().map(|table| table.qualified()).chain(roots).chain(sequences).collect();
    let found: Vec<Standing> =
        spi::json_rows(include_str!("../../sql/preflight/existing_relations.sql"), &[spi::json(&names)?])?;
    let read = own.of_chunks();
    let has_rows = |table: u32| {
        let chunks = own.hypertables.iter().filter(|h| h.oid == table).flat_map(|h| own.chunks_of(h));
        let mut chunks = chunks.map(|chunk| (chunk.osm, &read[&chunk.oid]));
        let any = |oid: u32| rows::has_any(Oid::from_u32(oid));
        any(table) || chunks.any(|(osm, relations)| osm || relations.iter().any(|relation| any(relation.oid)))
    };
    let tables = found.iter().filter(|standing| standing.kind == "r").map(|standing| standing.oid);
    let filled = tables.filter(|table| has_rows(*table)).collect();
    let adopted: HashMap<u32, (Way, bool)> = match run {
        None => HashMap::new(),
        Some(run) => {
            let query = "SELECT json_build_array(relation::bigint, json_build_array(way, empty))::text
                         FROM timescale_migrate.adopted_log WHERE run = $1";
            spi::json_rows::<(u32, (Way, bool))>(query, &[run.into()])?.into_iter().collect()
        }
    };
    let standing = found.into_iter().map(|standing| (Name::new(&standing.schema, &standing.name), standing)).collect();
    Ok(Here { inventory: own, standing, filled, adopted })
}

/// The hypertables of either side whose chunks need not be the same on the other.
pub fn other_forms(source: &Inventory, own: &Inventory, options: &Options) -> HashSet<Name> {
    let converted = source.hypertables.iter().filter(|h| h.is_converted() && !source.selection.is_empty(h.oid));
    let converted = converted.map(Hypertable::known_as);
    if options.mode != Mode::Data {
        // A run with other options may have made hypertables of ordinary tables.
        let ordinary: HashSet<Name> = source.filled_tables().map(Relation::qualified).collect();
        let made = own.hypertables.iter().map(Hypertable::known_as).filter(|name| ordinary.contains(name));
        return converted.chain(made).collect();
    }
    let chunks = |inventory: &Inventory, name: &Name| {
        let of = |h: &Hypertable| inventory.chunks_of(h).map(|chunk| chunk.slices.clone()).collect::<BTreeSet<_>>();
        inventory.hypertables.iter().find(|h| h.known_as() == *name).map(of)
    };
    let all = source.hypertables.iter().chain(&own.hypertables).map(Hypertable::known_as);
    all.filter(|name| chunks(source, name) != chunks(own, name)).collect()
}

/// What has another owner on the target than on the source, and was made by no run.
fn other_owners(source: &Inventory, here: &Here, arrivals: &Arrivals) -> Vec<Left> {
    let is_other = |name: &Name, owner: Option<&str>| {
        here.standing.get(name).is_some_and(|own| !own.made && owner.is_some_and(|owner| owner != own.owner))
    };
    let is_written = |oid| arrivals.get(&oid).is_some_and(|arrival| arrival.relation.is_some());
    let roots = source.hypertables.iter().filter(|h| h.cagg.is_none()).filter_map(|h| source.root(h));
    let tables = source.filled_tables().chain(roots).filter(|table| is_written(table.oid));
    let tables = tables.map(|table| (table.qualified(), table.owner.as_deref()));
    let tables = tables.filter(|(name, owner)| is_other(name, *owner)).map(|(name, _)| name.shown());
    let sequences = source.sequences.iter().map(|s| (Name::new(&s.schema, &s.name), s.owner.as_deref()));
    let sequences = sequences.filter(|(name, owner)| is_other(name, *owner)).map(|(name, _)| name.shown());
    let mut left = Vec::new();
    for (what, names) in [("tables", tables.collect::<Vec<_>>()), ("sequences", sequences.collect())] {
        if !names.is_empty() {
            let listed = progress::listed(&names);
            let detail = format!("{listed} belong to other roles on the target than on the source.");
            left.push(Left::told(format!("{what} of other owners"), detail));
        }
    }
    left
}

/// Those that the target lacks get no value.
fn sequences(source: &mut Inventory, own: &Inventory) -> Vec<Left> {
    let known: HashSet<(&str, &str)> = own.sequences.iter().map(|s| (s.schema.as_str(), s.name.as_str())).collect();
    let mut left = Vec::new();
    source.sequences.retain(|sequence| {
        let is_here = known.contains(&(sequence.schema.as_str(), sequence.name.as_str()));
        if !is_here {
            let subject = format!("sequence {}", Name::new(&sequence.schema, &sequence.name).shown());
            left.push(Left::told(subject, "It does not exist on the target. Left out: its value.".to_string()));
        }
        is_here
    });
    left
}

#[derive(Serialize)]
struct Entry {
    relation: u32,
    way: Way,
    empty: bool,
    keeps: bool,
}

/// Lets the next refresh of aggregates begin anew, in the current transaction.
pub fn renew(caggs: &[Name]) -> Result<()> {
    caggs.iter().try_for_each(|cagg| {
        let arguments = [cagg.schema.clone().into(), cagg.name.clone().into()];
        spi::value::<String>("SELECT timescale_migrate.begin_refresh($1, $2)", &arguments).map(drop)
    })
}

/// Records what the run may write to, in the current transaction.
pub fn adopt(run: i64, arrivals: &Arrivals) -> Result<()> {
    let entry = |a: &Arrival| Some(Entry { relation: a.relation?, way: a.way, empty: a.empty, keeps: a.keeps });
    let entries: Vec<Entry> = arrivals.values().filter_map(entry).collect();
    let new: Vec<(u32, Way)> =
        spi::json_rows(include_str!("../../sql/run/adopt.sql"), &[run.into(), spi::json(&entries)?])?;
    // A copy empties its table first. What came in after the checks is not the run's.
    for (relation, way) in new {
        let relation = Oid::from_u32(relation);
        let name = || -> Result<String> {
            let name = spi::value("SELECT $1::pg_catalog.regclass::text", &[relation.into()])?;
            Ok(name.unwrap_or_default())
        };
        let is_filled = match way {
            Way::Table | Way::Flat => rows::has_any(relation),
            // Of a hypertable the rows are in its chunks, and in what these are compressed into.
            Way::Chunks | Way::Routed => {
                let query = format!("SELECT EXISTS (SELECT FROM {})", name()?);
                restricted(|| spi::value::<bool>(&query, &[]))? == Some(true)
            }
        };
        if is_filled {
            let name = name()?;
            return Err(Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, format!("{name} is no longer empty"))
                .hint(format!("TRUNCATE {name}; -- or keep its rows: \"into\": \"any\"")));
        }
    }
    Ok(())
}

//! What a run is about: of what the source holds, that which arrives on the target.

use crate::catalog::{self, Catalog, Local};
use crate::core::conversion::{self, Facts};
use crate::core::inventory::{Cagg, Chunk, Excluded, Inventory, Object, PG_CLASS, Selection, Server};
use crate::core::name::literal;
use crate::core::options::{Caggs, Mode, Options};
use crate::core::plan::recompute;
use crate::core::scope::{Found, Left, Scope};
use crate::core::selection::{self, Nameable, Named};
use crate::core::times::EXPECTED;
use crate::error::{Error, Result, SqlState};
use crate::libpq::Connection;
use crate::pg::spi;
use crate::target::schema;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

const UNSUPPORTED: &str = include_str!("../../sql/preflight/unsupported_timescaledb.sql");
const NAMEABLE: &str = include_str!("../../sql/inventory/nameable.sql");
const NEEDS: &str = include_str!("../../sql/preflight/needs.sql");

/// Asks both servers what the decision needs.
pub fn of(source: &mut Connection, mut inventory: Inventory, options: &Options) -> Result<Scope> {
    let target = catalog::server(&mut Local)?;
    let named = selection(source, &mut inventory, options)?;
    let mut found = Vec::new();
    if inventory.server.timescaledb.is_some() {
        source.announce([UNSUPPORTED, NEEDS].map(str::to_owned).to_vec())?;
        found = source.ask(UNSUPPORTED)?;
        found.extend(lacking(source, &inventory, &target)?);
    }
    let mut scope = Scope::new(inventory, found, &target, options);
    scope.left.extend(named);
    if target.timescaledb.is_some() {
        let policies = "SELECT to_json(p.proname)::text FROM pg_catalog.pg_proc p
                        WHERE p.pronamespace = pg_catalog.to_regnamespace('_timescaledb_functions')";
        scope.unknown_policies(&Local.ask(policies)?.into_iter().collect());
    }
    if options.caggs == Caggs::Recompute && options.mode != Mode::Schema {
        for cagg in scope.inventory.caggs.clone() {
            let Some(query) = recompute::lost(&scope.inventory, &cagg) else { continue };
            if let Some([Some(first), Some(last)]) = source.query(&query)?.0.first().map(Vec::as_slice) {
                scope.lost(&cagg.qualified(), first, last);
            }
        }
    }
    conversions(source, &mut scope, &target, options)?;
    let tiered: Vec<Chunk> = scope.inventory.chunks.iter().filter(|c| c.osm).cloned().collect();
    for chunk in tiered {
        let probe = format!("SELECT FROM ONLY {} LIMIT 1", chunk.qualified());
        let unreadable = source.probe(&probe)?.map(|error| error.message);
        scope.tiered(&chunk, unreadable.as_deref());
    }
    Ok(scope)
}

/// Reduces the inventory to what the options ask for; what is said about it.
fn selection(source: &mut Connection, inventory: &mut Inventory, options: &Options) -> Result<Vec<Left>> {
    if options.is_whole() {
        return Ok(Vec::new());
    }
    let all: Vec<Nameable> = source.ask(NAMEABLE)?;
    let named = Named::of(options, &all, inventory);
    let only = match options.include.is_empty() {
        true => None,
        false => Some(needed(source, &selection::edges(&all, inventory), &named)?),
    };
    let no_rows = options.mode == Mode::Schema;
    let materialized = |cagg: &Cagg| named.exclude_data.contains(&(PG_CLASS, cagg.oid)).then_some(cagg.relation.oid);
    let mut empty: HashSet<u32> = inventory.caggs.iter().filter_map(materialized).collect();
    empty.extend(named.exclude_data.into_iter().filter(|object| object.0 == PG_CLASS).map(|object| object.1));
    inventory.selection = Selection { only, unwanted: named.exclude, empty, no_rows, ..Selection::default() };
    inventory.select();
    let upon_nothing = inventory.caggs.iter().filter(|cagg| inventory.selection.is_empty(cagg.raw.oid));
    inventory.selection.refreshable = upon_nothing.map(|cagg| (cagg.oid, [i64::MIN; 2])).collect();
    let mut told = named.told;
    if no_rows {
        return Ok(told);
    }
    told.extend(time_ranges(source, inventory, &all, options)?);
    Ok(told)
}

/// Makes hypertables of the tables that the options name; what is said about it.
pub fn conversions(source: &mut Connection, scope: &mut Scope, target: &Server, options: &Options) -> Result<()> {
    if options.hypertables.is_empty() {
        return Ok(());
    }
    let (wanted, told, unused) = conversion::wanted(options, &scope.inventory);
    scope.left.extend(told);
    if !unused.is_empty() {
        let all: Vec<Nameable> = source.ask(NAMEABLE)?;
        let (option, what, names) = ("hypertables", "table", conversion::names(&scope.inventory));
        let unfit = unused.iter().map(|key| {
            conversion::of_partitions(key, &all, &scope.inventory)
                .unwrap_or_else(|| selection::unfit(option, what, key, &names, &all, &scope.inventory))
        });
        scope.left.extend(unfit.collect::<Vec<_>>());
    }
    let tables: Vec<String> = wanted.iter().map(|wanted| wanted.oid.to_string()).collect();
    let facts = include_str!("../../sql/preflight/hypertables_to_be.sql")
        .replace(":tables:", &literal(&format!("{{{}}}", tables.join(","))));
    let facts: Vec<Facts> = source.ask(&facts)?;
    scope.left.extend(conversion::convert(&mut scope.inventory, &wanted, &facts, target, options));
    Ok(())
}

/// Reduces hypertables to the rows that the options ask for; what is said about it.
fn time_ranges(
    source: &mut Connection,
    inventory: &mut Inventory,
    all: &[Nameable],
    options: &Options,
) -> Result<Vec<Left>> {
    let (mut ranges, told) = selection::time_ranges(options, inventory, all);
    for (oid, range) in &mut ranges {
        let hypertable = inventory.hypertables.iter().find(|hypertable| hypertable.oid == *oid);
        let name = hypertable.map(|hypertable| hypertable.known_as().shown()).unwrap_or_default();
        let about = |error: Error| {
            let error = error.about(format!("option time_range of {name}"));
            if error.is_about_data() { error.hint(EXPECTED) } else { error }
        };
        let ends: Vec<[Option<i64>; 2]> = source.ask(&range.ends()).map_err(about)?;
        let [from, to] = ends.first().copied().unwrap_or_default();
        range.internal = [from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX)];
        if range.internal[0] >= range.internal[1] {
            let message = format!("option \"time_range\" of {name}: from is not before to");
            return Err(Error::new(SqlState::INVALID_PARAMETER, message));
        }
        for cagg in inventory.caggs.iter().filter(|cagg| cagg.raw.oid == *oid) {
            let materialization = cagg.relation.qualified().to_string();
            let buckets: Vec<[Option<i64>; 2]> =
                source.ask(&range.whole_buckets(&materialization, &cagg.time_column))?;
            let [first, last] = buckets.first().copied().unwrap_or_default();
            let [from, to] = range.is_open();
            let first = if from { i64::MIN } else { first.unwrap_or(i64::MAX) };
            let last = if to { i64::MAX } else { last.unwrap_or(i64::MIN) };
            inventory.selection.refreshable.insert(cagg.oid, [first, last]);
        }
        inventory.selection.filters.insert(*oid, range.filter());
    }
    inventory.cut(&ranges);
    Ok(told)
}

/// What is included and not excluded, and what that needs.
fn needed(source: &mut Connection, edges: &[(u32, Object)], named: &Named) -> Result<HashSet<Object>> {
    let edges: Vec<(u32, u32, u32)> = edges.iter().map(|(relation, object)| (*relation, object.0, object.1)).collect();
    let array = |value: serde_json::Value| format!("{}::", literal(&value.to_string()));
    let text = include_str!("../../sql/inventory/needed.sql")
        .replace(":objects::", &array(serde_json::json!(named.include)))
        .replace(":unwanted::", &array(serde_json::json!(named.exclude)))
        .replace(":edges::", &array(serde_json::json!(edges)));
    Ok(source.ask::<Object>(&text)?.into_iter().collect())
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

/// An object of PostgreSQL's or an extension's.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub struct Need {
    kind: String,
    name: String,
    column: Option<String>,
}

impl Need {
    pub fn shown(&self) -> String {
        match &self.column {
            Some(column) => format!("column {column} of {}", self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }
}

/// Which of them do not exist on the target.
pub fn missing<'a>(needs: impl Iterator<Item = &'a Need>) -> Result<HashSet<Need>> {
    let needs: HashSet<&Need> = needs.collect();
    Ok(spi::json_rows(include_str!("../../sql/preflight/lacking.sql"), &[spi::json(&needs)?])?.into_iter().collect())
}

/// The user's objects that need something of TimescaleDB's which this version of it has not.
fn lacking(source: &mut Connection, inventory: &Inventory, target: &Server) -> Result<Vec<Found>> {
    let mut users: Vec<Needs> = source.ask(NEEDS)?;
    let own: HashSet<(u32, u32)> = schema::filter(inventory).not_made().collect();
    users.retain(|user| {
        let relation = user.relation_oid.is_some_and(|oid| own.contains(&(PG_CLASS, oid)));
        !relation && !own.contains(&(user.class_oid, user.oid))
    });
    let missing = missing(users.iter().flat_map(|user| &user.needs))?;
    let version = target.timescaledb.as_ref().map_or("", |timescaledb| &timescaledb.version);
    let found = users.into_iter().filter_map(|user| {
        let lacks: Vec<String> = user.needs.iter().filter(|need| missing.contains(need)).map(Need::shown).collect();
        let detail = format!("It needs {}, which TimescaleDB {version} does not have.", lacks.join(", "));
        let kind = "dependence on TimescaleDB".to_string();
        (!lacks.is_empty()).then_some(Found { kind, subject: user.subject, detail, object: user.object })
    });
    Ok(found.collect())
}

//! Into an existing schema: what becomes of each table of the source, decided in this one
//! place by what there is of the same name.

use super::inventory::{Cagg, Hypertable, Inventory, Relation};
use super::name::{Name, quoted};
use super::options::{IntoTables, Options};
use super::scope::Left;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// How the rows of a table, or of a hypertable, come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Into the table of its name.
    Table,
    /// Chunk by chunk, into chunks with exactly the source's ranges.
    Chunks,
    /// TimescaleDB finds or makes the chunk of each row.
    Routed,
    /// All chunks into one ordinary table.
    Flat,
}

/// What becomes of one.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub way: Way,
    /// What a run may write to: the target's OID, of an aggregate its view's. None is a member of an extension, as to
    /// which no run needs to ask.
    pub relation: Option<u32>,
    /// It has no rows.
    pub empty: bool,
    /// Rows that the target has already stay, so that nothing is emptied.
    pub keeps: bool,
    /// Why compressed chunks arrive as rows, if they do.
    pub unpacked: Option<String>,
}

/// By the OID on the source.
pub type Arrivals = HashMap<u32, Arrival>;

/// `existing_relations.sql`: a relation of the target.
#[derive(Clone, Debug, Deserialize)]
pub struct Standing {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub kind: String,
    pub owner: String,
    pub columns: Vec<StandingColumn>,
    /// Its rewrite rules for INSERT.
    pub rules: bool,
    /// A run has made it, so that its constraints are the source's.
    pub made: bool,
    /// It has a CHECK constraint, or a unique index.
    pub constrained: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct StandingColumn {
    pub name: String,
    #[serde(rename = "type")]
    pub type_name: String,
    /// If it is not its type's own.
    pub collation: Option<String>,
    pub not_null: bool,
    /// It has a value where none is given: a default, an identity, or it is generated.
    pub given: bool,
    pub generated: bool,
}

/// What the target has.
pub struct Here<'a> {
    pub inventory: &'a Inventory,
    pub standing: HashMap<Name, Standing>,
    /// OIDs of tables and hypertables that have rows.
    pub filled: HashSet<u32>,
    /// What an earlier start of the run has decided, by the OID on the target, and whether it was empty then.
    pub adopted: HashMap<u32, (Way, bool)>,
}

impl Here<'_> {
    fn hypertable(&self, name: &Name, cagg: bool) -> Option<&Hypertable> {
        self.inventory.hypertables.iter().find(|h| h.known_as() == *name && h.cagg.is_some() == cagg)
    }

    fn way(&self, oid: u32, way: Way) -> Way {
        self.adopted.get(&oid).map_or(way, |adopted| adopted.0)
    }
}

fn refused(subject: String, detail: impl Into<String>, hint: impl Into<String>) -> Left {
    Left { subject, detail: detail.into(), hint: hint.into(), refused: true }
}

/// What becomes of everything that the inventory lists; and what stands in the way, all of it.
pub fn of(source: &Inventory, here: &Here, options: &Options) -> (Arrivals, Vec<Left>) {
    let (mut arrivals, mut left) = (Arrivals::new(), Vec::new());
    // Tables on the target that users may have rows in, and whether an extension has made them.
    let tables = here.inventory.relations.iter().map(|table| (table.qualified(), table.condition.is_some()));
    let tables: HashMap<Name, bool> = tables.collect();
    for table in source.filled_tables() {
        let name = table.qualified();
        if table.condition.is_some() && tables.get(&name) == Some(&true) {
            let arrival = Arrival { way: Way::Table, relation: None, empty: false, keeps: false, unpacked: None };
            arrivals.insert(table.oid, arrival);
            continue;
        }
        let Some(standing) = standing(&name, here, &tables, options, &mut left) else { continue };
        columns(table, standing, &mut left);
        let other = here.hypertable(&name, false);
        let way = here.way(standing.oid, if other.is_some() { Way::Routed } else { Way::Table });
        other.iter().for_each(|other| skipped(other, way, here, &mut left));
        arrivals.insert(table.oid, arrival(way, standing, here, options));
    }
    let hypertables = source.hypertables.iter().filter(|h| h.cagg.is_none() && !source.selection.is_empty(h.oid));
    for hypertable in hypertables {
        let (name, root) = (hypertable.qualified(), source.root(hypertable));
        let Some(standing) = standing(&name, here, &tables, options, &mut left) else { continue };
        if let Some(root) = root {
            columns(root, standing, &mut left);
        }
        let other = here.hypertable(&name, false);
        let way = match other {
            None => Way::Flat,
            // What comes into a chunk meanwhile would not stay.
            Some(other) if options.into == IntoTables::Empty && fits(hypertable, other, here) => Way::Chunks,
            Some(_) => Way::Routed,
        };
        let way = here.way(standing.oid, way);
        other.iter().for_each(|other| skipped(other, way, here, &mut left));
        let mut arrival = arrival(way, standing, here, options);
        arrival.unpacked = other.zip(root).and_then(|(other, root)| unpacked(root, standing, other, here.inventory));
        arrivals.insert(hypertable.oid, arrival);
    }
    (arrivals, left)
}

fn arrival(way: Way, standing: &Standing, here: &Here, options: &Options) -> Arrival {
    let (empty, keeps) = (!here.filled.contains(&standing.oid), options.into == IntoTables::Any);
    Arrival { way, relation: Some(standing.oid), empty, keeps, unpacked: None }
}

/// The table of that name, if rows can go into it.
fn standing<'a>(
    name: &Name,
    here: &'a Here,
    tables: &HashMap<Name, bool>,
    options: &Options,
    left: &mut Vec<Left>,
) -> Option<&'a Standing> {
    let subject = || format!("table {}", name.shown());
    let Some(standing) = here.standing.get(name) else {
        let hint = "Create it, for instance by \"mode\": \"schema\", or leave it out with the option exclude.";
        left.push(refused(subject(), "does not exist on the target", hint));
        return None;
    };
    if standing.kind != "r" {
        left.push(refused(subject(), "is not an ordinary table on the target", "Rename or drop it on the target."));
        return None;
    }
    if tables.get(name) != Some(&false) {
        left.push(refused(subject(), "belongs to an extension on the target", "Leave it out with the option exclude."));
        return None;
    }
    if standing.rules {
        let hint = format!("ALTER TABLE {name} DISABLE RULE ...; -- until the run is done");
        left.push(refused(subject(), "has a rule for INSERT on the target, which COPY does not apply", hint));
    }
    let is_resumed = here.adopted.contains_key(&standing.oid);
    if here.filled.contains(&standing.oid) && !is_resumed {
        match options.into {
            IntoTables::Empty => {
                // TRUNCATE is refused where a foreign key refers to the table, whether there are rows or not.
                let is_referenced = here.inventory.foreign_keys.iter().any(|key| key.references == *name);
                let empty = if is_referenced { "DELETE FROM" } else { "TRUNCATE" };
                let hint = format!("{empty} {name}; -- or keep its rows: \"into\": \"any\"");
                left.push(refused(subject(), "is not empty on the target", hint));
            }
            IntoTables::Any => {
                let detail = "is not empty on the target: its rows stay, and it is not compared".to_string();
                left.push(Left::told(subject(), detail));
            }
        }
    }
    Some(standing)
}

/// Columns that do not fit, each with what to do.
fn columns(table: &Relation, standing: &Standing, left: &mut Vec<Left>) {
    let name = table.qualified();
    let subject = |column: &str| format!("column {column} of {}", name.shown());
    for column in table.columns.iter().filter(|column| !column.generated) {
        match standing.columns.iter().find(|other| other.name == column.name) {
            None => left.push(refused(
                subject(&column.name),
                format!("has type {} on the source and does not exist on the target", column.type_name),
                format!("ALTER TABLE {name} ADD COLUMN {} {};", quoted(&column.name), column.type_name),
            )),
            Some(other) if other.generated => {
                left.push(refused(subject(&column.name), "is generated on the target", "Drop its expression there."));
            }
            Some(other) if !holds(&other.type_name, &column.type_name) => left.push(refused(
                subject(&column.name),
                format!("has type {} on the target and {} on the source", other.type_name, column.type_name),
                format!("ALTER TABLE {name} ALTER COLUMN {} TYPE {};", quoted(&column.name), column.type_name),
            )),
            Some(_) => {}
        }
    }
    for column in table.columns.iter().filter(|column| column.generated) {
        if !standing.columns.iter().any(|other| other.name == column.name && other.generated) {
            let hint = "Make it a generated column on the target, as it is on the source.";
            left.push(refused(subject(&column.name), "is generated on the source, but not on the target", hint));
        }
    }
    for other in standing.columns.iter().filter(|other| other.not_null && !other.given) {
        if !table.columns.iter().any(|column| column.name == other.name) {
            let quoted = quoted(&other.name);
            let hint = format!("ALTER TABLE {name} ALTER COLUMN {quoted} DROP NOT NULL; -- or give it a default");
            left.push(refused(
                subject(&other.name),
                "is NOT NULL on the target, has no default there, and does not exist on the source",
                hint,
            ));
        }
    }
}

/// Whether every value of a type is one of another, in the same text and binary form.
fn holds(wide: &str, narrow: &str) -> bool {
    let split = |name: &str| -> (String, Option<u32>) {
        let parts = name.strip_suffix(')').and_then(|head| head.split_once('('));
        parts.map_or((name.to_string(), None), |(base, length)| (base.to_string(), length.parse().ok()))
    };
    let ((base, most), (other, length)) = (split(wide), split(narrow));
    wide == narrow
        || (base == "character varying"
            && other == base
            && (most.is_none() && !wide.contains('(') || length <= most && length.is_some()))
        || (wide == "numeric" && other == "numeric")
        || (wide == "text" && other == "character varying")
}

/// Whether chunks with exactly the source's ranges can be made in a hypertable on the target, which has none yet.
fn fits(hypertable: &Hypertable, other: &Hypertable, here: &Here) -> bool {
    const COMPARED: [&str; 5] = ["column", "type", "open", "num_slices", "partitioning_func"];
    let dimensions = |spec: &serde_json::Value| -> Vec<Vec<serde_json::Value>> {
        let all = spec["dimensions"].as_array().into_iter().flatten();
        all.map(|dimension| COMPARED.iter().map(|field| dimension[*field].clone()).collect()).collect()
    };
    // The catalog's way of making a chunk cannot give it foreign keys in every version.
    let name = other.qualified();
    let keyed = here.inventory.foreign_keys.iter().any(|key| key.table == name || key.references == name);
    dimensions(&hypertable.spec) == dimensions(&other.spec)
        && here.inventory.chunks_of(other).next().is_none()
        && (is_native(other, here) || !keyed)
}

/// Whether TimescaleDB's own function makes the chunks.
fn is_native(hypertable: &Hypertable, here: &Here) -> bool {
    here.inventory.server.community() && hypertable.spec["associated_schema_name"] == "_timescaledb_internal"
}

/// Refuses a hypertable whose new chunks would be skipped: only TimescaleDB's own function enters the ranges that they
/// are skipped by.
fn skipped(hypertable: &Hypertable, way: Way, here: &Here, left: &mut Vec<Left>) {
    let skips = here.inventory.skipping.iter().any(|skipping| skipping.hypertable_id == hypertable.id);
    if skips && (way != Way::Chunks || !is_native(hypertable, here)) {
        let subject = format!("table {}", hypertable.qualified().shown());
        let hint = "Call disable_chunk_skipping for its columns, and enable it again after the run.";
        left.push(refused(subject, "has chunk skipping enabled on the target", hint));
    }
}

/// Why chunks that are compressed on the source arrive as rows.
fn unpacked(root: &Relation, standing: &Standing, other: &Hypertable, here: &Inventory) -> Option<String> {
    if !here.compressions.iter().any(|compression| compression.hypertable_id == other.id) {
        return Some("compression is not enabled for the hypertable on the target".to_string());
    }
    let own = |column: &StandingColumn| {
        root.columns.iter().any(|other| {
            other.name == column.name && other.type_name == column.type_name && other.collation == column.collation
        })
    };
    let same = standing.columns.len() == root.columns.len() && standing.columns.iter().all(own);
    if !same {
        return Some("the hypertable on the target has other columns".to_string());
    }
    // What is in a batch, no constraint looks at.
    let is_dimension = |column: &StandingColumn| {
        let mut all = other.spec["dimensions"].as_array().into_iter().flatten();
        all.any(|dimension| dimension["column"] == *column.name)
    };
    let restricts = standing.constrained || standing.columns.iter().any(|c| c.not_null && !is_dimension(c));
    (restricts && !standing.made).then(|| "the hypertable on the target may have other constraints".to_string())
}

/// Continuous aggregates that are the same on the target get their rows; the others are refreshed
/// by whoever made them. Returns what is told about these.
pub fn caggs(source: &mut Inventory, here: &Here) -> (Arrivals, Vec<Left>) {
    let was_empty = |oid: u32| here.adopted.get(&oid).is_some_and(|adopted| adopted.1);
    let is_mixed = |other: &Cagg| here.filled.contains(&other.raw.oid) && !was_empty(other.raw.oid);
    let (mut arrivals, mut left) = (Arrivals::new(), Vec::new());
    for cagg in source.caggs.clone() {
        if source.selection.is_empty(cagg.relation.oid) {
            continue;
        }
        let (name, subject) = (cagg.qualified(), format!("continuous aggregate {}", cagg.qualified().shown()));
        let other = here.inventory.caggs.iter().find(|other| other.qualified() == name);
        let materialized = here.hypertable(&name, true);
        let same = |field: &str| other.is_some_and(|other| other.spec[field] == cagg.spec[field]);
        let why = match (other, materialized) {
            (None, _) | (_, None) => "The target has no continuous aggregate of this name.",
            (Some(other), _)
                if !same("definition") || other.raw.qualified() != cagg.raw.qualified() && !cagg.raw.cagg =>
            {
                "Its query differs on the target."
            }
            (Some(other), _) if is_mixed(other) => "The tables that it reads already contain rows on the target.",
            (Some(other), Some(materialized)) => {
                let is_resumed = here.adopted.contains_key(&other.oid);
                if here.inventory.chunks_of(materialized).next().is_some() && !is_resumed {
                    let hint = "Drop it on the target, and create it again WITH NO DATA.";
                    left.push(refused(subject, "is not empty on the target", hint));
                    continue;
                }
                let unpacked = (!here.inventory.compressions.iter().any(|c| c.hypertable_id == materialized.id))
                    .then(|| "compression is not enabled for the continuous aggregate on the target".to_string());
                let arrival =
                    Arrival { way: Way::Chunks, relation: Some(other.oid), empty: true, keeps: false, unpacked };
                arrivals.insert(cagg.relation.oid, arrival);
                continue;
            }
        };
        left.push(Left::told(subject, format!("{why} Left out: its materialized rows do not arrive.")));
        source.selection.empty.insert(cagg.relation.oid);
        source.chunks.retain(|chunk| chunk.hypertable_id != cagg.hypertable_id);
    }
    (arrivals, left)
}

/// The target's continuous aggregates that are made of what the run writes and do not get the source's rows: TimescaleDB
/// does not see these writes, so their next refresh has to begin anew. Where that would lose buckets, the run is
/// refused.
pub fn renewed(arrivals: &Arrivals, here: &Here) -> (Vec<Name>, Vec<Left>) {
    let (mut renewed, mut left) = (Vec::new(), Vec::new());
    let arriving: HashSet<u32> = arrivals.values().filter_map(|arrival| arrival.relation).collect();
    let caggs = &here.inventory.caggs;
    let materializations = caggs.iter().filter(|cagg| arriving.contains(&cagg.oid)).map(|cagg| cagg.relation.oid);
    let written: HashSet<u32> = arriving.iter().copied().chain(materializations).collect();
    for cagg in caggs.iter().filter(|cagg| written.contains(&cagg.raw.oid) && !arriving.contains(&cagg.oid)) {
        let name = cagg.qualified();
        let is_resumed = here.adopted.contains_key(&cagg.raw.oid);
        match here.hypertable(&name, true).is_some_and(|own| here.inventory.chunks_of(own).next().is_some()) {
            true if !is_resumed => left.push(refused(
                format!("continuous aggregate {}", name.shown()),
                "is not empty on the target, and reads tables that the run would write to without recording it for the next refresh",
                format!("DROP MATERIALIZED VIEW {name}; -- and create it again after the run"),
            )),
            _ => renewed.push(name),
        }
    }
    (renewed, left)
}

/// What an existing schema has, so that nothing of it is made.
pub fn nothing_made(source: &mut Inventory) {
    source.compressions.clear();
    source.skipping.clear();
    source.jobs.clear();
    source.children.clear();
    for hypertable in &mut source.hypertables {
        hypertable.tablespaces.clear();
    }
    for chunk in &mut source.chunks {
        chunk.own = None;
    }
    for cagg in &mut source.caggs {
        cagg.indexes.clear();
        cagg.spec["own"] = serde_json::Value::Null;
    }
}

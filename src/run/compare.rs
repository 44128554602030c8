//! A run that only compares: everything that either side holds.

use super::crew::Crew;
use super::phases::verify;
use super::prepare::Source;
use super::spec::RunSpec;
use super::{adoption, messages, request, standing, state, tasks};
use crate::catalog::{self, Local};
use crate::core::inventory::{Column, Inventory, Size, Slices, SourceRelation};
use crate::core::name::Name;
use crate::core::options::{Caggs, Level};
use crate::core::plan::{self, Phase, RowStorage, SourceRows, Task, Verify};
use crate::error::{Error, Result, SqlState};
use crate::pg::{catch::transaction, session};
use crate::source::watch::Watch;
use crate::target::schema;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What one side holds, by what makes it the same thing on the other side.
struct Relation {
    name: Name,
    columns: Arc<[String]>,
    condition: Option<String>,
    query: Option<String>,
    root: bool,
    tiered: bool,
    whole: bool,
    batches: Option<Name>,
    guards: Vec<SourceRelation>,
    /// If its rows are those of others, which may be none.
    parts: Option<Vec<SourceRows>>,
    size: Size,
}

/// A table by its name, a chunk by its hypertable's name and its slices.
type Key = (Name, Option<Slices>);

/// `whole`: the names of hypertables that have other chunks on the other side. Each is compared as one relation.
fn relations(inventory: Inventory, whole: &HashSet<Name>) -> BTreeMap<Key, Relation> {
    let names = |columns: &[Column]| columns.iter().map(|c| c.name.clone()).collect::<Arc<[String]>>();
    let mut all = BTreeMap::new();
    let mut read = inventory.of_chunks();
    let compressed = inventory.compressed();
    for table in inventory.filled_tables() {
        let relation = Relation {
            name: table.qualified(),
            columns: names(&table.columns),
            condition: table.condition.clone(),
            query: None,
            root: false,
            tiered: false,
            whole: whole.contains(&table.qualified()),
            batches: None,
            guards: table.guards(),
            parts: None,
            size: inventory.size(table.oid),
        };
        all.insert((table.qualified(), None), relation);
    }
    for hypertable in &inventory.hypertables {
        let name = hypertable.known_as();
        let Some(root) = inventory.root(hypertable) else { continue };
        let columns = names(&root.columns);
        let relation = |name: Name, oid| Relation {
            name,
            columns: columns.clone(),
            condition: None,
            query: None,
            root: false,
            tiered: false,
            whole: false,
            batches: None,
            guards: Vec::new(),
            parts: None,
            size: inventory.size(oid),
        };
        if whole.contains(&name) {
            let own = relation(hypertable.qualified(), hypertable.oid);
            let condition = inventory.selection.filters.get(&hypertable.oid).cloned();
            let part = |(oid, name, guards)| {
                let storage = RowStorage::of(compressed.get(&oid).copied());
                SourceRows { oid, name, storage, query: None, root: false, guards }
            };
            let parts = inventory.parts(hypertable).map(|parts| parts.into_iter().map(part).collect());
            all.insert((name, None), Relation { whole: true, condition, guards: root.guards(), parts, ..own });
            continue;
        }
        if hypertable.root_may_have_rows {
            let own = Relation { root: true, guards: root.guards(), ..relation(name.clone(), hypertable.oid) };
            all.insert((name.clone(), None), own);
        }
        for chunk in inventory.chunks_of(hypertable) {
            let key = (name.clone(), Some(chunk.slices.clone()));
            let own = relation(chunk.qualified(), chunk.oid);
            let guards = read.remove(&chunk.oid).unwrap_or_default();
            let compressed = compressed.get(&chunk.oid).copied();
            let batches = RowStorage::of(compressed).batches(chunk.query.as_deref()).cloned();
            let (query, size) = (chunk.query.clone(), inventory.chunk_size(chunk.oid, compressed));
            all.insert(key, Relation { query, tiered: chunk.osm, batches, guards, size, ..own });
        }
    }
    all
}

/// A comparison on its own, of everything that either side holds.
fn comparisons(source: Inventory, target: Inventory, whole: &HashSet<Name>, level: Level) -> Vec<Task> {
    let hypertables = source.hypertables.iter().filter(|h| !source.selection.is_empty(h.oid));
    let hypertables: HashSet<Name> = hypertables.map(|h| h.known_as()).collect();
    let (source, mut target) = (relations(source, whole), relations(target, whole));
    let checksum = level == Level::Checksum;
    let mut tasks = Vec::new();
    // Those of tiered chunks come last: their rows are in what no other chunk answers to.
    let mut source: Vec<(Key, Relation)> = source.into_iter().collect();
    source.sort_by_key(|(_, from)| from.tiered);
    for (key, from) in source {
        let targets = match from.tiered {
            true => {
                let rest: Vec<Key> = target.keys().filter(|k| k.0 == key.0 && k.1.is_some()).cloned().collect();
                rest.iter().filter_map(|key| target.remove(key)).map(|r| r.name).collect()
            }
            false => {
                let to = target.remove(&key).map(|r| r.name).or_else(|| from.root.then(|| from.name.clone()));
                to.into_iter().collect()
            }
        };
        let is_empty = from.parts.as_ref().is_some_and(Vec::is_empty);
        let work = Verify {
            source: Some(from.name).filter(|_| !is_empty),
            targets,
            columns: from.columns,
            condition: from.condition,
            query: from.query,
            root: from.root,
            chunk: key.1.is_some() || from.whole,
            whole: from.whole,
            batches: from.batches,
            checksum,
            source_rows: is_empty.then_some(0),
            source_checksum: None,
            snapshot: 0,
            guards: from.guards,
            parts: from.parts.unwrap_or_default(),
        };
        tasks.push(plan::verify(key.0.shown(), from.size, work));
    }
    // What only the target has in one of these hypertables must be empty; other tables there are
    // left alone.
    for (key, to) in target.into_iter().filter(|((name, _), _)| hypertables.contains(name)) {
        let work = Verify {
            source: None,
            targets: vec![to.name],
            columns: to.columns,
            condition: to.condition,
            query: None,
            root: to.root,
            chunk: key.1.is_some(),
            whole: to.whole,
            batches: None,
            checksum,
            source_rows: Some(0),
            source_checksum: None,
            snapshot: 0,
            guards: Vec::new(),
            parts: Vec::new(),
        };
        tasks.push(plan::verify(key.0.shown(), to.size, work));
    }
    tasks
}

/// A run that only compares.
pub fn run(spec: &RunSpec, level: Level) -> Result<()> {
    let (id, options) = (spec.run, &spec.options);
    state::enter(id, Phase::Snapshot)?;
    let mut reader = Source::of_run(&spec.params, options, id)?;
    let (keeper, inventory) = reader.hold(id)?;
    // What the options of a run left out is not looked for.
    let mut scope = transaction(|| reader.scope(inventory))?;
    if !options.is_whole() {
        messages::notice(id, "only what the options select is compared, not the whole source")?;
    }
    if options.is_partial() {
        // Nor what depends on it.
        let archive = reader.dump()?;
        schema::settled(&archive, &mut scope);
    }
    let mut source = scope.inventory;
    drop(reader);
    if options.caggs == Caggs::Recompute {
        // They hold what the raw rows give, which the source's may not, or no more.
        source.hypertables.retain(|h| h.cagg.is_none());
    }
    state::set_source(id, &source, &keeper.snapshot)?;
    let target = transaction(|| {
        let server = catalog::server(&mut Local)?;
        catalog::tables(&mut Local, server)
    })?;
    let whole = adoption::other_forms(&source, &target, options);
    let tasks = comparisons(source, target, &whole, level);
    transaction(|| {
        verify::forget(id)?;
        tasks::add(id, &tasks)
    })?;
    let started = spec.for_workers(&keeper.snapshot, 0);
    let watch = Watch::new(&spec.params, options, id, session::pid());
    let mut crew = Crew::start(&started, options.jobs, tasks.len(), watch)?;
    crew.work(Phase::Verify)?;
    tasks::failures(id)?;
    // First: after an error the workers are terminated, which the server's log has as FATAL.
    crew.dismiss()?;
    state::set_phase(id, Phase::Verify)?;
    verify::judge(id).map_err(|error| compared_otherwise(spec, error))?;
    transaction(|| state::finish(id))
}

/// Says how to compare with what a migration has brought under other options than these, or that one has not brought all.
fn compared_otherwise(spec: &RunSpec, error: Error) -> Error {
    let further = transaction(|| match standing::unfinished()? {
        Some(unfinished) => Ok(Some(unfinished)),
        None => Ok(request::otherwise(&spec.source, &spec.options)?.map(|run| {
            format!("Run {run} migrated with other options. Call migrate_verify({run}) to compare what it copied.")
        })),
    });
    match further {
        Ok(Some(further)) if error.code == SqlState::DATA_CORRUPTED => {
            let hint = error.hint.clone().unwrap_or_default();
            error.hint(format!("{hint} -- {further}"))
        }
        _ => error,
    }
}

//! Comparing both sides: per table and chunk, by the workers, both servers at once.

use super::crew::Crew;
use super::launch::Block;
use super::tasks::{self, Claim, Outcome};
use super::worker::Context;
use super::{copy, scope, state};
use crate::core::checksum;
use crate::core::inventory::{Column, Inventory, Size, Slices, SourceRelation};
use crate::core::name::Name;
use crate::core::options::{Caggs, Level};
use crate::core::plan::{self, Kept, SnapshotId, Task, Verify};
use crate::error::{Error, Result, SqlState};
use crate::libpq::Connection;
use crate::pg::{catch::transaction, session, spi};
use crate::source::guard::{self, Hold};
use crate::source::inventory::{self, Here};
use crate::source::session as source_session;
use crate::source::snapshot;
use crate::source::watch::Watch;
use pgrx::pg_sys::Oid;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Adds a comparison for every relation that the run has copied, under the run's own snapshot
/// or, where a count is enough, against the rows that the source said it sent. `snapshot` is the
/// first of this start.
pub fn add_copied(run: i64, checksum: bool, snapshot: SnapshotId) -> Result<()> {
    transaction(|| {
        forget(run)?;
        let query = include_str!("../../sql/target/verify_copied.sql");
        spi::execute(query, &[run.into(), checksum.into(), snapshot.into()]).map(drop)
    })
}

/// What an interrupted start compared counts no more.
fn forget(run: i64) -> Result<()> {
    spi::execute("DELETE FROM timescale_migrate.task_log WHERE run = $1 AND stage = 'verify'", &[run.into()])?;
    spi::execute("DELETE FROM timescale_migrate.verification_log WHERE run = $1", &[run.into()]).map(drop)
}

/// What one side holds, by what makes it the same thing on the other side.
struct Relation {
    name: Name,
    columns: Arc<[String]>,
    condition: Option<String>,
    query: Option<String>,
    root: bool,
    tiered: bool,
    batches: Option<Name>,
    guards: Vec<SourceRelation>,
    size: Size,
}

/// A table by its name, a chunk by its hypertable's name and its slices.
type Key = (Name, Option<Slices>);

fn relations(inventory: Inventory) -> BTreeMap<Key, Relation> {
    let names = |columns: &[Column]| columns.iter().map(|c| c.name.clone()).collect::<Arc<[String]>>();
    let mut all = BTreeMap::new();
    let mut read = inventory.of_chunks();
    let compressed = inventory.compressed();
    for table in inventory.plain_tables() {
        let relation = Relation {
            name: table.qualified(),
            columns: names(&table.columns),
            condition: table.condition.clone(),
            query: None,
            root: false,
            tiered: false,
            batches: None,
            guards: table.guards(),
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
            batches: None,
            guards: Vec::new(),
            size: inventory.size(oid),
        };
        if hypertable.root_may_have_rows {
            let own = Relation { root: true, guards: root.guards(), ..relation(name.clone(), hypertable.oid) };
            all.insert((name.clone(), None), own);
        }
        for chunk in inventory.chunks_of(hypertable) {
            let key = (name.clone(), Some(chunk.slices.clone()));
            let own = relation(chunk.qualified(), chunk.oid);
            let guards = read.remove(&chunk.oid).unwrap_or_default();
            let batches = match (Kept::of(compressed.get(&chunk.oid).copied()), &chunk.query) {
                (Kept::Compressed(batches), None) => Some(batches),
                _ => None,
            };
            all.insert(key, Relation { query: chunk.query.clone(), tiered: chunk.osm, batches, guards, ..own });
        }
    }
    all
}

/// A comparison on its own, of everything that either side holds.
fn tasks(source: Inventory, target: Inventory, level: Level) -> Vec<Task> {
    let hypertables: HashSet<Name> = source.hypertables.iter().map(|h| h.known_as()).collect();
    let (source, mut target) = (relations(source), relations(target));
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
        let work = Verify {
            source: Some(from.name),
            targets,
            columns: from.columns,
            condition: from.condition,
            query: from.query,
            root: from.root,
            chunk: key.1.is_some(),
            batches: from.batches,
            checksum,
            source_rows: None,
            snapshot: 0,
            guards: from.guards,
        };
        tasks.push(plan::verify(key.0.shown(), from.size, work));
    }
    // What only the target has in one of these hypertables must be empty; other tables there are
    // none of our business.
    for (key, to) in target.into_iter().filter(|((name, _), _)| hypertables.contains(name)) {
        let work = Verify {
            source: None,
            targets: vec![to.name],
            columns: to.columns,
            condition: to.condition,
            query: None,
            root: to.root,
            chunk: key.1.is_some(),
            batches: None,
            checksum,
            source_rows: Some(0),
            snapshot: 0,
            guards: Vec::new(),
        };
        tasks.push(plan::verify(key.0.shown(), to.size, work));
    }
    tasks
}

/// A run that only compares.
pub fn run(block: &Block, level: Level) -> Result<()> {
    let (id, options) = (block.run, &block.options);
    state::enter(id, "snapshot")?;
    let mut reader = snapshot::reader(&block.params, id, options)?;
    let server = inventory::server(&mut reader)?;
    let (keeper, inventory) = snapshot::hold(&mut reader, &block.params, id, options, &server)?;
    // What the options of a run left out is not looked for.
    let mut source = transaction(|| scope::of(&mut reader, inventory, options))?.inventory;
    drop(reader);
    if options.caggs == Caggs::Recompute {
        // They hold what the raw rows give, which the source's may not, or no more.
        source.hypertables.retain(|h| h.cagg.is_none());
    }
    state::set_source(id, &source, &keeper.snapshot)?;
    let target = transaction(|| {
        let server = inventory::server(&mut Here)?;
        inventory::tables(&mut Here, server)
    })?;
    let tasks = tasks(source, target, level);
    transaction(|| {
        forget(id)?;
        tasks::add(id, &tasks)
    })?;
    let started = Block { snapshot: keeper.snapshot.clone(), ..block.clone() };
    let watch = Watch::new(&block.params, options, id, session::pid());
    let mut crew = Crew::start(&started, options.jobs, tasks.len(), watch)?;
    crew.work("verify")?;
    tasks::failures(id)?;
    judge(id)?;
    crew.dismiss()?;
    transaction(|| state::finish(id))
}

/// Of the differences as many are named.
const SHOWN: usize = 100;

/// Fails if any comparison of the run failed.
pub fn judge(run: i64) -> Result<()> {
    let mut different: Vec<String> = transaction(|| {
        spi::json_rows(
            "SELECT to_json(pg_catalog.format('%s: %s rows on the source, %s here%s', concat_ws(' of ', part, object), coalesce(source_rows::text, 'no table, so no'),
                    coalesce(target_rows::text, 'no table'),
                    CASE WHEN source_checksum IS DISTINCT FROM target_checksum THEN ', checksums differ' ELSE '' END))::text
             FROM timescale_migrate.verification_log WHERE run = $1 AND NOT same ORDER BY object, part",
            &[run.into()],
        )
    })?;
    if different.is_empty() {
        return Ok(());
    }
    let count = different.len();
    if count > SHOWN {
        different.truncate(SHOWN);
        different.push(format!("and {} more", count - SHOWN));
    }
    for line in &different {
        state::say(run, "warning", &format!("not the same: {line}"))?;
    }
    Err(Error::new(SqlState::DATA_CORRUPTED, format!("source and target differ in {count} places"))
        .detail(different.join("\n"))
        .hint(format!("SELECT * FROM timescale_migrate.verification WHERE run = {run} AND NOT same;")))
}

/// What the source answers to a query that was sent, the number of rows and their checksum; none
/// if it has not read what the snapshot shows.
fn answer(source: &mut Connection, work: &Verify) -> Result<Option<(i64, Option<String>)>> {
    let rows = source.answer()?;
    let found = (rows.number(0, 0)?, rows.cell(0, 1)?.map(str::to_string));
    let whole = match (&work.source, &work.batches) {
        (Some(name), Some(batches)) => guard::is_decompressed(source, name, batches, found.0)?,
        _ => true,
    };
    Ok((guard::end(source, &work.guards)? && whole).then_some(found))
}

pub fn perform(context: &mut Context, claim: &Claim, work: &Verify) -> Result<()> {
    compare(context, claim, work).map_err(|error| if work.checksum { checksum::failed(error) } else { error })
}

/// One comparison: the source counts while this server does.
fn compare(context: &mut Context, claim: &Claim, work: &Verify) -> Result<()> {
    let rows = |name: &Name| checksum::table(name, !work.chunk, work.condition.as_deref());
    let query = |rows: &str| checksum::query(rows, &work.columns, work.checksum);
    let run = context.block.run;
    let mut hold = None;
    if let Some(name) = work.source.as_ref().filter(|_| work.checksum || work.source_rows.is_none()) {
        let held = context.begin(claim.id, work.snapshot, copy::reads(&work.guards, &work.query), &work.guards)?;
        if held == Hold::Held {
            let source = context.source()?;
            if work.root {
                source.query("SET LOCAL timescaledb.restoring = on")?;
            }
            let rows = match &work.query {
                Some(query) => checksum::result(query),
                None => rows(name),
            };
            source.send(&query(&rows))?;
        }
        hold = Some(held);
    }
    let own = transaction(|| {
        if work.root {
            spi::set_local("timescaledb.restoring", "on")?;
        }
        // A view that has taken a table's name is not read.
        spi::execute(&source_session::restrict("view, foreign-table", true), &[])?;
        let rows = match work.targets.as_slice() {
            [] => return Ok(None),
            [name] => rows(name),
            chunks => checksum::chunks(chunks, &work.columns),
        };
        spi::json_rows::<(i64, Option<String>)>(&as_json(&query(&rows)), &[]).map(|rows| rows.into_iter().next())
    });
    // The source's answer is read in any case, so that its connection can be used again.
    let answer = match hold {
        Some(Hold::Held) => answer(context.source()?, work)?,
        _ => None,
    };
    let own = own?;
    let asked = answer.is_some();
    if let (Some(hold), None, Some(name)) = (hold, &answer, &work.source) {
        let message = match (hold, work.source_rows) {
            (_, Some(_)) => {
                format!(
                    "{} has changed on the source since it was copied: its rows are counted, not compared",
                    name.shown()
                )
            }
            (Hold::Gone, None) => format!("{} was dropped on the source and is not compared", name.shown()),
            (Hold::Held | Hold::Changed, None) => return Err(guard::changed(name)),
        };
        transaction(|| state::say_here(run, "warning", &message))?;
        if work.source_rows.is_none() {
            return transaction(|| tasks::done(claim.id, &Outcome::default()));
        }
    }
    let theirs = answer.or(work.source_rows.map(|rows| (rows, None)));
    // A relation that is missing is the same as one without rows only if the source's is empty
    // and a chunk: an empty chunk is an artefact, a table is an object.
    let target = work.targets.first().filter(|_| work.targets.len() == 1);
    let part = target.or(work.source.as_ref()).map(Name::shown).filter(|part| *part != claim.object);
    let same = match (&theirs, &own) {
        (Some(a), Some(b)) => a.0 == b.0 && (!asked || a.1 == b.1),
        (Some((rows, _)), None) | (None, Some((rows, _))) => *rows == 0 && part.is_some(),
        (None, None) => true,
    };
    transaction(|| {
        let (theirs, own) = (theirs.clone(), own.clone());
        spi::execute(
            "INSERT INTO timescale_migrate.verification_log
                 (run, object, part, source_rows, target_rows, source_checksum, target_checksum, same)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &[
                run.into(),
                claim.object.clone().into(),
                part.clone().into(),
                theirs.as_ref().map(|t| t.0).into(),
                own.as_ref().map(|t| t.0).into(),
                theirs.and_then(|t| t.1).into(),
                own.as_ref().and_then(|t| t.1.clone()).into(),
                same.into(),
            ],
        )?;
        let relation = target.map_or(Ok(None), |name| {
            spi::value::<Oid>("SELECT pg_catalog.to_regclass($1)::pg_catalog.oid", &[name.to_string().into()])
        })?;
        tasks::done(claim.id, &Outcome { rows: own.map(|t| t.0), relation, ..Outcome::default() })
    })
}

fn as_json(query: &str) -> String {
    format!("SELECT json_build_array(q.c, q.s)::text FROM ({query}) AS q(c, s)")
}

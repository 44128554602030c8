//! Copy tasks: a relation's rows from the source into one relation on the target, counted on both sides,
//! committed together with the task's `done`.

use super::spread::{self, Spread};
use super::{compression, verify};
use crate::core::inventory::SourceRelation;
use crate::core::name::{Name, quoted};
use crate::core::options::Level;
use crate::core::plan::{CopyTask, Destination, Recipe, RowStorage};
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::Script;
use crate::pg::copy::{Options, Shown};
use crate::pg::{catch::transaction, spi};
use crate::run::messages;
use crate::run::process::Context;
use crate::run::tasks;
use crate::run::tasks::{Claim, Outcome};
use crate::source::guard::{self, Hold, Reads};
use crate::target::{chunks, copy};
use pgrx::pg_sys::Oid;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Copies a relation; postpones the task if what it reads has changed since the snapshot.
pub fn perform(context: &mut Context, id: i32, work: &CopyTask) -> Result<()> {
    let (run, sums) = (context.spec.run, context.spec.options.verify == Level::Checksum);
    match context.begin(id, work.snapshot, Reads::of(&work.source.guards, &work.source.query), &work.source.guards)? {
        Hold::Held => {}
        Hold::Gone if is_dropped(context, work)? => return leave_out(run, id, work),
        Hold::Gone | Hold::Changed => return tasks::postpone(id),
    }
    let relation = transaction(|| Goals::find(run, &[work])?.targets(run, &[work]))?[0];
    let spread = match &work.destination {
        Destination::Routed { buckets: Some(buckets), .. } => spread::prepare(context, work, relation, buckets)?,
        _ => Spread::Routed,
    };
    let mut changed = false;
    let _shown = Shown;
    let copied = transaction(|| {
        let source = context.source()?;
        let filled = Filled::begin(&[relation], sums)?.remove(0);
        let sql = spread.statements(work).join("; ");
        let mut script = source.script(&sql)?;
        filled.set_triggers(work, false)?;
        let mut outcome = match work.destination {
            Destination::Routed { .. } => {
                let spread = spread.rows(&mut script, work, run, relation, &filled.name);
                // Compressed rows are read by what the chunk is now, so that a count before may be that of another.
                let is_count = |error: &Error| error.code == SqlState::DATA_CORRUPTED && error.side == Side::Target;
                changed = work.decompressed().is_some() && spread.as_ref().is_err_and(is_count);
                let (rows, bytes) = spread?;
                outcome(relation, rows, bytes)
            }
            Destination::Table(_) | Destination::Chunk { .. } => receive(&mut script, work, relation)?,
        };
        script.end()?;
        changed = match work.decompressed() {
            Some(batches) => {
                !guard::is_decompressed(source, &work.source.name, batches, outcome.rows.unwrap_or_default())?
            }
            None => false,
        };
        changed |= match sums {
            true => !guard::is_kept(source, &work.source.guards)?,
            // Nothing more is read: the source need not wait for what is left to do on the target.
            false => !guard::end(source, &work.source.guards)?,
        };
        if changed {
            return Err(guard::changed(&work.source.name));
        }
        if sums {
            outcome.source_checksum = verify::source_checksum(context, work, filled.columns(work), outcome.rows)?;
        }
        if let Recipe::Recompressed { spec, late: false, .. } = &work.recipe {
            compression::compress(relation, spec)?;
        }
        compression::set_ranges(relation, work)?;
        filled.set_triggers(work, true)?;
        tasks::done(id, outcome)
    });
    match copied {
        Err(_) if changed => {
            // Its transaction may be open.
            context.drop_source();
            tasks::postpone(id)
        }
        copied => copied.map_err(|error| no_time(too_large(error, work.binary()), work)),
    }
}

/// Says what to do about a row whose time TimescaleDB does not have, in a table that becomes a hypertable.
fn no_time(error: Error, work: &CopyTask) -> Error {
    let Destination::Routed { buckets: Some(buckets), .. } = &work.destination else { return error };
    if error.code != SqlState::DATETIME_OUT_OF_RANGE || error.hint.is_some() {
        return error;
    }
    let (table, column) = (&work.source.name, quoted(buckets.column()));
    // It may also be about another column, or come from a function.
    let detail = format!("A row may have a time in {column} for which a hypertable has no chunk, such as -infinity.");
    let hint = format!(
        "SELECT * FROM {table} WHERE {column} = '-infinity' OR ({column} >= '294247-01-02 UTC' AND {column} <> 'infinity'); -- finds such rows on the source: delete them or change their time there, or choose another column as time"
    );
    Error { detail: error.detail.or(Some(detail)), hint: Some(hint), ..error }
}

/// Says what to do about a row that is so large that no server can send it.
fn too_large(error: Error, binary: bool) -> Error {
    // The second is what a single value ends in.
    let too_large =
        error.code == SqlState::PROGRAM_LIMIT_EXCEEDED || error.message.contains("invalid memory alloc request");
    if !too_large || error.side != Side::Source || error.hint.is_some() {
        return error;
    }
    error.hint(match binary {
        true => "A row is larger than 1 GB, and PostgreSQL cannot send it. Make it smaller on the source.",
        false => {
            "A row is larger than 1 GB as text, and PostgreSQL cannot send it. Its table is sent as text because the binary form of a column differs between servers: give that column another type on the source, or make the row smaller."
        }
    })
}

/// Copies small relations that are read under one snapshot, in one transaction on either side; returns
/// the tasks that are done. The transaction on the source takes one message, its locks and checks
/// included. It begins when the target has nothing to wait for any more, and is under way while chunks are made,
/// unless their columns have to be known for it. After any error no task is done: which one it is about is found out by doing
/// them one by one.
pub fn together(context: &mut Context, claims: &[Claim]) -> Result<Vec<i32>> {
    let (run, sums) = (context.spec.run, context.spec.options.verify == Level::Checksum);
    let copies = claims.iter().filter_map(|claim| Some((claim.id, claim.work.copy()?)));
    let mut tasks: Vec<(i32, &CopyTask)> = copies.filter(|(_, work)| work.can_share(sums)).collect();
    let Some(snapshot) = tasks.first().map(|(_, work)| work.snapshot) else { return Ok(Vec::new()) };
    tasks.retain(|(_, work)| work.snapshot == snapshot);
    let works: Vec<&CopyTask> = tasks.iter().map(|(_, work)| *work).collect();
    let guards: Vec<SourceRelation> = works.iter().flat_map(|work| work.source.guards.iter().cloned()).collect();
    let mut statements = vec![context.opening(tasks[0].0, snapshot, &guards)?];
    let source = context.source()?;
    let _shown = Shown;
    transaction(|| {
        let goals = Goals::find(run, &works)?;
        goals.lock()?;
        let mut relations = Vec::new();
        if sums {
            relations = Filled::begin(&goals.targets(run, &works)?, sums)?;
        }
        for (number, work) in works.iter().enumerate() {
            statements.extend(work.statements());
            statements.extend(relations.get(number).map(|filled| verify::source_query(work, filled.columns(work))));
        }
        statements.push(guard::closing(&guards));
        let sql = statements.join("; ");
        let mut script = source.script(&sql)?;
        if !sums {
            relations = Filled::begin(&goals.targets(run, &works)?, sums)?;
        }
        guard::opened(&mut script)?;
        let mut outcomes = Vec::new();
        for ((id, work), filled) in tasks.iter().zip(relations) {
            filled.set_triggers(work, false)?;
            let mut outcome = receive(&mut script, work, filled.relation)?;
            if sums {
                outcome.source_checksum = verify::checksum_of(&script.row()?, outcome.rows)?;
            }
            outcomes.push((*id, outcome));
            compression::set_ranges(filled.relation, work)?;
            filled.set_triggers(work, true)?;
        }
        guard::closed(script)?;
        tasks::all_done(&outcomes)
    })?;
    Ok(tasks.iter().map(|(id, _)| *id).collect())
}

/// Whether a chunk that is gone was dropped, as retention does, and its rows are not in another
/// one by now.
fn is_dropped(context: &mut Context, work: &CopyTask) -> Result<bool> {
    match work.place() {
        Some((root, slices)) => Ok(!guard::is_covered(context.source()?, root, slices)?),
        // A tiered chunk.
        None => Ok(work.source.storage == RowStorage::External && !work.destination.is_converted()),
    }
}

fn leave_out(run: i64, id: i32, work: &CopyTask) -> Result<()> {
    let message = format!("{} was dropped on the source since the snapshot: it is left out", work.source.name.shown());
    transaction(|| {
        messages::notice_here(run, &message)?;
        tasks::done(id, Outcome::default())
    })
}

/// A relation that is filled.
#[derive(Deserialize)]
struct Filled {
    relation: Oid,
    /// Quoted and qualified.
    name: String,
    /// Generated ones included; none unless a checksum is wanted of them.
    columns: Vec<String>,
    /// Those that fire for a replica as well, each with when; on a resume there may be such.
    triggers: Vec<(String, String)>,
}

impl Filled {
    /// Begins to fill relations in the current transaction: user triggers have fired on the source, and
    /// the rows are as they left them.
    fn begin(relations: &[Oid], sums: bool) -> Result<Vec<Filled>> {
        spi::set_local("session_replication_role", "replica")?;
        let arguments = [relations.to_vec().into(), sums.into()];
        let found = spi::json_rows(include_str!("../../../sql/run/filled.sql"), &arguments)?;
        match found.len() == relations.len() {
            true => Ok(found),
            false => Err(Error::internal("a relation is gone")),
        }
    }

    /// Those that are compared with the source's: of a table that the run did not make, what was copied.
    fn columns<'a>(&'a self, work: &'a CopyTask) -> &'a [String] {
        if work.adopted.is_some() { &work.columns } else { &self.columns }
    }

    /// TimescaleDB refuses to alter the triggers of a hypertable's root alone, or of a chunk, unless it
    /// is switched off; a tiered chunk's rows go to chunks, which have the triggers, too.
    fn set_triggers(&self, work: &CopyTask, enabled: bool) -> Result<()> {
        let (only, is_internal) = match work.destination {
            Destination::Routed { .. } => ("", false),
            Destination::Table(_) => ("ONLY ", work.source.root),
            Destination::Chunk { .. } => ("ONLY ", true),
        };
        let restoring = |value| if is_internal { spi::set_local("timescaledb.restoring", value) } else { Ok(()) };
        for (trigger, when) in &self.triggers {
            let what = if enabled { format!("ENABLE {when}") } else { "DISABLE".to_string() };
            restoring("on")?;
            spi::execute(&format!("ALTER TABLE {only}{} {what} TRIGGER {trigger}", self.name), &[])?;
            restoring("off")?;
        }
        if self.triggers.is_empty() {
            return Ok(());
        }
        // The name was the relation's when this began; its owner's code may have given it to another one since.
        let names: Vec<String> = self.triggers.iter().map(|(trigger, _)| trigger.clone()).collect();
        let fires = include_str!("../../../sql/run/triggers_fire.sql");
        match spi::value::<bool>(fires, &[self.relation.into(), names.into(), enabled.into()])? {
            Some(true) => Ok(()),
            _ => Err(copy::name_taken(&self.name)),
        }
    }
}

fn outcome(relation: Oid, rows: u64, bytes: u64) -> Outcome {
    Outcome { relation: Some(relation), rows: Some(rows as i64), bytes: Some(bytes as i64), ..Outcome::default() }
}

/// What the script gives next, into a relation.
fn receive(source: &mut Script, work: &CopyTask, relation: Oid) -> Result<Outcome> {
    let Recipe::Compressed(chunk) = &work.recipe else {
        let (count, bytes) = rows(source, work, relation)?;
        return Ok(outcome(relation, count, bytes));
    };
    // A chunk's compressed relation into a table of its own, and the rows that the chunk has besides into the
    // chunk. They become one later, when indexes and constraints are made: on what is no compressed chunk yet
    // these cost nothing.
    let (count, size) = match chunk.has_rows {
        true => rows(source, work, relation)?,
        false => {
            copy::clear(relation)?;
            (0, 0)
        }
    };
    let made = spi::value::<Oid>(
        "SELECT timescale_migrate.create_compressed_relation($1, $2)::pg_catalog.oid",
        &[relation.into(), spi::json(&chunk.layout())?],
    )?;
    let made = made.ok_or_else(|| Error::internal("no compressed relation was made"))?;
    let inside = source.row()?.number(0, 0)? as u64;
    let options = Options { columns: &chunk.columns(), binary: chunk.binary(), freeze: true };
    let (_, bytes) = copy::stream(source, made, &options, &chunk.relation.shown())?;
    Ok(Outcome { compressed: Some(made), ..outcome(relation, count + inside, size + bytes) })
}

fn rows(source: &mut Script, work: &CopyTask, relation: Oid) -> Result<(u64, u64)> {
    // A relation that this task fills alone starts empty: nothing that an earlier attempt left
    // can be doubled, and into new storage the rows can be written frozen, which saves their
    // rewriting by a later VACUUM.
    let fresh = work.owns_relation && copy::clear(relation)?;
    let options = Options { columns: &work.columns, binary: work.binary(), freeze: fresh };
    copy::stream(source, relation, &options, &work.source.name.shown())
}

/// Where the rows of tasks go.
struct Goals {
    /// The relations, in the order of the tasks; none yet for chunks that are to be made.
    found: Vec<Oid>,
    /// The hypertables of these, always in the same order, each with the numbers of its tasks.
    roots: Vec<(Oid, Vec<usize>)>,
}

impl Goals {
    fn find(run: i64, works: &[&CopyTask]) -> Result<Goals> {
        let mut found = vec![Oid::INVALID; works.len()];
        let mut chunks = BTreeMap::<(&Name, bool), Vec<usize>>::new();
        for (number, work) in works.iter().enumerate() {
            match &work.destination {
                Destination::Table(name) => found[number] = copy::own(run, name)?,
                Destination::Routed { hypertable, cagg, .. } => found[number] = copy::root(run, hypertable, *cagg)?,
                Destination::Chunk { hypertable, cagg, .. } => {
                    chunks.entry((hypertable, *cagg)).or_default().push(number)
                }
            }
        }
        let root = |((name, cagg), numbers): ((&Name, bool), _)| Ok((copy::root(run, name, cagg)?, numbers));
        Ok(Goals { found, roots: chunks.into_iter().map(root).collect::<Result<_>>()? })
    }

    /// Waits until no other transaction makes chunks of these hypertables.
    fn lock(&self) -> Result<()> {
        self.roots.iter().try_for_each(|(root, _)| chunks::lock_root(*root))
    }

    /// The relations to fill, in the order of the tasks. Chunks are made, which locks their hypertable
    /// until the transaction ends: a copy that takes long is not in the same.
    fn targets(&self, run: i64, works: &[&CopyTask]) -> Result<Vec<Oid>> {
        let mut found = self.found.clone();
        for (root, numbers) in &self.roots {
            let wanted: Vec<chunks::Wanted> =
                numbers.iter().filter_map(|number| wanted(&works[*number].destination)).collect();
            for (number, chunk) in numbers.iter().zip(chunks::create(*root, &wanted)?) {
                found[*number] = chunk;
                if let Some(own) = works[*number].destination.own() {
                    let set = "SELECT timescale_migrate.set_chunk_own($1, $2)";
                    if let Some(lost) = spi::value::<String>(set, &[chunk.into(), spi::json(own)?])? {
                        messages::warn_here(run, &lost)?;
                    }
                }
            }
        }
        Ok(found)
    }
}

/// The chunk that is to be made, if it is one.
fn wanted(destination: &Destination) -> Option<chunks::Wanted<'_>> {
    match destination {
        Destination::Chunk { slices, tablespace, creation_time, .. } => {
            Some(chunks::Wanted { slices, tablespace: tablespace.as_deref(), creation_time: creation_time.as_deref() })
        }
        Destination::Table(_) | Destination::Routed { .. } => None,
    }
}

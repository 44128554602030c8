//! One copy task: a relation's rows from the source into one relation here, counted on both
//! sides, committed together with the task's `done`.

use super::{compression, tiered, verify};
use crate::core::options::Level;
use crate::core::plan::{Compressed, CopyTask, Destination, Recipe};
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::Connection;
use crate::pg::copy::Options;
use crate::pg::{catch::transaction, spi};
use crate::run::messages;
use crate::run::process::Context;
use crate::run::tasks;
use crate::run::tasks::Outcome;
use crate::source::guard::{self, Hold, Reads};
use crate::target::copy;
use pgrx::pg_sys::Oid;

/// Copies a relation; postpones the task if what it reads has changed since the snapshot.
pub fn perform(context: &mut Context, id: i32, work: &CopyTask) -> Result<()> {
    let (run, sums) = (context.spec.run, context.spec.options.verify == Level::Checksum);
    match context.begin(id, work.snapshot, Reads::of(&work.source.guards, &work.source.query), &work.source.guards)? {
        Hold::Held => {}
        Hold::Gone if is_dropped(context, work)? => return leave_out(run, id, work),
        Hold::Gone | Hold::Changed => return tasks::postpone(id),
    }
    let relation = transaction(|| target(run, work))?;
    let mut changed = false;
    let copied = transaction(|| {
        let source = context.source()?;
        // User triggers have fired on the source, and the rows are as they left them.
        spi::set_local("session_replication_role", "replica")?;
        // On a resume there may be triggers that fire all the same.
        let (target, triggers) = described(relation)?;
        for (name, _) in &triggers {
            alter(work, &format!("{target} DISABLE TRIGGER {name}"))?;
        }
        let mut outcome = Outcome { relation: Some(relation), ..Outcome::default() };
        let (rows, bytes) = match &work.recipe {
            Recipe::Compressed(chunk) => compressed(source, work, chunk, relation, &mut outcome)?,
            _ if matches!(work.destination, Destination::Routed { .. }) => {
                tiered::rows(source, work, run, relation, &target)?
            }
            _ => rows(source, work, relation)?,
        };
        changed = match work.decompressed() {
            Some(batches) => !guard::is_decompressed(source, &work.source.name, batches, rows as i64)?,
            None => false,
        };
        changed |= match sums {
            true => !guard::is_kept(source, &work.source.guards)?,
            // Nothing more is read: the source need not wait for what is left to do here.
            false => !guard::end(source, &work.source.guards)?,
        };
        if changed {
            return Err(guard::changed(&work.source.name));
        }
        if sums {
            outcome.source_checksum = verify::source_checksum(context, work, relation, rows)?;
        }
        if let Recipe::Recompressed { spec, late: false, .. } = &work.recipe {
            compression::compress(relation, spec)?;
        }
        compression::set_ranges(relation, work)?;
        for (name, when) in &triggers {
            alter(work, &format!("{target} ENABLE {when} TRIGGER {name}"))?;
        }
        (outcome.rows, outcome.bytes) = (Some(rows as i64), Some(bytes as i64));
        tasks::done(id, &outcome)
    });
    match copied {
        Err(_) if changed => tasks::postpone(id),
        copied => copied.map_err(|error| too_large(error, work.binary)),
    }
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

/// Whether a chunk that is gone was dropped, as retention does, and its rows are not in another
/// one by now.
fn is_dropped(context: &mut Context, work: &CopyTask) -> Result<bool> {
    match &work.destination {
        Destination::Table(_) => Ok(false),
        Destination::Chunk { root, slices, .. } => Ok(!guard::is_covered(context.source()?, *root, slices)?),
        Destination::Routed { .. } => Ok(true),
    }
}

fn leave_out(run: i64, id: i32, work: &CopyTask) -> Result<()> {
    let message = format!("{} was dropped on the source since the snapshot: it is left out", work.source.name.shown());
    transaction(|| {
        messages::notice_here(run, &message)?;
        tasks::done(id, &Outcome::default())
    })
}

/// A relation's name, quoted and qualified, and the triggers of it that fire for a replica as well,
/// each with when.
fn described(relation: Oid) -> Result<(String, Vec<(String, String)>)> {
    spi::json_rows::<(String, Vec<(String, String)>)>(
        include_str!("../../../sql/run/firing_triggers.sql"),
        &[relation.into()],
    )?
    .pop()
    .ok_or_else(|| Error::internal("a relation is gone"))
}

/// TimescaleDB refuses to alter the triggers of a hypertable's root alone, or of a chunk, unless it is
/// switched off; a tiered chunk's rows go to chunks, which have the triggers, too.
fn alter(work: &CopyTask, what: &str) -> Result<()> {
    if matches!(work.destination, Destination::Routed { .. }) {
        return spi::execute(&format!("ALTER TABLE {what}"), &[]).map(drop);
    }
    let statement = format!("ALTER TABLE ONLY {what}");
    if !work.source.root && matches!(work.destination, Destination::Table(_)) {
        return spi::execute(&statement, &[]).map(drop);
    }
    spi::set_local("timescaledb.restoring", "on")?;
    spi::execute(&statement, &[])?;
    spi::set_local("timescaledb.restoring", "off")
}

fn rows(source: &mut Connection, work: &CopyTask, relation: Oid) -> Result<(u64, u64)> {
    // A relation that this task fills alone starts empty: nothing that an earlier attempt left
    // can be doubled, and into new storage the rows can be written frozen, which saves their
    // rewriting by a later VACUUM.
    let fresh = work.owns_relation && copy::clear(relation)?;
    let options = Options { columns: &work.columns, binary: work.binary, freeze: fresh };
    copy::stream(source, &work.statement(), relation, &options, &work.source.name.shown())
}

/// A chunk's compressed relation into a table of its own, and the rows that the chunk has
/// besides into the chunk. They become one later, when indexes and constraints are made: on
/// what is no compressed chunk yet these cost nothing.
fn compressed(
    source: &mut Connection,
    work: &CopyTask,
    chunk: &Compressed,
    relation: Oid,
    outcome: &mut Outcome,
) -> Result<(u64, u64)> {
    let (mut total, mut size) = match chunk.has_rows {
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
    let sum = format!("SELECT coalesce(sum(_ts_meta_count), 0) FROM {}", chunk.relation);
    total += source.query(&sum)?.number(0, 0)? as u64;
    let options = Options { columns: &chunk.columns(), binary: chunk.binary(), freeze: true };
    size += copy::stream(source, &chunk.statement(), made, &options, &chunk.relation.shown())?.1;
    outcome.compressed = Some(made);
    Ok((total, size))
}

/// The relation to fill. A chunk is made here, in a short transaction of its own: making one
/// locks its hypertable until commit, and would hold the other workers up for as long as the
/// copy takes.
fn target(run: i64, work: &CopyTask) -> Result<Oid> {
    match &work.destination {
        Destination::Table(name) => copy::own(run, name),
        Destination::Routed { hypertable, cagg } => copy::root(run, hypertable, *cagg),
        Destination::Chunk { hypertable, cagg, slices, tablespace, creation_time, own, .. } => {
            let root = copy::root(run, hypertable, *cagg)?;
            let chunk = spi::value::<Oid>(
                "SELECT timescale_migrate.create_chunk($4, $1, $2::pg_catalog.name,
                                                       $3::pg_catalog.timestamptz)::pg_catalog.oid",
                &[spi::json(slices)?, tablespace.clone().into(), creation_time.clone().into(), root.into()],
            )?;
            let chunk = chunk.ok_or_else(|| Error::internal("no chunk was made"))?;
            if let Some(own) = own {
                let set = "SELECT timescale_migrate.set_chunk_own($1, $2)";
                if let Some(lost) = spi::value::<String>(set, &[chunk.into(), spi::json(own)?])? {
                    messages::warn_here(run, &lost)?;
                }
            }
            Ok(chunk)
        }
    }
}

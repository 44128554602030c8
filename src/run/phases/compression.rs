//! Compressed and frozen chunks, after indexes and constraints: what a copy task
//! brought becomes a compressed chunk of its hypertable, or is frozen.

use crate::core::inventory::{FROZEN, Hypertable, Server, Spec};
use crate::core::plan::{self, Attach, Compress, CopyTask, Phase, Recipe, Work};
use crate::error::{Error, Result};
use crate::pg::{catch::transaction, copy, spi};
use crate::run::migration::Migration;
use crate::run::tasks::{self, Claim, Outcome};
use crate::target::{compression, overloads};
use pgrx::pg_sys::Oid;

/// Enables compression where it was not needed before, and adds the tasks.
pub fn begin(migration: &Migration, target: &Server) -> Result<()> {
    transaction(|| compression::enable(&migration.inventory, |_| true))?;
    add_tasks(migration.run(), target)?;
    let hypertables = &migration.inventory.hypertables;
    hypertables.iter().try_for_each(|hypertable| add_chunks(migration.run(), hypertable, target))
}

/// Adds a task for every chunk of a hypertable that the options let be compressed, if it is old enough.
fn add_chunks(run: i64, hypertable: &Hypertable, target: &Server) -> Result<()> {
    let Some(after) = &hypertable.compress_after else { return Ok(()) };
    let name = hypertable.qualified();
    transaction(|| {
        let query = include_str!("../../../sql/run/chunks_to_compress.sql");
        let constrains = target.constrains_compressed_chunks();
        let arguments = [run.into(), name.to_string().into(), after.clone().into(), constrains.into()];
        let chunks = spi::json_rows::<(u32, String, i64, Option<i32>)>(query, &arguments)?;
        let task = |(chunk, object, bytes, copy)| {
            let work = Work::Compress(Compress { chunk, hypertable: name.clone(), copy });
            plan::task(Phase::Compression, object, 0, bytes, work)
        };
        tasks::add(run, &chunks.into_iter().map(task).collect::<Vec<_>>())
    })
}

/// Adds a task for every chunk that is still to be compressed or frozen.
fn add_tasks(run: i64, target: &Server) -> Result<()> {
    transaction(|| {
        let query = include_str!("../../../sql/run/uncompressed_copies.sql");
        let arguments = [run.into(), target.constrains_compressed_chunks().into()];
        let copies = spi::json_rows::<(i32, String, String, i64)>(query, &arguments)?;
        let task = |(copy, object, recipe, bytes)| {
            plan::task(Phase::Compression, object, 0, bytes, Work::Attach(Attach { copy, recipe }))
        };
        tasks::add(run, &copies.into_iter().map(task).collect::<Vec<_>>())
    })
}

/// Makes a compressed or frozen chunk of what a copy task has brought.
pub fn perform(claim: &Claim, attach: &Attach) -> Result<()> {
    transaction(|| {
        let (work, relation, compressed) = spi::json_rows::<(Work, u32, Option<u32>)>(
            "SELECT json_build_array(work, relation::bigint, compressed::bigint)::text
             FROM timescale_migrate.task_log WHERE id = $1",
            &[attach.copy.into()],
        )?
        .pop()
        .ok_or_else(|| Error::internal("a copy task is gone"))?;
        let Work::Copy(work) = work else { return Err(Error::internal("not a copy task")) };
        let relation = Oid::from_u32(relation);
        match (&work.recipe, compressed) {
            (Recipe::Compressed(chunk), Some(compressed)) => {
                for missing in &chunk.spec.layout.missing {
                    copy::set_missing_value(relation, &missing.column, &missing.value)?;
                }
                spi::execute(
                    "SELECT timescale_migrate.attach_compressed($1, $2, $3)",
                    &[relation.into(), Oid::from_u32(compressed).into(), spi::json(&chunk.spec)?],
                )?;
                if !chunk.left_out.is_empty() {
                    spi::execute(
                        "SELECT timescale_migrate.rebuild_sparse_indexes($1, $2)",
                        &[relation.into(), spi::json(&chunk.spec)?],
                    )?;
                }
            }
            (Recipe::Recompressed { spec, .. }, _) => compress(relation, spec)?,
            (Recipe::Frozen, _) => freeze(relation)?,
            _ => return Err(Error::internal("nothing to attach")),
        }
        set_ranges(relation, &work)?;
        tasks::done(claim.id, Outcome { relation: Some(relation), ..Outcome::default() })
    })
}

/// Compresses a chunk that is not compressed on the source, as TimescaleDB's policy would.
pub fn compress_chunk(claim: &Claim, work: &Compress) -> Result<()> {
    transaction(|| {
        overloads::refuse_overloads()?;
        // Compressed, and nothing else.
        let spec = serde_json::json!({"status": 1});
        let chunk = Oid::from_u32(work.chunk);
        spi::execute("SELECT timescale_migrate.compress_rows($1, $2)", &[chunk.into(), spi::json(&spec)?])?;
        tasks::done(claim.id, Outcome::default())
    })
}

/// Compresses a chunk that was filled with rows, as it was compressed on the source.
pub fn compress(chunk: Oid, spec: &Spec) -> Result<()> {
    overloads::refuse_overloads()?;
    spi::execute("SELECT timescale_migrate.compress_rows($1, $2)", &[chunk.into(), spi::json(spec)?]).map(drop)
}

fn freeze(chunk: Oid) -> Result<()> {
    spi::execute("SELECT timescale_migrate.set_chunk_status($1, $2)", &[chunk.into(), FROZEN.into()]).map(drop)
}

/// The ranges of columns that chunks are skipped by; compressing a chunk finds its own.
pub fn set_ranges(chunk: Oid, work: &CopyTask) -> Result<()> {
    if work.ranges.is_empty() && !work.skipping {
        return Ok(());
    }
    spi::execute("SELECT timescale_migrate.set_chunk_ranges($1, $2)", &[chunk.into(), spi::json(&work.ranges)?])
        .map(drop)
}

//! The rows of a table, of a part of it, or of a chunk, into the chunks of the hypertable that it has become. The chunks are made
//! beforehand, in a short transaction: else a worker would wait until another has committed all of its rows.

use super::tiered;
use crate::core::plan::{Buckets, CopyTask};
use crate::error::Result;
use crate::libpq::Script;
use crate::pg::catch::transaction;
use crate::pg::copy::{Options, count_mismatch};
use crate::run::process::Context;
use crate::target::{chunks, copy};
use pgrx::pg_sys::Oid;

/// Into more chunks the rows go through TimescaleDB: for each chunk the source reads all of them.
const MOST_CHUNKS: usize = 8;

/// Of a hash, for which chunks are made beforehand.
const MOST_PARTITIONS: usize = 16;

/// How the rows come in.
pub enum Spread {
    /// TimescaleDB finds the chunk of each.
    Routed,
    /// A statement for each chunk, with the rows that it gives.
    Chunks(Vec<(Oid, String, u64)>),
}

/// Makes the chunks; the source's transaction is begun.
pub fn prepare(context: &mut Context, work: &CopyTask, hypertable: Oid, buckets: &Buckets) -> Result<Spread> {
    let answer = context.source()?.query(&buckets.counts(&work.rows()))?;
    let mut found: Vec<(i64, u64)> = Vec::new();
    for row in 0..answer.0.len() {
        match answer.cell(row, 0)? {
            // Rows of no bucket.
            None => return Ok(Spread::Routed),
            Some(_) => found.push((answer.number(row, 0)?, answer.number(row, 1)? as u64)),
        }
    }
    let Some(slices) = found.iter().map(|(bucket, _)| buckets.chunks(*bucket)).collect::<Option<Vec<_>>>() else {
        return Ok(Spread::Routed);
    };
    let slices = slices.concat();
    // Of many partitions most may have no rows.
    if slices.len() > MOST_PARTITIONS * found.len() {
        return Ok(Spread::Routed);
    }
    let wanted: Vec<chunks::Wanted> = slices
        .iter()
        .map(|slices| chunks::Wanted { slices, tablespace: buckets.tablespace.as_deref(), creation_time: None })
        .collect();
    let mut made = Vec::new();
    // Making a chunk takes as many locks as a small task.
    for some in wanted.chunks(context.spec.together.max(1)) {
        made.extend(transaction(|| chunks::create(hypertable, some))?);
    }
    if found.is_empty() || found.len() > MOST_CHUNKS || !buckets.is_of_time_alone() || work.columns.is_empty() {
        return Ok(Spread::Routed);
    }
    let statement = |((bucket, rows), chunk): ((i64, u64), Oid)| {
        Some((chunk, work.statement_of(&buckets.condition(bucket)?), rows))
    };
    let chunks = found.into_iter().zip(made).map(statement).collect::<Option<Vec<_>>>();
    Ok(chunks.map_or(Spread::Routed, Spread::Chunks))
}

impl Spread {
    /// The statements for the source.
    pub fn statements(&self, work: &CopyTask) -> Vec<String> {
        match self {
            Spread::Routed => work.statements(),
            Spread::Chunks(chunks) => chunks.iter().map(|(_, statement, _)| statement.clone()).collect(),
        }
    }

    /// What the statements give into the chunks, in the current transaction; returns rows and bytes.
    pub fn rows(
        &self,
        source: &mut Script,
        work: &CopyTask,
        run: i64,
        root: Oid,
        hypertable: &str,
    ) -> Result<(u64, u64)> {
        let Spread::Chunks(chunks) = self else { return tiered::rows(source, work, run, root, hypertable) };
        let options = Options { columns: &work.columns, binary: work.binary(), freeze: false };
        let name = work.source.name.shown();
        let (mut rows, mut bytes) = (0, 0);
        for (chunk, _, wanted) in chunks {
            let (written, size) = copy::stream(source, *chunk, &options, &name)?;
            if written != *wanted {
                return Err(count_mismatch(&name, *wanted, written));
            }
            rows += written;
            bytes += size;
        }
        Ok((rows, bytes))
    }
}

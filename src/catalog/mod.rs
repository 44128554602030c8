//! Reading a database's inventory, from the source over its connection or from the target
//! through SPI.

use crate::core::inventory::{
    Cagg, Collation, CompressedChunk, Compression, Hypertable, Inventory, Server, Size, Timescaledb,
};
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::Connection;
use crate::pg::{session, spi};
use pgrx::pg_sys::Oid;
use serde::de::DeserializeOwned;

/// Something that answers inventory queries with JSON rows.
pub trait Catalog {
    /// Each row's text, one at a time.
    fn each(&mut self, sql: &str, row: impl FnMut(&str) -> Result<()>) -> Result<()>;

    fn ask<T: DeserializeOwned>(&mut self, sql: &str) -> Result<Vec<T>> {
        let (mut rows, mut kept) = (Vec::new(), Kept::default());
        self.each(sql, |text| {
            kept.add(text.len())?;
            rows.push(parse(text)?);
            Ok(())
        })?;
        Ok(rows)
    }
}

/// How much of an answer is kept in memory. A database has as much to tell as it has tables and chunks; that it is no
/// end of it, only a limit tells.
#[derive(Default)]
struct Kept(usize);

impl Kept {
    fn add(&mut self, bytes: usize) -> Result<()> {
        self.0 += bytes + ROW;
        let most = 4 * session::maintenance_work_mem();
        if self.0 <= most {
            return Ok(());
        }
        let message = format!("an answer about the objects of a database is larger than {} MB", most >> 20);
        Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .detail("It may take four times maintenance_work_mem in memory.")
            .hint("Raise maintenance_work_mem for this database if the source does have so many objects."))
    }
}

/// What a row takes besides its text, in bytes.
const ROW: usize = 64;

fn unexpected(error: serde_json::Error) -> Error {
    Error::new(SqlState::PROTOCOL_VIOLATION, format!("unexpected answer to an inventory query: {error}"))
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(unexpected)
}

impl Catalog for Connection {
    /// Fails with `72000` where a function of the server's meets what is dropped meanwhile: those look
    /// at the catalogs as they are, and tell it by an internal error.
    fn each(&mut self, sql: &str, row: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let result = Connection::each(self, sql, row).map_err(|e| e.on(Side::Source));
        result.map_err(|error| match error.code {
            SqlState::INTERNAL => {
                let detail = format!("The source said: {}", error.message);
                let message = "an object of the source could not be read, maybe as it was dropped meanwhile";
                Error { code: SqlState::SNAPSHOT_GONE, message: message.into(), detail: Some(detail), ..error }
            }
            _ => error,
        })
    }
}

/// This database, through SPI.
pub struct Local;

impl Catalog for Local {
    fn each(&mut self, sql: &str, row: impl FnMut(&str) -> Result<()>) -> Result<()> {
        spi::each(sql, &[], row)
    }
}

/// What server and database this is. Fails with an internal error if it does not answer.
pub fn server(db: &mut impl Catalog) -> Result<Server> {
    db.ask(include_str!("../../sql/inventory/server.sql"))?
        .pop()
        .ok_or_else(|| Error::protocol("the server did not describe itself"))
}

/// The collations that this database can use, with their versions.
pub fn collations(db: &mut impl Catalog) -> Result<Vec<Collation>> {
    db.ask(include_str!("../../sql/inventory/collations.sql"))
}

/// Functions that a call of one of TimescaleDB's, or of this extension's, could take instead.
pub fn overloads(db: &mut impl Catalog) -> Result<Vec<String>> {
    db.ask(include_str!("../../sql/inventory/overloads.sql"))
}

/// Rows that are read in part here and passed on whole to a function on the target.
fn specs<T: DeserializeOwned>(
    db: &mut impl Catalog,
    sql: &str,
    keep: impl Fn(&mut T, serde_json::Value),
) -> Result<Vec<T>> {
    let (mut rows, mut kept) = (Vec::new(), Kept::default());
    db.each(sql, |text| {
        kept.add(text.len())?;
        let spec: serde_json::Value = parse(text)?;
        let mut row: T = serde_json::from_value(spec.clone()).map_err(unexpected)?;
        keep(&mut row, spec);
        rows.push(row);
        Ok(())
    })?;
    Ok(rows)
}

/// Chunks whose layout is that of the one before share it.
fn compressed_chunks(db: &mut impl Catalog, sql: &str) -> Result<Vec<CompressedChunk>> {
    let (mut chunks, mut kept) = (Vec::<CompressedChunk>::new(), Kept::default());
    db.each(sql, |text| {
        let mut chunk: CompressedChunk = parse(text)?;
        let before = chunks.last().filter(|before| before.spec.layout == chunk.spec.layout);
        kept.add(if before.is_some() { size_of::<CompressedChunk>() } else { text.len() })?;
        if let Some(before) = before {
            chunk.spec.layout = before.spec.layout.clone();
        }
        chunks.push(chunk);
        Ok(())
    })?;
    Ok(chunks)
}

/// What several queries begin with.
const PORTABLE: &str = include_str!("../../sql/inventory/portable_types.sql");

/// Expressions that sum up each value of a row `t` of a relation of this database, which may be too
/// large to have a text form.
pub fn value_sums(relation: Oid) -> Result<Vec<String>> {
    let query = format!("WITH RECURSIVE {PORTABLE}{}", include_str!("../../sql/run/value_sums.sql"));
    spi::json_rows(&query, &[relation.into()])
}

/// What queries about compressed chunks begin with, which depends on the version.
pub fn settings(timescaledb: &Timescaledb) -> &'static str {
    match timescaledb.catalog.compression_settings {
        true => include_str!("../../sql/inventory/compression_settings.sql"),
        false => include_str!("../../sql/inventory/hypertable_compression.sql"),
    }
}

/// The tables and chunks, and nothing else of them.
pub fn tables(db: &mut impl Catalog, server: Server) -> Result<Inventory> {
    let mut inventory = Inventory::new(server);
    let text = format!("WITH RECURSIVE {PORTABLE}{}", include_str!("../../sql/inventory/relations.sql"));
    inventory.relations = db.ask(&text)?;
    let Some(timescaledb) = &inventory.server.timescaledb else { return Ok(inventory) };
    inventory.hypertables =
        specs(db, include_str!("../../sql/inventory/hypertables.sql"), |h: &mut Hypertable, spec| {
            h.spec = spec;
        })?;
    let text = format!("WITH RECURSIVE {PORTABLE}{}", include_str!("../../sql/inventory/caggs.sql"));
    inventory.caggs = specs(db, &text, |c: &mut Cagg, spec| c.spec = spec)?;
    inventory.chunks = db.ask(include_str!("../../sql/inventory/chunks.sql"))?;
    inventory.excluded = db.ask(include_str!("../../sql/inventory/excluded.sql"))?;
    if timescaledb.catalog.compress_relid {
        inventory.excluded.extend(db.ask(include_str!("../../sql/inventory/excluded_compressed.sql"))?);
    }
    Ok(inventory)
}

/// Everything that is copied, in one read.
pub fn read(db: &mut impl Catalog, server: Server) -> Result<Inventory> {
    let mut inventory = tables(db, server)?;
    let sizes = db.ask::<(u32, u32, i64, i64)>(include_str!("../../sql/inventory/sizes.sql"))?;
    inventory.sizes = sizes.into_iter().map(|(oid, pages, bytes, rows)| (oid, Size { pages, bytes, rows })).collect();
    inventory.sequences = db.ask(include_str!("../../sql/inventory/sequences.sql"))?;
    inventory.matviews = db.ask(include_str!("../../sql/inventory/matviews.sql"))?;
    inventory.foreign_keys = db.ask(include_str!("../../sql/inventory/foreign_keys.sql"))?;
    let Some(timescaledb) = &inventory.server.timescaledb else { return Ok(inventory) };
    let head = settings(timescaledb);
    let text = format!("{head}{}", include_str!("../../sql/inventory/compression.sql"));
    inventory.compressions = specs(db, &text, |c: &mut Compression, spec| c.spec = spec)?;
    let text = format!("{head}, {PORTABLE}{}", include_str!("../../sql/inventory/compressed_chunks.sql"));
    inventory.compressed_chunks = compressed_chunks(db, &text)?;
    if !inventory.compressed_chunks.is_empty() {
        inventory.collations = collations(db)?;
    }
    inventory.jobs = db.ask(include_str!("../../sql/inventory/jobs.sql"))?;
    if timescaledb.catalog.materialization_ranges {
        inventory.cagg_ranges = db.ask(include_str!("../../sql/inventory/cagg_ranges.sql"))?;
    }
    if timescaledb.catalog.chunk_column_stats {
        inventory.skipping = db.ask(include_str!("../../sql/inventory/chunk_column_stats.sql"))?;
    }
    Ok(inventory)
}

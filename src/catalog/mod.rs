//! Reading a database's inventory, from the source over its connection or from the target
//! through SPI.

pub mod queries;

use crate::core::inventory::{Cagg, Collation, CompressedChunk, Compression, Hypertable, Inventory, Server, Size};
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::Connection;
use crate::pg::{session, spi};
use pgrx::pg_sys::Oid;
use serde::de::DeserializeOwned;

/// Something that answers inventory queries with JSON rows.
pub trait Catalog {
    /// Each row's text, one at a time.
    fn each(&mut self, sql: &str, row: impl FnMut(&str) -> Result<()>) -> Result<()>;

    /// Says which queries are going to be asked, in this order, unless something else is.
    fn announce(&mut self, _queries: Vec<String>) -> Result<()> {
        Ok(())
    }

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
            .detail("It may take at most four times maintenance_work_mem in memory.")
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
                let message = "an object of the source could not be read, possibly because it was dropped meanwhile";
                Error { code: SqlState::SNAPSHOT_GONE, message: message.into(), detail: Some(detail), ..error }
            }
            _ => error,
        })
    }

    fn announce(&mut self, queries: Vec<String>) -> Result<()> {
        self.send_ahead(queries).map_err(|error| error.on(Side::Source))
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
        .ok_or_else(|| Error::protocol("the server did not report its version and settings"))
}

/// The collations that this database uses, with their versions.
pub fn collations(db: &mut impl Catalog) -> Result<Vec<Collation>> {
    db.ask(&queries::collations_used())
}

/// Those of the same names on the target, as far as they exist.
pub fn collations_here(there: &[Collation]) -> Result<Vec<Collation>> {
    let names: Vec<&str> = there.iter().map(|collation| collation.name.as_str()).collect();
    Local.ask(&queries::collations_named(&names))
}

/// Functions that a call of one of TimescaleDB's, or of this extension's, could take instead.
pub fn overloads(db: &mut impl Catalog) -> Result<Vec<String>> {
    db.ask(queries::OVERLOADS)
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

/// Expressions that sum up each value of a row `t` of a relation of this database, which may be too
/// large to have a text form.
pub fn value_sums(relation: Oid) -> Result<Vec<String>> {
    spi::json_rows(&queries::portable(include_str!("../../sql/run/value_sums.sql")), &[relation.into()])
}

/// The tables and chunks, and nothing else of them.
pub fn tables(db: &mut impl Catalog, server: Server) -> Result<Inventory> {
    let mut inventory = Inventory::new(server);
    inventory.relations = db.ask(&queries::relations())?;
    let Some(timescaledb) = &inventory.server.timescaledb else { return Ok(inventory) };
    inventory.hypertables = specs(db, queries::HYPERTABLES, |h: &mut Hypertable, spec| {
        h.spec = spec;
    })?;
    inventory.caggs = specs(db, &queries::caggs(), |c: &mut Cagg, spec| c.spec = spec)?;
    inventory.chunks = db.ask(queries::CHUNKS)?;
    inventory.excluded = db.ask(queries::EXCLUDED)?;
    if timescaledb.catalog.compress_relid {
        inventory.excluded.extend(db.ask(queries::EXCLUDED_COMPRESSED)?);
    }
    Ok(inventory)
}

/// Everything that is copied, in one read.
pub fn read(db: &mut impl Catalog, server: Server) -> Result<Inventory> {
    db.announce(queries::all(&server))?;
    let mut inventory = tables(db, server)?;
    let sizes = db.ask::<(u32, u32, i64, i64)>(queries::SIZES)?;
    inventory.sizes = sizes.into_iter().map(|(oid, pages, bytes, rows)| (oid, Size { pages, bytes, rows })).collect();
    inventory.sequences = db.ask(queries::SEQUENCES)?;
    inventory.matviews = db.ask(queries::MATVIEWS)?;
    inventory.foreign_keys = db.ask(queries::FOREIGN_KEYS)?;
    inventory.keys = db.ask(queries::KEYS)?;
    let Some(timescaledb) = &inventory.server.timescaledb else { return Ok(inventory) };
    let text = queries::compressions(timescaledb);
    inventory.compressions = specs(db, &text, |c: &mut Compression, spec| c.spec = spec)?;
    inventory.compressed_chunks = compressed_chunks(db, &queries::compressed_chunks(timescaledb))?;
    // The source may compress chunks while they are copied.
    if !inventory.compressions.is_empty() || !inventory.compressed_chunks.is_empty() {
        inventory.collations = collations(db)?;
    }
    inventory.jobs = db.ask(queries::JOBS)?;
    if timescaledb.catalog.materialization_ranges {
        inventory.cagg_ranges = db.ask(queries::CAGG_RANGES)?;
    }
    if timescaledb.catalog.chunk_column_stats {
        inventory.skipping = db.ask(queries::CHUNK_COLUMN_STATS)?;
    }
    Ok(inventory)
}

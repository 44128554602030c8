//! What of a source could be improved on the target: the rows of `migrate_suggest`. Asks; `core/suggest` decides.

use crate::catalog::{self, Catalog, Local};
use crate::core::inventory::{Chunk, CompressedChunk, Hypertable, Inventory, PG_CLASS, Partitioned, Server};
use crate::core::name::{Name, literal, quoted};
use crate::core::options::{Form, Options};
use crate::core::scope::Scope;
use crate::core::suggest::{self, Chunked, Clock, Facts, Suggestion, Table, Target};
use crate::error::{Error, Result, SqlState};
use crate::libpq::{Connection, Params};
use crate::pg::spi;
use crate::run::prepare::Source;
use crate::run::{preflight, scope};
use crate::source::session;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// A table, and where its statistics are.
struct Candidate {
    oid: u32,
    sample: u32,
    name: Name,
    rows: i64,
    bytes: i64,
    whole: i64,
    part: i64,
    partitioned_by: Option<String>,
}

/// The largest first.
pub fn suggestions(params: &Params, options: &Options) -> Result<Vec<Suggestion>> {
    let mut source = Source::open(params, options, "timescale_migrate suggest")?;
    preflight::versions(&source.server)?.refuse()?;
    let server = catalog::server(&mut Local)?;
    let target = target(&server)?;
    let inventory = source.read()?;
    let mut scope = source.scope(inventory)?;
    // What else a run would be refused for is for the preflight to say.
    if let Some(wrong) = scope.left.iter().find(|left| left.refused && left.subject.starts_with("option ")) {
        let message = format!("{} cannot be used", wrong.subject);
        return Err(Error::new(SqlState::INVALID_PARAMETER, message)
            .detail(wrong.detail.clone())
            .hint(wrong.hint.clone()));
    }
    let source = &mut source.connection;
    scope.inventory.partitioned = source.ask(catalog::queries::PARTITIONED)?;
    let indexes: HashMap<u32, i64> =
        source.ask::<(u32, i64)>(include_str!("../../sql/suggest/index_sizes.sql"))?.into_iter().collect();
    let inventory = &scope.inventory;
    let sizes = Sizes { inventory, indexes, compressed: inventory.compressed() };
    let tables = tables(&sizes);
    let hypertables: Vec<&Hypertable> = inventory.hypertables.iter().filter(|h| h.cagg.is_none()).collect();
    let mut samples: Vec<(u32, u32)> = tables.iter().map(|table| (table.oid, table.sample)).collect();
    samples
        .extend(hypertables.iter().filter_map(|hypertable| Some((hypertable.oid, sizes.largest_chunk(hypertable)?))));
    let text = include_str!("../../sql/suggest/tables.sql")
        .replace(":tables::", &format!("{}::", literal(&serde_json::json!(samples).to_string())));
    let facts: Vec<Facts> = source.ask(&text)?;
    let mut facts: HashMap<u32, Facts> = facts.into_iter().map(|facts| (facts.oid, facts)).collect();
    let mut suggestions = Vec::new();
    // A view that has taken a table's name would run its code with the rights of this role.
    source.query(&session::restrict("view, foreign-table", false))?;
    for table in tables {
        let Some(mut facts) = facts.remove(&table.oid) else { continue };
        look_up(source, &table.name, &mut facts)?;
        let Candidate { name, rows, bytes, whole, part, partitioned_by, .. } = table;
        suggestions.extend(Table { name, rows, bytes, whole, part, partitioned_by, facts }.suggestion(target));
    }
    for hypertable in hypertables {
        let chunked = sizes.chunked(hypertable, facts.remove(&hypertable.oid));
        suggestions.extend(chunked.and_then(|chunked| chunked.suggestion(target)));
    }
    hinder(source, &mut scope, &server, options, &mut suggestions)?;
    suggestions.sort_by_key(|suggestion| (-suggestion.bytes, suggestion.object.clone()));
    Ok(suggestions)
}

fn target(server: &Server) -> Result<Target> {
    if server.timescaledb.is_none() {
        return Err(Error::new(SqlState::UNDEFINED_OBJECT, "this database has no TimescaleDB")
            .detail("Without it no table can become a hypertable.")
            .hint("CREATE EXTENSION timescaledb;"));
    }
    let shared_buffers = "SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers'))";
    Ok(Target { community: server.community(), shared_buffers: spi::value(shared_buffers, &[])?.unwrap_or_default() })
}

/// Enters what a run with these suggestions would be refused for.
fn hinder(
    source: &mut Connection,
    scope: &mut Scope,
    target: &Server,
    options: &Options,
    suggestions: &mut [Suggestion],
) -> Result<()> {
    let form = |suggestion: &Suggestion| {
        let form = serde_json::from_value::<Form>(suggestion.options.clone()?);
        Some(form.map(|form| (suggestion.object.clone(), Box::new(form))).map_err(|e| Error::internal(e.to_string())))
    };
    let hypertables = suggestions.iter().filter_map(form).collect::<Result<_>>()?;
    let known = scope.left.len();
    scope::conversions(source, scope, target, &Options { hypertables, ..options.clone() })?;
    for left in scope.left[known..].iter().filter(|left| left.refused) {
        for suggestion in suggestions.iter_mut().filter(|s| left.subject == format!("table {}", s.object)) {
            suggestion.hinder(&format!("it {}. {}", left.detail, left.hint));
        }
    }
    Ok(())
}

/// Tables that are large enough.
fn tables(sizes: &Sizes) -> Vec<Candidate> {
    let inventory = sizes.inventory;
    let partitioned = &inventory.partitioned;
    let leaves: HashSet<u32> = partitioned.iter().flat_map(|table| &table.leaves).map(|leaf| leaf.0).collect();
    let arrives = |table: &&Partitioned| inventory.selection.arrives(PG_CLASS, table.oid);
    let ordinary = inventory.plain_tables().filter(|table| !leaves.contains(&table.oid));
    let mut tables: Vec<Candidate> = ordinary
        .map(|table| Candidate {
            oid: table.oid,
            sample: table.oid,
            name: table.qualified(),
            rows: inventory.size(table.oid).rows,
            bytes: inventory.size(table.oid).bytes,
            whole: sizes.whole(table.oid),
            part: sizes.whole(table.oid),
            partitioned_by: None,
        })
        .collect();
    tables.extend(partitioned.iter().filter(arrives).filter_map(|table| sizes.partitioned(table)));
    tables.retain(|table| suggest::is_large(table.rows, table.bytes));
    tables
}

/// The first and the last time of a table without statistics, where an index tells them.
fn look_up(source: &mut Connection, table: &Name, facts: &mut Facts) -> Result<()> {
    for column in facts.unknown_times() {
        let name = quoted(&facts.columns[column].name);
        let query = format!(
            "SELECT json_build_array(extract(epoch FROM min({name}))::float8, extract(epoch FROM max({name}))::float8)::text
             FROM {table} WHERE {name} > '-infinity' AND {name} < 'infinity'"
        );
        let ends: Vec<[Option<f64>; 2]> = source.ask(&query)?;
        if let Some([Some(first), Some(last)]) = ends.first() {
            facts.columns[column].quantiles = Some([*first, (first + last) / 2.0, *last]);
        }
    }
    Ok(())
}

struct Sizes<'a> {
    inventory: &'a Inventory,
    indexes: HashMap<u32, i64>,
    compressed: HashMap<u32, &'a CompressedChunk>,
}

impl Sizes<'_> {
    /// With indexes.
    fn whole(&self, oid: u32) -> i64 {
        self.inventory.size(oid).bytes + self.indexes.get(&oid).copied().unwrap_or_default()
    }

    /// The same of a chunk, as if it was not compressed.
    fn whole_chunk(&self, chunk: &Chunk) -> i64 {
        let before = |compressed: &&CompressedChunk| {
            let sizes: Value = serde_json::from_str(compressed.spec.sizes.as_deref()?).ok()?;
            let part = |name: &str| sizes[format!("uncompressed_{name}_size")].as_i64().unwrap_or_default();
            Some(part("heap") + part("toast") + part("index"))
        };
        self.whole(chunk.oid) + self.compressed.get(&chunk.oid).and_then(before).unwrap_or_default()
    }

    fn largest_chunk(&self, hypertable: &Hypertable) -> Option<u32> {
        let chunks = self.inventory.chunks_of(hypertable).filter(|chunk| !chunk.osm);
        chunks.map(|chunk| chunk.oid).max_by_key(|oid| self.inventory.size(*oid).bytes)
    }

    fn partitioned(&self, table: &Partitioned) -> Option<Candidate> {
        let largest = table.leaves.iter().max_by_key(|leaf| self.inventory.size(leaf.0).bytes)?;
        let sum = |of: &dyn Fn(u32) -> i64| table.leaves.iter().map(|leaf| of(leaf.0)).sum();
        let beside = table.leaves.iter().filter(|leaf| leaf.1 == largest.1);
        Some(Candidate {
            oid: table.oid,
            sample: largest.0,
            name: Name::new(&table.schema, &table.name),
            rows: sum(&|oid| self.inventory.size(oid).rows),
            bytes: sum(&|oid| self.inventory.size(oid).bytes),
            whole: sum(&|oid| self.whole(oid)),
            part: beside.map(|leaf| self.whole(leaf.0)).sum(),
            partitioned_by: table.column.clone(),
        })
    }

    fn chunked(&self, hypertable: &Hypertable, facts: Option<Facts>) -> Option<Chunked> {
        let dimension = &hypertable.spec["dimensions"][0];
        let column = dimension["column"].as_str()?;
        let chunks: Vec<&Chunk> = self.inventory.chunks_of(hypertable).filter(|chunk| !chunk.osm).collect();
        let slices: HashSet<[i64; 2]> = chunks.iter().filter_map(|chunk| chunk.slices.get(column).copied()).collect();
        let first = slices.iter().map(|slice| slice[0]).min()?;
        let last = slices.iter().map(|slice| slice[1]).max()?;
        let clock = Clock::of(dimension["type"].as_str()?, Some([first as f64, last as f64]));
        // TimescaleDB counts times in microseconds.
        let per_second = match clock {
            Some(Clock::Time | Clock::Date) => 1e6,
            Some(Clock::Integer(per_second)) => per_second as f64,
            None => 1.0,
        };
        let sizes =
            chunks.iter().map(|chunk| self.inventory.chunk_size(chunk.oid, self.compressed.get(&chunk.oid).copied()));
        let (rows, bytes) = sizes.fold((0, 0), |sum, size| (sum.0 + size.rows, sum.1 + size.bytes));
        Some(Chunked {
            name: hypertable.qualified(),
            rows,
            bytes,
            whole: chunks.iter().map(|chunk| self.whole_chunk(chunk)).sum(),
            chunks: chunks.len(),
            column: column.to_string(),
            clock,
            interval: dimension["interval_length"].as_f64()? / per_second,
            seconds: slices.iter().map(|slice| slice[1] as f64 - slice[0] as f64).sum::<f64>() / per_second,
            compressed: self.inventory.compressions.iter().any(|c| c.hypertable_id == hypertable.id),
            facts,
        })
    }
}

//! The text of the inventory's queries, each of which stands here alone.

use crate::core::inventory::{Server, Timescaledb};
use crate::core::name::literal;

pub const OVERLOADS: &str = include_str!("../../sql/inventory/overloads.sql");
pub const PARTITIONED: &str = include_str!("../../sql/inventory/partitioned.sql");
pub(super) const HYPERTABLES: &str = include_str!("../../sql/inventory/hypertables.sql");
pub(super) const CHUNKS: &str = include_str!("../../sql/inventory/chunks.sql");
pub(super) const EXCLUDED: &str = include_str!("../../sql/inventory/excluded.sql");
pub(super) const EXCLUDED_COMPRESSED: &str = include_str!("../../sql/inventory/excluded_compressed.sql");
pub(super) const SIZES: &str = include_str!("../../sql/inventory/sizes.sql");
pub(super) const SEQUENCES: &str = include_str!("../../sql/inventory/sequences.sql");
pub(super) const MATVIEWS: &str = include_str!("../../sql/inventory/matviews.sql");
pub(super) const FOREIGN_KEYS: &str = include_str!("../../sql/inventory/foreign_keys.sql");
pub(super) const KEYS: &str = include_str!("../../sql/inventory/keys.sql");
pub(super) const JOBS: &str = include_str!("../../sql/inventory/jobs.sql");
pub(super) const CAGG_RANGES: &str = include_str!("../../sql/inventory/cagg_ranges.sql");
pub(super) const CHUNK_COLUMN_STATS: &str = include_str!("../../sql/inventory/chunk_column_stats.sql");

/// The collations that an object of this database uses. The server pins its first ones, and so records no use of them.
pub fn collations_used() -> String {
    collations(
        "(l.oid < 12000 OR EXISTS (SELECT FROM pg_catalog.pg_depend x
             WHERE x.refclassid = 'pg_catalog.pg_collation'::pg_catalog.regclass AND x.refobjid = l.oid))",
    )
}

/// Those of these names.
pub(super) fn collations_named(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
    collations(&format!("format('%I.%I', n.nspname, l.collname) = ANY (ARRAY[{}]::text[])", names.join(", ")))
}

fn collations(wanted: &str) -> String {
    include_str!("../../sql/inventory/collations.sql").replace("AND :wanted", &format!("AND {wanted}"))
}

/// What several queries begin with.
const PORTABLE: &str = include_str!("../../sql/inventory/portable_types.sql");

/// A query that begins with [`PORTABLE`].
pub(super) fn portable(query: &str) -> String {
    format!("WITH RECURSIVE {PORTABLE}{query}")
}

pub(super) fn relations() -> String {
    portable(include_str!("../../sql/inventory/relations.sql"))
}

pub(super) fn caggs() -> String {
    portable(include_str!("../../sql/inventory/caggs.sql"))
}

/// What queries about compressed chunks begin with, which depends on the version.
pub fn settings(timescaledb: &Timescaledb) -> &'static str {
    match timescaledb.catalog.compression_settings {
        true => include_str!("../../sql/inventory/compression_settings.sql"),
        false => include_str!("../../sql/inventory/hypertable_compression.sql"),
    }
}

pub(super) fn compressions(timescaledb: &Timescaledb) -> String {
    format!("{}{}", settings(timescaledb), include_str!("../../sql/inventory/compression.sql"))
}

pub(super) fn compressed_chunks(timescaledb: &Timescaledb) -> String {
    format!("{}, {PORTABLE}{}", settings(timescaledb), include_str!("../../sql/inventory/compressed_chunks.sql"))
}

/// What [`super::read`] asks, in its order. An answer that turns out not to be needed is not read.
pub(super) fn all(server: &Server) -> Vec<String> {
    let mut queries = vec![relations()];
    if let Some(timescaledb) = &server.timescaledb {
        queries.extend([HYPERTABLES.to_owned(), caggs(), CHUNKS.to_owned(), EXCLUDED.to_owned()]);
        queries.extend(timescaledb.catalog.compress_relid.then(|| EXCLUDED_COMPRESSED.to_owned()));
    }
    queries.extend([SIZES, SEQUENCES, MATVIEWS, FOREIGN_KEYS, KEYS].map(str::to_owned));
    if let Some(timescaledb) = &server.timescaledb {
        queries.extend([compressions(timescaledb), compressed_chunks(timescaledb)]);
        queries.extend([collations_used(), JOBS.to_owned()]);
        queries.extend(timescaledb.catalog.materialization_ranges.then(|| CAGG_RANGES.to_owned()));
        queries.extend(timescaledb.catalog.chunk_column_stats.then(|| CHUNK_COLUMN_STATS.to_owned()));
    }
    queries
}

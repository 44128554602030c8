-- The tables that hold the rows of compressed chunks; excluded.sql does not list them if they are not chunks themselves (since 2.29).
-- Run on: source. TimescaleDB with `catalog.compress_relid` of server.sql (2.19 and later), any edition.
-- Returns: one JSON object per table, as excluded.sql.
SELECT json_build_object(
    'class', 'pg_class',
    'class_oid', 'pg_catalog.pg_class'::regclass::oid::int8,
    'oid', s.compress_relid::oid::int8
)::text
FROM _timescaledb_catalog.compression_settings s
WHERE s.compress_relid IS NOT NULL
ORDER BY s.compress_relid

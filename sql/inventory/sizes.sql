-- The size of each table that is not empty, and about how many rows it has: ordinary tables, chunks, and the relations that hold
-- compressed rows.
-- Run on: source. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON array per table: its oid, its pages, its bytes with those of its TOAST, its rows. A table that is dropped meanwhile has no size.
SELECT json_build_array(
    c.oid::int8, size.pages, pg_table_size(c.oid),
    CASE WHEN c.relpages > 0 AND c.reltuples >= 0 THEN c.reltuples::float8 / c.relpages * size.pages
         ELSE size.pages * (current_setting('block_size')::float8 / col.width) END::bigint
)::text
FROM pg_catalog.pg_class c
CROSS JOIN LATERAL (SELECT pg_relation_size(c.oid) / current_setting('block_size')::int AS pages) size
CROSS JOIN LATERAL (
    -- Row header and line pointer, and 32 bytes for a column of unknown width, as the planner assumes.
    SELECT 28 + coalesce(sum(CASE WHEN a.attlen > 0 THEN a.attlen ELSE 32 END), 0) AS width
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
) col
WHERE c.oid >= 16384 AND c.relkind = 'r' AND c.relpersistence <> 't' AND size.pages > 0

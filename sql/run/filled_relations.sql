-- The relations that a copy has filled.
-- Run on: target. $1 run, $2 the relation that its task names, $3 whether that is a hypertable for whose rows TimescaleDB has found the chunks.
-- Returns: one JSON array: the relations that hold the rows, as {schema, name}, and the names of their columns.
SELECT json_build_array(
    (SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname)), '[]')
     FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE CASE WHEN $3 THEN c.oid IN (SELECT r FROM timescale_migrate.routed_chunks($1, $2) r) ELSE c.oid = $2 END),
    (SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]')
     FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = $2 AND a.attnum > 0 AND NOT a.attisdropped))::text

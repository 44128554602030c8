-- The relations that copies have filled.
-- Run on: target. $1 run, $2 the relation that the tasks of each copy name, $3 whether that is a hypertable for whose rows TimescaleDB has found
-- the chunks.
-- Returns: one JSON array for each copy, in their order: the relations that hold the rows, as {schema, name}, and the names of their columns.
SELECT json_build_array(
    (SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname)), '[]')
     FROM (SELECT u.relation WHERE NOT u.routed
           UNION ALL SELECT r::pg_catalog.oid FROM timescale_migrate.routed_chunks($1, u.relation) r WHERE u.routed) f(oid)
     JOIN pg_catalog.pg_class c ON c.oid = f.oid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace),
    (SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]')
     FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = u.relation AND a.attnum > 0 AND NOT a.attisdropped))::text
FROM unnest($2, $3) WITH ORDINALITY u(relation, routed, number)
ORDER BY u.number

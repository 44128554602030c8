-- The relations of the target with these names, and what an insertion into them needs.
-- Run on: target. $1 a list of {schema, name}.
-- Returns: one JSON object per relation.
SELECT json_build_object(
    'oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind,
    'owner', pg_catalog.pg_get_userbyid(c.relowner),
    'rules', EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type = '3' AND r.ev_enabled IN ('A', 'R')),
    'made', EXISTS (SELECT FROM timescale_migrate.made_log m
                    WHERE m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND m.objid = c.oid),
    'constrained', EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('c', 'x'))
                OR EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid AND x.indisunique),
    'columns', (
        SELECT coalesce(json_agg(json_build_object(
                   'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
                   'collation', (SELECT l.collnamespace::pg_catalog.regnamespace::text || '.' || l.collname FROM pg_catalog.pg_collation l, pg_catalog.pg_type y
                                 WHERE l.oid = a.attcollation AND y.oid = a.atttypid AND y.typcollation <> l.oid),
                   'given', a.atthasdef OR a.attidentity <> '', 'generated', a.attgenerated <> '') ORDER BY a.attnum), '[]')
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))::text
FROM pg_catalog.jsonb_to_recordset($1) w(schema name, name name)
JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name

-- The ordinary tables whose rows are to be copied, with their columns.
-- Run on: source and target. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON object per table, by oid.
--
-- Hypertable roots are among them (hypertables.sql tells which they are), and so are chunks in a schema of the user's own: those are
-- in excluded.sql. Everything in TimescaleDB's own schemas is left out here. Tables of other extensions are left out as well, except
-- configuration tables, of which the extension says which rows are the user's (`where`).
--
-- `binary` on a column: its type is portable. Begins with portable_types.sql.
, internal_schema(oid) AS (
    SELECT d.objid
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname IN ('timescaledb', 'timescale_migrate')
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
      AND d.classid = 'pg_catalog.pg_namespace'::regclass
),
extension_table(oid, owner, condition) AS (
    SELECT d.objid, e.extname, config.condition
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
    LEFT JOIN LATERAL unnest(e.extconfig, e.extcondition) AS config(oid, condition) ON config.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
),
relation AS (
    SELECT c.*, n.nspname, nullif(x.condition, '') AS condition
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN extension_table x ON x.oid = c.oid
    WHERE c.relkind = 'r' AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
      AND NOT EXISTS (SELECT FROM internal_schema i WHERE i.oid = c.relnamespace)
      AND (x.oid IS NULL OR (x.condition IS NOT NULL AND x.owner NOT IN ('timescaledb', 'timescaledb_osm', 'timescale_migrate')))
)
SELECT json_build_object(
    'oid', r.oid::int8,
    'schema', r.nspname,
    'name', r.relname,
    'owner', pg_get_userbyid(r.relowner),
    'where', r.condition,
    'columns', (
        SELECT coalesce(json_agg(json_build_object(
                   'name', a.attname,
                   'type', format_type(a.atttypid, a.atttypmod),
                   'generated', a.attgenerated <> '',
                   'collation', (SELECT l.collnamespace::pg_catalog.regnamespace::text || '.' || l.collname FROM pg_catalog.pg_collation l, pg_catalog.pg_type y
                                 WHERE l.oid = a.attcollation AND y.oid = a.atttypid AND y.typcollation <> l.oid),
                   'binary', EXISTS (SELECT FROM portable p WHERE p.type = a.atttypid)
               ) ORDER BY a.attnum), '[]'::json)
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped)
)::text
FROM relation r
ORDER BY r.oid

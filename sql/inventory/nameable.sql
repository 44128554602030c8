-- What the patterns of the options include, exclude and exclude_data may name: relations and routines by their names, and whatever else is in
-- a schema, which only a pattern for the whole schema means.
-- Run on: source. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON array per object: OID of its catalog, its own OID, schema, name or null, and the OIDs of the tables that it inherits
-- from, as a partition does. Chunks in
-- schemas of the user's own are among them; excluded.sql tells which they are. System schemas are left out; so is what belongs to an extension.
WITH schema AS (
    SELECT n.oid, n.nspname
    FROM pg_catalog.pg_namespace n
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_toast%' AND n.nspname NOT LIKE 'pg\_temp\_%'
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend d
          JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname IN ('timescaledb', 'timescale_migrate')
          WHERE d.classid = 'pg_catalog.pg_namespace'::regclass AND d.objid = n.oid
            AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e')
),
object(class, oid, schema, name) AS (
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, s.nspname, c.relname
    FROM pg_catalog.pg_class c
    JOIN schema s ON s.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL
    SELECT 'pg_catalog.pg_proc'::regclass, p.oid, s.nspname, p.proname
    FROM pg_catalog.pg_proc p
    JOIN schema s ON s.oid = p.pronamespace
    UNION ALL
    SELECT d.classid, d.objid, s.nspname, NULL
    FROM pg_catalog.pg_depend d
    JOIN schema s ON s.oid = d.refobjid
    WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.deptype = 'n'
      AND d.classid NOT IN ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_extension'::regclass)
)
SELECT json_build_array(o.class::oid::int8, o.oid::int8, o.schema, o.name, (
    SELECT coalesce(json_agg(i.inhparent::int8), '[]'::json)
    FROM pg_catalog.pg_inherits i WHERE o.class = 'pg_catalog.pg_class'::regclass AND i.inhrelid = o.oid))::text
FROM object o
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend e WHERE e.classid = o.class AND e.objid = o.oid AND e.deptype = 'e')

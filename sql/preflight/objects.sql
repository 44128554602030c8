-- The identity of every object of the user's, to find what the target already has under the same name.
-- Run on: source and target. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON object per object. Two objects with the same `kind` and `identity` cannot exist together: `kind` is the name space
-- (all relations share one, all routines share one), `type` what it is there. `table_oid` is the table of an index or of an identity column's sequence.
--
-- Left out: what belongs to an extension, lies in a system schema or in TimescaleDB's own, and what comes with another object (row and
-- array types, functions and casts of a range type, constraints, triggers, policies). Chunks in a schema of the user's own are in it;
-- excluded.sql tells them.
WITH hidden_schema(oid) AS (
    SELECT oid FROM pg_catalog.pg_namespace
    WHERE nspname IN ('pg_catalog', 'information_schema') OR nspname LIKE 'pg\_toast%' OR nspname LIKE 'pg\_temp\_%'
    UNION ALL
    SELECT d.objid
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname IN ('timescaledb', 'timescale_migrate')
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
      AND d.classid = 'pg_catalog.pg_namespace'::regclass
),
object(classid, oid, schema, kind, table_oid) AS (
    SELECT 'pg_catalog.pg_namespace'::regclass, n.oid, n.oid, 'schema', NULL::oid
    FROM pg_catalog.pg_namespace n WHERE n.nspname <> 'public'
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, c.relnamespace, 'relation', coalesce(i.indrelid, d.refobjid)
    FROM pg_catalog.pg_class c
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
    -- The sequence of an identity column, or one that belongs to a column.
    LEFT JOIN pg_catalog.pg_depend d ON c.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
        AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid <> 0 AND d.deptype IN ('a', 'i')
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'i', 'I')
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, t.oid, t.typnamespace, 'type', NULL
    FROM pg_catalog.pg_type t
    LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
    WHERE (t.typrelid = 0 OR c.relkind = 'c') AND t.typtype <> 'm'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
    UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid, pronamespace, 'routine', NULL FROM pg_catalog.pg_proc
    UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid, oprnamespace, 'operator', NULL FROM pg_catalog.pg_operator
    UNION ALL SELECT 'pg_catalog.pg_opclass'::regclass, oid, opcnamespace, 'operator class', NULL FROM pg_catalog.pg_opclass
    UNION ALL SELECT 'pg_catalog.pg_opfamily'::regclass, oid, opfnamespace, 'operator family', NULL FROM pg_catalog.pg_opfamily
    UNION ALL SELECT 'pg_catalog.pg_collation'::regclass, oid, collnamespace, 'collation', NULL FROM pg_catalog.pg_collation
    UNION ALL SELECT 'pg_catalog.pg_conversion'::regclass, oid, connamespace, 'conversion', NULL FROM pg_catalog.pg_conversion
    UNION ALL SELECT 'pg_catalog.pg_ts_config'::regclass, oid, cfgnamespace, 'text search configuration', NULL FROM pg_catalog.pg_ts_config
    UNION ALL SELECT 'pg_catalog.pg_ts_dict'::regclass, oid, dictnamespace, 'text search dictionary', NULL FROM pg_catalog.pg_ts_dict
    UNION ALL SELECT 'pg_catalog.pg_ts_parser'::regclass, oid, prsnamespace, 'text search parser', NULL FROM pg_catalog.pg_ts_parser
    UNION ALL SELECT 'pg_catalog.pg_ts_template'::regclass, oid, tmplnamespace, 'text search template', NULL FROM pg_catalog.pg_ts_template
    UNION ALL SELECT 'pg_catalog.pg_statistic_ext'::regclass, oid, stxnamespace, 'statistics', stxrelid FROM pg_catalog.pg_statistic_ext
    UNION ALL SELECT 'pg_catalog.pg_cast'::regclass, oid, 0, 'cast', NULL FROM pg_catalog.pg_cast
    UNION ALL SELECT 'pg_catalog.pg_transform'::regclass, oid, 0, 'transform', NULL FROM pg_catalog.pg_transform
    UNION ALL SELECT 'pg_catalog.pg_language'::regclass, oid, 0, 'language', NULL FROM pg_catalog.pg_language
    UNION ALL SELECT 'pg_catalog.pg_am'::regclass, oid, 0, 'access method', NULL FROM pg_catalog.pg_am
    UNION ALL SELECT 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid, 0, 'foreign-data wrapper', NULL FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_catalog.pg_foreign_server'::regclass, oid, 0, 'server', NULL FROM pg_catalog.pg_foreign_server
    UNION ALL SELECT 'pg_catalog.pg_event_trigger'::regclass, oid, 0, 'event trigger', NULL FROM pg_catalog.pg_event_trigger
    UNION ALL SELECT 'pg_catalog.pg_publication'::regclass, oid, 0, 'publication', NULL FROM pg_catalog.pg_publication
    UNION ALL SELECT 'pg_catalog.pg_largeobject'::regclass, oid, 0, 'large object', NULL FROM pg_catalog.pg_largeobject_metadata
)
SELECT json_build_object(
    'kind', o.kind,
    'type', i.type,
    'identity', i.identity,
    'class', (SELECT relname FROM pg_catalog.pg_class WHERE oid = o.classid),
    'class_oid', o.classid::oid::int8,
    'oid', o.oid::int8,
    'table_oid', o.table_oid::int8
)::text
FROM object o
CROSS JOIN LATERAL pg_identify_object(o.classid, o.oid, 0) i
-- Below are the objects that initdb made.
WHERE (o.oid >= 16384 OR o.kind = 'large object')
  AND o.schema NOT IN (SELECT oid FROM hidden_schema)
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = o.classid AND d.objid IN (o.oid, o.table_oid)
        AND (d.deptype = 'e' OR (d.deptype = 'i' AND o.kind <> 'relation')))
ORDER BY o.classid, o.oid

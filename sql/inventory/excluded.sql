-- The objects that a schema dump of a TimescaleDB database must leave out: everything in the extension's schemas, chunks
-- wherever they lie, and what TimescaleDB has put on the user's tables for its own use.
-- Run on: source. TimescaleDB 2.11 and later, any edition. Since 2.19 excluded_compressed.sql belongs to it.
-- Returns: one JSON object per object: class (its catalog), class_oid, oid. Objects that depend on these are left out too.
WITH internal_schema AS (
    SELECT d.objid AS oid, d.refobjid AS extension
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname IN ('timescaledb', 'timescale_migrate')
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
      AND d.classid = 'pg_catalog.pg_namespace'::regclass
),
chunk AS (
    SELECT coalesce(to_regclass(to_jsonb(k)->>'relid')::oid, c.oid) AS oid
    FROM _timescaledb_catalog.chunk k
    LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = to_jsonb(k)->>'schema_name'
    LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = to_jsonb(k)->>'table_name'
    WHERE NOT coalesce((to_jsonb(k)->>'dropped')::bool, false)
),
excluded(class, oid) AS (
    SELECT 'pg_class', oid FROM chunk WHERE oid IS NOT NULL
    UNION SELECT 'pg_class', c.oid FROM pg_catalog.pg_class c JOIN internal_schema s ON s.oid = c.relnamespace
          WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
    -- The internal views and tables of a continuous aggregate, which may have been moved to another schema. The user's view is in caggs.sql.
    UNION SELECT 'pg_class', c.oid
          FROM _timescaledb_catalog.continuous_agg a
          JOIN _timescaledb_catalog.hypertable h ON h.id = a.mat_hypertable_id
          JOIN pg_catalog.pg_class c ON true
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE (n.nspname, c.relname) IN ((h.schema_name, h.table_name), (a.partial_view_schema, a.partial_view_name),
                                           (a.direct_view_schema, a.direct_view_name))
    UNION SELECT 'pg_type', t.oid FROM pg_catalog.pg_type t JOIN internal_schema s ON s.oid = t.typnamespace
          WHERE t.typrelid = 0 AND t.typcategory <> 'A'
    UNION SELECT 'pg_proc', p.oid FROM pg_catalog.pg_proc p JOIN internal_schema s ON s.oid = p.pronamespace
    -- ts_insert_blocker and ts_cagg_invalidation_trigger, by the function they call.
    UNION SELECT 'pg_trigger', t.oid
          FROM pg_catalog.pg_trigger t
          JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
          JOIN internal_schema s ON s.oid = p.pronamespace
          WHERE NOT t.tgisinternal
    -- The copies that a hypertable's foreign keys have on each chunk, on either side.
    UNION SELECT 'pg_constraint', f.oid
          FROM pg_catalog.pg_constraint f
          WHERE f.contype = 'f' AND (f.conrelid IN (SELECT oid FROM chunk) OR f.confrelid IN (SELECT oid FROM chunk))
    -- A publication that has a chunk, but not its hypertable, is in preflight/of_chunks.sql.
    UNION SELECT 'pg_publication_rel', p.oid
          FROM pg_catalog.pg_publication_rel p WHERE p.prrelid IN (SELECT oid FROM chunk)
)
SELECT json_build_object(
    'class', x.class,
    'class_oid', format('pg_catalog.%I', x.class)::regclass::oid::int8,
    'oid', x.oid::int8
)::text
FROM excluded x
ORDER BY x.class, x.oid

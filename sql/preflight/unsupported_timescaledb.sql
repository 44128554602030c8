-- Objects in this database that another database cannot have, and that no other query of the inventory lists.
-- Run on: source. TimescaleDB 2.11 and later, any edition.
-- Returns: one JSON object per finding: kind, subject, detail; object ({class_oid, oid}) if the schema can be made without it, or
-- if it is a child that is not a chunk; null if it holds rows, or if it is not known which objects need it.
--
-- Columns that not every version has are read through JSON.
WITH hypertable AS (
    SELECT h.id, h.schema_name, h.table_name,
           format('%I.%I', coalesce(a.user_view_schema, h.schema_name), coalesce(a.user_view_name, h.table_name)) AS name,
           coalesce((to_jsonb(h)->>'compression_state')::int, 0) AS state,
           (to_jsonb(h)->>'replication_factor')::int AS replication
    FROM _timescaledb_catalog.hypertable h
    LEFT JOIN _timescaledb_catalog.continuous_agg a ON a.mat_hypertable_id = h.id
),
chunk AS (
    SELECT k.hypertable_id,
           coalesce(to_regclass(to_jsonb(k)->>'relid')::oid, c.oid) AS oid,
           coalesce(to_jsonb(k)->>'relid', format('%I.%I', to_jsonb(k)->>'schema_name', to_jsonb(k)->>'table_name')) AS name
    FROM _timescaledb_catalog.chunk k
    LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = to_jsonb(k)->>'schema_name'
    LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = to_jsonb(k)->>'table_name'
    WHERE NOT coalesce((to_jsonb(k)->>'dropped')::bool, false)
),
user_chunk AS (
    SELECT k.*, h.name AS hypertable
    FROM chunk k JOIN hypertable h ON h.id = k.hypertable_id AND h.state <> 2
),
internal_schema AS (
    SELECT d.objid AS oid, n.nspname
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'timescaledb'
    JOIN pg_catalog.pg_namespace n ON n.oid = d.objid
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
      AND d.classid = 'pg_catalog.pg_namespace'::regclass
)
SELECT json_build_object('kind', f.kind, 'subject', f.subject, 'detail', f.detail, 'object', f.object)::text
FROM (
    SELECT 'distributed hypertable' AS kind, h.name AS subject, 'Its rows are on data nodes, not in this database.' AS detail,
           NULL::json AS object
    FROM hypertable h WHERE h.replication IS NOT NULL
    UNION ALL
    SELECT 'hypertable without time', h.name,
           'It has no open dimension. Versions since 2.15.2 refuse to create such a hypertable.', NULL
    FROM hypertable h
    WHERE h.state <> 2
      AND NOT EXISTS (SELECT FROM _timescaledb_catalog.dimension d WHERE d.hypertable_id = h.id AND d.num_slices IS NULL)
    UNION ALL
    SELECT 'chunk without relation', k.name,
           format('TimescaleDB''s catalog has this chunk of %s, but its table is gone.', k.hypertable), NULL
    FROM user_chunk k
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = k.oid)
    UNION ALL
    SELECT 'hypertable without relation', h.name, 'TimescaleDB''s catalog has this hypertable, but its table is gone.', NULL
    FROM hypertable h
    WHERE h.state <> 2
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = h.schema_name AND c.relname = h.table_name)
    UNION ALL
    SELECT 'child table', c.oid::regclass::text,
           format('It inherits from the hypertable %s without being one of its chunks; queries on the hypertable do not return its rows.', h.name),
           json_build_object('class_oid', 'pg_catalog.pg_class'::regclass::int8, 'oid', c.oid::int8)
    FROM hypertable h
    JOIN pg_catalog.pg_namespace hn ON hn.nspname = h.schema_name
    JOIN pg_catalog.pg_class hc ON hc.relnamespace = hn.oid AND hc.relname = h.table_name
    JOIN pg_catalog.pg_inherits i ON i.inhparent = hc.oid
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    WHERE h.state <> 2 AND NOT EXISTS (SELECT FROM chunk k WHERE k.oid = c.oid)
    UNION ALL
    -- Views by their rule, functions by what they return or read, tables by the type of a column. Views of continuous aggregates read
    -- their hypertables, and chunks inherit from them, as they should.
    SELECT 'dependence on a chunk', coalesce(pg_describe_object(u.classid, u.objid, 0), 'a dropped object'),
           format('It uses %s, which TimescaleDB creates and names itself.', string_agg(DISTINCT c.oid::regclass::text, ', ')),
           CASE WHEN u.classid <> 'pg_catalog.pg_class'::regclass OR bool_and(r.relkind IN ('v', 'm', 'f'))
                THEN json_build_object('class_oid', u.classid::int8, 'oid', u.objid::int8)
                -- A composite type.
                WHEN bool_and(r.relkind = 'c')
                THEN json_build_object('class_oid', 'pg_catalog.pg_type'::regclass::int8, 'oid', max(r.reltype::int8)) END
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_class c ON (d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid)
        OR (d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid = c.reltype)
    LEFT JOIN pg_catalog.pg_rewrite w ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND w.oid = d.objid
    CROSS JOIN LATERAL (
        SELECT CASE WHEN w.oid IS NULL THEN d.classid ELSE 'pg_catalog.pg_class'::regclass END, coalesce(w.ev_class, d.objid)
    ) u(classid, objid)
    LEFT JOIN pg_catalog.pg_class r ON u.classid = 'pg_catalog.pg_class'::regclass AND r.oid = u.objid AND r.relkind IN ('r', 'p', 'c', 'f', 'v', 'm')
    LEFT JOIN pg_catalog.pg_proc p ON u.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = u.objid
    WHERE d.deptype = 'n' AND u.objid <> c.oid
      AND coalesce(r.relnamespace, p.pronamespace) NOT IN (SELECT s.oid FROM internal_schema s)
      AND (c.oid IN (SELECT k.oid FROM chunk k)
           OR (c.relnamespace IN (SELECT s.oid FROM internal_schema s)
               AND NOT EXISTS (
                   SELECT FROM pg_catalog.pg_depend e
                   WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid AND e.deptype IN ('e', 'i'))))
      AND NOT EXISTS (SELECT FROM chunk k WHERE k.oid = u.objid)
      AND NOT EXISTS (
          SELECT FROM _timescaledb_catalog.continuous_agg a
          WHERE (r.relnamespace::regnamespace::text, r.relname) IN (
              (quote_ident(a.user_view_schema), a.user_view_name), (quote_ident(a.partial_view_schema), a.partial_view_name),
              (quote_ident(a.direct_view_schema), a.direct_view_name)))
    GROUP BY u.classid, u.objid
    UNION ALL
    -- Chunks, jobs and whatever else TimescaleDB numbers have other numbers on another server. Copies of a hypertable's keys on its chunks are
    -- not a user's.
    SELECT 'foreign key to an internal table', format('%I on %s', f.conname, f.conrelid::regclass),
           format('It references %s, whose rows TimescaleDB creates itself.', f.confrelid::regclass),
           json_build_object('class_oid', 'pg_catalog.pg_constraint'::regclass::int8, 'oid', f.oid::int8)
    FROM pg_catalog.pg_constraint f
    JOIN pg_catalog.pg_class r ON r.oid = f.confrelid
    JOIN pg_catalog.pg_class u ON u.oid = f.conrelid
    LEFT JOIN chunk k ON k.oid = f.confrelid
    WHERE f.contype = 'f' AND f.conparentid = 0
      AND (k.oid IS NOT NULL OR r.relnamespace IN (SELECT s.oid FROM internal_schema s))
      AND u.relnamespace NOT IN (SELECT s.oid FROM internal_schema s)
      AND NOT EXISTS (SELECT FROM chunk o WHERE o.oid = f.conrelid)
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_inherits i ON i.inhparent = o.confrelid
          WHERE o.contype = 'f' AND o.conrelid = f.conrelid AND o.conkey = f.conkey AND i.inhrelid = f.confrelid)
    UNION ALL
    -- Objects that a user made in TimescaleDB's own schemas. Its internal tables are recognized by its catalog or by their columns.
    SELECT 'object in an internal schema', format('%I.%I', s.nspname, c.relname), 'It is in one of TimescaleDB''s own schemas.', NULL
    FROM pg_catalog.pg_class c
    JOIN internal_schema s ON s.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend d
          WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('e', 'a', 'i'))
      AND NOT EXISTS (SELECT FROM chunk k WHERE k.oid = c.oid)
      AND NOT EXISTS (SELECT FROM hypertable h WHERE h.schema_name = s.nspname AND h.table_name = c.relname)
      AND NOT EXISTS (
          SELECT FROM _timescaledb_catalog.continuous_agg a
          WHERE (a.partial_view_schema, a.partial_view_name) = (s.nspname, c.relname)
             OR (a.direct_view_schema, a.direct_view_name) = (s.nspname, c.relname))
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute t WHERE t.attrelid = c.oid AND t.attname = '_ts_meta_count')
    UNION ALL
    SELECT 'object in an internal schema', p.oid::regprocedure::text, 'It is in one of TimescaleDB''s own schemas.', NULL
    FROM pg_catalog.pg_proc p
    JOIN internal_schema s ON s.oid = p.pronamespace
    WHERE NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend d
          WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
) f
ORDER BY f.kind, f.subject

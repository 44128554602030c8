-- The continuous aggregates, each after those that it reads.
-- Run on: source and target. TimescaleDB 2.11 and later, any edition.
-- Returns: one JSON object per continuous aggregate. timescale_migrate.create_cagg() takes such an object as it is, and
-- timescale_migrate.set_cagg_state() an array of them.
--
-- `definition` is the query as the user wrote it, with every name outside pg_catalog qualified. The qualification depends on the session's
-- search_path, and the form of constants on datestyle and intervalstyle.
--
-- `relation` is the materialization hypertable in the form of relations.sql, `binary` with the meaning that it has there.
-- Begins with portable_types.sql.
--
-- The state, in TimescaleDB's internal 64-bit form: below `watermark` rows are materialized. Writes to the raw hypertable below
-- `raw.threshold` go to `raw.invalidations`, which each refresh distributes to the `invalidations` of the aggregates on that hypertable.
-- What an interrupted refresh took from there is in cagg_ranges.sql.
, level(id, depth) AS (
    -- The first level reads a hypertable, each further one the level before.
    SELECT a.mat_hypertable_id, 0
    FROM _timescaledb_catalog.continuous_agg a
    WHERE NOT EXISTS (SELECT FROM _timescaledb_catalog.continuous_agg p WHERE p.mat_hypertable_id = a.raw_hypertable_id)
    UNION ALL
    SELECT a.mat_hypertable_id, l.depth + 1
    FROM level l JOIN _timescaledb_catalog.continuous_agg a ON a.raw_hypertable_id = l.id
),
hypertable AS (
    SELECT h.id, h.schema_name, h.table_name, c.oid, c.relname, c.reloptions, c.reltablespace, n.nspname,
           a.user_view_schema, a.user_view_name
    FROM _timescaledb_catalog.hypertable h
    JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
    LEFT JOIN _timescaledb_catalog.continuous_agg a ON a.mat_hypertable_id = h.id
),
cagg AS (
    SELECT a.*, to_jsonb(a) AS row, l.depth, coalesce((to_jsonb(a)->>'finalized')::bool, true) AS new_format,
           u.oid AS user_view, u.relowner, p.oid AS partial_view, d.oid AS direct_view
    FROM _timescaledb_catalog.continuous_agg a
    JOIN level l ON l.id = a.mat_hypertable_id
    JOIN pg_catalog.pg_namespace un ON un.nspname = a.user_view_schema
    JOIN pg_catalog.pg_class u ON u.relnamespace = un.oid AND u.relname = a.user_view_name
    JOIN pg_catalog.pg_namespace pn ON pn.nspname = a.partial_view_schema
    JOIN pg_catalog.pg_class p ON p.relnamespace = pn.oid AND p.relname = a.partial_view_name
    JOIN pg_catalog.pg_namespace dn ON dn.nspname = a.direct_view_schema
    JOIN pg_catalog.pg_class d ON d.relnamespace = dn.oid AND d.relname = a.direct_view_name
)
SELECT json_build_object(
    'oid', a.user_view::int8,
    'schema', a.user_view_schema,
    'name', a.user_view_name,
    'owner', pg_get_userbyid(a.relowner),
    'hypertable_id', m.id,
    'definition', rtrim(pg_get_viewdef(a.direct_view), E'; \n'),
    -- Only a query that calls the function is rewritten.
    'time_bucket_ng', EXISTS (
        SELECT FROM pg_catalog.pg_rewrite w
        JOIN pg_catalog.pg_depend x ON x.classid = 'pg_catalog.pg_rewrite'::regclass AND x.objid = w.oid
        JOIN pg_catalog.pg_proc f ON x.refclassid = 'pg_catalog.pg_proc'::regclass AND f.oid = x.refobjid
        JOIN pg_catalog.pg_namespace fn ON fn.oid = f.pronamespace
        WHERE w.ev_class = a.direct_view AND fn.nspname = 'timescaledb_experimental' AND f.proname = 'time_bucket_ng'),
    'materialized_only', a.materialized_only,
    'finalized', a.new_format,
    'time_column', d.column_name,
    'chunk_interval', d.interval_length,
    -- 2.15 gave it these columns, and one to each aggregate; before, only variable buckets had a row.
    'bucket', (
        SELECT to_json(b) FROM _timescaledb_catalog.continuous_aggs_bucket_function b WHERE b.mat_hypertable_id = m.id),
    'views', json_build_array(a.user_view::int8, a.partial_view::int8, a.direct_view::int8),
    -- What its query names: [OID of the catalog, OID].
    'names', (
        SELECT coalesce(json_agg(DISTINCT jsonb_build_array(x.refclassid::int8, x.refobjid::int8)), '[]'::json)
        FROM pg_catalog.pg_rewrite w
        JOIN pg_catalog.pg_depend x ON x.classid = 'pg_catalog.pg_rewrite'::regclass AND x.objid = w.oid
        WHERE w.ev_class = a.direct_view),
    -- A query may leave columns out of GROUP BY that a primary key determines. It can only be created when that is there, so the two
    -- are created together.
    'constraints', key.oids,
    'keys', key.definitions,
    'tablespace', ts.spcname,
    'options', (SELECT array_cat(c.reloptions, ARRAY(SELECT 'toast.' || o FROM pg_catalog.pg_class t, unnest(t.reloptions) o WHERE t.oid = c.reltoastrelid))
                FROM pg_catalog.pg_class c WHERE c.oid = m.oid),
    -- Properties that users gave to the materialization hypertable and that can be made on the target; preflight/of_chunks.sql names the others.
    'own', json_strip_nulls(json_build_object(
        'comment', obj_description(m.oid, 'pg_class'),
        'identity', (SELECT CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' END FROM pg_catalog.pg_class c WHERE c.oid = m.oid),
        'columns', (
            SELECT json_object_agg(t.attname, d.description)
            FROM pg_catalog.pg_description d
            JOIN pg_catalog.pg_attribute t ON t.attrelid = d.objoid AND t.attnum = d.objsubid
            WHERE d.classoid = 'pg_catalog.pg_class'::regclass AND d.objoid = m.oid AND d.objsubid > 0),
        'triggers', (
            -- `before` ON `materialization hypertable` `after`
            SELECT json_agg(json_build_object(
                'name', t.tgname,
                'function', format('%I.%I()', n.nspname, p.proname),
                'before', left(x.definition, x.head),
                'after', substr(x.definition, x.head + length(x.place) + 1),
                'comment', obj_description(t.oid, 'pg_trigger')
            ) ORDER BY t.oid)
            FROM pg_catalog.pg_trigger t
            JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
            JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
            CROSS JOIN LATERAL (
                -- The first ON outside of quotes: a column's name may hold all that follows.
                SELECT d.definition, format(' ON %I.%I ', m.nspname, m.relname) AS place,
                       length(substring(d.definition FROM '^((?:[^"]|"[^"]*")*?) ON ')) AS head
                FROM pg_get_triggerdef(t.oid) d(definition)
            ) x
            WHERE t.tgrelid = m.oid AND NOT t.tgisinternal AND t.tgenabled = 'O'
              -- ts_insert_blocker and ts_cagg_invalidation_trigger, until 2.22.
              AND NOT EXISTS (
                  SELECT FROM pg_catalog.pg_depend e
                  WHERE e.classid = 'pg_catalog.pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
                    AND e.refobjid = (SELECT x.oid FROM pg_catalog.pg_extension x WHERE x.extname = 'timescaledb'))))),
    'relation', json_build_object(
        'oid', m.oid::int8,
        'schema', m.nspname,
        'name', m.relname,
        'where', NULL,
        'columns', col.list),
    'indexes', (
        -- `head` INDEX `name` ON `materialization hypertable` `tail`
        SELECT coalesce(json_agg(json_build_object(
            'name', i.relname,
            'unique', x.indisunique,
            'definition', substr(pg_get_indexdef(i.oid), length(format('CREATE %sINDEX %I ON %I.%I ',
                CASE WHEN x.indisunique THEN 'UNIQUE ' END, i.relname, m.nspname, m.relname))),
            'tablespace', its.spcname,
            'comment', obj_description(i.oid, 'pg_class')
        ) ORDER BY i.oid), '[]'::json)
        FROM pg_catalog.pg_index x
        JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
        LEFT JOIN pg_catalog.pg_tablespace its ON its.oid = i.reltablespace
        WHERE x.indrelid = m.oid AND x.indisvalid),
    'raw', (
        SELECT json_build_object(
            'hypertable_id', r.id,
            'oid', r.oid::int8,
            'schema', coalesce(r.user_view_schema, r.schema_name),
            'name', coalesce(r.user_view_name, r.table_name),
            'cagg', r.user_view_name IS NOT NULL,
            'threshold', (SELECT t.watermark FROM _timescaledb_catalog.continuous_aggs_invalidation_threshold t WHERE t.hypertable_id = r.id),
            'invalidations', (
                SELECT coalesce(json_agg(json_build_array(g.lowest_modified_value, g.greatest_modified_value)
                                         ORDER BY g.lowest_modified_value, g.greatest_modified_value), '[]'::json)
                FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log g WHERE g.hypertable_id = r.id))
        FROM hypertable r WHERE r.id = a.raw_hypertable_id),
    'watermark', (SELECT w.watermark FROM _timescaledb_catalog.continuous_aggs_watermark w WHERE w.mat_hypertable_id = m.id),
    -- Since 2.28: buckets up to this one were materialized before a column was added.
    'schema_change_timestamp', (a.row->>'schema_change_timestamp')::int8,
    'invalidations', (
        SELECT coalesce(json_agg(json_build_array(g.lowest_modified_value, g.greatest_modified_value)
                                 ORDER BY g.lowest_modified_value, g.greatest_modified_value), '[]'::json)
        FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log g WHERE g.materialization_id = m.id)
)::text
FROM cagg a
JOIN hypertable m ON m.id = a.mat_hypertable_id
JOIN _timescaledb_catalog.dimension d ON d.hypertable_id = m.id
LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = m.reltablespace
CROSS JOIN LATERAL (
    SELECT coalesce(json_agg(k.oid::int8 ORDER BY k.oid), '[]'::json) AS oids,
           coalesce(json_agg(json_build_object(
               'schema', n.nspname, 'table', c.relname, 'name', k.conname, 'definition', pg_get_constraintdef(k.oid)
           ) ORDER BY k.oid), '[]'::json) AS definitions
    FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE k.oid IN (
        SELECT x.refobjid
        FROM pg_catalog.pg_rewrite w
        JOIN pg_catalog.pg_depend x ON x.classid = 'pg_catalog.pg_rewrite'::regclass AND x.objid = w.oid
        WHERE w.ev_class = a.direct_view AND x.refclassid = 'pg_catalog.pg_constraint'::regclass)
) key
CROSS JOIN LATERAL (
    SELECT json_agg(json_build_object(
               'name', t.attname,
               'type', format_type(t.atttypid, t.atttypmod),
               'generated', t.attgenerated <> '',
               'binary', EXISTS (SELECT FROM portable p WHERE p.type = t.atttypid)
           ) ORDER BY t.attnum) AS list
    FROM pg_catalog.pg_attribute t
    WHERE t.attrelid = CASE WHEN a.new_format THEN m.oid ELSE a.user_view END AND t.attnum > 0 AND NOT t.attisdropped
) col
ORDER BY a.depth, m.id

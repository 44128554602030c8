-- The chunks of the hypertables that hypertables.sql lists.
-- Run on: source and target. TimescaleDB 2.11 and later, any edition.
-- Returns: one JSON object per chunk, by hypertable and by the slice in its first dimension.
--
-- `query` is null where the chunk's own rows are what is to be copied. It is a query for continuous aggregates in the format from before
-- TimescaleDB 2.7 (until 2.24): their chunks hold partial states, so the values come from the user's view, which finishes them.
--
-- `own` holds the properties that the hypertable does not have and that the chunk can be given on the target, or is null;
-- functions/chunk_own.sql takes it as it is. preflight/of_chunks.sql names other properties of single chunks. A name of the form that
-- TimescaleDB chooses does not count as a user's.
--
-- Columns that not every version has are read through JSON. chunk_constraint is a table until 2.27. Since 2.28, where a slice belongs to one
-- chunk, it is a view with which this join still works. Chunks that were dropped but have a catalog row (until 2.25) are skipped, and so
-- are rows whose relation does not exist.
WITH hypertable AS (
    SELECT h.id, c.oid, h.associated_schema_name, h.associated_table_prefix, c.reloptions, c.relrowsecurity, t.reloptions AS toast_options
    FROM _timescaledb_catalog.hypertable h
    JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
    LEFT JOIN pg_catalog.pg_class t ON t.oid = c.reltoastrelid
    WHERE coalesce((to_jsonb(h)->>'compression_state')::int, 0) <> 2
),
chunk AS (
    SELECT k.id, k.hypertable_id, k.status, k.osm_chunk,
           to_jsonb(k)->>'creation_time' AS creation_time,
           coalesce(to_regclass(to_jsonb(k)->>'relid')::oid, c.oid) AS oid
    FROM _timescaledb_catalog.chunk k
    LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = to_jsonb(k)->>'schema_name'
    LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = to_jsonb(k)->>'table_name'
    WHERE NOT coalesce((to_jsonb(k)->>'dropped')::bool, false)
),
old_cagg AS (
    SELECT a.mat_hypertable_id AS id, v.oid AS view, d.column_name, d.column_type,
           -- Above the watermark, the view shows buckets that are not materialized.
           CASE WHEN NOT a.materialized_only THEN w.watermark END AS watermark
    FROM _timescaledb_catalog.continuous_agg a
    JOIN _timescaledb_catalog.dimension d ON d.hypertable_id = a.mat_hypertable_id
    JOIN pg_catalog.pg_namespace n ON n.nspname = a.user_view_schema
    JOIN pg_catalog.pg_class v ON v.relnamespace = n.oid AND v.relname = a.user_view_name
    LEFT JOIN _timescaledb_catalog.continuous_aggs_watermark w ON w.mat_hypertable_id = a.mat_hypertable_id
    WHERE NOT coalesce((to_jsonb(a)->>'finalized')::bool, true)
),
own_column AS (
    SELECT k.oid, json_agg(json_strip_nulls(json_build_object(
               'name', a.attname,
               'statistics', CASE WHEN a.attstattarget IS DISTINCT FROM r.attstattarget THEN coalesce(a.attstattarget, -1) END,
               'options', CASE WHEN ao.list IS DISTINCT FROM ro.list THEN coalesce(ao.list, '{}') END,
               'storage', CASE WHEN a.attstorage <> r.attstorage THEN
                   CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
               'compression', CASE WHEN a.attstorage <> 'p' AND to_jsonb(a)->'attcompression' IS DISTINCT FROM to_jsonb(r)->'attcompression' THEN
                   CASE to_jsonb(a)->>'attcompression' WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE 'default' END END,
               'comment', d.description
           )) ORDER BY a.attnum) AS columns
    FROM chunk k
    JOIN hypertable h ON h.id = k.hypertable_id
    JOIN pg_catalog.pg_attribute a ON a.attrelid = k.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_catalog.pg_attribute r ON r.attrelid = h.oid AND r.attname = a.attname
    LEFT JOIN pg_catalog.pg_description d ON d.classoid = 'pg_catalog.pg_class'::regclass AND d.objoid = k.oid AND d.objsubid = a.attnum
    -- Servers from PostgreSQL 15.20 and 17.12 on note a number of their own with every column.
    CROSS JOIN LATERAL (SELECT CASE WHEN cardinality(a.attoptions) > 1 OR a.attoptions[1] NOT LIKE 'pg\_attver=%' THEN
        ARRAY(SELECT o FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg\_attver=%' ORDER BY o) END AS list) ao
    CROSS JOIN LATERAL (SELECT CASE WHEN cardinality(r.attoptions) > 1 OR r.attoptions[1] NOT LIKE 'pg\_attver=%' THEN
        ARRAY(SELECT o FROM unnest(r.attoptions) o WHERE o NOT LIKE 'pg\_attver=%' ORDER BY o) END AS list) ro
    WHERE a.attstattarget IS DISTINCT FROM r.attstattarget OR ao.list IS DISTINCT FROM ro.list OR a.attstorage <> r.attstorage
       OR d.description IS NOT NULL
       OR a.attstorage <> 'p' AND to_jsonb(a)->'attcompression' IS DISTINCT FROM to_jsonb(r)->'attcompression'
    GROUP BY k.oid
),
-- Those of a hypertable that its chunks have as well, and those of chunks: `before` ON `table` `after`. TimescaleDB's own are left out.
trigger AS (
    SELECT t.tgrelid AS oid, json_agg(json_strip_nulls(json_build_object(
               'name', t.tgname,
               'function', format('%I.%I()', pn.nspname, p.proname),
               'before', left(x.definition, x.head),
               'after', substr(x.definition, x.head + length(x.place) + 1),
               'enabled', t.tgenabled,
               'comment', CASE WHEN NOT r.root THEN obj_description(t.oid, 'pg_trigger') END
           )) ORDER BY t.tgname)::text AS list
    FROM (SELECT h.oid, true AS root FROM hypertable h UNION ALL SELECT k.oid, false FROM chunk k) r
    JOIN pg_catalog.pg_class c ON c.oid = r.oid AND c.relhastriggers
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal AND (t.tgtype & 1 = 1 OR NOT r.root)
    JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
    JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
    CROSS JOIN LATERAL (
        -- The first ON outside of quotes: a column's name may hold all that follows.
        SELECT d.definition, format(' ON %I.%I ', n.nspname, c.relname) AS place,
               length(substring(d.definition FROM '^((?:[^"]|"[^"]*")*?) ON ')) AS head
        FROM pg_get_triggerdef(t.oid) d(definition)
    ) x
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend e
        WHERE e.classid = 'pg_catalog.pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
          AND e.refobjid = (SELECT x.oid FROM pg_catalog.pg_extension x WHERE x.extname = 'timescaledb'))
    GROUP BY t.tgrelid
),
slice AS (
    SELECT cc.chunk_id,
           json_object_agg(d.column_name, json_build_array(s.range_start, s.range_end) ORDER BY d.id) AS slices,
           (array_agg(s.range_start ORDER BY d.id))[1] AS first_start,
           (array_agg(s.range_end ORDER BY d.id))[1] AS first_end
    FROM _timescaledb_catalog.chunk_constraint cc
    JOIN _timescaledb_catalog.dimension_slice s ON s.id = cc.dimension_slice_id
    JOIN _timescaledb_catalog.dimension d ON d.id = s.dimension_id
    GROUP BY cc.chunk_id
)
SELECT json_build_object(
    'id', k.id,
    'oid', k.oid::int8,
    'hypertable_id', k.hypertable_id,
    'schema', n.nspname,
    'name', c.relname,
    'slices', s.slices,
    'query', old.query,
    'frozen', k.status & 4 <> 0,
    'osm', k.osm_chunk,
    'creation_time', k.creation_time,
    'tablespace', t.spcname,
    'own', nullif(json_strip_nulls(json_build_object(
        'schema', CASE WHEN n.nspname <> h.associated_schema_name THEN n.nspname END,
        'name', CASE WHEN c.relname !~ '_\d+_chunk$' AND c.relname <> left(format('%s_%s_chunk', h.associated_table_prefix, k.id), 63) THEN c.relname END,
        'comment', (SELECT d.description FROM pg_catalog.pg_description d
                    WHERE d.classoid = 'pg_catalog.pg_class'::regclass AND d.objoid = k.oid AND d.objsubid = 0),
        'options', CASE WHEN (c.reloptions, toast.reloptions) IS DISTINCT FROM (h.reloptions, h.toast_options)
            THEN array_cat(coalesce(c.reloptions, '{}'), ARRAY(SELECT 'toast.' || o FROM unnest(toast.reloptions) o)) END,
        'row_security', CASE WHEN c.relrowsecurity AND NOT h.relrowsecurity THEN true END,
        'checks', (
            SELECT json_object_agg(o.conname, pg_get_constraintdef(o.oid))
            FROM pg_catalog.pg_constraint o
            -- Rows may violate one that is not valid.
            WHERE o.conrelid = k.oid AND o.contype = 'c' AND o.convalidated AND o.conislocal AND o.coninhcount = 0 AND o.conname !~ '^constraint_\d+$'),
        -- A chunk that is newer than a constraint which is NOT VALID has it as a valid one.
        'valid', (
            SELECT json_agg(o.conname ORDER BY o.conname)
            FROM pg_catalog.pg_constraint r
            JOIN pg_catalog.pg_constraint o ON o.conrelid = k.oid AND o.conname = r.conname AND o.contype = 'c' AND o.convalidated
            WHERE r.conrelid = h.oid AND r.contype = 'c' AND NOT r.convalidated),
        -- All triggers of the chunk, if they are not the same as the hypertable's.
        'triggers', CASE WHEN own_trigger.list IS DISTINCT FROM trigger.list AND k.osm_chunk IS NOT TRUE THEN coalesce(own_trigger.list, '[]')::json END,
        -- The hypertable's index that the chunk is clustered on, as reorder_chunk() leaves it.
        'cluster', (
            SELECT i.relname
            FROM pg_catalog.pg_index x
            JOIN pg_catalog.pg_index r ON r.indrelid = h.oid AND NOT r.indisclustered AND r.indisunique = x.indisunique
            JOIN pg_catalog.pg_class i ON i.oid = r.indexrelid
            WHERE x.indrelid = k.oid AND x.indisclustered
              AND split_part(pg_get_indexdef(r.indexrelid), ' USING ', 2) = split_part(pg_get_indexdef(x.indexrelid), ' USING ', 2)
            LIMIT 1),
        'columns', own.columns))::text, '{}')::json
)::text
FROM chunk k
JOIN hypertable h ON h.id = k.hypertable_id
JOIN pg_catalog.pg_class c ON c.oid = k.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace
LEFT JOIN slice s ON s.chunk_id = k.id
LEFT JOIN pg_catalog.pg_class toast ON toast.oid = c.reltoastrelid
LEFT JOIN own_column own ON own.oid = k.oid
LEFT JOIN trigger ON trigger.oid = h.oid
LEFT JOIN trigger own_trigger ON own_trigger.oid = k.oid
LEFT JOIN LATERAL (
    SELECT format('SELECT %s FROM %s WHERE %s',
                  (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                   FROM pg_catalog.pg_attribute a WHERE a.attrelid = o.view AND a.attnum > 0),
                  o.view::regclass, string_agg(format('%I %s %s', o.column_name, b.comparison, b.value), ' AND ')) AS query
    FROM old_cagg o
    CROSS JOIN LATERAL (
        SELECT e.comparison,
               CASE o.column_type
                   WHEN 'timestamptz'::regtype THEN format('%L::timestamptz', timestamptz 'epoch' + e.bound * interval '1 microsecond')
                   WHEN 'timestamp'::regtype THEN format('%L::timestamp', timestamp 'epoch' + e.bound * interval '1 microsecond')
                   WHEN 'date'::regtype THEN format('%L::date', (timestamp 'epoch' + e.bound * interval '1 microsecond')::date)
                   ELSE e.bound::text END AS value
        FROM (VALUES ('>=', s.first_start), ('<', least(s.first_end, o.watermark))) e(comparison, bound)
    ) b
    WHERE o.id = h.id
    GROUP BY o.view
) old ON true
ORDER BY k.hypertable_id, s.first_start, k.id

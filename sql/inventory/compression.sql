-- The hypertables that have compression enabled, materialization hypertables included.
-- Run on: source. TimescaleDB 2.11 and later, after compression_settings.sql or hypertable_compression.sql.
-- Returns: one JSON object per hypertable, by id. timescale_migrate.enable_compression() takes its `settings` and `late` as they are.
--
-- Since 2.22 settings may be NULL: then TimescaleDB chooses them whenever it compresses a chunk.
SELECT json_build_object(
    'hypertable_id', h.id,
    'late', json_strip_nulls(json_build_object(
        -- Of the first dimension, in its internal units: a chunk that is compressed is merged into the one before, up to this length.
        'compress_chunk_time_interval', (
            SELECT (to_jsonb(d)->>'compress_interval_length')::int8
            FROM _timescaledb_catalog.dimension d
            WHERE d.hypertable_id = h.id AND d.num_slices IS NULL
            ORDER BY d.id LIMIT 1),
        -- Since 2.29: rows are compressed as they are inserted. Its policies are migrated with the other jobs.
        'direct_compress', CASE WHEN coalesce((to_jsonb(h)->>'status')::int, 0) & 8 <> 0 THEN true END)),
    'settings', json_build_object(
        'segmentby', s.segmentby,
        'orderby', s.orderby,
        'orderby_desc', s.orderby_desc,
        'orderby_nullsfirst', s.orderby_nullsfirst,
        'index', s.index)
)::text
FROM _timescaledb_catalog.hypertable h
JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
LEFT JOIN setting s ON s.relid = c.oid
-- Kept in compression_state until 2.28, and as bit 4 of status since 2.29.
WHERE coalesce((to_jsonb(h)->>'compression_state')::int, 0) = 1
   OR coalesce((to_jsonb(h)->>'status')::int, 0) & 4 <> 0
ORDER BY h.id

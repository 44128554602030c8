-- Run on either side. The state of each chunk, what chunks are skipped by, and the settings that the next
-- chunk is compressed with.
WITH chunk AS (:chunks),
settings AS (:settings),
skipping AS (:skipping),
hypertable AS (
    SELECT h.*, format('%I.%I', h.schema_name, h.table_name)::regclass AS oid,
           format('%I.%I', coalesce(a.user_view_schema, h.schema_name), coalesce(a.user_view_name, h.table_name)) AS name
    FROM _timescaledb_catalog.hypertable h
    LEFT JOIN _timescaledb_catalog.continuous_agg a ON a.mat_hypertable_id = h.id
)
SELECT format('status of %s chunk %s', hypertable, slices) AS key, (status & 15)::text AS value
FROM chunk
UNION ALL
SELECT format('range of %s in %s chunk %s', s.column_name, chunk.hypertable, chunk.slices),
       format('[%s, %s) %s', s.range_start, s.range_end, s.valid)
FROM skipping s JOIN chunk ON chunk.id = s.chunk_id
UNION ALL
SELECT 'skipping of ' || h.name, string_agg(s.column_name, ' ' ORDER BY s.column_name)
FROM skipping s JOIN hypertable h ON h.id = s.hypertable_id
WHERE coalesce(s.chunk_id, 0) = 0
GROUP BY h.name
UNION ALL
SELECT 'compression of ' || h.name,
       concat_ws(' ', 'segmentby', s.segmentby, 'orderby', s.orderby, s.orderby_desc, s.orderby_nullsfirst,
           'interval', (SELECT d.compress_interval_length FROM _timescaledb_catalog.dimension d
                        WHERE d.hypertable_id = h.id AND d.num_slices IS NULL),
           'direct', coalesce((to_jsonb(h)->>'status')::int & 8, 0))
FROM settings s JOIN hypertable h ON h.oid = s.relid
UNION ALL
SELECT 'sparse indexes of ' || h.name, jsonb_pretty(s.index)
FROM settings s JOIN hypertable h ON h.oid = s.relid
UNION ALL
SELECT format('sparse indexes of %s chunk %s', chunk.hypertable, chunk.slices), jsonb_pretty(s.index)
FROM settings s JOIN chunk ON chunk.oid = s.relid;

-- Run on either side, TimescaleDB 2.29 and newer. Chunks with their hypertable or continuous aggregate and their slices.
SELECT c.relid::oid AS oid,
       format('%I.%I', coalesce(a.user_view_schema, h.schema_name), coalesce(a.user_view_name, h.table_name)) AS hypertable,
       (SELECT string_agg(format('%s [%s, %s)', d.column_name, s.range_start, s.range_end), ' ' ORDER BY d.column_name)
        FROM _timescaledb_catalog.dimension_slice s
        JOIN _timescaledb_catalog.dimension d ON d.id = s.dimension_id
        WHERE s.chunk_id = c.id) AS slices,
       c.id, c.status,
       (SELECT z.compress_relid FROM _timescaledb_catalog.compression_settings z WHERE z.relid = c.relid) AS compressed
FROM _timescaledb_catalog.chunk c
JOIN _timescaledb_catalog.hypertable h ON h.id = c.hypertable_id
LEFT JOIN _timescaledb_catalog.continuous_agg a ON a.mat_hypertable_id = h.id
WHERE h.schema_name NOT LIKE '\_timescaledb%' OR a.mat_hypertable_id IS NOT NULL

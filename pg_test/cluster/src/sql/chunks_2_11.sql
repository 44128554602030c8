-- Run on either side, TimescaleDB 2.11 to 2.28. Chunks with their hypertable or continuous aggregate and their slices.
SELECT format('%I.%I', c.schema_name, c.table_name)::regclass AS oid,
       format('%I.%I', coalesce(a.user_view_schema, h.schema_name), coalesce(a.user_view_name, h.table_name)) AS hypertable,
       (SELECT string_agg(format('%s [%s, %s)', d.column_name, s.range_start, s.range_end), ' ' ORDER BY d.column_name)
        FROM _timescaledb_catalog.chunk_constraint cc
        JOIN _timescaledb_catalog.dimension_slice s ON s.id = cc.dimension_slice_id
        JOIN _timescaledb_catalog.dimension d ON d.id = s.dimension_id
        WHERE cc.chunk_id = c.id) AS slices,
       c.id, c.status,
       (SELECT format('%I.%I', z.schema_name, z.table_name)::regclass
        FROM _timescaledb_catalog.chunk z WHERE z.id = c.compressed_chunk_id) AS compressed
FROM _timescaledb_catalog.chunk c
JOIN _timescaledb_catalog.hypertable h ON h.id = c.hypertable_id
LEFT JOIN _timescaledb_catalog.continuous_agg a ON a.mat_hypertable_id = h.id
WHERE to_regclass(format('%I.%I', c.schema_name, c.table_name)) IS NOT NULL
  AND (h.schema_name NOT LIKE '\_timescaledb%' OR a.mat_hypertable_id IS NOT NULL)

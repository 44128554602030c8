-- Run on either side, TimescaleDB 2.29 and newer. Chunks with their hypertable and slices.
SELECT c.relid::oid AS oid,
       format('%I.%I', h.schema_name, h.table_name) AS hypertable,
       (SELECT string_agg(format('%s [%s, %s)', d.column_name, s.range_start, s.range_end), ' ' ORDER BY d.column_name)
        FROM _timescaledb_catalog.dimension_slice s
        JOIN _timescaledb_catalog.dimension d ON d.id = s.dimension_id
        WHERE s.chunk_id = c.id) AS slices
FROM _timescaledb_catalog.chunk c
JOIN _timescaledb_catalog.hypertable h ON h.id = c.hypertable_id
WHERE h.schema_name NOT LIKE '\_timescaledb%'

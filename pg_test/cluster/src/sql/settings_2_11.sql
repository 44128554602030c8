-- Run on either side, TimescaleDB 2.11 to 2.13. The settings of a hypertable, which all its chunks are compressed with.
SELECT relation.oid AS relid,
       array_agg(s.attname::text ORDER BY s.segmentby_column_index) FILTER (WHERE s.segmentby_column_index IS NOT NULL) AS segmentby,
       array_agg(s.attname::text ORDER BY s.orderby_column_index) FILTER (WHERE s.orderby_column_index IS NOT NULL) AS orderby,
       array_agg(NOT s.orderby_asc ORDER BY s.orderby_column_index) FILTER (WHERE s.orderby_column_index IS NOT NULL) AS orderby_desc,
       array_agg(s.orderby_nullsfirst ORDER BY s.orderby_column_index) FILTER (WHERE s.orderby_column_index IS NOT NULL) AS orderby_nullsfirst,
       NULL::jsonb AS index
FROM _timescaledb_catalog.hypertable_compression s
JOIN _timescaledb_catalog.hypertable h ON h.id = s.hypertable_id
CROSS JOIN LATERAL (
    SELECT format('%I.%I', h.schema_name, h.table_name)::regclass AS oid
    UNION ALL
    SELECT format('%I.%I', c.schema_name, c.table_name)::regclass
    FROM _timescaledb_catalog.chunk c WHERE c.hypertable_id = h.id AND c.compressed_chunk_id IS NOT NULL AND NOT c.dropped
) relation
GROUP BY relation.oid

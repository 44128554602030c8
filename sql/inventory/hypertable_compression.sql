-- The same as compression_settings.sql, for versions until 2.13: a hypertable has settings by column, which apply to all of its chunks.
WITH RECURSIVE chunk AS (
    SELECT k.id, k.hypertable_id, k.status, c.oid, k.compressed_chunk_id AS compressed_id
    FROM _timescaledb_catalog.chunk k
    JOIN pg_catalog.pg_namespace n ON n.nspname = k.schema_name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = k.table_name
    WHERE NOT k.dropped
),
hypertable_setting AS (
    SELECT h.id, c.oid,
           array_agg(s.attname::text ORDER BY s.segmentby_column_index) FILTER (WHERE s.segmentby_column_index > 0) AS segmentby,
           array_agg(s.attname::text ORDER BY s.orderby_column_index) FILTER (WHERE s.orderby_column_index > 0) AS orderby,
           array_agg(NOT s.orderby_asc ORDER BY s.orderby_column_index) FILTER (WHERE s.orderby_column_index > 0) AS orderby_desc,
           array_agg(s.orderby_nullsfirst ORDER BY s.orderby_column_index) FILTER (WHERE s.orderby_column_index > 0) AS orderby_nullsfirst
    FROM _timescaledb_catalog.hypertable h
    JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
    JOIN _timescaledb_catalog.hypertable_compression s ON s.hypertable_id = h.id
    GROUP BY h.id, c.oid
),
setting AS (
    SELECT s.oid AS relid, NULL::oid AS compress_relid,
           s.segmentby, s.orderby, s.orderby_desc, s.orderby_nullsfirst, NULL::jsonb AS index
    FROM hypertable_setting s
    UNION ALL
    SELECT u.oid, z.oid, s.segmentby, s.orderby, s.orderby_desc, s.orderby_nullsfirst, NULL
    FROM hypertable_setting s
    JOIN chunk u ON u.hypertable_id = s.id
    JOIN chunk z ON z.id = u.compressed_id
)

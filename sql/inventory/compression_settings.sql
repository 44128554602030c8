-- Which compressed relation belongs to which chunk, and with which settings each was compressed: the first part of compression.sql and of
-- compressed_chunks.sql. Used if server.sql returns `catalog.compression_settings` (2.14 and later); otherwise hypertable_compression.sql
-- is used.
--
-- In `setting`, relid is a hypertable, with compress_relid NULL, or a chunk. The catalog has it like this since 2.19; before, a
-- chunk's settings were those of its compressed relation, which was a chunk itself, found by compressed_chunk_id.
WITH RECURSIVE chunk AS (
    SELECT k.id, k.hypertable_id, k.status, coalesce(to_regclass(to_jsonb(k)->>'relid')::oid, c.oid) AS oid,
           (to_jsonb(k)->>'compressed_chunk_id')::int AS compressed_id
    FROM _timescaledb_catalog.chunk k
    LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = to_jsonb(k)->>'schema_name'
    LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = to_jsonb(k)->>'table_name'
    WHERE NOT coalesce((to_jsonb(k)->>'dropped')::bool, false)
),
setting AS (
    SELECT coalesce(u.oid, s.relid::oid) AS relid,
           CASE WHEN u.oid IS NOT NULL THEN s.relid::oid ELSE to_regclass(to_jsonb(s)->>'compress_relid')::oid END AS compress_relid,
           s.segmentby, s.orderby, s.orderby_desc, s.orderby_nullsfirst, to_jsonb(s)->'index' AS index
    FROM _timescaledb_catalog.compression_settings s
    LEFT JOIN chunk z ON z.oid = s.relid AND NOT to_jsonb(s) ? 'compress_relid'
    LEFT JOIN chunk u ON u.compressed_id = z.id
)

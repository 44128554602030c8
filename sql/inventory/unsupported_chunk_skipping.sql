-- Chunk skipping, which a run does not carry yet.
-- Run on: source. TimescaleDB with `catalog.chunk_column_stats` of server.sql (2.16 and later), any edition.
-- Returns: one JSON object per finding: kind, severity, subject, detail, as unsupported_timescaledb.sql.
SELECT json_build_object(
    'kind', 'chunk skipping',
    'severity', 'error',
    'subject', format('%I.%I', h.schema_name, h.table_name),
    'detail', format('Chunk skipping is enabled on column "%s".', s.column_name)
)::text
FROM _timescaledb_catalog.chunk_column_stats s
JOIN _timescaledb_catalog.hypertable h ON h.id = s.hypertable_id
-- The row that stands for the setting has no chunk: 0 until 2.19, NULL since.
WHERE coalesce(s.chunk_id, 0) = 0
ORDER BY h.id, s.column_name

-- Chunk skipping: the columns that it is enabled for, and each chunk's range of values in them.
-- Run on: source and target. TimescaleDB with `catalog.chunk_column_stats` of server.sql (2.16 and later), any edition.
-- Returns: one JSON object per hypertable and column. timescale_migrate.set_chunk_ranges() takes the object of a chunk in `chunks`.
SELECT json_build_object(
    'hypertable_id', s.hypertable_id,
    'column', s.column_name,
    'chunks', (
        SELECT coalesce(json_agg(json_build_object(
                   'chunk_id', k.chunk_id,
                   'column', k.column_name,
                   'range_start', k.range_start,
                   'range_end', k.range_end,
                   -- False: rows have come since, and the range is not looked at until the chunk is compressed again.
                   'valid', k.valid
               ) ORDER BY k.chunk_id), '[]'::json)
        FROM _timescaledb_catalog.chunk_column_stats k
        WHERE k.hypertable_id = s.hypertable_id AND k.column_name = s.column_name AND k.chunk_id > 0)
)::text
FROM _timescaledb_catalog.chunk_column_stats s
-- The row that stands for the setting has no chunk: 0 until 2.19, NULL since.
WHERE coalesce(s.chunk_id, 0) = 0
ORDER BY s.hypertable_id, s.column_name

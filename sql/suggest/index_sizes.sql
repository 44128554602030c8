-- The size of the indexes of each table and chunk that has any.
-- Run on: source, by migrate_suggest. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON array per table: its OID, the bytes of its indexes.
SELECT json_build_array(x.indrelid::int8, sum(pg_relation_size(x.indexrelid)))::text
FROM pg_catalog.pg_index x
WHERE x.indrelid >= 16384
GROUP BY x.indrelid
HAVING sum(pg_relation_size(x.indexrelid)) > 0

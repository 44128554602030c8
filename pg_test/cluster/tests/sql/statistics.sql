-- What ANALYZE has found of hypertables, their chunks and compressed relations, and of indexes on expressions.
WITH relation AS (
    SELECT inhrelid AS oid FROM pg_inherits
    UNION SELECT inhparent FROM pg_inherits
    UNION SELECT compress_relid FROM _timescaledb_catalog.compression_settings WHERE compress_relid IS NOT NULL
)
SELECT string_agg(concat_ws(' ', c.oid::regclass, c.reltuples, c.relpages, (
           SELECT string_agg(concat_ws(' ', s.staattnum, s.stainherit, s.stadistinct), ', ' ORDER BY s.stainherit, s.staattnum)
           FROM pg_statistic s WHERE s.starelid = c.oid)), E'\n' ORDER BY c.relkind, c.oid)
FROM pg_class c
WHERE c.oid IN (TABLE relation) OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid IN (TABLE relation) AND indexprs IS NOT NULL)

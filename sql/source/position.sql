-- Where the source is in its history: what a crash or a fail-over may have lost can be told by comparing this with a later answer.
-- Run on: source. PostgreSQL 13 and later.
-- Returns: one JSON object: when the server was started, its timeline, and up to where its log is written and is on disk (none on a
-- standby, which shows only what it has on disk).
SELECT json_build_object(
    'started', (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::int8,
    'timeline', (SELECT c.timeline_id FROM pg_catalog.pg_control_checkpoint() c),
    'written', CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_insert_lsn() END,
    'flushed', CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_flush_lsn() END
)::text

-- The source's position in its history: comparing it with a later answer shows what a crash or a fail-over may have lost.
-- Run on: source. PostgreSQL 13 and later.
-- Returns: one JSON object: when the server was started, its timeline, and the positions up to which its WAL is written and
-- flushed (none on a standby, which shows only changes that are flushed).
SELECT json_build_object(
    'started', (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::int8,
    'timeline', (SELECT c.timeline_id FROM pg_catalog.pg_control_checkpoint() c),
    'written', CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_insert_lsn() END,
    'flushed', CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_flush_lsn() END
)::text

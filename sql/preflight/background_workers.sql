-- The number of background workers, without those of runs.
-- Run on: target. PostgreSQL 15 and later.
SELECT count(*) FROM pg_catalog.pg_stat_activity
WHERE backend_type NOT IN ('client backend', 'autovacuum launcher', 'autovacuum worker', 'background writer', 'checkpointer',
    'walwriter', 'walsender', 'walreceiver', 'walsummarizer', 'archiver', 'startup', 'slotsync worker', 'io worker')
  AND backend_type NOT LIKE 'timescale_migrate%'

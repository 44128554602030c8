-- Schedules the jobs that a run left paused although the source's are not. Jobs that a user has started or dropped meanwhile are left out.
-- Run on: target. TimescaleDB 2.19 and later, Community edition. $1 run.
-- Returns: one JSON array [id, name] per job, by id.
WITH known AS (DELETE FROM timescale_migrate.paused_log WHERE run = $1 RETURNING job),
started AS (
    UPDATE _timescaledb_config.bgw_job j SET scheduled = true FROM known k WHERE j.id = k.job AND NOT j.scheduled
    RETURNING j.id, j.application_name
)
SELECT json_build_array(id, application_name)::text FROM started ORDER BY id

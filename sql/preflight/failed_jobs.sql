-- The jobs of this database whose newest run failed, TimescaleDB's own and policies included. Those that migrate are not: their runs say why.
-- Run on: target, by migrate_preflight and the coordinator. TimescaleDB 2.19 and later, any edition.
-- Returns: one JSON array per job: its name, when the run ended, and the error.
SELECT json_build_array(j.application_name, s.last_finish::timestamptz(0)::text, coalesce(e.err_message, 'no error is recorded'))::text
FROM _timescaledb_config.bgw_job j
JOIN _timescaledb_internal.bgw_job_stat s ON s.job_id = j.id
LEFT JOIN LATERAL (
    SELECT h.err_message
    FROM timescaledb_information.job_errors h WHERE h.job_id = j.id ORDER BY h.start_time DESC LIMIT 1
) e ON true
-- A run that has not ended has no end.
WHERE NOT s.last_run_success AND isfinite(s.last_finish)
  AND j.id NOT IN (SELECT m.id FROM timescale_migrate.migrating_jobs() m)
ORDER BY j.id

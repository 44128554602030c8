-- The policies that run now or are due within the hour: they compress, drop, reorder or fill chunks while a run reads them.
-- Run on: source. TimescaleDB 2.11 and later, any edition.
-- Returns: one JSON array per policy: its name, the hypertable or continuous aggregate, when it is due, null if it runs, and the hypertable's number.
--
-- A scheduler must be running: there is none if background workers were stopped. bgw_job is a table until 2.24 and since then a view under
-- the same name.
SELECT json_build_array(
    j.application_name,
    coalesce((SELECT format('%I.%I', a.user_view_schema, a.user_view_name)
              FROM _timescaledb_catalog.continuous_agg a WHERE a.mat_hypertable_id = j.hypertable_id),
             (SELECT format('%I.%I', h.schema_name, h.table_name)
              FROM _timescaledb_catalog.hypertable h WHERE h.id = j.hypertable_id),
             format('hypertable %s', j.hypertable_id)),
    CASE WHEN NOT x.runs THEN x.due::timestamptz(0)::text END, j.hypertable_id)::text
FROM _timescaledb_config.bgw_job j
LEFT JOIN _timescaledb_internal.bgw_job_stat s ON s.job_id = j.id
CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a
                   WHERE a.datname = current_database() AND a.application_name = j.application_name) AS runs,
           CASE WHEN isfinite(s.next_start) THEN s.next_start ELSE coalesce(j.initial_start, now()) END AS due
) x
WHERE j.id >= 1000 AND j.hypertable_id IS NOT NULL
  AND j.proc_schema IN ('_timescaledb_internal', '_timescaledb_functions')
  AND (x.runs
       OR (j.scheduled AND x.due < now() + interval '1 hour'
           AND EXISTS (SELECT FROM pg_catalog.pg_stat_activity a
                       WHERE a.datname = current_database() AND a.application_name LIKE '%Background Worker Scheduler')))
ORDER BY j.id

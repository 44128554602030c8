-- The runs that left jobs paused although the source's are not, as far as these are paused still.
-- Run on: target. TimescaleDB 2.19 and later, Community edition.
-- Returns: one JSON array per run, by run: the run, whether it is done and has brought a schema alone, and the names of the jobs.
SELECT json_build_array(r.id, r.state = 'done' AND r.options->>'mode' = 'schema', json_agg(j.application_name ORDER BY j.id))::text
FROM timescale_migrate.paused_log p
JOIN timescale_migrate.run_log r ON r.id = p.run
JOIN _timescaledb_config.bgw_job j ON j.id = p.job AND NOT j.scheduled
GROUP BY r.id ORDER BY r.id

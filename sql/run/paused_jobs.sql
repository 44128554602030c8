-- The runs that left jobs paused although the source's are not, as far as these are paused still.
-- Run on: target. TimescaleDB 2.19 and later, Community edition.
-- Returns: one JSON array [run, number of jobs] per run, by run.
SELECT json_build_array(p.run, count(*))::text
FROM timescale_migrate.paused_log p
JOIN _timescaledb_config.bgw_job j ON j.id = p.job AND NOT j.scheduled
GROUP BY p.run ORDER BY p.run

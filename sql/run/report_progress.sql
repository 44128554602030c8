-- Adds a notice about the progress of a run.
-- Run on: target, by the coordinator. $1 run.
INSERT INTO timescale_migrate.message_log (run, level, phase, message)
SELECT r.id, 'notice', r.phase, pg_catalog.format(
    '%s: %s of %s tasks of this phase; in all %s%s%%, ETA %s', r.phase,
    (SELECT count(*) FROM timescale_migrate.task_log t WHERE t.run = r.id AND t.phase = r.phase AND t.state = 'done'),
    (SELECT count(*) FROM timescale_migrate.task_log t WHERE t.run = r.id AND t.phase = r.phase),
    -- A comparison alone copies nothing.
    CASE WHEN r.kind = 'migrate' THEN pg_catalog.format('%s rows, %s, ', s.rows, coalesce(s.rate, '-')) END, s.percent, coalesce(s.eta::text, '-'))
FROM timescale_migrate.run_log r JOIN timescale_migrate.progress s ON s.run = r.id WHERE r.id = $1

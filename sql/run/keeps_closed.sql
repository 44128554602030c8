-- Whether a database that a run has closed has to stay closed: something was made in it, or another run that was given up closed it.
-- Run on: target. $1 the run.
SELECT EXISTS (SELECT FROM timescale_migrate.has_made WHERE run = $1) OR EXISTS (
    SELECT FROM timescale_migrate.run_log
    WHERE id <> $1 AND state NOT IN ('done', 'removed') AND database_before IS NOT NULL)

-- Enters how many chunks there are of what a run has brought.
-- Run on: target. $1 run, $2 how many are the source's, $3 the hypertables that have others.
UPDATE timescale_migrate.run_log
SET chunks = $2 + (SELECT count(*) FROM pg_catalog.pg_inherits i WHERE i.inhparent = ANY ($3))
WHERE id = $1

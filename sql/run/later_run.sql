-- The newest migration after a run that has begun to make something and has not ended.
-- Run on: target. $1 the run.
SELECT max(r.id) FROM timescale_migrate.run r
WHERE r.kind = 'migrate' AND r.id > $1 AND r.state NOT IN ('done', 'removed')
  AND r.id IN (SELECT h.run FROM timescale_migrate.has_made h)

-- The run that is at work in this database, which has one run at a time.
-- Run on: target.
SELECT h.id FROM timescale_migrate.holder h
JOIN timescale_migrate.holder place ON place.pid = h.pid AND place.is_run AND place.id = 0
WHERE h.is_run AND h.id <> 0 LIMIT 1

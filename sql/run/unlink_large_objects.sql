-- Removes some large objects that a run has made; returns how many.
-- Run on: target. $1 run, $2 how many at most.
SELECT count(pg_catalog.lo_unlink(oid)) FROM (
SELECT l.oid FROM pg_catalog.pg_largeobject_metadata l
JOIN timescale_migrate.made_log m ON m.objid = l.oid AND m.classid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass
WHERE m.run = $1 LIMIT $2) made

-- Statements that drop the foreign keys between tables of a run.
-- Run on: target. $1 run.
SELECT to_json(pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::pg_catalog.regclass, k.conname))::text
FROM pg_catalog.pg_constraint k
WHERE k.contype = 'f' AND k.conparentid = 0
  AND k.conrelid IN (SELECT m.objid FROM timescale_migrate.made_log m
                     WHERE m.run = $1 AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass)
  AND k.confrelid IN (SELECT m.objid FROM timescale_migrate.made_log m
                      WHERE m.run = $1 AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass)

-- The objects that a run made and that still exist, except roles, the newest first.
-- Run on: target. $1 run.
SELECT json_build_array(m.classid::bigint, m.objid::bigint)::text FROM timescale_migrate.made_log m
JOIN timescale_migrate.object o USING (classid, objid)
WHERE m.run = $1 AND m.classid <> 'pg_catalog.pg_authid'::pg_catalog.regclass ORDER BY m.objid DESC

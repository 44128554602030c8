-- The roles that a run has made.
-- Run on: target. $1 run.
SELECT to_json(pg_catalog.quote_ident(a.rolname))::text FROM timescale_migrate.made_log m
JOIN pg_catalog.pg_authid a ON a.oid = m.objid
WHERE m.run = $1 AND m.classid = 'pg_catalog.pg_authid'::pg_catalog.regclass

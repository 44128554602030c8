-- The roles of this server.
-- Run on: target. PostgreSQL 15 and later.
-- Returns: one JSON array [name, whether it is a superuser, whether a run has made it that is not done] per role.
SELECT json_build_array(r.rolname, r.rolsuper, EXISTS (
    SELECT FROM timescale_migrate.made_log m
    JOIN timescale_migrate.run_log l ON l.id = m.run
    WHERE m.classid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND m.objid = r.oid AND l.state NOT IN ('done', 'removed')))::text
FROM pg_catalog.pg_roles r

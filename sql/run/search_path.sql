-- The search_path of new sessions of this role in this database, if the database or the role sets it, and the schema of the extension's
-- functions. A run has a search_path of its own.
-- Run on: target, in the transaction that gave the database its settings. PostgreSQL 15 and later.
-- Returns: one JSON array [schema, role, search_path], or none.
SELECT json_build_array(n.nspname, current_user, substr(c, length('search_path=') + 1))::text
FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
CROSS JOIN pg_catalog.pg_db_role_setting s
CROSS JOIN unnest(s.setconfig) c
WHERE e.extname = 'timescale_migrate' AND c LIKE 'search\_path=%'
  AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()))
  AND s.setrole IN (0, (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user))
-- In the server's order: settings of the role in the database, of the role, of the database, of all roles.
ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC
LIMIT 1

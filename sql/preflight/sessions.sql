-- Roles that are not superusers and are connected to this database.
-- Run on: target. PostgreSQL 15 and later.
-- Returns: one JSON array [role, number of its sessions] per role.
SELECT json_build_array(r.rolname, count(*))::text
FROM pg_catalog.pg_stat_activity a
JOIN pg_catalog.pg_database d ON d.oid = a.datid AND d.datname = current_database()
JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
WHERE NOT r.rolsuper AND a.backend_type IN ('client backend', 'walsender')
GROUP BY r.rolname
ORDER BY r.rolname

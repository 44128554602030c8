-- The stored passwords (SCRAM verifiers or MD5 hashes) of all roles that have one.
-- Run on: source and target, as a superuser: pg_authid is readable by no one else. PostgreSQL 13 and later.
-- Returns: one JSON object per role. A secret: never logged, never stored.
SELECT json_build_object('name', a.rolname, 'password', a.rolpassword)::text
FROM pg_catalog.pg_authid a
WHERE a.rolpassword IS NOT NULL
ORDER BY a.rolname

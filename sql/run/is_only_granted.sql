-- Whether a role has privileges in this database, and neither owns anything there nor is named by a policy.
-- Run on: target. $1 the role's name, quoted.
SELECT count(*) > 0 AND every(s.deptype IN ('a', 'i'))
FROM pg_catalog.pg_shdepend s
JOIN pg_catalog.pg_database d ON d.oid = s.dbid AND d.datname = pg_catalog.current_database()
WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND s.refobjid = $1::pg_catalog.regrole

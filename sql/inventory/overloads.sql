-- Functions that have the name and schema of a function of TimescaleDB or of this extension, but belong to neither. A call by name runs the
-- best match, and a run makes such calls as a superuser. Aggregates are not called in this way, and immutable functions such as
-- time_bucket() are called only in users' queries.
-- Run on: source and target. PostgreSQL 13 and later.
-- Returns: one JSON string per function, as DROP ROUTINE takes it.
WITH member AS (
    SELECT d.objid AS oid
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname IN ('timescaledb', 'timescale_migrate')
    WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
),
called AS (
    SELECT DISTINCT p.pronamespace, p.proname
    FROM member m JOIN pg_catalog.pg_proc p USING (oid)
    WHERE p.prokind IN ('f', 'p') AND p.provolatile <> 'i'
)
SELECT to_json(format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)))::text
FROM called c
JOIN pg_catalog.pg_proc p ON p.pronamespace = c.pronamespace AND p.proname = c.proname
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE p.oid NOT IN (SELECT oid FROM member)
ORDER BY p.oid

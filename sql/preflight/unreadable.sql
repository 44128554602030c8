-- Objects to be copied that a role may not read; the role is not a superuser.
-- Run on: source. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON array per finding: subject, detail, statement that grants what is missing. More than five objects of a schema that
-- lack the same are one finding.
WITH found AS (
    SELECT n.nspname, c.relname, c.relkind = 'S' AS is_sequence,
           CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN 'usage'
                WHEN NOT has_table_privilege(c.oid, 'SELECT') THEN 'select'
                ELSE 'rows' END AS lacks
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    -- Partitioned tables are locked by pg_dump.
    WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
      AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
      AND (NOT has_schema_privilege(n.oid, 'USAGE') OR NOT has_table_privilege(c.oid, 'SELECT')
           OR (c.relkind = 'r' AND row_security_active(c.oid)))
),
counted AS (
    SELECT *, count(*) OVER same > 5 AS are_many, count(*) OVER same AS number, row_number() OVER (same ORDER BY relname) AS place
    FROM found WINDOW same AS (PARTITION BY nspname, is_sequence, lacks)
)
SELECT json_build_array(
    CASE WHEN are_many THEN format('schema %I', nspname) ELSE format('%I.%I', nspname, relname) END,
    CASE lacks WHEN 'usage' THEN format('no USAGE on schema %I', nspname)
               WHEN 'select' THEN 'no SELECT'
               ELSE 'row security hides rows from this role' END
    || CASE WHEN are_many THEN format(': %s %s', number, CASE WHEN is_sequence THEN 'sequences' ELSE 'tables' END) ELSE '' END,
    CASE WHEN lacks = 'rows' THEN format('ALTER ROLE %I BYPASSRLS', current_user)
         -- Also for chunks that are made later.
         WHEN are_many AND to_regrole('pg_read_all_data') IS NOT NULL THEN format('GRANT pg_read_all_data TO %I', current_user)
         WHEN lacks = 'usage' THEN format('GRANT USAGE ON SCHEMA %I TO %I', nspname, current_user)
         WHEN are_many THEN format('GRANT SELECT ON ALL %s IN SCHEMA %I TO %I', CASE WHEN is_sequence THEN 'SEQUENCES' ELSE 'TABLES' END, nspname, current_user)
         ELSE format('GRANT SELECT ON %s %I.%I TO %I', CASE WHEN is_sequence THEN 'SEQUENCE' ELSE 'TABLE' END, nspname, relname, current_user)
    END)::text
FROM counted
WHERE NOT are_many OR place = 1
-- Chunks after the hypertables that their rights come from.
ORDER BY nspname LIKE '\_timescaledb\_%', nspname, relname

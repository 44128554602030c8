-- How many more sessions this role may have now, by each limit that applies to it.
-- Run on: source. PostgreSQL 13 and later.
-- Returns: one JSON array per limit: its name, its value, how many sessions are left of it.
--
-- The limits of roles and databases do not apply to a superuser, who may also take the reserved connections. A role that may not read all
-- statistics does not see the type of other users' sessions, so all of them count. Sessions of runs do not count, also those of an attempt
-- that has just failed.
WITH me AS (
    SELECT r.rolname, r.rolconnlimit, r.rolsuper, d.datname, d.datconnlimit
    FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
    WHERE r.rolname = current_user AND d.datname = current_database()
),
session AS (
    SELECT a.usename, a.datname FROM pg_catalog.pg_stat_activity a
    WHERE a.datid IS NOT NULL AND coalesce(a.backend_type, 'client backend') = 'client backend'
      AND a.application_name NOT LIKE 'timescale\_migrate %'
),
reserved(count) AS (
    SELECT CASE WHEN me.rolsuper THEN 0
                -- Both came with PostgreSQL 16.
                WHEN EXISTS (SELECT FROM pg_catalog.pg_roles r
                             WHERE r.rolname = 'pg_use_reserved_connections' AND pg_has_role(r.oid, 'USAGE'))
                    THEN current_setting('superuser_reserved_connections')::int
                ELSE current_setting('superuser_reserved_connections')::int
                     + coalesce(current_setting('reserved_connections', true)::int, 0) END
    FROM me
)
SELECT json_build_array(x.name, x.value, x.value - x.taken)::text
FROM (
    SELECT 'max_connections' AS name, current_setting('max_connections')::int8 AS value,
           (SELECT count(*) FROM session) + (SELECT count FROM reserved) AS taken
    UNION ALL
    SELECT format('CONNECTION LIMIT of role %I', me.rolname), me.rolconnlimit,
           (SELECT count(*) FROM session s WHERE s.usename = me.rolname)
    FROM me WHERE me.rolconnlimit >= 0 AND NOT me.rolsuper
    UNION ALL
    SELECT format('CONNECTION LIMIT of database %I', me.datname), me.datconnlimit,
           (SELECT count(*) FROM session s WHERE s.datname = me.datname)
    FROM me WHERE me.datconnlimit >= 0 AND NOT me.rolsuper
) x
ORDER BY x.value - x.taken

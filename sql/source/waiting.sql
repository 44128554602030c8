-- The processes that wait for a lock that a session of this run holds.
-- Run on: source. PostgreSQL 13 and later. :names stands for an array of patterns of the sessions' application_name.
-- Returns: one JSON array for each pair: the process that waits, the run's process, and the relation.
SELECT json_build_array(w.pid, a.pid, w.relation)::text
FROM (
    SELECT l.pid, min(l.relation)::pg_catalog.regclass::text AS relation
    FROM pg_catalog.pg_locks l
    WHERE NOT l.granted AND l.locktype = 'relation'
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
    GROUP BY l.pid
) w
CROSS JOIN LATERAL unnest(pg_catalog.pg_blocking_pids(w.pid)) b(pid)
JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
WHERE a.application_name LIKE ANY (:names) AND a.usename = current_user AND a.datname = current_database()

-- The processes that hold locks that a reader has to wait for.
-- Run on: source. PostgreSQL 13 and later. :relations stands for a query of OIDs.
-- Returns: one text per lock, with no more of the other session's statement than two words, because the rest may contain a password.
SELECT format('%I.%I is %s by process %s (%s)', n.nspname, c.relname,
              CASE WHEN l.granted THEN 'locked' ELSE 'about to be locked' END, l.pid,
              concat_ws(', ', a.usename, coalesce(
                  CASE WHEN a.state = 'active' THEN upper(substring(a.query FROM '^\s*([[:alpha:]]+ [[:alpha:]]+)\M')) END, a.state)))
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
-- A lock that is waited for blocks readers too.
WHERE l.mode = 'AccessExclusiveLock'
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
  AND l.relation IN (:relations)
ORDER BY 1

-- Ends what a process of this run does: only a statement can be cancelled, an idle session has to end.
-- Run on: source. PostgreSQL 13 and later. :process stands for its id, :names for an array of patterns of the sessions'
-- application_name.
SELECT CASE a.state WHEN 'active' THEN pg_catalog.pg_cancel_backend(a.pid) ELSE pg_catalog.pg_terminate_backend(a.pid) END
FROM pg_catalog.pg_stat_activity a
WHERE a.pid = :process AND a.application_name LIKE ANY (:names)

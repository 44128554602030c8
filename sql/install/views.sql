-- The views for users. Live figures come from the server's own views: pg_locks shows which process has a task, pg_stat_progress_copy the
-- progress of its COPY, or of its comparison; see src/pg/progress.rs.

-- Operators and functions must not be looked up in a schema that others may write to.
SET LOCAL search_path TO pg_catalog, pg_temp;

-- The locks of runs and tasks, with the process that holds each; see src/pg/lock.rs. No SQL function can take a lock with this tag.
CREATE VIEW timescale_migrate.holder AS
SELECT l.classid = 1 AS is_run, l.objid::bigint AS id, l.pid, count(*) OVER (PARTITION BY l.classid, l.pid) = 1 AS alone
FROM pg_catalog.pg_locks l
WHERE l.locktype = 'advisory' AND l.objsubid = 21581 AND l.granted AND l.classid IN (1, 2)
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database());

CREATE VIEW timescale_migrate.task AS
SELECT t.id, t.run, t.phase, t.object, t.method,
       CASE WHEN t.state = 'pending' AND h.pid IS NOT NULL THEN 'running' ELSE t.state END AS state,
       coalesce(h.pid, t.worker) AS worker, t.target, t.estimated_rows, t.estimated_bytes,
       coalesce(t.rows, p.tuples_processed) AS rows,
       coalesce(t.bytes, CASE WHEN t.phase <> 'verify' THEN p.bytes_processed END) AS bytes,
       t.started_at, t.ended_at,
       coalesce(t.ended_at, pg_catalog.clock_timestamp()) - t.started_at AS duration,
       t.side, t.sqlstate, t.error, t.detail, t.hint, t.context
FROM timescale_migrate.task_log t
LEFT JOIN timescale_migrate.holder h ON NOT h.is_run AND h.id = t.id AND t.state = 'pending'
-- If a worker has taken several tasks at once, it is not known which of them its COPY belongs to.
LEFT JOIN pg_catalog.pg_stat_progress_copy p ON p.pid = h.pid AND h.alone;
COMMENT ON VIEW timescale_migrate.task IS 'every task of every run';
COMMENT ON COLUMN timescale_migrate.task.worker IS 'process id on the target';
COMMENT ON COLUMN timescale_migrate.task.started_at IS 'when a worker took it; small tasks are taken several at once';
COMMENT ON COLUMN timescale_migrate.task.target IS 'the relation on the target that the rows went to, quoted as in SQL';
COMMENT ON COLUMN timescale_migrate.task.estimated_bytes IS 'size on the source';
COMMENT ON COLUMN timescale_migrate.task.bytes IS 'size as sent by COPY';
COMMENT ON COLUMN timescale_migrate.task.side IS 'the server that the error came from';

CREATE VIEW timescale_migrate.run AS
SELECT r.id, r.kind, r.source, r.options, r.role,
       CASE WHEN r.state = 'running' AND h.pid IS NULL THEN 'interrupted' ELSE r.state END AS state,
       r.phase, h.pid, r.started_at, r.ended_at,
       r.spent + (coalesce(r.ended_at, pg_catalog.clock_timestamp()) - r.begun_at) AS duration,
       r.source_version, r.snapshot, r.tables, r.hypertables, r.chunks,
       -- A resume gives many of them once more.
       (SELECT count(DISTINCT m.message) FROM timescale_migrate.message_log m WHERE m.run = r.id AND m.level = 'warning') AS warnings,
       r.side, r.sqlstate, r.error, r.detail, r.hint, r.context, r.object
FROM timescale_migrate.run_log r
LEFT JOIN timescale_migrate.holder h ON h.is_run AND h.id = r.id
WHERE r.state <> 'refused';
COMMENT ON VIEW timescale_migrate.run IS 'every run: source without secrets, options, state, phase, times, error';
COMMENT ON COLUMN timescale_migrate.run.pid IS 'process id of the coordinator while the run is running';
COMMENT ON COLUMN timescale_migrate.run.duration IS 'without the time between two starts';
COMMENT ON COLUMN timescale_migrate.run.snapshot IS 'of the source, as SET TRANSACTION SNAPSHOT takes it';
COMMENT ON COLUMN timescale_migrate.run.side IS 'the server that the error came from';

CREATE VIEW timescale_migrate.message AS
SELECT m.id, m.run, m.at, m.level, m.phase, m.message, m.hint
FROM timescale_migrate.message_log m JOIN timescale_migrate.run_log r ON r.id = m.run AND r.state <> 'refused';
COMMENT ON VIEW timescale_migrate.message IS 'notices and warnings of every run';

CREATE VIEW timescale_migrate.verification AS
SELECT run, object, part, source_rows, target_rows, source_checksum, target_checksum, same
FROM timescale_migrate.verification_log;
COMMENT ON VIEW timescale_migrate.verification IS 'every comparison: rows and checksums of both sides';

-- The jobs of TimescaleDB's scheduler that migrate, with TimescaleDB's schema; none without TimescaleDB, which has the table of jobs.
CREATE FUNCTION timescale_migrate.migrating_jobs()
RETURNS TABLE (id integer, config jsonb, schema regnamespace)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('_timescaledb_config.bgw_job') IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE
        'SELECT j.id, j.config, t.extnamespace::pg_catalog.regnamespace
         FROM _timescaledb_config.bgw_job j, pg_catalog.pg_extension e, pg_catalog.pg_extension t
         WHERE e.extname = ''timescale_migrate'' AND t.extname = ''timescaledb''
           AND j.proc_name = ''migrate_job'' AND j.proc_schema = (SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.oid = e.extnamespace)
         ORDER BY j.id';
END
$$;

-- How to remove the jobs that migrate and have nothing left to do, their runs being done; NULL if there are none.
CREATE FUNCTION timescale_migrate.removal_of_jobs() RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    job record;
    calls text[] := '{}';
BEGIN
    FOR job IN SELECT * FROM timescale_migrate.migrating_jobs() LOOP
        BEGIN
            IF EXISTS (SELECT FROM timescale_migrate.run_log r WHERE r.state = 'done'
                       AND r.id = timescale_migrate.earlier_run(job.config ->> 'source', job.config - 'source')) THEN
                calls := calls || format('SELECT %s.delete_job(%s);', job.schema, job.id);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            -- Its config is not one of a run.
        END;
    END LOOP;
    RETURN CASE cardinality(calls) WHEN 0 THEN NULL WHEN 1 THEN 'To remove the job that migrates: ' ELSE 'To remove the jobs that migrate: ' END
        || array_to_string(calls, ' ');
END
$$;

-- The figures of each run. Percent and ETA are computed from bytes: a done task counts with its estimate, a running one with the share of
-- its rows that is done, so that numerator and denominator are sizes on the source. A checksum computes the text of each value on both
-- servers, which takes several times as long as a copy; a migration computes the source's together with the copy. Its comparisons are added
-- late; until then they are estimated.
CREATE VIEW timescale_migrate.progress AS
WITH t AS (
    SELECT t.run,
           count(*) AS tasks,
           count(*) FILTER (WHERE t.state = 'done') AS tasks_done,
           coalesce(sum(t.rows) FILTER (WHERE t.phase IN ('copy', 'tiered')), 0)::bigint AS rows,
           coalesce(sum(t.bytes) FILTER (WHERE t.phase IN ('copy', 'tiered')), 0)::bigint AS bytes,
           coalesce(sum(t.estimated_bytes) FILTER (WHERE t.phase IN ('copy', 'tiered')), 0)::bigint AS bytes_total,
           sum(w.weight) + CASE WHEN bool_or(t.phase = 'verify') THEN 0
                                ELSE coalesce(sum(w.comparing) FILTER (WHERE t.phase IN ('copy', 'tiered')), 0) END AS weight,
           sum(w.weight * CASE
               WHEN t.state = 'done' THEN 1
               -- COPY counts the batches of a compressed relation, but the estimate counts rows.
               WHEN t.state = 'running'
                   THEN least(greatest(t.rows::numeric / nullif(t.estimated_rows, 0),
                                       t.bytes::numeric / nullif(t.estimated_bytes, 0), 0), 0.99)
               ELSE 0 END) AS weight_done,
           min(t.started_at) AS first_start
    FROM timescale_migrate.task t
    JOIN timescale_migrate.run_log r ON r.id = t.run,
         -- Reading a table for statistics or a count is quick compared with copying it.
         -- A compressed row is compared as any other, however few bytes it takes.
         LATERAL (SELECT 2 * greatest(t.estimated_bytes, 40 * t.estimated_rows) AS checksum, 0.05 * t.estimated_bytes AS count,
                         r.kind = 'migrate' AND r.options ->> 'verify' = 'checksum' AS together) c,
         LATERAL (SELECT CASE WHEN t.phase IN ('copy', 'tiered') THEN t.estimated_bytes + CASE WHEN c.together THEN c.checksum ELSE 0 END
                              WHEN t.method = 'checksum' THEN c.checksum * CASE r.kind WHEN 'migrate' THEN 1 ELSE 2 END
                              ELSE c.count END + 8192 AS weight,
                         CASE WHEN c.together THEN c.checksum ELSE c.count END AS comparing) w
    GROUP BY t.run
),
f AS (
    SELECT r.id AS run, r.kind, r.state, r.phase, r.warnings, coalesce(t.tasks_done, 0) AS tasks_done, coalesce(t.tasks, 0) AS tasks,
           t.rows, t.bytes, t.bytes_total, r.duration AS elapsed,
           coalesce(r.object || ': ', '') || r.error AS error, r.hint,
           CASE WHEN r.state = 'done' THEN 1
                ELSE least(coalesce(t.weight_done / nullif(t.weight, 0), 0), 0.999) END AS share,
           -- Without the time before the first task, and without the time between two starts.
           extract(epoch FROM r.duration - greatest(t.first_start - l.begun_at, '0')) AS seconds
    FROM timescale_migrate.run r
    JOIN timescale_migrate.run_log l ON l.id = r.id
    LEFT JOIN t ON t.run = r.id
)
SELECT f.run, f.state, f.phase, round(100 * f.share, 1) AS percent,
       '[' || repeat('#', (20 * f.share)::integer) || repeat('.', 20 - (20 * f.share)::integer) || ']' AS bar,
       f.tasks_done, f.tasks, f.rows, f.bytes, f.bytes_total,
       CASE WHEN f.seconds > 0 THEN pg_catalog.pg_size_pretty((f.bytes / f.seconds)::bigint) || '/s' END AS rate,
       CASE WHEN f.state = 'running' AND f.share > 0
            THEN pg_catalog.make_interval(secs => round(f.seconds * (1 - f.share) / f.share)::double precision) END AS eta,
       f.elapsed,
       CASE f.state
            WHEN 'done' THEN CASE f.warnings WHEN 0 THEN 'no warnings'
                 ELSE format('%s: SELECT * FROM timescale_migrate.message WHERE run = %s AND level = ''warning'';',
                             CASE f.warnings WHEN 1 THEN '1 warning' ELSE format('%s warnings', f.warnings) END, f.run) END
                 || coalesce(CASE f.warnings WHEN 0 THEN '. ' ELSE ' ' END || timescale_migrate.removal_of_jobs(), '')
            WHEN 'interrupted' THEN format('run %s was interrupted', f.run) || w.ways
            WHEN 'failed' THEN f.error || CASE WHEN f.hint LIKE '%migrate_resume%' THEN '. ' || f.hint ELSE w.ways END
            WHEN 'cancelled' THEN f.error || w.ways
            WHEN 'removed' THEN format(CASE WHEN EXISTS (SELECT FROM timescale_migrate.has_made h WHERE h.run = f.run)
                THEN 'run %1$s was removed in part. Call migrate_cleanup(%1$s) to remove the rest.'
                ELSE 'run %1$s was removed by migrate_cleanup' END, f.run)
            ELSE coalesce(f.error, (SELECT m.message FROM timescale_migrate.message_log m
                                    WHERE m.run = f.run ORDER BY m.id DESC LIMIT 1)) END AS message
FROM f,
     LATERAL (SELECT CASE f.kind WHEN 'migrate'
                     THEN format('. Call migrate_resume(%1$s) to continue it, or migrate_cleanup(%1$s) to remove what it made.', f.run) ELSE '' END AS ways) w;

-- The figures of a run; without a number, of the one that is running, or else of the newest migration, or else of the newest run.
CREATE FUNCTION @extschema@.migrate_status(run bigint DEFAULT NULL)
RETURNS TABLE (run bigint, state text, phase text, percent numeric, bar text, tasks_done bigint, tasks bigint,
               rows bigint, bytes bigint, bytes_total bigint, rate text, eta interval, elapsed interval, message text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.run, p.state, p.phase, p.percent, p.bar, p.tasks_done, p.tasks, p.rows, p.bytes, p.bytes_total, p.rate, p.eta,
           p.elapsed, p.message
    FROM timescale_migrate.progress p
    WHERE p.run = coalesce(migrate_status.run, (SELECT r.id FROM timescale_migrate.run r
                                                ORDER BY r.state = 'running' DESC, r.kind = 'migrate' DESC, r.id DESC LIMIT 1))
$$;
COMMENT ON FUNCTION @extschema@.migrate_status(bigint) IS 'shows the progress of a run; without a number, of the one that is running, or else of the newest migration';

SET LOCAL search_path TO @extschema@, pg_temp;

-- A migration as a scheduled job, by TimescaleDB's add_job, or by pg_cron with job_id 0. `config` holds "source" and any option.
--
-- Each call looks for the newest migration of that source with options that make the same. It resumes that run if it failed or was
-- interrupted, with the options that the run began with; if the run is running, done or cancelled, there is nothing to do. If there is no
-- such run, the call begins one. When the run is done, the server's log says how to remove the job.
CREATE PROCEDURE @extschema@.migrate_job(job_id integer, config jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    last record;
BEGIN
    IF (config ? 'source') IS NOT TRUE THEN
        RAISE EXCEPTION 'the job''s config has no "source"'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass {"source": "server name", ...}.';
    END IF;
    SELECT r.id, r.state, r.id IN (SELECT h.run FROM timescale_migrate.has_made h) AS has_made INTO last
    FROM timescale_migrate.run r
    WHERE r.id = timescale_migrate.earlier_run(config ->> 'source', config - 'source');
    IF last.state IN ('running', 'done', 'cancelled') THEN
        RAISE NOTICE 'run % is %: there is nothing to do', last.id, last.state;
    ELSIF last.state IN ('failed', 'interrupted') AND last.has_made THEN
        -- With every argument, and of exactly its type, so that no other function of the same name can be a better match.
        PERFORM @extschema@.migrate_resume(last.id, config ->> 'source', '{}'::jsonb, (config ->> 'jobs')::integer,
                                           (config ->> 'wait')::boolean);
    ELSE
        PERFORM @extschema@.migrate_from(config ->> 'source', config - 'source', NULL::integer, NULL::boolean);
    END IF;
    -- Nobody sees the notices of a scheduled job.
    SELECT r.id, timescale_migrate.removal_of_jobs() AS removal INTO last
    FROM timescale_migrate.run r
    WHERE r.id = timescale_migrate.earlier_run(config ->> 'source', config - 'source') AND r.state = 'done';
    IF last.removal IS NOT NULL THEN
        RAISE LOG 'timescale_migrate run % is done: %', last.id, last.removal;
    END IF;
END
$$;
COMMENT ON PROCEDURE @extschema@.migrate_job(integer, jsonb) IS 'migrates, or resumes a migration, as a scheduled job; config holds "source" and options';

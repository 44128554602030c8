-- The same run as a scheduled database job: TimescaleDB's add_job, or pg_cron with job_id 0. `config` holds "source" and any option.
CREATE PROCEDURE @extschema@.migrate_job(job_id integer, config jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (config ? 'source') IS NOT TRUE THEN
        RAISE EXCEPTION 'the job''s config has no "source"'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass {"source": "server name", ...}.';
    END IF;
    PERFORM @extschema@.migrate_from(config ->> 'source', config - 'source');
END
$$;

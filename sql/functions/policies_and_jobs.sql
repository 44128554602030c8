-- Making policies, user-defined actions and changed jobs of TimescaleDB's own as they are on the source.
-- Run at CREATE EXTENSION; called on the target by the coordinator. TimescaleDB 2.19 and later, Community edition.
--
-- Jobs are made last, all in one transaction: none of them can run before it commits. Rows are inserted into the
-- catalog, because TimescaleDB's functions do not accept every field, call the check function, and refuse jobs that exist on some sources.

-- The hypertable that inventory/jobs.sql names: {schema, name, cagg}.
CREATE FUNCTION timescale_migrate.job_hypertable(named jsonb)
RETURNS integer
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_id integer;
BEGIN
    IF (named->>'cagg')::boolean THEN
        SELECT a.mat_hypertable_id INTO found_id
        FROM _timescaledb_catalog.continuous_agg a
        WHERE (a.user_view_schema, a.user_view_name) = (named->>'schema', named->>'name');
    ELSE
        SELECT h.id INTO found_id
        FROM _timescaledb_catalog.hypertable h
        WHERE (h.schema_name, h.table_name) = (named->>'schema', named->>'name');
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'hypertable or continuous aggregate "%"."%" does not exist', named->>'schema', named->>'name'
            USING ERRCODE = 'undefined_table';
    END IF;
    RETURN found_id;
END
$$;

-- Deletes the policies of these hypertables and continuous aggregates ({schema, name, cagg} each). ALTER TABLE makes some by itself, with
-- certain settings. This function is called in the transaction of such a statement, and before jobs are made, so that none runs or exists twice.
CREATE FUNCTION timescale_migrate.delete_policies(hypertables jsonb)
RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM _timescaledb_config.bgw_job j
    USING jsonb_array_elements(hypertables) h
    WHERE j.id >= 1000 AND j.hypertable_id = timescale_migrate.job_hypertable(h)
$$;

-- Makes a job, under its id on the source where it has one and that is free, and returns its id. `spec` is an object from inventory/jobs.sql; without an
-- owner in it, the job is the current user's. A job of TimescaleDB's own is changed instead; NULL if this version has no such job.
CREATE FUNCTION timescale_migrate.create_job(spec jsonb, paused boolean DEFAULT false)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $$
DECLARE
    changes constant jsonb := spec->'changes';
    -- Policies were in _timescaledb_internal until 2.11.
    schema constant name := replace(spec->>'proc_schema', '_timescaledb_internal', '_timescaledb_functions');
    check_schema constant name := replace(spec->>'check_schema', '_timescaledb_internal', '_timescaledb_functions');
    ids constant regclass := coalesce(to_regclass('_timescaledb_catalog.bgw_job_id_seq'), to_regclass('_timescaledb_config.bgw_job_id_seq'));
    hypertable constant integer := CASE WHEN jsonb_typeof(spec->'hypertable') = 'object'
                                        THEN timescale_migrate.job_hypertable(spec->'hypertable') END;
    config jsonb := (spec->>'config')::jsonb;
    owner constant name := coalesce(spec->>'owner', current_user);
    owner_oid oid;
    new_id integer := (spec->>'id')::integer;
    key text;
BEGIN
    IF spec->>'kind' = 'system' THEN
        UPDATE _timescaledb_config.bgw_job j
        SET schedule_interval = coalesce((changes->>'schedule_interval')::interval, j.schedule_interval),
            max_runtime = coalesce((changes->>'max_runtime')::interval, j.max_runtime),
            max_retries = coalesce((changes->>'max_retries')::integer, j.max_retries),
            retry_period = coalesce((changes->>'retry_period')::interval, j.retry_period),
            scheduled = coalesce((changes->>'scheduled')::boolean, j.scheduled),
            fixed_schedule = coalesce((changes->>'fixed_schedule')::boolean, j.fixed_schedule),
            initial_start = CASE WHEN changes ? 'initial_start' THEN (changes->>'initial_start')::timestamptz ELSE j.initial_start END,
            timezone = CASE WHEN changes ? 'timezone' THEN changes->>'timezone' ELSE j.timezone END,
            config = CASE WHEN changes ? 'config' THEN coalesce(j.config, '{}') || (changes->'config') ELSE j.config END
        WHERE j.id = new_id
        RETURNING j.id INTO new_id;
        RETURN new_id;
    END IF;

    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = schema AND p.proname = spec->>'proc_name')
    THEN
        RAISE EXCEPTION 'function or procedure "%"."%" of job % does not exist', schema, spec->>'proc_name', new_id
            USING ERRCODE = 'undefined_function';
    END IF;
    SELECT r.oid INTO owner_oid FROM pg_catalog.pg_roles r WHERE r.rolname = owner;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role "%", owner of job %, does not exist', owner, new_id
            USING ERRCODE = 'undefined_object';
    END IF;
    FOREACH key IN ARRAY ARRAY['hypertable_id', 'mat_hypertable_id'] LOOP
        IF spec->>'kind' = 'policy' AND jsonb_typeof(config->key) = 'object' THEN
            config := jsonb_set(config, ARRAY[key], to_jsonb(timescale_migrate.job_hypertable(config->key)));
        END IF;
    END LOOP;
    IF new_id IS NULL OR EXISTS (SELECT FROM _timescaledb_config.bgw_job j WHERE j.id = new_id) THEN
        new_id := nextval(ids);
    ELSE
        PERFORM setval(ids, greatest(nextval(ids), new_id));
    END IF;

    INSERT INTO _timescaledb_config.bgw_job (
        id, application_name, schedule_interval, max_runtime, max_retries, retry_period, proc_schema, proc_name, owner, scheduled,
        fixed_schedule, initial_start, hypertable_id, config, check_schema, check_name, timezone)
    VALUES (
        new_id,
        -- The default name ends with the id.
        CASE WHEN spec->>'id' IS NULL THEN format('%s [%s]', spec->>'application_name', new_id)
             WHEN spec->>'application_name' LIKE format('%% [%s]', spec->>'id')
             THEN regexp_replace(spec->>'application_name', '\d+\]$', new_id || ']') ELSE spec->>'application_name' END,
        (spec->>'schedule_interval')::interval, (spec->>'max_runtime')::interval, (spec->>'max_retries')::integer,
        (spec->>'retry_period')::interval, schema, spec->>'proc_name', owner_oid::regrole,
        (spec->>'scheduled')::boolean AND NOT paused, (spec->>'fixed_schedule')::boolean, (spec->>'initial_start')::timestamptz,
        hypertable, config, check_schema, spec->>'check_name', spec->>'timezone');

    -- As alter_job(next_start => ...) does for a job that has not run yet.
    IF spec->>'next_start' IS NOT NULL THEN
        INSERT INTO _timescaledb_internal.bgw_job_stat (
            job_id, last_start, last_finish, next_start, last_successful_finish, last_run_success, total_runs, total_duration,
            total_duration_failures, total_successes, total_failures, total_crashes, consecutive_failures, consecutive_crashes)
        VALUES (new_id, '-infinity', '-infinity', (spec->>'next_start')::timestamptz, '-infinity', true, 0, '0', '0', 0, 0, 0, 0, 0);
    END IF;

    INSERT INTO _timescaledb_internal.bgw_policy_chunk_stats (job_id, chunk_id, num_times_job_run, last_time_job_run)
    SELECT new_id, k.chunk_id, (s->>'runs')::integer, (s->>'last')::timestamptz
    FROM (
        SELECT cc.chunk_id, jsonb_object_agg(d.column_name, jsonb_build_array(r.range_start, r.range_end)) AS slices
        FROM _timescaledb_catalog.dimension d
        JOIN _timescaledb_catalog.dimension_slice r ON r.dimension_id = d.id
        JOIN _timescaledb_catalog.chunk_constraint cc ON cc.dimension_slice_id = r.id
        WHERE d.hypertable_id = hypertable
        GROUP BY cc.chunk_id
    ) k
    JOIN jsonb_array_elements(spec->'chunk_stats') s ON s->'slices' = k.slices;
    RETURN new_id;
END
$$;

-- User-defined actions, policies, and changes to TimescaleDB's own jobs.
-- Run on: source and target. TimescaleDB 2.11 and later, any edition.
-- Returns: one JSON object per job, by id; timescale_migrate.create_job() takes such an object as it is.
--
-- A policy's hypertable is {schema, name, cagg}, where with `cagg` the name is that of a continuous aggregate; so are the ids in its
-- configuration. The configuration of a user-defined action is not changed, whatever its keys are called.
--
-- TimescaleDB's own jobs have ids below 1000. Only their `changes` are migrated: the fields, and the keys of the configuration, that differ
-- from the defaults of every version since 2.11.
--
-- `lacks` is the kind of an object that a job needs and that was dropped: older versions of TimescaleDB did not refuse that, and DROP OWNED
-- still can. A job whose check function was dropped still runs.
--
-- bgw_job is a table until 2.24 and since then a view under the same name.
WITH standard(id, fields, config) AS (VALUES
    (1, '{"schedule_interval": ["24:00:00"], "max_runtime": ["00:01:40"], "max_retries": [-1, 0], "retry_period": ["01:00:00"],
          "scheduled": [true], "fixed_schedule": [false], "initial_start": [null], "timezone": [null]}'::jsonb, '{}'::jsonb),
    -- Until 2.14 it cleaned up the table of errors; later versions may still have it, unscheduled.
    (2, '{"schedule_interval": ["1 mon"], "max_runtime": ["01:00:00"], "max_retries": [-1, 0], "retry_period": ["01:00:00"],
          "scheduled": [true, false], "fixed_schedule": [true, false], "initial_start": [946684800], "timezone": [null]}',
     '{"drop_after": "1 month"}'),
    -- Since 2.15; every six hours since 2.23.
    (3, '{"schedule_interval": ["1 mon", "06:00:00"], "max_runtime": ["01:00:00"], "max_retries": [-1, 0], "retry_period": ["01:00:00"],
          "scheduled": [true], "fixed_schedule": [true], "initial_start": [946684800], "timezone": [null]}',
     '{"drop_after": "1 month", "max_successes_per_job": 1000, "max_failures_per_job": 1000}')
),
hypertable AS (
    SELECT h.id, jsonb_build_object(
               'schema', coalesce(a.user_view_schema, h.schema_name),
               'name', coalesce(a.user_view_name, h.table_name),
               'cagg', a.mat_hypertable_id IS NOT NULL) AS named
    FROM _timescaledb_catalog.hypertable h
    LEFT JOIN _timescaledb_catalog.continuous_agg a ON a.mat_hypertable_id = h.id
),
job AS (
    SELECT j.*, j.proc_schema IN ('_timescaledb_internal', '_timescaledb_functions') AS is_policy,
           to_jsonb(j) || jsonb_build_object('initial_start', extract(epoch FROM j.initial_start)) AS row
    FROM _timescaledb_config.bgw_job j
    -- It is for aggregates that read their invalidations from the WAL (2.21 to 2.24); these arrive as ordinary aggregates.
    WHERE j.proc_name <> 'policy_process_hypertable_invalidations'
),
slice AS (
    SELECT cc.chunk_id, jsonb_object_agg(d.column_name, jsonb_build_array(s.range_start, s.range_end)) AS slices
    FROM _timescaledb_catalog.chunk_constraint cc
    JOIN _timescaledb_catalog.dimension_slice s ON s.id = cc.dimension_slice_id
    JOIN _timescaledb_catalog.dimension d ON d.id = s.dimension_id
    GROUP BY cc.chunk_id
)
SELECT json_build_object(
    'id', j.id,
    'kind', CASE WHEN s.id IS NOT NULL THEN 'system' WHEN j.is_policy THEN 'policy' ELSE 'action' END,
    'application_name', j.application_name,
    'schedule_interval', j.schedule_interval,
    'max_runtime', j.max_runtime,
    'max_retries', j.max_retries,
    'retry_period', j.retry_period,
    'proc_schema', j.proc_schema,
    'proc_name', j.proc_name,
    'extension', (
        SELECT e.extname
        FROM pg_catalog.pg_proc p
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE p.pronamespace = to_regnamespace(quote_ident(j.proc_schema)) AND p.proname = j.proc_name
        LIMIT 1),
    'proc_oids', (
        SELECT coalesce(json_agg(p.oid::int8), '[]'::json)
        FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = to_regnamespace(quote_ident(j.proc_schema)) AND p.proname = j.proc_name),
    'check_schema', j.check_schema,
    'check_name', j.check_name,
    'owner', pg_get_userbyid(j.owner),
    'of_superuser', EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = j.owner AND r.rolsuper),
    'scheduled', j.scheduled,
    'fixed_schedule', j.fixed_schedule,
    'initial_start', j.initial_start,
    'timezone', j.timezone,
    'hypertable', h.named,
    -- As text, which keeps every number as it is written.
    'config', (CASE WHEN j.is_policy THEN j.config || coalesce((
        SELECT jsonb_object_agg(c.key, n.named)
        FROM jsonb_each_text(j.config) c JOIN hypertable n ON n.id::text = c.value
        WHERE c.key IN ('hypertable_id', 'mat_hypertable_id')), '{}') ELSE j.config END)::text,
    -- While a job runs, it has none.
    'next_start', (
        SELECT t.next_start FROM _timescaledb_internal.bgw_job_stat t WHERE t.job_id = j.id AND isfinite(t.next_start)),
    -- The chunks that a reorder policy has reordered already.
    'chunk_stats', (
        SELECT coalesce(json_agg(json_build_object('slices', c.slices, 'runs', p.num_times_job_run, 'last', p.last_time_job_run)
                                 ORDER BY p.chunk_id), '[]'::json)
        FROM _timescaledb_internal.bgw_policy_chunk_stats p JOIN slice c ON c.chunk_id = p.chunk_id
        WHERE p.job_id = j.id),
    'changes', d.changes,
    'lacks', CASE
        WHEN s.id IS NOT NULL THEN NULL
        WHEN NOT EXISTS (
            SELECT FROM pg_catalog.pg_proc p
            WHERE p.pronamespace = to_regnamespace(quote_ident(j.proc_schema)) AND p.proname = j.proc_name)
        THEN format('function or procedure %I.%I', j.proc_schema, j.proc_name)
        WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = j.owner) THEN format('owner, role %s', j.owner::oid)
        -- The target may have another hypertable with this number.
        WHEN j.is_policy THEN (
            SELECT format('hypertable %s', c.value)
            FROM (VALUES (j.hypertable_id::text), (j.config->>'hypertable_id'), (j.config->>'mat_hypertable_id')) c(value)
            WHERE NOT EXISTS (SELECT FROM hypertable n WHERE n.id::text = c.value) AND c.value IS NOT NULL LIMIT 1)
        END,
    'check_is_gone', j.check_name IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = to_regnamespace(quote_ident(j.check_schema)) AND p.proname = j.check_name)
)::text
FROM job j
LEFT JOIN hypertable h ON h.id = j.hypertable_id
LEFT JOIN standard s ON s.id = j.id
CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(f.key, f.value) AS changes
    FROM (
        SELECT f.key, to_jsonb(j)->f.key AS value
        FROM jsonb_each(s.fields) f WHERE NOT f.value @> (j.row->f.key)
        UNION ALL
        SELECT 'config', jsonb_object_agg(c.key, c.value)
        FROM jsonb_each(j.config) c WHERE s.config->c.key IS DISTINCT FROM c.value HAVING count(*) > 0
    ) f
    WHERE s.id IS NOT NULL
) d
WHERE j.id >= 1000 OR d.changes IS NOT NULL
ORDER BY j.id

-- Run on either side. Policies and user-defined actions, with names in place of numbers.
WITH hypertable AS (
    SELECT h.id, format('%I.%I', coalesce(a.user_view_schema, h.schema_name), coalesce(a.user_view_name, h.table_name)) AS name
    FROM _timescaledb_catalog.hypertable h
    LEFT JOIN _timescaledb_catalog.continuous_agg a ON a.mat_hypertable_id = h.id
)
SELECT format('job %s on %s %s', regexp_replace(j.application_name, ' \[\d+\]$', ''), h.name, j.initial_start) AS key,
       (to_jsonb(j) - '{id,application_name,hypertable_id}'::text[] || jsonb_build_object(
           'owner', pg_get_userbyid(j.owner),
           -- Until 2.11 TimescaleDB's own were in another schema.
           'proc_schema', replace(j.proc_schema, '_timescaledb_internal', '_timescaledb_functions'),
           'check_schema', replace(j.check_schema, '_timescaledb_internal', '_timescaledb_functions'),
           'config', CASE WHEN j.proc_schema LIKE '\_timescaledb\_%'
               THEN j.config || jsonb_strip_nulls(jsonb_build_object(
                   'hypertable_id', (SELECT x.name FROM hypertable x WHERE x.id = (j.config->>'hypertable_id')::int),
                   'mat_hypertable_id', (SELECT x.name FROM hypertable x WHERE x.id = (j.config->>'mat_hypertable_id')::int)))
               ELSE j.config END))::text AS value
FROM _timescaledb_config.bgw_job j
LEFT JOIN hypertable h ON h.id = j.hypertable_id
WHERE j.id >= 1000;

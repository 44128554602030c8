-- The user's hypertables and the materialization hypertables of continuous aggregates, not the internal ones that hold compressed rows.
-- Run on: source and target. TimescaleDB 2.11 and later, any edition.
-- Returns: one JSON object per hypertable, by id. `cagg` is the continuous aggregate that it belongs to, by the name of the user's view.
-- Without one, its columns are in relations.sql under the same oid, and timescale_migrate.create_hypertable() takes the object as it is.
-- With one, the hypertable is made with the aggregate, and its columns are in caggs.sql.
--
-- Columns that not every version has are read through JSON, which gives NULL where they are missing.
WITH hypertable AS (
    SELECT h.*, c.oid, c.relam, coalesce((to_jsonb(h)->>'compression_state')::int, 0) AS state
    FROM _timescaledb_catalog.hypertable h
    JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
)
SELECT json_build_object(
    'id', h.id,
    'oid', h.oid::int8,
    'cagg', (
        SELECT json_build_object('schema', a.user_view_schema, 'name', a.user_view_name)
        FROM _timescaledb_catalog.continuous_agg a WHERE a.mat_hypertable_id = h.id),
    'schema', h.schema_name,
    'name', h.table_name,
    'access_method', (SELECT m.amname FROM pg_catalog.pg_am m WHERE m.oid = h.relam),
    'associated_schema_name', h.associated_schema_name,
    'associated_table_prefix', h.associated_table_prefix,
    'root_may_have_rows', coalesce(pg_relation_size(h.oid) > 0, false),
    'tablespaces', (
        SELECT coalesce(json_agg(t.tablespace_name ORDER BY t.id), '[]'::json)
        FROM _timescaledb_catalog.tablespace t WHERE t.hypertable_id = h.id),
    'dimensions', (
        SELECT json_agg(json_build_object(
            'column', d.column_name,
            'type', format_type(d.column_type, NULL),
            'open', d.num_slices IS NULL,
            'aligned', d.aligned,
            'interval_length', d.interval_length,
            'num_slices', d.num_slices,
            'partitioning_func_schema', d.partitioning_func_schema,
            'partitioning_func', d.partitioning_func,
            'integer_now_func_schema', d.integer_now_func_schema,
            'integer_now_func', d.integer_now_func
        ) ORDER BY d.id)
        FROM _timescaledb_catalog.dimension d WHERE d.hypertable_id = h.id)
)::text
FROM hypertable h
WHERE h.state <> 2
ORDER BY h.id

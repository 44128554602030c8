-- Properties of this server and database, and the form of TimescaleDB's catalog.
-- Run on: source and target. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one row, one JSON object.
--
-- `catalog` lists the features of the catalog that other queries and functions depend on, found by the columns that exist, never by the
-- version: builds between releases have the next release's catalog with the old version number.
SELECT json_build_object(
    'version', current_setting('server_version'),
    'version_num', current_setting('server_version_num')::int,
    'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
    'database', d.datname,
    'database_oid', d.oid::int8,
    'encoding', pg_encoding_to_char(d.encoding),
    'collate', d.datcollate,
    'ctype', d.datctype,
    'in_recovery', pg_is_in_recovery(),
    'user', current_user,
    'superuser', r.rolsuper,
    'bypass_rls', r.rolsuper OR r.rolbypassrls,
    'block_size', current_setting('block_size')::int,
    'max_connections', current_setting('max_connections')::int,
    'max_worker_processes', current_setting('max_worker_processes')::int,
    'max_locks_per_transaction', current_setting('max_locks_per_transaction')::int,
    'max_prepared_transactions', current_setting('max_prepared_transactions')::int,
    'defaults', (
        SELECT json_object_agg(lower(name), reset_val)
        FROM pg_catalog.pg_settings WHERE name IN ('TimeZone', 'DateStyle', 'IntervalStyle')),
    'timescaledb', (
        SELECT json_build_object(
            'version', e.extversion,
            'schema', n.nspname,
            'license', current_setting('timescaledb.license', true),
            -- 'timescale' can only be set where the Community library is present.
            'tsl', coalesce(current_setting('timescaledb.license', true) = 'timescale', false),
            'restoring', coalesce(current_setting('timescaledb.restoring', true)::bool, false),
            -- 2.11 has the other schema already, with few of the functions.
            'functions_schema', CASE WHEN to_regproc('_timescaledb_functions.stop_background_workers') IS NULL
                                     THEN '_timescaledb_internal' ELSE '_timescaledb_functions' END,
            'catalog', (
                SELECT json_build_object(
                    'chunk_constraint', bool_or(a.rel = 'chunk_constraint' AND a.relkind = 'r'),
                    'chunk_index', bool_or(a.rel = 'chunk_index'),
                    'chunk_relid', bool_or(a.rel = 'chunk' AND a.col = 'relid'),
                    'chunk_dropped', bool_or(a.rel = 'chunk' AND a.col = 'dropped'),
                    'chunk_creation_time', bool_or(a.rel = 'chunk' AND a.col = 'creation_time'),
                    'slice_chunk_id', bool_or(a.rel = 'dimension_slice' AND a.col = 'chunk_id'),
                    'hypertable_status', bool_or(a.rel = 'hypertable' AND a.col = 'status'),
                    'compression_settings', bool_or(a.rel = 'compression_settings'),
                    'compress_relid', bool_or(a.rel = 'compression_settings' AND a.col = 'compress_relid'),
                    'chunk_column_stats', bool_or(a.rel = 'chunk_column_stats'),
                    'materialization_ranges', bool_or(a.rel = 'continuous_aggs_materialization_ranges'),
                    'bgw_job', bool_or(a.rel = 'bgw_job'))
                FROM (
                    SELECT c.relname AS rel, c.relkind, t.attname AS col
                    FROM pg_catalog.pg_class c
                    JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
                    JOIN pg_catalog.pg_attribute t ON t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped
                    WHERE cn.nspname = '_timescaledb_catalog' AND c.relkind IN ('r', 'v')
                ) a))
        FROM pg_catalog.pg_extension e
        JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'timescaledb')
)::text
FROM pg_catalog.pg_database d
JOIN pg_catalog.pg_roles r ON r.rolname = current_user
WHERE d.datname = current_database()

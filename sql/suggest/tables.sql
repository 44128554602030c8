-- What tables are like that may be worth a hypertable, and hypertables that may be worth compression.
-- Run on: source, by migrate_suggest. PostgreSQL 13 and later, with or without TimescaleDB. :tables stands for a JSON array of [OID of a
-- table, OID of the one whose statistics are read: itself, a partition, or a chunk].
-- Returns: one JSON object per table.
--
-- pg_stats shows a role the columns that it may read. `analyzed`: it shows any.
WITH asked AS (
    SELECT (e->>0)::oid AS oid, (e->>1)::oid AS sample FROM json_array_elements(:tables::json) e
)
SELECT json_build_object(
    'oid', c.oid::int8,
    'readable', has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(c.relnamespace, 'USAGE'),
    'analyzed', EXISTS (SELECT FROM pg_catalog.pg_stats s WHERE s.schemaname = sn.nspname AND s.tablename = sc.relname AND NOT s.inherited),
    'inserted', writes.inserted,
    'updated', writes.updated,
    'deleted', writes.deleted,
    'row_security', c.relrowsecurity,
    'referenced_by', (
        SELECT coalesce(json_agg(json_build_object(
                   'name', f.conname,
                   'table', json_build_object('schema', n.nspname, 'name', r.relname),
                   'columns', (
                       SELECT json_agg(a.attname ORDER BY u.number)
                       FROM unnest(f.confkey) WITH ORDINALITY u(attnum, number)
                       JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum)) ORDER BY f.oid), '[]')
        FROM pg_catalog.pg_constraint f
        JOIN pg_catalog.pg_class r ON r.oid = f.conrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
        WHERE f.confrelid = c.oid AND f.contype = 'f' AND f.conparentid = 0),
    -- An expression is a column without a name.
    'indexes', (
        SELECT coalesce(json_agg(json_build_object(
                   'columns', (
                       SELECT json_agg(a.attname ORDER BY u.number)
                       FROM unnest(x.indkey) WITH ORDINALITY u(attnum, number)
                       LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum
                       WHERE u.number <= x.indnkeyatts),
                   'unique', x.indisunique,
                   'partial', x.indpred IS NOT NULL,
                   'ordered', m.amname = 'btree') ORDER BY i.oid), '[]')
        FROM pg_catalog.pg_index x
        JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
        JOIN pg_catalog.pg_am m ON m.oid = i.relam
        WHERE x.indrelid = c.oid AND x.indisvalid),
    -- Those that are no expressions of others.
    'columns', (
        SELECT coalesce(json_agg(json_build_object(
                   'name', a.attname,
                   'type', CASE WHEN y.typtype = 'e' THEN 'enum' ELSE format_type(a.atttypid, NULL) END,
                   'not_null', a.attnotnull,
                   'numbered', a.attidentity <> '' OR EXISTS (
                       SELECT FROM pg_catalog.pg_depend d
                       WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
                         AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
                         AND EXISTS (SELECT FROM pg_catalog.pg_class q WHERE q.oid = d.objid AND q.relkind = 'S')),
                   'refers', EXISTS (
                       SELECT FROM pg_catalog.pg_constraint f
                       WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.conkey = ARRAY[a.attnum]),
                   'distinct', s.n_distinct,
                   'correlation', s.correlation,
                   'quantiles', seen.quantiles) ORDER BY a.attnum), '[]')
        FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
        LEFT JOIN pg_catalog.pg_stats s
            ON s.schemaname = sn.nspname AND s.tablename = sc.relname AND s.attname = a.attname AND NOT s.inherited
        -- Times as seconds since 1970. A column of few values has no histogram.
        CROSS JOIN LATERAL (
            SELECT to_json(percentile_disc(ARRAY[0.05, 0.5, 0.95]) WITHIN GROUP (ORDER BY v.number)) AS quantiles
            FROM (
                SELECT CASE a.atttypid
                           WHEN 'timestamptz'::regtype THEN extract(epoch FROM u.value::timestamptz)::float8
                           WHEN 'timestamp'::regtype THEN extract(epoch FROM u.value::timestamp)::float8
                           WHEN 'date'::regtype THEN extract(epoch FROM u.value::date)::float8
                           WHEN 'int8'::regtype THEN u.value::float8
                           WHEN 'int4'::regtype THEN u.value::float8
                       END AS number
                FROM unnest(coalesce(s.histogram_bounds::text::text[], s.most_common_vals::text::text[])) u(value)
            ) v
            WHERE v.number > '-Infinity' AND v.number < 'Infinity'
        ) seen
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
)::text
FROM asked
JOIN pg_catalog.pg_class c ON c.oid = asked.oid
JOIN pg_catalog.pg_class sc ON sc.oid = asked.sample
JOIN pg_catalog.pg_namespace sn ON sn.oid = sc.relnamespace
CROSS JOIN LATERAL (
    SELECT coalesce(sum(pg_stat_get_tuples_inserted(w.oid)), 0)::int8 AS inserted,
           coalesce(sum(pg_stat_get_tuples_updated(w.oid)), 0)::int8 AS updated,
           coalesce(sum(pg_stat_get_tuples_deleted(w.oid)), 0)::int8 AS deleted
    FROM (SELECT c.oid UNION SELECT t.relid::oid FROM pg_partition_tree(c.oid) t) w(oid)
) writes
ORDER BY c.oid

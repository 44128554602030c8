-- Run on either side. Continuous aggregates, with names in place of numbers.
WITH hypertable AS (
    SELECT h.id, format('%I.%I', h.schema_name, h.table_name)::regclass AS oid,
           format('%I.%I', coalesce(a.user_view_schema, h.schema_name), coalesce(a.user_view_name, h.table_name)) AS name
    FROM _timescaledb_catalog.hypertable h
    LEFT JOIN _timescaledb_catalog.continuous_agg a ON a.mat_hypertable_id = h.id
    WHERE to_regclass(format('%I.%I', h.schema_name, h.table_name)) IS NOT NULL
),
cagg AS (
    SELECT a.*, h.oid, h.name, format('%I.%I', a.user_view_schema, a.user_view_name)::regclass AS view,
           pg_get_viewdef(format('%I.%I', a.direct_view_schema, a.direct_view_name)::regclass) AS definition
    FROM _timescaledb_catalog.continuous_agg a JOIN hypertable h ON h.id = a.mat_hypertable_id
)
SELECT 'continuous aggregate ' || a.name AS key,
       concat_ws(E'\n',
           'on ' || (SELECT h.name FROM hypertable h WHERE h.id = a.raw_hypertable_id),
           'materialized only ' || a.materialized_only,
           'columns ' || (SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
                          FROM pg_attribute WHERE attrelid = a.view AND attnum > 0 AND NOT attisdropped),
           'interval ' || (SELECT d.interval_length FROM _timescaledb_catalog.dimension d WHERE d.hypertable_id = a.mat_hypertable_id),
           (SELECT string_agg(concat_ws(' ', c.relkind, pg_get_userbyid(c.relowner), (SELECT string_agg(acl::text, ' ' ORDER BY acl::text)
                                        FROM unnest(c.relacl) acl), c.reloptions, obj_description(c.oid)), E'\n' ORDER BY c.relkind)
            FROM pg_class c WHERE c.oid IN (a.oid, a.view)),
           (SELECT string_agg(col_description(attrelid, attnum), ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = a.view),
           (SELECT string_agg(concat_ws(' ', 'index', replace(n.relname, (SELECT relname FROM pg_class WHERE oid = a.oid), ''),
                                        regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', 'USING ')), E'\n'
                              ORDER BY regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', 'USING '))
            FROM pg_index i JOIN pg_class n ON n.oid = i.indexrelid WHERE i.indrelid = a.oid)) AS value
FROM cagg a
UNION ALL
SELECT 'definition of ' || a.name, a.definition
FROM cagg a
UNION ALL
SELECT 'bucket of ' || a.name, (to_jsonb(b) - 'mat_hypertable_id')::text
FROM cagg a JOIN (:buckets) b ON b.mat_hypertable_id = a.mat_hypertable_id
UNION ALL
SELECT 'watermark of ' || a.name, w.watermark::text
FROM cagg a JOIN _timescaledb_catalog.continuous_aggs_watermark w ON w.mat_hypertable_id = a.mat_hypertable_id
UNION ALL
SELECT 'threshold of ' || h.name, t.watermark::text
FROM _timescaledb_catalog.continuous_aggs_invalidation_threshold t JOIN hypertable h ON h.id = t.hypertable_id
UNION ALL
SELECT 'invalidations of ' || a.name,
       string_agg(format('[%s, %s]', g.lowest_modified_value, g.greatest_modified_value), ' '
                  ORDER BY g.lowest_modified_value, g.greatest_modified_value)
FROM cagg a JOIN _timescaledb_catalog.continuous_aggs_materialization_invalidation_log g ON g.materialization_id = a.mat_hypertable_id
GROUP BY a.name
UNION ALL
SELECT 'writes to ' || h.name,
       string_agg(format('[%s, %s]', g.lowest_modified_value, g.greatest_modified_value), ' '
                  ORDER BY g.lowest_modified_value, g.greatest_modified_value)
FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log g JOIN hypertable h ON h.id = g.hypertable_id
GROUP BY h.name;

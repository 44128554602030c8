-- Run on either side. Hypertables and their dimensions, with what the information views leave out.
-- A default prefix holds the hypertable's number, which is each server's own.
SELECT format('hypertable %I.%I', h.schema_name, h.table_name) AS key,
       concat_ws(E'\n',
           'chunks in ' || h.associated_schema_name,
           'prefix ' || CASE WHEN h.associated_table_prefix::text = '_hyper_' || h.id THEN 'default'
                             ELSE h.associated_table_prefix::text END,
           (SELECT string_agg(concat_ws(' ', 'dimension', d.column_name, d.column_type::regtype, 'aligned', d.aligned,
                       'slices', d.num_slices, 'interval', d.interval_length,
                       'by', regexp_replace(d.partitioning_func_schema, '^_timescaledb_(functions|internal)$', '_timescaledb'),
                             d.partitioning_func,
                       'now', d.integer_now_func_schema, d.integer_now_func), E'\n' ORDER BY d.id)
            FROM _timescaledb_catalog.dimension d WHERE d.hypertable_id = h.id)) AS value
FROM _timescaledb_catalog.hypertable h
WHERE h.schema_name NOT LIKE '\_timescaledb%'
UNION ALL
SELECT format('dimension %s of %I.%I', d.dimension_number, d.hypertable_schema, d.hypertable_name),
       (to_jsonb(d) - '{hypertable_schema,hypertable_name}'::text[])::text
FROM timescaledb_information.dimensions d
WHERE d.hypertable_schema NOT LIKE '\_timescaledb%';

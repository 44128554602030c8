-- Hypertables whose rows would belong to other chunks on the target, where TimescaleDB would look for them.
-- Run on: source, after hashed_types.sql. TimescaleDB 2.11 and later, any edition.
-- Returns: one JSON array per dimension: hypertable, column, type, the hypertable's OID.
SELECT json_build_array(
    format('hypertable %I.%I', h.schema_name, h.table_name), d.column_name, format_type(d.column_type, NULL),
    to_regclass(format('%I.%I', h.schema_name, h.table_name))::oid::int8)::text
FROM _timescaledb_catalog.dimension d
JOIN _timescaledb_catalog.hypertable h ON h.id = d.hypertable_id
JOIN own_hash o ON o.type = d.column_type
WHERE d.num_slices IS NOT NULL AND d.partitioning_func = 'get_partition_hash'
ORDER BY h.id, d.id

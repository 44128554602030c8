-- Partitioned tables whose rows would belong to other partitions on the target, so that partitions would refuse the source's rows.
-- Run on: source, after hashed_types.sql. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON array per column of a partition key: table, column, type, the table's OID.
SELECT json_build_array(format('partitioned table %I.%I', n.nspname, c.relname), a.attname, format_type(a.atttypid, NULL), c.oid::int8)::text
FROM pg_catalog.pg_partitioned_table p
JOIN pg_catalog.pg_class c ON c.oid = p.partrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = ANY (p.partattrs)
JOIN own_hash o ON o.type = a.atttypid
WHERE p.partstrat = 'h'
ORDER BY n.nspname, c.relname, a.attnum

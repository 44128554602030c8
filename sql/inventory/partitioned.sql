-- The partitioned tables that are no partitions themselves, with their leaves.
-- Run on: source, by migrate_suggest and for the option hypertables. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON object per table. `column`: the first one that it is partitioned by, if by range and not by an expression. `leaves`: JSON
-- arrays of a leaf's OID and that of the partition of the table itself which it belongs to. `partitions`: those that have partitions as well.
--
-- pg_partition_tree() would lock all of them.
WITH RECURSIVE root AS (
    SELECT c.oid, n.nspname, c.relname
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'p' AND NOT c.relispartition
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend d
          WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
),
part(root, first, oid, relkind) AS (
    SELECT r.oid, c.oid, c.oid, c.relkind
    FROM root r
    JOIN pg_catalog.pg_inherits i ON i.inhparent = r.oid
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    UNION ALL
    SELECT p.root, p.first, c.oid, c.relkind
    FROM part p
    JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
)
SELECT json_build_object(
    'oid', r.oid::int8,
    'schema', r.nspname,
    'name', r.relname,
    'column', (
        SELECT a.attname
        FROM pg_catalog.pg_partitioned_table t
        JOIN pg_catalog.pg_attribute a ON a.attrelid = t.partrelid AND a.attnum = t.partattrs[0] AND a.attnum > 0
        WHERE t.partrelid = r.oid AND t.partstrat = 'r'),
    'leaves', coalesce(json_agg(json_build_array(p.oid::int8, p.first::int8)) FILTER (WHERE p.relkind <> 'p'), '[]'),
    'partitions', coalesce(json_agg(p.oid::int8) FILTER (WHERE p.relkind = 'p'), '[]')
)::text
FROM root r
LEFT JOIN part p ON p.root = r.oid
GROUP BY r.oid, r.nspname, r.relname
ORDER BY r.oid

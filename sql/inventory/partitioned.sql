-- The partitioned tables that are no partitions themselves, with their leaves.
-- Run on: source, by migrate_suggest and for the option hypertables. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON object per table. `column`: the first one that it is partitioned by, if by range and not by an expression. `leaves`: JSON
-- arrays of a leaf's OID and that of the partition of the table itself which it belongs to. `partitions`: those that have partitions as well.
SELECT json_build_object(
    'oid', c.oid::int8,
    'schema', n.nspname,
    'name', c.relname,
    'column', (
        SELECT a.attname
        FROM pg_catalog.pg_partitioned_table p
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0] AND a.attnum > 0
        WHERE p.partrelid = c.oid AND p.partstrat = 'r'),
    'leaves', (
        SELECT coalesce(json_agg(json_build_array(leaf.relid::oid::int8, i.inhrelid::int8)), '[]')
        FROM pg_catalog.pg_inherits i
        -- Of a partition without partitions, the tree is itself.
        CROSS JOIN LATERAL pg_partition_tree(i.inhrelid) leaf
        WHERE i.inhparent = c.oid AND leaf.isleaf),
    'partitions', (
        SELECT coalesce(json_agg(part.relid::oid::int8), '[]')
        FROM pg_partition_tree(c.oid) part WHERE NOT part.isleaf AND part.relid <> c.oid)
)::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'p' AND NOT c.relispartition
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.oid

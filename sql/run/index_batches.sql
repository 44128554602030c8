-- The chunks on which an index of a hypertable is not made yet, in batches of up to 100 chunks and about 64 MB; a larger chunk is a batch of
-- its own.
-- Run on: target. $1 the OID of the index on the root, $2 how many locks a batch may take: each chunk, its index, and the relations that a constraint reads.
-- Returns: one JSON array per batch: the chunks' names for users, their OIDs, bytes.
SELECT json_build_array(
    CASE count(*) WHEN 1 THEN min(b.chunk::pg_catalog.regclass::text) ELSE count(*) || ' chunks' END,
    array_agg(b.chunk::bigint), sum(b.bytes))::text
FROM (
    SELECT c.*, div(sum(w.weight) OVER (ORDER BY c.bytes DESC, c.chunk) - w.weight, 67108864) AS batch
    FROM (
        SELECT i.inhrelid AS chunk, pg_relation_size(i.inhrelid) AS bytes
        FROM pg_catalog.pg_index x
        JOIN pg_catalog.pg_class r ON r.oid = x.indrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
        JOIN _timescaledb_catalog.hypertable h ON h.schema_name = n.nspname AND h.table_name = r.relname
        JOIN pg_catalog.pg_inherits i ON i.inhparent = r.oid
        WHERE x.indexrelid = $1
          -- Other tables may inherit from a hypertable as well.
          AND i.inhrelid IN (
              SELECT to_regclass(coalesce(to_jsonb(k)->>'relid', format('%I.%I', to_jsonb(k)->>'schema_name', to_jsonb(k)->>'table_name')))
              FROM _timescaledb_catalog.chunk k WHERE NOT coalesce((to_jsonb(k)->>'dropped')::boolean, false))
    ) c,
    LATERAL (SELECT c.bytes + 67108864 * greatest(0.01, 4.0 / $2)) w(weight)
) b
GROUP BY b.batch

-- The chunks of a hypertable that are to be compressed and are not, nor have a task for it.
-- Run on: target. $1 run, $2 hypertable, $3 how old the end of a chunk has to be, an interval.
-- Returns: one JSON array per chunk: its OID, its name for users, bytes.
SELECT json_build_array(k.chunk::oid::bigint, k.object, pg_catalog.pg_table_size(k.chunk))::text
FROM (
    SELECT format('%I.%I', c.chunk_schema, c.chunk_name)::regclass AS chunk,
           format('%I.%I of %I.%I', c.chunk_schema, c.chunk_name, c.hypertable_schema, c.hypertable_name) AS object
    FROM timescaledb_information.chunks c
    WHERE format('%I.%I', c.hypertable_schema, c.hypertable_name)::regclass = $2::regclass
      AND NOT c.is_compressed AND c.range_end <= now() - $3::interval
) k
WHERE NOT EXISTS (
    SELECT FROM timescale_migrate.task_log t WHERE t.run = $1 AND t.phase = 'compression' AND t.object = k.object)
ORDER BY k.chunk::oid

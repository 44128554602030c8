-- The chunks of a hypertable that are to be compressed and are not, nor have a task for it.
-- Run on: target. $1 run, $2 hypertable, $3 how old the end of a chunk has to be, an interval, $4 as $2 of uncompressed_copies.sql.
-- Returns: one JSON array per chunk: its OID, its name for users, bytes, the copy that made it, if one did.
SELECT json_build_array(k.chunk::oid::bigint, k.object, pg_catalog.pg_table_size(k.chunk), c.id)::text
FROM (
    SELECT format('%I.%I', c.chunk_schema, c.chunk_name)::regclass AS chunk,
           format('%I.%I of %I.%I', c.chunk_schema, c.chunk_name, c.hypertable_schema, c.hypertable_name) AS object
    FROM timescaledb_information.chunks c
    WHERE format('%I.%I', c.hypertable_schema, c.hypertable_name)::regclass = $2::regclass
      AND NOT c.is_compressed AND c.range_end <= now() - $3::interval
) k
LEFT JOIN timescale_migrate.task_log c ON c.run = $1 AND c.phase = 'copy' AND c.relation = k.chunk
-- What is compressed or frozen on the source becomes that here.
WHERE coalesce(c.recipe, 'rows') IN ('rows', 'queried')
  AND ($4 OR NOT EXISTS (
      SELECT FROM timescale_migrate.task_log f
      WHERE f.run = $1 AND f.state = 'failed' AND f.phase IN ('index', 'constraint', 'hypertable_key')))
  AND NOT EXISTS (
      SELECT FROM timescale_migrate.task_log t
      WHERE t.run = $1 AND t.phase = 'compression'
        AND CASE WHEN c.id IS NULL THEN t.copies IS NULL AND t.object = k.object ELSE c.id = ANY (t.copies) END)
ORDER BY k.chunk::oid

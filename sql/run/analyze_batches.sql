-- The chunks that a run has filled, in batches of up to 100 chunks and about 64 MB for ANALYZE; a larger chunk is a batch of its own. A chunk that
-- TimescaleDB has made for rows counts as brought by the last of the copy tasks of its hypertable: of those that a resume adds, none was analyzed.
-- Run on: target. $1 run, $2 how many locks a batch may take: each chunk, its compressed relation, and the indexes of both.
-- Returns: one JSON array per batch: its name for users, the ids of the copy tasks, the OIDs of the chunks, bytes.
WITH copied AS (
    SELECT t.id, t.object, t.relation, t.tables[1] AS hypertable, t.destination, t.estimated_bytes AS bytes
    FROM timescale_migrate.task_log t
    WHERE t.run = $1 AND t.phase = 'copy' AND t.relation IS NOT NULL
      -- On a resume, tasks of the phase may exist already, and a chunk may have been copied again.
      AND t.id NOT IN (
          SELECT unnest(a.copies) FROM timescale_migrate.task_log a WHERE a.run = $1 AND a.phase = 'analyze' AND a.copies IS NOT NULL)
),
chunk AS (
    SELECT c.id, c.object, c.relation, c.hypertable, c.bytes FROM copied c WHERE c.destination = 'chunk'
    UNION ALL
    SELECT r.id, format('%s of %s', k, to_regclass(r.hypertable)), k, r.hypertable, pg_catalog.pg_table_size(k)
    FROM (
        SELECT max(t.id) AS id, t.relation, t.tables[1] AS hypertable
        FROM timescale_migrate.task_log t
        WHERE t.run = $1 AND t.phase = 'copy' AND t.destination = 'routed' AND t.relation IS NOT NULL
        GROUP BY t.relation, t.tables[1]
    ) r
    CROSS JOIN LATERAL timescale_migrate.routed_chunks($1, r.relation) k
    WHERE r.id IN (SELECT c.id FROM copied c)
)
SELECT json_build_array(
    CASE count(*) WHEN 1 THEN min(b.object) ELSE format('%s chunks of %s', count(*), to_regclass(b.hypertable)) END,
    array_agg(DISTINCT b.id), array_agg(b.relation::bigint), sum(b.bytes))::text
FROM (
    SELECT k.*, div(sum(w.weight) OVER (PARTITION BY k.hypertable ORDER BY k.bytes DESC, k.id, k.relation) - w.weight, 67108864) AS batch
    FROM chunk k,
         LATERAL (SELECT 4.0 + count(*) FROM pg_catalog.pg_index x WHERE x.indrelid = k.relation) l(locks),
         LATERAL (SELECT k.bytes + 67108864 * greatest(0.01, l.locks / $2)) w(weight)
) b
GROUP BY b.hypertable, b.batch

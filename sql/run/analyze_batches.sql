-- The chunks that a run has copied, in batches of up to 100 chunks and about 64 MB for ANALYZE; a larger chunk is a batch of its own.
-- Run on: target. $1 run, $2 how many locks a batch may take: each chunk, its compressed relation, and the indexes of both.
-- Returns: one JSON array per batch: its name for users, the ids of the copy tasks, bytes.
SELECT json_build_array(
    CASE count(*) WHEN 1 THEN min(b.object) ELSE format('%s chunks of %s', count(*), to_regclass(b.hypertable)) END,
    array_agg(b.id), sum(b.estimated_bytes))::text
FROM (
    SELECT t.*, h.hypertable, div(sum(w.weight) OVER (PARTITION BY h.hypertable ORDER BY t.estimated_bytes DESC, t.id) - w.weight, 67108864) AS batch
    FROM timescale_migrate.task_log t,
         LATERAL (SELECT t.tables[1]) h(hypertable),
         LATERAL (SELECT 4.0 + count(*) FROM pg_catalog.pg_index x WHERE x.indrelid = t.relation) l(locks),
         LATERAL (SELECT t.estimated_bytes + 67108864 * greatest(0.01, l.locks / $2)) w(weight)
    WHERE t.run = $1 AND t.phase = 'copy' AND t.destination = 'chunk' AND t.relation IS NOT NULL
      -- On a resume, tasks of the phase may exist already, and a chunk may have been copied again.
      AND t.id NOT IN (
          SELECT unnest(a.copies) FROM timescale_migrate.task_log a WHERE a.run = $1 AND a.phase = 'analyze' AND a.copies IS NOT NULL)
) b
GROUP BY b.hypertable, b.batch

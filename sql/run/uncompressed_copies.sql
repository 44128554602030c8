-- The copies that have not become a compressed or frozen chunk yet.
-- Run on: target. $1 run, $2 whether a hypertable with compressed chunks can be given constraints: if not, no copy is returned while a
-- task has failed that a resume has to do first.
-- Returns: one JSON array per copy: its task's id, object, recipe and bytes.
SELECT json_build_array(t.id, t.object, t.recipe, t.estimated_bytes)::text
FROM timescale_migrate.task_log t
WHERE t.run = $1 AND t.phase = 'copy' AND t.relation IS NOT NULL AND t.recipe IN ('compressed', 'recompressed_late', 'frozen')
  AND ($2 OR NOT EXISTS (
      SELECT FROM timescale_migrate.task_log f
      WHERE f.run = t.run AND f.state = 'failed' AND f.phase IN ('index', 'constraint', 'hypertable_key')))
  -- On a resume these tasks may exist already.
  AND t.id NOT IN (
      SELECT unnest(a.copies) FROM timescale_migrate.task_log a WHERE a.run = $1 AND a.phase = 'compression' AND a.copies IS NOT NULL)
ORDER BY t.id

-- Enters a task for every chunk whose copy is still to become a compressed or frozen chunk.
-- Run on: target. $1 run, $2 whether a hypertable with compressed chunks can be given constraints: if not, there are no tasks while one has failed
-- that a resume has to make first.
INSERT INTO timescale_migrate.task_log (run, phase, object, method, work, estimated_rows, estimated_bytes)
SELECT t.run, 'compression', t.object, CASE WHEN t.work -> 'form' ? 'compressed' THEN 'attach' WHEN t.work -> 'form' ? 'frozen' THEN 'freeze' ELSE 'compress' END,
       jsonb_build_object('kind', 'attach', 'copy', t.id), t.estimated_rows, t.estimated_bytes
FROM timescale_migrate.task_log t
WHERE t.run = $1 AND t.phase = 'copy' AND t.relation IS NOT NULL
  AND (t.work -> 'form' ?| '{compressed,frozen}' OR t.work #> '{form,recompressed,late}' = 'true'::jsonb)
  AND ($2 OR NOT EXISTS (
      SELECT FROM timescale_migrate.task_log f
      WHERE f.run = t.run AND f.state = 'failed' AND f.phase IN ('index', 'constraint', 'hypertable_key')))
  -- A resume may have them already.
  AND NOT EXISTS (
      SELECT FROM timescale_migrate.task_log a
      WHERE a.run = t.run AND a.phase = 'compression' AND (a.work ->> 'copy')::integer = t.id)

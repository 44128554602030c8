-- Enters ANALYZE of the chunks that a run has copied, in batches of up to 100 chunks and about 64 MB; a larger one is alone.
-- Run on: target. $1 run, $2 how many locks a batch may take: a chunk, what it is compressed to, and the indexes of both.
INSERT INTO timescale_migrate.task_log (run, phase, object, method, work, estimated_rows, estimated_bytes)
SELECT $1, 'analyze',
       CASE count(*) WHEN 1 THEN min(b.object) ELSE format('%s chunks of %I.%I', count(*), b.hypertable->>'schema', b.hypertable->>'name') END,
       'SQL',
       jsonb_build_object('kind', 'sql', 'chunks', count(*), 'copies', jsonb_agg(b.id), 'statements', jsonb_build_array(
           format('SELECT timescale_migrate.analyze_chunks(%L)', array_agg(b.id)))),
       sum(b.estimated_rows), sum(b.estimated_bytes)
FROM (
    SELECT t.*, h.hypertable, div(sum(w.weight) OVER (PARTITION BY h.hypertable ORDER BY t.estimated_bytes DESC, t.id) - w.weight, 67108864) AS batch
    FROM timescale_migrate.task_log t,
         LATERAL (SELECT t.work #> '{into,chunk,hypertable}') h(hypertable),
         LATERAL (SELECT 4.0 + count(*) FROM pg_catalog.pg_index x WHERE x.indrelid = t.relation) l(locks),
         LATERAL (SELECT t.estimated_bytes + 67108864 * greatest(0.01, l.locks / $2)) w(weight)
    WHERE t.run = $1 AND t.phase = 'copy' AND t.work->'into' ? 'chunk' AND t.relation IS NOT NULL
      -- A resume may have them already, and may have copied a chunk again.
      AND t.id NOT IN (
          SELECT c::integer FROM timescale_migrate.task_log a, jsonb_array_elements_text(a.work->'copies') c
          WHERE a.run = $1 AND a.phase = 'analyze')
) b
GROUP BY b.hypertable, b.batch

-- Enters a comparison for every relation that a run has copied.
-- Run on: target. $1 run, $2 whether checksums are wanted (else counts, against the rows that the source sent), $3 the first snapshot of
-- this start: what was copied under an earlier one is the same under this.
INSERT INTO timescale_migrate.task_log (run, phase, object, method, work, estimated_rows, estimated_bytes)
SELECT t.run, 'verify', min(t.object), CASE WHEN $2 THEN 'checksum' ELSE 'count' END,
       jsonb_build_object(
           'kind', 'verify',
           'source', t.work -> 'source',
           'targets', CASE WHEN t.work -> 'into' ? 'routed'
               THEN (SELECT coalesce(jsonb_agg(jsonb_build_object('schema', k.relnamespace::pg_catalog.regnamespace::name, 'name', k.relname)), '[]'::jsonb)
                     FROM timescale_migrate.routed_chunks($1, c.oid::pg_catalog.regclass) r JOIN pg_catalog.pg_class k ON k.oid = r)
               ELSE jsonb_build_array(jsonb_build_object('schema', n.nspname, 'name', c.relname)) END,
           'columns', (SELECT coalesce(jsonb_agg(a.attname ORDER BY a.attnum), '[]'::jsonb)
                       FROM pg_catalog.pg_attribute a
                       WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
           'condition', t.work -> 'condition',
           'query', t.work -> 'query',
           'root', t.work -> 'root',
           'chunk', t.work -> 'into' ?| '{chunk,routed}',
           'batches', CASE WHEN t.work -> 'query' = 'null' THEN t.work -> 'kept' -> 'compressed' END,
           'checksum', $2,
           'source_rows', sum(t.rows),
           'snapshot', max(greatest((t.work ->> 'snapshot')::integer, $3)),
           'guards', coalesce(t.work -> 'guards', '[]')),
       sum(t.estimated_rows), sum(t.estimated_bytes)
FROM timescale_migrate.task_log t
JOIN pg_catalog.pg_class c ON c.oid = t.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE t.run = $1 AND t.phase IN ('copy', 'tiered')
GROUP BY t.run, t.work -> 'source', t.work -> 'condition', t.work -> 'query', t.work -> 'root', t.work -> 'guards', t.work -> 'kept', t.work -> 'into' ?| '{chunk,routed}',
         t.work -> 'into' ? 'routed', c.oid, n.nspname, c.relname

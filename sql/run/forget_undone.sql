-- Forgets the tasks that make indexes and constraints which the source has dropped, or has changed while nothing is made of them yet: what
-- it has of them now is planned anew.
-- Run on: target. $1 run, $2 the objects of now, $3 MD5 of their definitions.
DELETE FROM timescale_migrate.task_log t
USING timescale_migrate.settled s
WHERE t.run = $1 AND s.run = $1 AND s.object = t.object AND t.state <> 'done'
  AND t.phase IN ('index', 'constraint', 'hypertable_key', 'foreign_key')
  AND NOT EXISTS (
      SELECT FROM unnest($2::text[], $3::text[]) n(object, digest) WHERE n.object = s.object AND (s.made OR n.digest = s.digest))

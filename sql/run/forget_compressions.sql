-- Forgets the tasks that compress what these copy tasks brought, also the chunks that TimescaleDB made for it.
-- Run on: target. $1 run, $2 ids of the copy tasks.
DELETE FROM timescale_migrate.task_log a
WHERE a.run = $1 AND a.phase = 'compression'
  AND (a.copies && $2
       OR (a.copies IS NULL AND EXISTS (
           SELECT FROM timescale_migrate.task_log c WHERE c.id = ANY ($2) AND c.destination = 'routed' AND c.tables = a.tables)))

-- Enters what is not made yet as it is on the source now, and forgets what was dropped there.
-- Run on: target. $1 run, $2 objects, $3 MD5 of their definitions, $4 how objects begin of which nothing is made by itself.
WITH now AS (
    SELECT object, digest FROM unnest($2::text[], $3::text[]) n(object, digest)
),
open AS (
    SELECT object FROM timescale_migrate.settled WHERE run = $1 AND NOT made AND NOT starts_with(object, $4)
),
gone AS (
    DELETE FROM timescale_migrate.schema_log s USING open
    WHERE s.run = $1 AND s.object = open.object AND NOT EXISTS (SELECT FROM now WHERE now.object = s.object)
)
UPDATE timescale_migrate.schema_log s SET digest = now.digest
FROM open JOIN now USING (object)
WHERE s.run = $1 AND s.object = open.object AND s.digest <> now.digest

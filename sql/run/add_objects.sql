-- Records objects of the schema; those that are made already are not changed.
-- Run on: target. $1 run, $2 objects, $3 MD5 of their definitions, $4 whether they are made.
INSERT INTO timescale_migrate.schema_log (run, object, digest, made)
SELECT $1, object, digest, $4 FROM unnest($2, $3) AS entered(object, digest)
ON CONFLICT (run, object) DO UPDATE SET made = true WHERE excluded.made

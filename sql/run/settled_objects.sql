-- What the schema on the target consists of, or will.
-- Run on: target. $1 run.
-- Returns: one JSON array per object: its name, the MD5 of its definition, whether it is made.
SELECT json_build_array(object, digest, made)::text FROM timescale_migrate.settled WHERE run = $1

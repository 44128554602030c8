-- Some chunks of the hypertables and continuous aggregates that a run made.
-- Run on: target. $1 run, $2 how many.
SELECT to_json(c::text)::text
FROM timescale_migrate.made_hypertables($1) h, LATERAL timescale_migrate.chunks_of(h.relation) c
LIMIT $2

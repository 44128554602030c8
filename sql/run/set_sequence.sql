-- Sets a sequence to the source's value.
-- Run on: target. $1 the sequence, $2 its last value, $3 whether that was given out, $4 whether a sequence that is ahead of it stays.
SELECT pg_catalog.setval($1::pg_catalog.regclass, $2, $3)
FROM pg_catalog.pg_sequence s
WHERE s.seqrelid = $1::pg_catalog.regclass
  AND NOT ($4 AND coalesce(pg_catalog.pg_sequence_last_value(s.seqrelid) * sign(s.seqincrement) > $2 * sign(s.seqincrement), false))

-- Enters the result of a comparison.
-- Run on: target. $1 run, $2 object, $3 part of it, then of source and target $4 $5 rows, $6 $7 checksums; $8 whether they are the same.
INSERT INTO timescale_migrate.verification_log
    (run, object, part, source_rows, target_rows, source_checksum, target_checksum, same)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- Records the results of comparisons.
-- Run on: target. $1 run, $2 a JSON array of results, with the fields that are columns here.
INSERT INTO timescale_migrate.verification_log
    (run, object, part, source_rows, target_rows, source_checksum, target_checksum, same)
SELECT $1, c.object, c.part, c.source_rows, c.target_rows, c.source_checksum, c.target_checksum, c.same
FROM jsonb_to_recordset($2) c(object text, part text, source_rows bigint, target_rows bigint,
                              source_checksum text, target_checksum text, same boolean)

-- pending -> done
-- Run on: target, in the transaction that did the work. $1 task, $2 rows, $3 bytes, $4 relation, $5 table of compressed rows, $6 the source's checksum.
UPDATE timescale_migrate.task_log SET state = 'done', ended_at = clock_timestamp(), rows = $2, bytes = $3,
       relation = $4, target = $4::pg_catalog.regclass::text, compressed = $5, source_checksum = $6
WHERE id = $1 AND state = 'pending'

-- pending -> done
-- Run on: target, in the transaction that did the work. $1 a JSON array of tasks: id, rows, bytes, relation, table of compressed
-- rows, the source's checksum.
UPDATE timescale_migrate.task_log t
SET state = 'done', ended_at = clock_timestamp(), rows = d.rows, bytes = d.bytes,
    relation = d.relation, target = d.relation::pg_catalog.regclass::text, compressed = d.compressed,
    source_checksum = d.source_checksum
FROM jsonb_to_recordset($1) d(id integer, rows bigint, bytes bigint, relation oid, compressed oid, source_checksum text)
WHERE t.id = d.id AND t.state = 'pending'

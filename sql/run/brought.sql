-- The result of the copy tasks of one relation.
-- Run on: target. $1 the ids of the tasks.
-- Returns: one JSON array, or no row if nothing was copied: the work of one of them, relation, rows, table of compressed rows, and the
-- source's checksum. For a table that is copied in parts, it is the sum of their checksums.
SELECT json_build_array(
    (array_agg(work))[1], min(relation)::bigint, coalesce(sum(rows), 0), min(compressed)::bigint,
    CASE WHEN bool_and(source_checksum IS NOT NULL) THEN
        sum(split_part(source_checksum, '/', 1)::numeric) || '/' || sum(split_part(source_checksum, '/', 2)::numeric) END)::text
FROM timescale_migrate.task_log
WHERE id = ANY ($1) AND state = 'done'
HAVING min(relation) IS NOT NULL

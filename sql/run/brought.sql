-- The results of the copy tasks of relations.
-- Run on: target. $1 the ids of the tasks, $2 for each the number of its relation.
-- Returns: one JSON array for each relation of which something was copied: its number, the work of one of its tasks, relation, rows, table of
-- compressed rows, the source's checksum, and the OIDs of what was read there. For a table that is copied in parts, the checksum is the sum of
-- theirs.
SELECT json_build_array(
    u.number, (array_agg(t.work))[1], min(t.relation)::bigint, coalesce(sum(t.rows), 0), min(t.compressed)::bigint,
    CASE WHEN bool_and(t.source_checksum IS NOT NULL) THEN
        sum(split_part(t.source_checksum, '/', 1)::numeric) || '/' || sum(split_part(t.source_checksum, '/', 2)::numeric) END,
    array_agg(DISTINCT t.source::bigint))::text
FROM unnest($1, $2) u(id, number)
JOIN timescale_migrate.task_log t ON t.id = u.id AND t.state = 'done'
GROUP BY u.number
HAVING min(t.relation) IS NOT NULL

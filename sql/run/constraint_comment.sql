-- The comment on a constraint of a table.
-- Run on: target. $1 the table, $2 the constraint's name.
-- Returns: one JSON string, or null without a comment; nothing if there is no such constraint.
SELECT coalesce(to_json(pg_catalog.obj_description(k.oid, 'pg_constraint')), 'null')::text
FROM pg_catalog.pg_constraint k
WHERE k.conrelid = $1 AND k.conname = $2

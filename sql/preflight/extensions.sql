-- The extensions of this database.
-- Run on: source and target. PostgreSQL 13 and later.
-- Returns: one JSON object per extension.
SELECT json_build_object(
    'oid', e.oid::int8,
    'name', e.extname,
    'version', e.extversion,
    'schema', n.nspname,
    'owner', pg_get_userbyid(e.extowner)
)::text
FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
ORDER BY e.oid

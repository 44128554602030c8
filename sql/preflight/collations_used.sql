-- The collations that users' objects use, including the database's own.
-- Run on: source. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON object per collation. `builtin`: it is in pg_catalog and so in no dump. `recorded` is the version that its indexes were
-- built with, `actual` the one that the server's libraries have now; null if it is not known.
SELECT json_build_object(
    'name', format('%I.%I', n.nspname, l.collname),
    'builtin', n.nspname = 'pg_catalog',
    'user', u.object,
    -- The database's came with PostgreSQL 15.
    'recorded', CASE WHEN l.collprovider = 'd' THEN to_jsonb(d)->>'datcollversion' ELSE l.collversion END,
    'actual', pg_collation_actual_version(l.oid)
)::text
FROM pg_catalog.pg_collation l
JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
JOIN pg_catalog.pg_database d ON d.datname = current_database()
LEFT JOIN LATERAL (
    SELECT coalesce(pg_describe_object(x.classid, x.objid, x.objsubid), 'a dropped object') AS object
    FROM pg_catalog.pg_depend x
    WHERE x.refclassid = 'pg_catalog.pg_collation'::regclass AND x.refobjid = l.oid AND x.objid >= 16384
    ORDER BY x.objid LIMIT 1
) u ON true
WHERE l.collprovider = 'd' OR u.object IS NOT NULL
ORDER BY 1

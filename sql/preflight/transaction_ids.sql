-- How far this server is from a wraparound of its ids: the oldest id that is not frozen, of all databases.
-- Run on: source and target. PostgreSQL 13 and later.
-- Returns: one JSON array per kind of id: the kind, the database that has the oldest, its age, and from which age autovacuum freezes by force.
SELECT json_build_array(i.kind, (array_agg(d.datname ORDER BY i.age DESC, d.datname <> current_database()))[1], max(i.age), i.forced::int8)::text
FROM pg_catalog.pg_database d
CROSS JOIN LATERAL (VALUES
    ('transaction id', age(d.datfrozenxid), current_setting('autovacuum_freeze_max_age')),
    ('multixact id', mxid_age(d.datminmxid), current_setting('autovacuum_multixact_freeze_max_age'))) i(kind, age, forced)
GROUP BY i.kind, i.forced

-- Evidence of the last change of each table: its storage, and how many rows were ever inserted, updated and deleted as far as the
-- statistics know. Sessions report to those when a transaction ends, or up to a minute later.
-- Run on: source. PostgreSQL 13 and later.
-- Returns: one JSON array a table: schema, name, evidence.
SELECT json_build_array(n.nspname, c.relname, concat_ws(':', pg_relation_filenode(c.oid), pg_stat_get_tuples_inserted(c.oid),
                                                        pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid)))::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.oid >= 16384

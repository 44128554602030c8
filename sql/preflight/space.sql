-- How much disk space the relations of this database take, by tablespace. A null name is the database's own.
-- Run on: source and target. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON array per tablespace: name, bytes.
--
-- Indexes and TOAST are included, and compressed chunks count with their compressed size. System tables are left out, except for large
-- objects.
SELECT json_build_array(t.spcname, sum(x.bytes)::int8)::text
FROM (
    SELECT c.reltablespace AS tablespace, pg_relation_size(c.oid) AS bytes
    FROM pg_catalog.pg_class c
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'i', 't', 'm', 'S') AND c.relpersistence <> 't'
    UNION ALL
    SELECT 0, pg_total_relation_size('pg_catalog.pg_largeobject')
) x
LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = x.tablespace
GROUP BY t.spcname

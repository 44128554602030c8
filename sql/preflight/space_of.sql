-- How much disk space some relations take, with their indexes and TOAST, by the tablespace of the table. A null name is the database's own.
-- Run on: source. PostgreSQL 13 and later, with or without TimescaleDB. :oids stands for an array of their OIDs.
-- Returns: one JSON array per tablespace: name, bytes.
SELECT json_build_array(t.spcname, coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8)::text
FROM pg_catalog.pg_class c
LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace
WHERE c.oid = ANY (:oids::oid[])
GROUP BY t.spcname

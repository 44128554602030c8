-- The names of sequences at this moment.
-- Run on: source. PostgreSQL 13 and later. :oids stands for their OIDs, as an array's text.
-- Returns: one JSON array for each that exists: schema and name.
SELECT json_build_array(n.nspname, c.relname)::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY (:oids) AND c.relkind = 'S'

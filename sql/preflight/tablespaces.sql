-- Where this server's tablespaces are. A null name is this database's own.
-- Run on: target.
-- Returns: one JSON array per tablespace: name, directory.
SELECT pg_catalog.json_build_array(n.name, CASE
    -- Those of initdb are in the data directory.
    WHEN t.oid < 16384 THEN pg_catalog.current_setting('data_directory') ELSE pg_catalog.pg_tablespace_location(t.oid) END)::text
FROM pg_catalog.pg_tablespace t
CROSS JOIN LATERAL (
    SELECT t.spcname AS name
    UNION ALL
    SELECT NULL FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database() AND d.dattablespace = t.oid
) n

-- On the target: what a user types. The address of the source stands in :host and :port.
\set ON_ERROR_STOP on
CREATE EXTENSION timescaledb;
CREATE EXTENSION timescale_migrate;
CREATE SERVER old FOREIGN DATA WRAPPER timescale_migrate OPTIONS (host :'host', port :'port', dbname 'plain');
CREATE USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (user 'postgres', password 'demo');

-- Which tables would benefit from becoming hypertables?
SELECT * FROM migrate_suggest('old');

-- All that are suggested.
SELECT jsonb_build_object('hypertables', jsonb_object_agg(object, options)) AS options
FROM migrate_suggest('old') WHERE options IS NOT NULL \gset
\echo :options

-- Do it.
SELECT * FROM migrate_from('old', :'options', jobs => 2) \gset
\echo run :run is :state: :rows rows in :tables table and :hypertables hypertable, :chunks chunks, :warnings warnings

-- Has everything arrived? A difference would be an error.
SELECT * FROM migrate_verify(:run);

-- It is a hypertable now, with the same rows.
SELECT hypertable_name, num_chunks, compression_enabled FROM timescaledb_information.hypertables;
SELECT count(*) AS flights, count(DISTINCT time_hour) AS hours, round(sum(distance)) AS miles FROM flights;

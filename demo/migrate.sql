-- On the target: what a user types. The address of the source stands in :host and :port.
\set ON_ERROR_STOP on
CREATE EXTENSION timescaledb;
CREATE EXTENSION timescale_migrate;
CREATE SERVER old FOREIGN DATA WRAPPER timescale_migrate OPTIONS (host :'host', port :'port', dbname 'flights');
CREATE USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (user 'postgres', password 'demo');

-- Can it work? Nothing is changed, on either side.
SELECT * FROM migrate_preflight('old');

-- What would be done, in order?
SELECT * FROM migrate_plan('old');

-- Do it.
SELECT * FROM migrate_from('old', jobs => 2);

-- Has everything arrived? A difference would be an error.
SELECT * FROM migrate_verify('old');

-- The database works.
SELECT airline, flights FROM report.airline WHERE punctuality = 'late' ORDER BY flights DESC LIMIT 3;
SELECT hypertable_name, num_dimensions, num_chunks FROM timescaledb_information.hypertables ORDER BY 1;

-- On the target, with the Community edition on both sides. The address of the source stands in :host and :port.
\set ON_ERROR_STOP on
CREATE EXTENSION timescaledb;
CREATE EXTENSION timescale_migrate;
CREATE SERVER old FOREIGN DATA WRAPPER timescale_migrate OPTIONS (host :'host', port :'port', dbname 'weather');
CREATE USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (user 'postgres', password 'demo');

-- Compressed chunks travel compressed.
SELECT phase, object, method, note FROM migrate_plan('old') WHERE phase IN ('copy', 'jobs');

SELECT * FROM migrate_from('old', jobs => 2);
SELECT * FROM migrate_verify('old');

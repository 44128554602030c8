-- What is refused before any source is asked, and in which words.
SET client_min_messages = warning;
CREATE EXTENSION timescale_migrate;

-- Servers: libpq's own parameters, without those that are a user's. The hint lists what the libpq of the machine knows.
\set VERBOSITY terse
CREATE SERVER s FOREIGN DATA WRAPPER timescale_migrate OPTIONS (hots 'db1');
CREATE SERVER s FOREIGN DATA WRAPPER timescale_migrate OPTIONS (user 'app');
CREATE SERVER s FOREIGN DATA WRAPPER timescale_migrate OPTIONS (password 'secret');
CREATE SERVER s FOREIGN DATA WRAPPER timescale_migrate
    OPTIONS (host '127.0.0.1', port '1', dbname 'app', sslmode 'prefer', connect_timeout '3');
CREATE SERVER s2 FOREIGN DATA WRAPPER timescale_migrate OPTIONS (client_encoding 'LATIN1');
CREATE SERVER s2 FOREIGN DATA WRAPPER timescale_migrate OPTIONS (replication 'database');
CREATE SERVER s2 FOREIGN DATA WRAPPER timescale_migrate OPTIONS (options '-c role=other');
CREATE SERVER s2 FOREIGN DATA WRAPPER timescale_migrate OPTIONS (port 'abc');
CREATE SERVER s2 FOREIGN DATA WRAPPER timescale_migrate OPTIONS (sslmode 'verify_full');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (host 'db2');
\set VERBOSITY default
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user 'app', password 'secret');
CREATE FOREIGN TABLE scanned (n int) SERVER s;
SELECT * FROM scanned;
DROP FOREIGN TABLE IF EXISTS scanned;

-- Sources
SELECT * FROM migrate_from('nowhere');
SELECT * FROM migrate_preflight('nowhere');
SELECT * FROM migrate_plan('nowhere');
SELECT * FROM migrate_verify('nowhere');
SELECT * FROM migrate_from('');
SELECT * FROM migrate_preflight('  ');
SELECT * FROM migrate_plan('');
SELECT * FROM migrate_verify('');
SELECT * FROM migrate_from(NULL);
SELECT * FROM migrate_preflight(NULL);
SELECT * FROM migrate_plan(NULL);
SELECT * FROM migrate_suggest(NULL);
SELECT * FROM migrate_verify(NULL::text);
SELECT * FROM migrate_from('=');
SELECT * FROM migrate_from('host 127.0.0.1 port=1');
SELECT * FROM migrate_from('postgresql://[::1');
SELECT * FROM migrate_from('postgresql://app:se@cret@db1/app');
SELECT * FROM migrate_from('postgresql://app:se/cret@db1/app');
SELECT * FROM migrate_from('host=127.0.0.1 replication=database');
SELECT * FROM migrate_from('host=127.0.0.1 client_encoding=LATIN1');
SELECT * FROM migrate_from('postgresql://127.0.0.1/app?options=-crole%3Dother');
SELECT * FROM migrate_from('host=127.0.0.1 nonsense=1');
SELECT * FROM migrate_from('host=''127.0.0.1 password=secret');
CREATE FOREIGN DATA WRAPPER other;
CREATE SERVER of_other FOREIGN DATA WRAPPER other;
SELECT * FROM migrate_from('of_other');

-- Options
SELECT * FROM migrate_from('s', '{"jbos": 2}');
SELECT * FROM migrate_from('s', '{"jobs": 0}');
SELECT * FROM migrate_from('s', '{"jobs": "two"}');
SELECT * FROM migrate_from('s', '{"jobs": 100000}');
SELECT * FROM migrate_from('s', jobs => 0);
SELECT * FROM migrate_from('s', jobs => -1);
SELECT * FROM migrate_from('s', '{"jobs": 2.5}');
SELECT * FROM migrate_from('s', '{"jobs": null}');
SELECT * FROM migrate_from('s', '{"wait": 1}');
SELECT * FROM migrate_from('s', '{"roles": 1}');
SELECT * FROM migrate_from('s', '{"connect_timeout": 0}');
SELECT * FROM migrate_from('s', '{"split_bytes": -1}');
SELECT * FROM migrate_from('s', '{"roles": "all"}');
SELECT * FROM migrate_from('s', '{"owners": "lose"}');
SELECT * FROM migrate_from('s', '{"verify": "well"}');
SELECT * FROM migrate_from('s', '{"lock_timeout": -1}');
SELECT * FROM migrate_from('s', '[]');
SELECT * FROM migrate_plan('s', '{"jbos": 2}');
SELECT * FROM migrate_preflight('s', '{"jbos": 2}');
SELECT * FROM migrate_verify('s', level => 'well');
SELECT * FROM migrate_verify('s', level => '');
SELECT * FROM migrate_verify('s', level => NULL);
SELECT * FROM migrate_verify('s', jobs => 0);

-- Where it is called
BEGIN;
SELECT * FROM migrate_from('s');
ROLLBACK;
SET default_transaction_read_only = on;
SELECT * FROM migrate_from('s');
RESET default_transaction_read_only;
SET default_transaction_isolation = 'repeatable read';
SELECT * FROM migrate_from('s');
RESET default_transaction_isolation;
CALL migrate_job(1, '{"jobs": 2}');
CALL migrate_job(1, NULL);
CALL migrate_job(1, '{"source": null}');
CALL migrate_job(1, '{"source": "s", "jbos": 2}');

-- Runs
SELECT * FROM migrate_status(4711);
SELECT migrate_cancel(4711);
SELECT migrate_cancel(4711, 'gently');
SELECT migrate_cancel(4711, NULL);
SELECT migrate_cancel(NULL);
SELECT * FROM migrate_resume(4711);
SELECT * FROM migrate_resume(NULL);
SELECT migrate_cleanup(NULL);
SELECT * FROM migrate_verify(4711);
SELECT * FROM migrate_verify(NULL::bigint);

-- Nothing of all that was recorded.
SELECT count(*) FROM timescale_migrate.run;

DROP EXTENSION timescale_migrate CASCADE;
DROP FOREIGN DATA WRAPPER other CASCADE;

-- PUBLIC may do nothing, nor may those whom default privileges name.
SET client_min_messages = warning;
CREATE ROLE regress_migrate_nobody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO regress_migrate_nobody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_migrate_nobody WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO regress_migrate_nobody, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON ROUTINES TO regress_migrate_nobody;
CREATE EXTENSION timescale_migrate;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM regress_migrate_nobody;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM regress_migrate_nobody;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM regress_migrate_nobody, PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON ROUTINES FROM regress_migrate_nobody;

SELECT p.oid::regprocedure AS executable
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid
WHERE e.extname = 'timescale_migrate' AND has_function_privilege('regress_migrate_nobody', p.oid, 'EXECUTE')
ORDER BY 1;

SELECT c.oid::regclass AS accessible
FROM pg_class c
WHERE c.relnamespace = 'timescale_migrate'::regnamespace AND c.relkind IN ('r', 'v', 'S', 'm')
  AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege('regress_migrate_nobody', c.oid, 'USAGE, SELECT, UPDATE')
      ELSE has_table_privilege('regress_migrate_nobody', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER') END
ORDER BY 1;

SELECT has_schema_privilege('regress_migrate_nobody', 'timescale_migrate', 'USAGE, CREATE') AS schema,
       has_foreign_data_wrapper_privilege('regress_migrate_nobody', 'timescale_migrate', 'USAGE') AS wrapper;

-- Every function of ours has a search path of its own.
SELECT p.oid::regprocedure AS without_search_path
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid
WHERE e.extname = 'timescale_migrate' AND p.proname LIKE 'migrate%'
  AND NOT coalesce(array_to_string(p.proconfig, ' '), '') LIKE '%search_path=%'
ORDER BY 1;

SET ROLE regress_migrate_nobody;
SELECT * FROM migrate_from('old');
SELECT * FROM migrate_status();
SELECT * FROM timescale_migrate.run;
CREATE SERVER old FOREIGN DATA WRAPPER timescale_migrate;
RESET ROLE;

-- A grant alone does not make a role one that may migrate.
GRANT EXECUTE ON FUNCTION migrate_from(text, jsonb, integer, boolean) TO regress_migrate_nobody;
GRANT USAGE ON SCHEMA timescale_migrate TO regress_migrate_nobody;
GRANT EXECUTE ON ROUTINE timescale_migrate.clone_index(oid, oid, text), timescale_migrate.bigint_as(bigint, oid),
    timescale_migrate.try_lock_task(integer), timescale_migrate.lock_statistics(), timescale_migrate.lock_name(text),
    timescale_migrate.execute_as_written(text, oid), timescale_migrate.validate_check(oid, text) TO regress_migrate_nobody;
SET ROLE regress_migrate_nobody;
SELECT * FROM migrate_from('host=127.0.0.1');
SELECT timescale_migrate.clone_index(0, 0, 'x');
SELECT timescale_migrate.bigint_as(1, 'int8'::regtype);
SELECT timescale_migrate.try_lock_task(1);
SELECT timescale_migrate.lock_statistics();
SELECT timescale_migrate.lock_name('x');
SELECT timescale_migrate.execute_as_written('SELECT 1', NULL);
CALL timescale_migrate.validate_check(0, 'x');
RESET ROLE;

DROP EXTENSION timescale_migrate;
DROP ROLE regress_migrate_nobody;

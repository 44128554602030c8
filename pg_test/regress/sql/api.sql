-- The public interface, as documented: a change here is a change for users.
SET client_min_messages = warning;
CREATE SCHEMA chosen;
CREATE EXTENSION timescale_migrate SCHEMA chosen;

\pset format unaligned
SELECT format('%s %s(%s)%s', CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, p.proname,
              pg_get_function_arguments(p.oid), ' returns ' || pg_get_function_result(p.oid)) AS function
FROM pg_proc p WHERE p.pronamespace = 'chosen'::regnamespace
ORDER BY 1;

-- What else lies in the schema that the user chose: nothing.
SELECT pg_describe_object(classid, objid, 0) AS object
FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = 'chosen'::regnamespace
  AND classid NOT IN ('pg_proc'::regclass, 'pg_extension'::regclass)
ORDER BY 1;

SELECT c.relname AS view,
       string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'timescale_migrate'::regnamespace AND c.relname IN ('run', 'task', 'message', 'verification')
GROUP BY 1 ORDER BY 1;

SELECT fdwname, fdwhandler = 0 AS no_handler, fdwvalidator <> 0 AS validator FROM pg_foreign_data_wrapper;

-- Gone without a trace, and back again.
DROP EXTENSION timescale_migrate;
SELECT nspname FROM pg_namespace WHERE nspname = 'timescale_migrate';
SELECT count(*) FROM pg_proc WHERE pronamespace = 'chosen'::regnamespace;
CREATE EXTENSION timescale_migrate SCHEMA chosen;
SELECT * FROM chosen.migrate_status();
SELECT count(*) FROM timescale_migrate.run;
DROP EXTENSION timescale_migrate;
DROP SCHEMA chosen;

//! What an ordinary user of the source writes into names and definitions is never run as it stands: it makes nobody superuser on the target.
//! Nor is a function of theirs called in place of TimescaleDB's.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};

pub const TESTS: &[Test] = &[
    Test::apache("a column's name of several lines", column_name),
    Test::community("a constant and an index of a continuous aggregate", aggregate),
    Test::apache("names of tables whose foreign key is violated", violated_key),
    Test::apache("a function of the source beside TimescaleDB's", function_of_the_source),
    Test::apache("functions of the target beside TimescaleDB's", functions_of_the_target),
];

/// Makes an ordinary role on the source and runs the statements as that role.
fn as_ordinary(pair: &Pair, role: &str, statements: &str) {
    pair.source.sql(&format!("CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}"));
    pair.source.sql(&format!("SET ROLE {role}; {statements}"));
}

#[track_caller]
fn is_ordinary(pair: &Pair, role: &str) {
    assert_eq!(pair.target.value(&format!("SELECT rolsuper FROM pg_roles WHERE rolname = '{role}'")), "f");
}

fn column_name(edition: Edition) {
    let pair = Pair::plain("hostile_column", edition);
    let column = "\"c SET (pg_attver=1);\n; ALTER ROLE hostile_column SUPERUSER; --\"";
    as_ordinary(
        &pair,
        "hostile_column",
        &format!(
            "CREATE TABLE t ({column} int);
             ALTER TABLE t ALTER COLUMN {column} SET STATISTICS 100;
             CREATE VIEW v AS SELECT 'first\nALTER TABLE ONLY t ALTER COLUMN c SET (pg_attver=1);\nlast'::text AS several"
        ),
    );
    pair.migrate();
    is_ordinary(&pair, "hostile_column");
    assert_same(&pair);
}

fn aggregate(edition: Edition) {
    let pair = Pair::new("hostile_aggregate", edition);
    as_ordinary(
        &pair,
        "hostile_aggregate",
        "CREATE TABLE m (t timestamptz NOT NULL, \"x)y\" text);
         SELECT create_hypertable('m', 't')",
    );
    pair.source.sql(
        "SET ROLE hostile_aggregate;
         CREATE MATERIALIZED VIEW c WITH (timescaledb.continuous) AS
         SELECT time_bucket('1 day', t) AS b, max('timescaledb_experimental.time_bucket_ng(a,b,foo => \"' || \"x)y\"
             || '))) as mv from public.m group by 1 with no data; ALTER ROLE hostile_aggregate SUPERUSER; create table public.zz as select 1 as x --') AS mv
         FROM m GROUP BY 1 WITH NO DATA",
    );
    pair.source.sql(
        "SET ROLE hostile_aggregate;
         CREATE INDEX \"x USING btree (b); ALTER ROLE hostile_aggregate SUPERUSER; --\" ON c (mv)",
    );
    pair.migrate();
    is_ordinary(&pair, "hostile_aggregate");
    assert_same(&pair);
}

const HYPERTABLE: &str = "CREATE TABLE m (t timestamptz NOT NULL); SELECT create_hypertable('m', 't'); INSERT INTO m VALUES ('2024-01-01 UTC')";

fn function_of_the_source(edition: Edition) {
    let pair = Pair::new("hostile_overload", edition);
    pair.source.sql(HYPERTABLE);
    // It fits the call better than the extension's, which it calls itself.
    as_ordinary(
        &pair,
        "hostile_overload",
        "CREATE FUNCTION public.create_hypertable(relation regclass, time_column_name name, associated_schema_name name,
             associated_table_prefix name, chunk_time_interval bigint, create_default_indexes boolean, time_partitioning_func regproc)
         RETURNS int LANGUAGE plpgsql AS $$ BEGIN
             ALTER ROLE hostile_overload SUPERUSER;
             PERFORM public.create_hypertable(relation, time_column_name, chunk_time_interval => chunk_time_interval);
             RETURN 1; END $$",
    );
    let function = "public.create_hypertable(relation regclass, time_column_name name, associated_schema_name name, \
        associated_table_prefix name, chunk_time_interval bigint, create_default_indexes boolean, time_partitioning_func regproc)";
    pair.target.refuses_with(
        "SELECT * FROM migrate_from('old')",
        &format!(
            "ERROR: cannot migrate: overloads: {function}: \
             has the name of an extension's function on the source, which a run calls as a superuser (SQLSTATE 42723)\n\
             HINT: DROP ROUTINE {function}; -- on the source, or rename it"
        ),
    );
    pair.source.sql(&format!("ALTER FUNCTION {function} RENAME TO make_hypertable"));
    pair.migrate();
    assert!(pair.target.is("SELECT count(*) = 0 FROM pg_roles WHERE rolname = 'hostile_overload' AND rolsuper"));
    assert_same(&pair);
}

fn functions_of_the_target(edition: Edition) {
    let pair = Pair::new("hostile_target", edition);
    pair.source.sql(HYPERTABLE);
    pair.target.sql("CREATE ROLE hostile_target; GRANT CREATE ON SCHEMA public TO hostile_target");
    // Aggregates, and functions beside time_bucket(), are nobody's trap.
    pair.target.sql(
        "SET ROLE hostile_target;
         CREATE AGGREGATE public.first(int) (SFUNC = int4larger, STYPE = int);
         CREATE FUNCTION public.time_bucket(text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    );
    assert_eq!(pair.preflight("overloads"), ["ok | no function | could be called in place of an extension's"]);
    let body = "LANGUAGE sql AS 'ALTER ROLE hostile_target SUPERUSER'";
    pair.target.sql(&format!(
        "SET ROLE hostile_target;
         CREATE FUNCTION public.show_chunks(regclass) RETURNS void {body};
         CREATE PROCEDURE public.migrate_from(text, jsonb) {body}"
    ));
    let why = "has the name of an extension's function on the target, which a run calls as a superuser";
    let row = |function: &str| format!("error | {function} | {why} | DROP ROUTINE {function}; -- on the target, or rename it");
    assert_eq!(
        pair.preflight("overloads"),
        [row("public.show_chunks(regclass)"), row("public.migrate_from(IN text, IN jsonb)")]
    );
    // The job calls none but the extension's own.
    pair.target.sql(&format!(
        "DROP PROCEDURE public.migrate_from(text, jsonb);
         SET ROLE hostile_target; CREATE FUNCTION public.migrate_from(text, jsonb) RETURNS void {body}"
    ));
    pair.target.refuses(r#"CALL migrate_job(0, '{"source": "old"}')"#, &["overloads: public.migrate_from(text, jsonb)"]);
    is_ordinary(&pair, "hostile_target");
    pair.target.sql("DROP FUNCTION public.show_chunks(regclass), public.migrate_from(text, jsonb)");
    // One that comes after the checks is seen where it would be called.
    pair.target.sql(&format!(
        "CREATE FUNCTION plant() RETURNS event_trigger LANGUAGE plpgsql AS $x$ BEGIN
             IF to_regprocedure('public.set_chunk_time_interval(regclass, bigint)') IS NULL THEN
                 CREATE FUNCTION public.set_chunk_time_interval(regclass, bigint) RETURNS void {body};
             END IF; END $x$;
         CREATE EVENT TRIGGER plant ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION plant()"
    ));
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["Drop or rename them."]);
    assert_eq!(
        pair.target.value("SELECT error FROM timescale_migrate.run ORDER BY id DESC LIMIT 1"),
        "functions have the names of extensions' functions: public.set_chunk_time_interval(regclass, bigint)"
    );
    is_ordinary(&pair, "hostile_target");
}

fn violated_key(edition: Edition) {
    let pair = Pair::plain("hostile_key", edition);
    let child = "\"child\nCOMMIT; ALTER ROLE hostile_key SUPERUSER; --\"";
    let (other, parent) = ("\":references\"", "\" COMMIT; ALTER ROLE hostile_key SUPERUSER; --\"");
    as_ordinary(
        &pair,
        "hostile_key",
        &format!(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TABLE {parent} (n int PRIMARY KEY);
             INSERT INTO {parent} VALUES (1), (2);
             CREATE TABLE {child} (n int REFERENCES {parent} ON DELETE CASCADE);
             CREATE TABLE {other} (n int REFERENCES {parent} ON DELETE CASCADE);
             CREATE TRIGGER keep BEFORE DELETE ON {child} FOR EACH ROW EXECUTE FUNCTION keep();
             CREATE TRIGGER keep BEFORE DELETE ON {other} FOR EACH ROW EXECUTE FUNCTION keep();
             INSERT INTO {child} VALUES (1), (2);
             INSERT INTO {other} VALUES (1), (2);
             DELETE FROM {parent} WHERE n = 1"
        ),
    );
    let run = pair.start("");
    pair.wait_for_end(&run);
    assert_eq!(pair.source.value("SELECT rolsuper FROM pg_roles WHERE rolname = 'hostile_key'"), "f");
    pair.is_done(&run);
    is_ordinary(&pair, "hostile_key");
    assert_eq!(pair.target.value("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"), "2");
}

//! An error has all the fields of its cause, and tells of what failed and of nothing else.

use cluster::suite::Test;
use cluster::{Edition, Pair, poll};

pub const TESTS: &[Test] = &[
    Test::apache("every field is the cause's", fields),
    Test::apache("what was made before is no part of it", not_what_was_made_before),
    Test::richest("what comes to the source after the snapshot is not looked at", after_the_snapshot),
];

fn fields(edition: Edition) {
    let pair = Pair::plain("error_fields", edition);
    pair.source.each(&[
        "CREATE FUNCTION picky(n int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END'",
        "CREATE TABLE t (n int CHECK (public.picky(n))); INSERT INTO t VALUES (1)",
        // A code of TimescaleDB's, which is not in PostgreSQL's list.
        "CREATE OR REPLACE FUNCTION picky(n int) RETURNS boolean LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'TS001', DETAIL = 'Why.', HINT = 'What to do.'; END $$",
    ]);
    let error = pair.target.error("SELECT * FROM migrate_from('old')");
    assert_eq!(error.code().code(), "TS001");
    assert_eq!((error.message(), error.detail(), error.hint()), ("public.t: no", Some("Why."), Some("What to do.")));
    let context = error.where_().unwrap_or_default();
    assert!(context.starts_with("PL/pgSQL function public.picky(integer) line 1 at RAISE\nCOPY t, line 1"), "{context}");
    // As it is stored.
    let stored = "SELECT concat_ws('|', sqlstate, object, error, detail, hint, context) FROM timescale_migrate.run";
    assert!(pair.target.value(stored).starts_with("TS001|public.t|no|Why.|What to do.|PL/pgSQL function"));

    // With the statement, where one of the schema's was being run.
    pair.target.each(&[
        "DROP TABLE t; DROP FUNCTION picky",
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not here'; END $$",
        "CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION refuse()",
    ]);
    let error = pair.target.error("SELECT * FROM migrate_from('old')");
    assert_eq!((error.message(), error.detail()), ("TABLE public.t: not here", None));
    let context = error.where_().unwrap_or_default();
    assert!(context.contains("statement: CREATE TABLE public.t ("), "{context}");
}

fn not_what_was_made_before(edition: Edition) {
    let pair = Pair::plain("error_stale", edition);
    pair.source.sql("CREATE TABLE t (n int)");
    pair.target.each(&[
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full'; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON timescale_migrate.schema_log EXECUTE FUNCTION refuse()",
    ]);
    let error = pair.target.error("SELECT * FROM migrate_from('old')");
    assert_eq!(error.message(), "full");
    let context = error.where_().unwrap_or_default();
    assert!(!context.contains("public.t"), "{context}");
    assert!(pair.target.is("SELECT object IS NULL FROM timescale_migrate.run"));
}

fn after_the_snapshot(edition: Edition) {
    let pair = Pair::new("error_late", edition);
    pair.source.sql("CREATE TABLE t (n int)");
    // The last of what the checks read of the source that nobody reads before.
    // A new session may have to read it as well, so the test has both of its own before.
    let (mut holder, mut watcher) = (pair.source.connect(), pair.source.connect());
    holder.batch_execute("BEGIN; LOCK TABLE pg_catalog.pg_event_trigger").unwrap();
    let run = pair.start("");
    poll("the checks to be held up", || {
        let held = "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity a USING (pid)
            WHERE NOT granted AND a.datname = current_database() AND a.application_name LIKE 'timescale_migrate run % reader')";
        watcher.query_one(held, &[]).unwrap().get(0)
    });
    // The first could not be migrated, and would refuse the run.
    holder.batch_execute("CREATE TABLE _timescaledb_internal.late (n int); CREATE TABLE late (n int); COMMIT").unwrap();
    pair.wait_for_end(&run);
    pair.is_done(&run);
    assert!(pair.target.is("SELECT to_regclass('public.t') IS NOT NULL AND to_regclass('public.late') IS NULL"));
}

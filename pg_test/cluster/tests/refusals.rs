//! What is refused, is so before anything is changed, and by an error that says why.

use crate::slow;
use cluster::suite::Test;
use cluster::{Cluster, Db, Edition, Pair, shared_source, shared_target};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::apache("a target that has some of the objects", target_has_objects),
    Test::apache("a second run at once", second_run),
    Test::apache("a finished run cannot be resumed, a comparison neither", finished),
    Test::apache("into the source itself", into_itself),
    Test::next("a source of a newer PostgreSQL", newer_source),
    Test::apache("on a standby", standby),
    Test::apache("no or too few worker slots", worker_slots),
    Test::apache("callers without the right", privileges),
    Test::apache("a source user who may not read all", unreadable_source),
    Test::apache("a hypertable, where the target has no TimescaleDB", no_timescaledb),
    Test::community("what the target's edition has no place for is named", other_edition),
];

const MIGRATE: &str = "SELECT * FROM migrate_from('old')";

fn target_has_objects(edition: Edition) {
    let pair = Pair::plain("refuse_objects", edition);
    pair.source.sql(
        "CREATE SCHEMA app; CREATE TABLE app.orders (n int PRIMARY KEY); CREATE VIEW app.seen AS SELECT 1; CREATE SEQUENCE app.fresh;
         CREATE FUNCTION app.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE app.kind AS ENUM ('a');
         INSERT INTO app.orders VALUES (1); SELECT lo_from_bytea(4714, 'x')",
    );
    pair.target.sql(
        "CREATE SCHEMA app; CREATE TABLE app.orders (n int PRIMARY KEY); CREATE VIEW app.seen AS SELECT 2; CREATE TABLE app.own (n int);
         CREATE FUNCTION app.f(int) RETURNS int LANGUAGE sql AS 'SELECT 2'; CREATE TYPE app.kind AS ENUM ('b')",
    );
    pair.target.refuses_with(
        MIGRATE,
        "ERROR: cannot migrate: 4 checks failed, the first is target: type app.kind: already exists here (SQLSTATE 42710)\n\
         DETAIL: target: type app.kind: already exists here\n\
         target: function app.f(integer): already exists here\n\
         target: table app.orders: already exists here\n\
         target: view app.seen: already exists here\n\
         HINT: DROP TYPE app.kind; -- or migrate into an empty database",
    );
    assert_eq!(pair.target.value("SELECT count(*) FROM app.orders"), "0");
    assert_eq!(pair.target.value("SELECT to_regclass('app.fresh') IS NULL"), "t");
    // Without them it goes, into a schema that is there, beside the target's own table.
    pair.target.sql("DROP TABLE app.orders; DROP VIEW app.seen; DROP FUNCTION app.f; DROP TYPE app.kind");
    pair.migrate();
    assert_eq!(pair.target.value("SELECT count(*) FROM app.orders"), "1");
}

fn second_run(edition: Edition) {
    let pair = Pair::new("refuse_second", edition);
    slow::fill(&pair);
    let run = pair.start("");
    slow::wait_for_the_middle(&pair);
    let busy = format!(
        "ERROR: run {run} is active in this database (SQLSTATE 55006)\n\
         HINT: SELECT * FROM migrate_wait({run}); waits for its end, SELECT migrate_cancel({run}); stops it."
    );
    pair.target.refuses_with(MIGRATE, &busy);
    pair.target.refuses_with("SELECT * FROM migrate_verify('old')", &busy);
    pair.target.refuses_with(
        &format!("SELECT * FROM migrate_resume({run})"),
        &format!("ERROR: run {run} is running and cannot be resumed (SQLSTATE 55000)\nHINT: SELECT migrate_cancel({run}); stops it."),
    );
    assert_eq!(pair.state(&run), "running");
    assert_eq!(pair.target.value("SELECT run FROM migrate_status()"), run, "not what was refused");
    slow::hurry(&pair);
    pair.wait_for_state(&run, "done");
    assert_eq!(pair.target.value("SELECT count(*) FROM slow"), "2000");
}

fn finished(edition: Edition) {
    let pair = Pair::plain("refuse_finished", edition);
    pair.source.sql("CREATE TABLE t (n int)");
    pair.migrate();
    pair.target.rows("SELECT * FROM migrate_verify('old')");
    let runs = pair.target.rows("SELECT id, kind FROM timescale_migrate.run ORDER BY id");
    let refused = |row: usize, why: &str, hint: &str| {
        let run = runs[row].get(0).unwrap();
        pair.target.refuses_with(
            &format!("SELECT * FROM migrate_resume({run})"),
            &format!("ERROR: run {run} {why} and cannot be resumed (SQLSTATE 55000)\nHINT: {hint}"),
        );
    };
    refused(0, "is done", "To begin again, migrate into another database.");
    refused(1, "is not a migration", "SELECT * FROM timescale_migrate.run; lists all runs.");
}

fn into_itself(edition: Edition) {
    let pair = Pair::plain("refuse_itself", edition);
    let port = pair.target.cluster.port;
    pair.target.sql(&format!("ALTER SERVER old OPTIONS (SET port '{port}'); CREATE TABLE t (n int)"));
    pair.target.refuses_with(
        MIGRATE,
        "ERROR: cannot migrate: source: refuse_itself: the source is this database itself (SQLSTATE 22023)\n\
         HINT: Name another database as the source.",
    );
    // Another database of the same server is a source like any other.
    let other = Db::create(pair.target.cluster.clone(), "refuse_itself_other");
    other.sql("CREATE TABLE there (n int); INSERT INTO there VALUES (1)");
    pair.target.sql("ALTER SERVER old OPTIONS (SET dbname 'refuse_itself_other')");
    pair.migrate();
    assert_eq!(pair.target.value("SELECT count(*) FROM there"), "1");
}

fn newer_source(edition: Edition) {
    let pair = Pair::between("refuse_newer", shared_source(edition), shared_target(Edition::Apache));
    pair.source.sql("CREATE TABLE t (n int)");
    let major = "SELECT current_setting('server_version_num')::int / 10000";
    let (from, to) = (pair.source.value(major), pair.target.value(major));
    let why = format!("the source is newer than this server ({to})");
    for call in ["migrate_from", "migrate_plan"] {
        let error = pair.target.refuses(&format!("SELECT * FROM {call}('old')"), &["at least the source's major version"]);
        assert_eq!(error.message(), format!("cannot migrate: version: PostgreSQL {from}: {why}"), "{call}");
        assert_eq!(error.code().code(), "0A000");
    }
    let check = "SELECT concat_ws('|', status, subject, detail) FROM migrate_preflight('old') WHERE topic = 'version'";
    assert_eq!(pair.target.value(check), format!("error|PostgreSQL {from}|{why}"));
    assert_eq!(pair.target.value("SELECT to_regclass('t') IS NULL"), "t");
}

fn standby(edition: Edition) {
    let pair = Pair::between("refuse_standby", own_server(edition, &[]), own_server(edition, &[]));
    pair.source.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    let replica = Db { cluster: Arc::new(pair.target.cluster.standby()), name: pair.target.name.clone() };
    for call in ["migrate_from", "migrate_plan", "migrate_preflight", "migrate_verify"] {
        replica.refuses_with(
            &format!("SELECT * FROM {call}('old')"),
            &format!("ERROR: {call} cannot run on a standby (SQLSTATE 25006)\nHINT: Run it on the primary."),
        );
    }
}

fn own_server(edition: Edition, settings: &[(&str, &str)]) -> Arc<Cluster> {
    Arc::new(Cluster::start(&edition.bindir().unwrap(), settings))
}

fn worker_slots(edition: Edition) {
    let settings = |slots: &'static str| {
        [("max_worker_processes", slots), ("max_logical_replication_workers", "0"), ("shared_preload_libraries", "")]
    };
    let none = own_server(edition, &settings("0"));
    let source = Db::create(none.clone(), "slots_source");
    source.sql("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 100)");
    let target = Pair::server(&source, Db::create(none, "slots_target"));
    target.refuses_with(
        MIGRATE,
        "ERROR: no background worker could be started (SQLSTATE 53000)\n\
         DETAIL: Every slot of max_worker_processes is taken.\n\
         HINT: Raise max_worker_processes, which needs a restart of the server.",
    );
    assert_eq!(target.value("SELECT to_regclass('t') IS NULL"), "t");

    let few = own_server(edition, &settings("2"));
    let target = Pair::server(&source, Db::create(few, "slots_target"));
    let (mut client, heard) = target.connect_listening();
    client.simple_query("SELECT * FROM migrate_from('old', jobs => 4)").unwrap();
    let heard = heard.lock().unwrap().join("\n");
    assert!(heard.lines().any(|line| line.starts_with("WARNING") && line.contains("worker")), "{heard}");
    assert_eq!(target.value("SELECT count(*) FROM t"), "100");
}

fn privileges(edition: Edition) {
    let pair = Pair::plain("refuse_role", edition);
    pair.target.sql("CREATE ROLE refuse_role_someone");
    let as_someone = |call: &str, text: &str| {
        pair.target.refuses_with(&format!("SET ROLE refuse_role_someone; {call}"), &format!("ERROR: {text} (SQLSTATE 42501)"));
    };
    for (name, arguments) in [
        ("migrate_from", "'old'"),
        ("migrate_plan", "'old'"),
        ("migrate_preflight", "'old'"),
        ("migrate_verify", "'old'"),
        ("migrate_verify", "1"),
        ("migrate_status", ""),
        ("migrate_cancel", "1"),
        ("migrate_resume", "1"),
    ] {
        as_someone(
            &format!("SELECT * FROM {name}({arguments})"),
            &format!("permission denied for function {name}"),
        );
    }
    as_someone("CALL migrate_job(1, '{}')", "permission denied for procedure migrate_job");
    as_someone("SELECT * FROM timescale_migrate.run", "permission denied for schema timescale_migrate");
    // A grant is not enough: a run writes as a superuser.
    pair.target.sql("GRANT EXECUTE ON FUNCTION migrate_from TO refuse_role_someone");
    as_someone(MIGRATE, "must be superuser to migrate a database");
}

fn unreadable_source(edition: Edition) {
    let pair = Pair::plain("refuse_unreadable", edition);
    pair.source.sql(
        "CREATE ROLE refuse_unreadable_user LOGIN PASSWORD 'x'; CREATE TABLE open (n int); CREATE TABLE closed (n int);
         GRANT SELECT ON open TO refuse_unreadable_user; INSERT INTO closed VALUES (1)",
    );
    pair.target.sql("ALTER USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (SET user 'refuse_unreadable_user', SET password 'x')");
    pair.target.refuses_with(
        MIGRATE,
        "ERROR: cannot migrate: rights: public.closed: no SELECT (SQLSTATE 42501)\n\
         HINT: GRANT SELECT ON TABLE public.closed TO refuse_unreadable_user; -- on the source, or connect as another role",
    );
    assert_eq!(pair.target.value("SELECT to_regclass('open') IS NULL"), "t");
}

fn no_timescaledb(edition: Edition) {
    let pair = Pair::new("refuse_no_timescaledb", edition);
    pair.source.sql("CREATE TABLE h (t timestamptz NOT NULL); SELECT create_hypertable('h', by_range('t'))");
    let target = Pair::server(&pair.source, Db::create(pair.target.cluster.clone(), "refuse_no_timescaledb_target"));
    let version = pair.source.value("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'");
    target.refuses_with(
        MIGRATE,
        &format!(
            "ERROR: cannot migrate: timescaledb: {version}: this database has no TimescaleDB (SQLSTATE 0A000)\n\
             HINT: CREATE EXTENSION timescaledb;"
        ),
    );
    assert_eq!(target.value("SELECT to_regclass('h') IS NULL"), "t");
}

fn other_edition(_: Edition) {
    let pair = Pair::across("refuse_edition", Edition::Community, Edition::Apache);
    pair.source.sql(
        "CREATE TABLE packed (t timestamptz NOT NULL, n int); SELECT create_hypertable('packed', by_range('t', INTERVAL '1 day'));
         INSERT INTO packed SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours', n FROM generate_series(1, 9) n;
         ALTER TABLE packed SET (timescaledb.compress);
         CREATE TABLE kept (t timestamptz NOT NULL, n int); SELECT create_hypertable('kept', by_range('t', INTERVAL '1 day'));
         SELECT add_retention_policy('kept', INTERVAL '10 years');
         CREATE TABLE raw (t timestamptz NOT NULL, n int); SELECT create_hypertable('raw', by_range('t', INTERVAL '1 day'));
         CREATE PROCEDURE own_work(int, jsonb) LANGUAGE sql AS 'SELECT 1'; SELECT add_job('own_work', '1 day');
         SELECT compress_chunk(c) FROM show_chunks('packed') c",
    );
    pair.source.sql(
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS
         SELECT time_bucket('1 day', t) AS day, sum(n) FROM raw GROUP BY 1 WITH NO DATA",
    );
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["packed", "kept", "daily", "own_work"]);
    let errors = "SELECT string_agg(concat_ws(' ', subject, detail), ' ') FROM migrate_preflight('old') WHERE status = 'error'";
    let errors = pair.target.value(errors);
    for subject in ["packed", "kept", "daily", "own_work"] {
        assert!(errors.contains(subject), "{errors}");
    }
    assert_eq!(pair.target.value("SELECT to_regclass('packed') IS NULL"), "t");
}

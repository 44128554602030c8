//! What is refused, is so before anything is changed, and by an error that says why.

use crate::slow;
use cluster::suite::Test;
use cluster::{Cluster, Db, Edition, Pair, shared_source, shared_target};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::apache("sources and options that there are not", unknown),
    Test::apache("a source that cannot be reached", unreachable),
    Test::apache("in a transaction block, read-only", transactions),
    Test::apache("a target that has some of the objects", target_has_objects),
    Test::apache("a second run at once", second_run),
    Test::apache("into the source itself", into_itself),
    Test::next("a source of a newer PostgreSQL", newer_source),
    Test::apache("on a standby", standby),
    Test::apache("no or too few worker slots", worker_slots),
    Test::apache("callers without the right", privileges),
    Test::apache("a source user who may not read all", unreadable_source),
    Test::apache("a hypertable, where the target has no TimescaleDB", no_timescaledb),
    Test::community("what the target's edition has no place for is named", other_edition),
];

fn unknown(edition: Edition) {
    let pair = Pair::plain("refuse_unknown", edition);
    for call in ["migrate_from", "migrate_plan", "migrate_preflight", "migrate_verify"] {
        pair.target.refuses(&format!("SELECT * FROM {call}('nowhere')"), &["nowhere"]);
    }
    for call in ["migrate_from", "migrate_plan", "migrate_preflight"] {
        let refused = |options: &str, parts: &[&str]| {
            pair.target.refuses(&format!("SELECT * FROM {call}('old', '{options}')"), parts);
        };
        refused(r#"{"jbos": 3}"#, &["jbos", "jobs"]);
        refused(r#"{"jobs": 0}"#, &["jobs"]);
        refused(r#"{"jobs": "many"}"#, &["jobs"]);
        refused(r#"{"roles": "some"}"#, &["some", "used", "none"]);
        refused(r#"[1]"#, &["options"]);
    }
    pair.target.refuses("SELECT * FROM migrate_from('old', jobs => 0)", &["jobs"]);
    pair.target.refuses("SELECT * FROM migrate_verify('old', level => 'well')", &["well", "count", "checksum"]);
    assert!(!pair.target.is("SELECT migrate_cancel(4711)"), "there is nothing to cancel");
    pair.target.refuses("SELECT * FROM migrate_verify(4711)", &["4711"]);
    pair.target.refuses("SELECT * FROM migrate_from(NULL)", &["source"]);
    // A server of another wrapper is none of ours.
    pair.target.sql("CREATE FOREIGN DATA WRAPPER other; CREATE SERVER foreign_one FOREIGN DATA WRAPPER other");
    pair.target.refuses("SELECT * FROM migrate_from('foreign_one')", &["foreign_one"]);
    let server = |options: &str| format!("CREATE SERVER s FOREIGN DATA WRAPPER timescale_migrate OPTIONS ({options})");
    pair.target.refuses(&server("hots 'x'"), &["hots"]);
    pair.target.refuses(&server("password 'x'"), &["password"]);
    pair.target.refuses(&server("user 'x'"), &["user"]);
    pair.target.refuses("ALTER USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (ADD host 'x')", &["host"]);
}

fn unreachable(edition: Edition) {
    let pair = Pair::plain("refuse_unreachable", edition);
    let from = |server: &str| format!("SELECT * FROM migrate_from('{server}', '{{\"connect_timeout\": 2}}')");
    let options = |options: &str| {
        pair.target.sql(&format!("ALTER SERVER old OPTIONS ({options})"));
        pair.target.error(&from("old"))
    };
    let error = options("SET port '1'");
    assert_eq!(error.code().code(), "08001", "{error:?}");
    let port = pair.source.cluster.port;
    let error = options(&format!("SET port '{port}', SET dbname 'no such database'"));
    assert!(cluster_text(&error).contains("no such database"), "{error:?}");
    // A connection string, and one whose password is wrong; it is not repeated in the error.
    let wrong = format!("host=127.0.0.1 port={port} user=postgres password=notthatone dbname=postgres");
    let error = pair.target.error(&from(&wrong));
    assert!(!cluster_text(&error).contains("notthatone"), "{error:?}");
    let error = pair.target.error(&from(&format!("postgresql://postgres:notthatone@127.0.0.1:{port}/postgres")));
    assert!(!cluster_text(&error).contains("notthatone"), "{error:?}");
    pair.target.refuses("SELECT * FROM migrate_from('host=127.0.0.1 nonsense=1')", &["nonsense"]);
}

fn cluster_text(error: &postgres::error::DbError) -> String {
    format!("{error:?}")
}

fn transactions(edition: Edition) {
    let pair = Pair::plain("refuse_transactions", edition);
    pair.source.sql("CREATE TABLE t (n int)");
    let call = "SELECT * FROM migrate_from('old')";
    let mut client = pair.target.connect();
    client.batch_execute("BEGIN").unwrap();
    let code = |error: postgres::Error| error.code().unwrap().code().to_owned();
    assert_eq!(code(client.simple_query(call).unwrap_err()), "25001", "in a transaction block");
    client.batch_execute("ROLLBACK; SET default_transaction_read_only = on").unwrap();
    assert_eq!(code(client.simple_query(call).unwrap_err()), "25006", "read-only");
    assert_eq!(pair.target.value("SELECT count(*) FROM timescale_migrate.run"), "0");
}

fn target_has_objects(edition: Edition) {
    let pair = Pair::plain("refuse_objects", edition);
    pair.source.sql(
        "CREATE SCHEMA app; CREATE TABLE app.orders (n int); CREATE VIEW app.seen AS SELECT 1; CREATE SEQUENCE app.fresh;
         CREATE FUNCTION app.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE app.kind AS ENUM ('a');
         INSERT INTO app.orders VALUES (1); SELECT lo_from_bytea(4714, 'x')",
    );
    pair.target.sql(
        "CREATE SCHEMA app; CREATE TABLE app.orders (n int); CREATE VIEW app.seen AS SELECT 2; CREATE TABLE app.own (n int);
         CREATE FUNCTION app.f(int) RETURNS int LANGUAGE sql AS 'SELECT 2'; CREATE TYPE app.kind AS ENUM ('b')",
    );
    let error = pair.target.refuses("SELECT * FROM migrate_from('old')", &["app.orders", "app.seen", "app.f", "app.kind"]);
    assert!(!cluster_text(&error).contains("app.fresh"), "{error:?}");
    assert!(!cluster_text(&error).contains("app.own"), "{error:?}");
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
    pair.target.refuses("SELECT * FROM migrate_from('old')", &[&run]);
    assert_eq!(pair.state(&run), "running");
    slow::hurry(&pair);
    pair.wait_for_state(&run, "done");
    assert_eq!(pair.target.value("SELECT count(*) FROM slow"), "2000");
}

fn into_itself(edition: Edition) {
    let pair = Pair::plain("refuse_itself", edition);
    let port = pair.target.cluster.port;
    pair.target.sql(&format!("ALTER SERVER old OPTIONS (SET port '{port}'); CREATE TABLE t (n int)"));
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["itself"]);
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
    let check = "SELECT concat_ws('|', status, subject, detail) FROM migrate_preflight('old') WHERE \"check\" = 'version'";
    assert_eq!(pair.target.value(check), format!("error|PostgreSQL {from}|{why}"));
    assert_eq!(pair.target.value("SELECT to_regclass('t') IS NULL"), "t");
}

fn standby(edition: Edition) {
    let pair = Pair::between("refuse_standby", own_server(edition, &[]), own_server(edition, &[]));
    pair.source.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    let replica = Arc::new(pair.target.cluster.standby());
    let error = connect(&replica, "refuse_standby").simple_query("SELECT * FROM migrate_from('old')").unwrap_err();
    let error = error.as_db_error().unwrap().clone();
    assert!(error.message().contains("recovery") || error.message().contains("standby"), "{error:?}");
    assert_ne!(error.code().code(), "XX000");
}

fn connect(cluster: &Cluster, database: &str) -> postgres::Client {
    cluster.config(database).connect(postgres::NoTls).unwrap()
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
    target.refuses("SELECT * FROM migrate_from('old')", &["max_worker_processes"]);
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
    for call in [
        "migrate_from('old')", "migrate_plan('old')", "migrate_preflight('old')", "migrate_status()", "migrate_verify('old')",
    ] {
        let call = format!("SET ROLE refuse_role_someone; SELECT * FROM {call}");
        assert_eq!(pair.target.error(&call).code().code(), "42501", "{call}");
    }
    let table = "SET ROLE refuse_role_someone; SELECT * FROM timescale_migrate.run";
    assert_eq!(pair.target.error(table).code().code(), "42501");
}

fn unreadable_source(edition: Edition) {
    let pair = Pair::plain("refuse_unreadable", edition);
    pair.source.sql(
        "CREATE ROLE refuse_unreadable_user LOGIN PASSWORD 'x'; CREATE TABLE open (n int); CREATE TABLE closed (n int);
         GRANT SELECT ON open TO refuse_unreadable_user; INSERT INTO closed VALUES (1)",
    );
    pair.target.sql("ALTER USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (SET user 'refuse_unreadable_user', SET password 'x')");
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["closed"]);
    assert_eq!(pair.target.value("SELECT to_regclass('open') IS NULL"), "t");
}

fn no_timescaledb(edition: Edition) {
    let pair = Pair::new("refuse_no_timescaledb", edition);
    pair.source.sql("CREATE TABLE h (t timestamptz NOT NULL); SELECT create_hypertable('h', by_range('t'))");
    let target = Pair::server(&pair.source, Db::create(pair.target.cluster.clone(), "refuse_no_timescaledb_target"));
    target.refuses("SELECT * FROM migrate_from('old')", &["timescaledb"]);
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

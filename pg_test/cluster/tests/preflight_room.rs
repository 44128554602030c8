//! The preflight counts what may run out on either side.

use crate::slow;
use cluster::suite::Test;
use cluster::{Cluster, Db, Edition, Pair, assert_same, of_edition, poll};
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::apache("disk space", disk),
    Test::apache("disk space in a tablespace", disk_of_a_tablespace),
    Test::apache("disk space for the rest of a run", disk_on_resume),
    Test::apache("connections", connections),
    Test::apache("locks on the target", locks),
    Test::apache("transaction ids", transaction_ids),
];

fn own_server(edition: Edition, settings: &[(&str, &str)]) -> Arc<Cluster> {
    Arc::new(of_edition(edition, settings))
}

/// What the file system of a directory has left.
fn free(directory: &PathBuf) -> u64 {
    let df = Command::new("df").arg("--output=avail").arg("--block-size=1").arg(directory).output().unwrap();
    String::from_utf8(df.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap()
}

/// Lets a relation seem as large as that: a second file of it, all of which is a hole. What
/// reads the relation stops at the end of its first file.
fn blow_up(db: &Db, relation: &str, bytes: u64) {
    let path = db.value(&format!("SELECT pg_relation_filepath('{relation}')"));
    let file = db.cluster.data().join(format!("{path}.1"));
    OpenOptions::new().create(true).write(true).truncate(true).open(file).unwrap().set_len(bytes).unwrap();
}

/// "ok | <directory>" of a row such as "ok | <directory> | about 1768 kB are needed, ...".
fn verdicts(rows: &[String]) -> Vec<String> {
    rows.iter().map(|row| row.split(" | ").take(2).collect::<Vec<_>>().join(" | ")).collect()
}

fn disk(edition: Edition) {
    let pair = Pair::plain("room_disk", edition);
    pair.source.sql("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 1000); CREATE INDEX i ON t (n)");
    let directory = pair.target.cluster.data();
    let (shown, free) = (directory.display(), free(&directory));
    let verdict = |options: &str| verdicts(&pair.preflight_with("disk", options));
    assert_eq!(verdict("{}"), [format!("ok | {shown}")]);

    blow_up(&pair.source, "i", free / 10 * 9);
    assert_eq!(verdict("{}"), [format!("warning | {shown}")]);

    blow_up(&pair.source, "i", free / 10 * 11);
    let rows = pair.preflight("disk");
    assert_eq!(verdicts(&rows), [format!("error | {shown}")]);
    let error = pair.target.error("SELECT * FROM migrate_from('old')");
    assert_eq!(error.code().code(), "53100");
    let start = format!("cannot migrate: disk: {shown}: about ");
    assert!(error.message().starts_with(&start) && error.message().ends_with(" are free"), "{error:?}");
    assert_eq!(
        error.hint(),
        Some("Make room, or set the option \"disk\": \"ignore\": \
              less is needed if tables are bloated on the source, or if the file system compresses.")
    );
    assert_eq!(pair.target.value("SELECT to_regclass('t') IS NULL"), "t");

    // Who knows better may go on, and is told.
    assert_eq!(verdict(r#"{"disk": "ignore"}"#), [format!("warning | {shown}")]);
    pair.migrate_with(r#"'{"disk": "ignore"}'"#);
    assert!(pair.messages().contains(" are needed, "), "{}", pair.messages());
    assert_same(&pair);
}

fn disk_of_a_tablespace(edition: Edition) {
    let pair = Pair::between("room_tablespace", own_server(edition, &[]), own_server(edition, &[]));
    pair.both(&["SET allow_in_place_tablespaces = on", "CREATE TABLESPACE apart LOCATION ''"]);
    pair.source.sql("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 1000); CREATE INDEX i ON t (n) TABLESPACE apart");
    let directory = pair.target.cluster.data();
    // Both are on one file system, which has to hold the sum.
    let free = free(&directory);
    blow_up(&pair.source, "t", free / 10 * 6);
    blow_up(&pair.source, "i", free / 10 * 6);
    assert_eq!(verdicts(&pair.preflight("disk")), [format!("error | {}", directory.display())]);
    blow_up(&pair.source, "t", 0);
    assert_eq!(verdicts(&pair.preflight("disk")), [format!("ok | {}", directory.display())]);
}

/// A run that may begin may go on, though less has room than it needs by now.
fn disk_on_resume(edition: Edition) {
    let pair = Pair::new("room_resume", edition);
    slow::fill(&pair);
    pair.source.sql("CREATE INDEX i ON slow_too (n)");
    let run = pair.start(", jobs => 1");
    slow::wait_for_the_middle(&pair);
    pair.target.sql(&format!("SELECT migrate_cancel({run}, 'immediate')"));
    pair.wait_for_state(&run, "cancelled");
    slow::hurry(&pair);
    blow_up(&pair.source, "i", free(&pair.target.cluster.data()) / 10 * 11);
    pair.target.rows(&format!("SELECT * FROM migrate_resume({run})"));
    assert!(pair.messages().contains(" are needed, "), "{}", pair.messages());
    assert_same(&pair);
}

fn connections(edition: Edition) {
    let source = own_server(edition, &[("max_connections", "7"), ("superuser_reserved_connections", "1")]);
    let pair = Pair::between("room_connections", source, cluster::shared_target(edition));
    pair.source.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    // This one counts until it is closed.
    let held = pair.source.connect();
    let status = |jobs: u32| pair.preflight_with("connections", &format!(r#"{{"jobs": {jobs}}}"#));
    let room = |sessions: u32, needed: u32| format!("the source has room for {sessions} sessions, {needed} are needed");
    let hint = "Lower the option jobs, or raise the limit on the source.";
    // The test's own sessions take a moment to be gone.
    poll("room for six", || status(3) == [format!("ok | max_connections = 7 | {}", room(6, 6))]);
    assert_eq!(status(4), [format!("error | max_connections = 7 | {} | {hint}", room(6, 7))]);
    pair.target.refuses_with(
        "SELECT * FROM migrate_from('old', jobs => 4)",
        &format!("ERROR: cannot migrate: connections: max_connections = 7: {} (SQLSTATE 53300)\nHINT: {hint}", room(6, 7)),
    );
    drop(held);

    // Others than superusers have limits of their own.
    pair.source.sql(
        "CREATE ROLE few LOGIN PASSWORD 'x' CONNECTION LIMIT 4; GRANT SELECT ON t TO few;
         ALTER DATABASE room_connections CONNECTION LIMIT 5",
    );
    pair.target.sql("ALTER USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (SET user 'few', SET password 'x')");
    let limit = |name: &str, value: u32| format!("error | {name} = {value} | {} | {hint}", room(value, value + 1));
    poll("room for four", || status(2) == [limit("CONNECTION LIMIT of role few", 4)]);
    assert!(status(1)[0].starts_with("ok | CONNECTION LIMIT of role few = 4"), "{:?}", status(1));
    pair.source.sql("ALTER ROLE few CONNECTION LIMIT -1");
    poll("room for five", || status(3) == [limit("CONNECTION LIMIT of database room_connections", 5)]);
    // One of seven is kept for superusers.
    pair.source.sql("ALTER DATABASE room_connections CONNECTION LIMIT -1");
    poll("room for six", || status(4) == [format!("error | max_connections = 7 | {} | {hint}", room(6, 7))]);
}

fn locks(edition: Edition) {
    let few = own_server(edition, &[("max_locks_per_transaction", "10"), ("max_connections", "20")]);
    let pair = Pair::between("room_locks", cluster::shared_source(edition), few);
    pair.source.sql(
        "CREATE EXTENSION timescaledb; CREATE TABLE h (t timestamptz NOT NULL);
         SELECT create_hypertable('h', by_range('t', INTERVAL '1 hour'));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour' FROM generate_series(1, 100) n",
    );
    let holds = pair.source.value(
        "SELECT current_setting('max_locks_per_transaction')::int
                * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)",
    );
    assert_eq!(
        pair.preflight("locks"),
        [format!("ok | 0 tables, 1 hypertable, 100 chunks | the source's lock table holds {holds} locks, the target's 200")]
    );
    pair.source.sql("INSERT INTO h VALUES ('2025-01-01 UTC')");
    assert_eq!(
        pair.preflight("locks"),
        ["warning | hypertable public.h | its 101 chunks are analyzed one by one, but not together, because they would take more \
          than half of the 200 locks that max_locks_per_transaction makes room for | \
          ANALYZE \"public\".\"h\"; -- after the run; or raise max_locks_per_transaction on the target"]
    );
}

/// Sets the next transaction id of a server. It must begin a page of pg_xact: 32768 each.
fn set_next_xid(cluster: &Cluster, xid: u32) {
    cluster.stop();
    let data = cluster.data();
    cluster.run("pg_resetwal", &["--next-transaction-id", &xid.to_string(), data.to_str().unwrap()]);
    cluster.start_again();
}

fn transaction_ids(edition: Edition) {
    // Else autovacuum would set right what is to be found.
    let server = own_server(edition, &[("autovacuum_naptime", "1d")]);
    let pair = Pair::between("room_xids", server.clone(), server.clone());
    let source = Db::create(server.clone(), "room_xids_source");
    source.sql("CREATE TABLE t (n int)");
    pair.target.sql("ALTER SERVER old OPTIONS (SET dbname 'room_xids_source')");
    assert_eq!(pair.preflight("wraparound"), ["ok | all databases | have transaction ids left on both sides"]);

    let expect = |status: &str, about: &str| {
        let rows = pair.preflight("wraparound");
        let subjects = ["room_xids_source on the source", "room_xids on the target"];
        assert_eq!(rows.len(), 2, "{rows:?}");
        for (row, subject) in rows.iter().zip(subjects) {
            let start = format!("{status} | database {subject} | the age of its oldest transaction id is {about}");
            let end = ", and the server refuses commands before it reaches 2147483648 | \
                       VACUUM (FREEZE); -- in that database, before the run, whose snapshot prevents it";
            assert!(row.starts_with(&start) && (row.ends_with(end) || row.ends_with(" reaches 2147483648 | as above")), "{row}");
        }
    };
    set_next_xid(&server, 32768 * 8000);
    expect("warning", "262");
    set_next_xid(&server, 32768 * 65000);
    expect("error", "2129");
    let error = pair.target.error("SELECT * FROM migrate_from('old')");
    assert_eq!(error.code().code(), "55000");
    let start = "cannot migrate: 2 checks failed, the first is wraparound: database room_xids_source on the source: ";
    assert!(error.message().starts_with(start), "{error:?}");
}

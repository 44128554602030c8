//! The source ends the run's session, in each phase that has one: what the user reads, and that
//! the run goes on from there. With no second attempt asked for, which would hide it.

use crate::slow;
use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, poll};
use postgres::Client;

pub const TESTS: &[Test] = &[
    Test::apache("while the catalog is read", preflight),
    Test::apache("while pg_dump reads the schema", dump),
    Test::apache("while the schema is made", schema),
    Test::apache("while sequences are read", sequences),
    Test::apache("while large objects are read", large_objects),
    Test::apache("while values are compared", verification),
    Test::apache("when all rows have arrived, which changes nothing", afterwards),
];

const READER: &str = "timescale_migrate run % reader";
const KEEPER: &str = "timescale_migrate run % keeper";
const SEQUENCES: &str = "timescale_migrate run % sequences";
const DUMP: &str = "timescale_migrate schema %";
const TASK: &str = "timescale_migrate run % task %";
const WAITS: &str = "wait_event_type = 'Lock'";
const ENDED: &str = "FATAL:  terminating connection due to administrator command";

fn start(pair: &Pair) -> String {
    pair.start(r#", jobs => 2, options => '{"retries": 0, "verify": "checksum", "privileges": "drop"}'"#)
}

/// A session that holds a lock until it is dropped.
fn hold(mut client: Client, lock: &str) -> Client {
    client.batch_execute(&format!("BEGIN; {lock}")).unwrap();
    client
}

/// Ends the run's session of that name on the source, once it is as the condition says.
fn end(pair: &Pair, name: &str, condition: &str) {
    let query = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name LIKE '{name}' AND {condition}"
    );
    poll("the run's session", || pair.source.rows(&query).first().is_some_and(|row| row.get(0) == Some("t")));
}

fn wait_for_phase(pair: &Pair, phase: &str) {
    poll(phase, || pair.target.is(&format!("SELECT phase = '{phase}' FROM migrate_status()")));
}

/// The run failed with this error, whose detail begins like that; and a resume brings the rest.
#[track_caller]
fn failed_then_resumed(pair: &Pair, run: &str, error: &str, detail: &str) {
    pair.wait_for_silence();
    let found = format!("SELECT concat_ws(' ', state, side, sqlstate, error) FROM timescale_migrate.run WHERE id = {run}");
    assert_eq!(pair.target.value(&found), format!("failed source {error}"));
    let found = pair.target.value(&format!("SELECT detail FROM timescale_migrate.run WHERE id = {run}"));
    assert!(found.starts_with(detail), "{found}");
    pair.target.rows(&format!("SELECT * FROM migrate_resume({run})"));
    assert_same(pair);
}

const LOST: &str = "08006 lost the connection to the source";

fn preflight(edition: Edition) {
    let pair = Pair::plain("lost_preflight", edition);
    pair.source.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    let held = hold(pair.source.connect(), "LOCK TABLE t");
    let run = start(&pair);
    end(&pair, READER, WAITS);
    drop(held);
    failed_then_resumed(&pair, &run, LOST, ENDED);
}

fn dump(edition: Edition) {
    let pair = Pair::new("lost_dump", edition);
    pair.source.sql(
        "CREATE TABLE h (t int NOT NULL); SELECT create_hypertable('h', by_range('t', 10));
         INSERT INTO h SELECT generate_series(1, 100);
         CREATE TABLE p (n int) PARTITION BY LIST (n); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
         INSERT INTO p VALUES (1)",
    );
    // Nobody else reads this one, where privileges are dropped.
    let held = hold(pair.source.connect(), "LOCK TABLE pg_catalog.pg_init_privs");
    let run = start(&pair);
    let locked = format!(
        "SELECT string_agg(relation::regclass::text, ' ' ORDER BY relation) FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE application_name LIKE '{DUMP}' AND granted AND relation >= 'h'::regclass AND NOT relation::regclass::text LIKE '%pkey'"
    );
    // A hypertable without its chunks, for all of which the lock table may have no room.
    poll("pg_dump's locks", || pair.source.value(&locked) == "h p p1");
    end(&pair, DUMP, WAITS);
    drop(held);
    failed_then_resumed(&pair, &run, LOST, ENDED);
}

fn schema(edition: Edition) {
    let pair = Pair::plain("lost_schema", edition);
    pair.source.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    pair.target.sql(
        "CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); END';
         CREATE EVENT TRIGGER wait ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION wait()",
    );
    let held = hold(pair.target.connect(), "SELECT pg_advisory_xact_lock(4711)");
    let run = start(&pair);
    // The keeper's session has been asked for roles and settings by then.
    let waits = "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
                                WHERE l.locktype = 'advisory' AND l.objid = 4711 AND NOT l.granted)";
    poll("the schema to be made", || pair.target.is(waits));
    end(&pair, KEEPER, "state = 'idle in transaction'");
    drop(held);
    pair.target.sql("DROP EVENT TRIGGER wait; DROP FUNCTION wait");
    failed_then_resumed(&pair, &run, "72000 the session on the source that held the run's snapshot is gone", "");
}

/// A run in the middle of its copy.
fn started(name: &str, edition: Edition) -> (Pair, String) {
    let pair = Pair::new(name, edition);
    slow::fill(&pair);
    pair.source.sql("CREATE SEQUENCE s; SELECT setval('s', 42); SELECT lo_from_bytea(4711, 'x'); CREATE INDEX ON slow_too (n)");
    let run = start(&pair);
    slow::wait_for_the_middle(&pair);
    (pair, run)
}

fn sequences(edition: Edition) {
    let (pair, run) = started("lost_sequences", edition);
    let held = hold(pair.source.connect(), "ALTER SEQUENCE s RENAME TO renamed");
    slow::hurry(&pair);
    wait_for_phase(&pair, "sequences");
    end(&pair, SEQUENCES, WAITS);
    drop(held);
    failed_then_resumed(&pair, &run, LOST, ENDED);
}

fn large_objects(edition: Edition) {
    let (pair, run) = started("lost_large_objects", edition);
    let held = hold(pair.source.connect(), "LOCK TABLE pg_catalog.pg_largeobject");
    slow::hurry(&pair);
    end(&pair, KEEPER, WAITS);
    drop(held);
    failed_then_resumed(&pair, &run, LOST, ENDED);
}

fn verification(edition: Edition) {
    let pair = Pair::plain("lost_verification", edition);
    pair.source.sql("CREATE TABLE long (n int, t text); INSERT INTO long SELECT n, 'x' FROM generate_series(1, 2000000) n; CREATE INDEX ON long (n)");
    pair.wait_for_older_transactions();
    // Of what was copied without checksums, they are asked for at the end.
    let run = pair.start(r#", jobs => 2, options => '{"retries": 0}'"#);
    wait_for_phase(&pair, "index");
    assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, 'immediate')")));
    pair.wait_for_state(&run, "cancelled");
    let options = r#"{"verify": "checksum"}"#;
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run}, wait => false, options => '{options}')"));
    wait_for_phase(&pair, "verify");
    end(&pair, TASK, "state = 'active'");
    failed_then_resumed(&pair, &run, LOST, ENDED);
}

fn afterwards(edition: Edition) {
    let pair = Pair::new("lost_nothing", edition);
    slow::fill(&pair);
    pair.source.sql("CREATE INDEX ON slow_too (n)");
    let run = pair.start(r#", jobs => 2, options => '{"retries": 0}'"#);
    slow::wait_for_the_middle(&pair);
    // The index has to wait for this one, the copy does not.
    let held = hold(pair.target.connect(), "LOCK TABLE slow_too IN ROW EXCLUSIVE MODE");
    slow::hurry(&pair);
    wait_for_phase(&pair, "index");
    // No session is kept that is not needed any more.
    poll("the source to be left alone", || {
        pair.source.is("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'timescale_migrate%' AND datname = current_database())")
    });
    let mut admin = pair.source.cluster.config("postgres").connect(postgres::NoTls).unwrap();
    let mut allow = |on: bool| {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'lost_nothing'";
        admin.batch_execute(&format!("ALTER DATABASE lost_nothing ALLOW_CONNECTIONS {on}; {end}")).unwrap();
    };
    allow(false);
    drop(held);
    pair.wait_for_state(&run, "done");
    allow(true);
    assert_same(&pair);
}

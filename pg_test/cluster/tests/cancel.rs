//! A run can be stopped in the middle, and leaves nothing running on either side.

use crate::slow;
use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};
use postgres::NoTls;
use std::thread;

pub const TESTS: &[Test] = &[
    Test::both("the call's query is cancelled", query_cancelled),
    Test::apache("migrate_cancel, immediate", immediate),
    Test::apache("migrate_cancel, graceful", graceful),
    Test::apache("the caller is gone: the run goes on", caller_gone),
    Test::apache("the workers are killed", workers_killed),
    Test::apache("the coordinator is killed", coordinator_killed),
    Test::apache("the source's connections are cut", source_cut),
    Test::apache("while it waits for a lock on the source", waiting_for_a_lock),
];

fn slow_pair(name: &str, edition: Edition) -> Pair {
    let pair = Pair::new(name, edition);
    slow::fill(&pair);
    pair
}

/// Calls migrate_from in the middle of which `stop` is run, with the caller's process id; the
/// SQLSTATE that the caller gets.
fn stopped_by(pair: &Pair, stop: impl FnOnce(&str)) -> String {
    let mut client = pair.target.connect();
    let backend = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get::<_, i32>(0);
    let token = client.cancel_token();
    let state = thread::scope(|scope| {
        let call = r#"SELECT * FROM migrate_from('old', '{"retries": 0}', jobs => 2)"#;
        let call = scope.spawn(move || client.simple_query(call));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            slow::wait_for_the_middle(pair);
            stop(&backend.to_string());
        }));
        if let Err(panic) = outcome {
            let _ = token.cancel_query(NoTls);
            std::panic::resume_unwind(panic);
        }
        let error = call.join().unwrap().expect_err("the call went through");
        error.code().map_or("closed".into(), |code| code.code().to_owned())
    });
    pair.wait_for_silence();
    state
}

/// What every stop leaves: the rows that the tasks' states tell, and no others.
fn consistent(pair: &Pair) {
    assert!(pair.target.is("SELECT count(*) < 2000 FROM slow"), "it was over before it was stopped");
    let rows = "SELECT count(*) FROM slow GROUP BY tableoid";
    let whole = pair.source.rows(rows);
    for chunk in pair.target.rows(rows) {
        assert!(whole.iter().any(|row| row.get(0) == chunk.get(0)), "part of a chunk");
    }
}

fn query_cancelled(edition: Edition) {
    let pair = slow_pair("cancel_query", edition);
    let state = stopped_by(&pair, |backend| {
        pair.target.sql(&format!("SELECT pg_cancel_backend({backend})"));
    });
    assert_eq!(state, "57014");
    assert_eq!(pair.target.value("SELECT state FROM migrate_status()"), "cancelled");
    consistent(&pair);
}

fn immediate(edition: Edition) {
    let pair = slow_pair("cancel_immediate", edition);
    let run = pair.start("");
    slow::wait_for_the_middle(&pair);
    assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, 'immediate')")));
    pair.wait_for_state(&run, "cancelled");
    pair.wait_for_silence();
    consistent(&pair);
    assert!(!pair.target.is(&format!("SELECT migrate_cancel({run})")), "there is nothing left to cancel");
}

fn graceful(edition: Edition) {
    let pair = slow_pair("cancel_graceful", edition);
    let run = pair.start(", jobs => 1");
    slow::wait_for_the_middle(&pair);
    let before: i64 = pair.target.value("SELECT count(*) FROM slow").parse().unwrap();
    assert!(pair.target.is(&format!("SELECT migrate_cancel({run})")));
    pair.wait_for_state(&run, "cancelled");
    pair.wait_for_silence();
    consistent(&pair);
    // The chunk in flight was still finished.
    assert!(pair.target.is(&format!("SELECT count(*) > {before} FROM slow")));
}

fn caller_gone(edition: Edition) {
    let pair = slow_pair("caller_gone", edition);
    stopped_by(&pair, |backend| {
        pair.target.sql(&format!("SELECT pg_terminate_backend({backend})"));
    });
    assert_eq!(pair.target.value("SELECT state FROM migrate_status()"), "done");
    assert_same(&pair);
}

/// Terminates the run's background workers of a kind.
fn kill(pair: &Pair, kind: &str) {
    pair.target.sql(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type = 'timescale_migrate {kind}'"
    ));
}

fn workers_killed(edition: Edition) {
    let pair = slow_pair("workers_killed", edition);
    stopped_by(&pair, |_| kill(&pair, "worker"));
    assert_eq!(pair.target.value("SELECT state FROM migrate_status()"), "failed");
    consistent(&pair);
}

fn coordinator_killed(edition: Edition) {
    let pair = slow_pair("coordinator_killed", edition);
    stopped_by(&pair, |_| kill(&pair, "coordinator"));
    let state = pair.target.value("SELECT state FROM migrate_status()");
    assert!(["failed", "interrupted", "cancelled"].contains(&state.as_str()), "{state}");
    consistent(&pair);
    // Nothing that is gone stands in the way of the next run.
    pair.target.sql("DROP TABLE slow; DROP TABLE slow_too; DROP FUNCTION slowly");
    pair.source.sql("CREATE OR REPLACE FUNCTION slowly(n int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END'");
    pair.migrate();
    assert_same(&pair);
}

fn source_cut(edition: Edition) {
    let pair = slow_pair("source_cut", edition);
    stopped_by(&pair, |_| {
        pair.source.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE '%migrate%'",
        );
    });
    assert_eq!(pair.target.value("SELECT state FROM migrate_status()"), "failed");
    consistent(&pair);
}

fn waiting_for_a_lock(edition: Edition) {
    let pair = Pair::new("lock_wait", edition);
    pair.source.sql("CREATE TABLE held (n int); INSERT INTO held VALUES (1)");
    let mut holder = pair.source.connect();
    holder.batch_execute("BEGIN; LOCK TABLE held").unwrap();
    let run = pair.start("");
    cluster::poll("the run to wait for the lock", || {
        pair.source.is(
            "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                            WHERE NOT granted AND a.datname = current_database())",
        )
    });
    pair.target.sql(&format!("SELECT migrate_cancel({run}, 'immediate')"));
    pair.wait_for_state(&run, "cancelled");
    drop(holder);
    pair.wait_for_silence();

    // With a limit the run gives up by itself and names the table.
    let mut holder = pair.source.connect();
    holder.batch_execute("BEGIN; LOCK TABLE held").unwrap();
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"lock_timeout": 1, "retries": 0}')"#, &["held"]);
}

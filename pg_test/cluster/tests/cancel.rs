//! A run can be stopped in the middle, and leaves nothing running on either side.

use crate::slow;
use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};
use postgres::NoTls;
use postgres::error::SqlState;
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
    Test::richest("in each phase of the coordinator", phases),
    Test::apache("a comparison", comparison),
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
        if let Some(error) = error.as_db_error().filter(|error| *error.code() == SqlState::QUERY_CANCELED) {
            assert_eq!(error.detail(), None, "a cancel needs no trace");
            assert!(error.hint().is_some_and(|hint| hint.contains("migrate_resume(")), "{error:?}");
        }
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

/// Holds the coordinator up in a phase: by statements of a session that stays open, or whenever it
/// runs a command with this tag.
enum Hold {
    By(&'static str),
    At(&'static str),
}

/// A cancel ends the run wherever it is, and before anything of it is live; a resume goes on.
fn phases(edition: Edition) {
    let pair = Pair::new("cancel_phases", edition);
    pair.source.each(&[
        "CREATE SEQUENCE counter; SELECT setval('counter', 42)",
        "CREATE VIEW seen AS SELECT 1 AS n",
        "CREATE TABLE parts (n int) PARTITION BY RANGE (n); CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9);
         CREATE INDEX whole ON parts (n); CREATE RULE nothing AS ON DELETE TO part DO INSTEAD NOTHING",
        "CREATE TABLE metrics (t timestamptz NOT NULL); SELECT create_hypertable('metrics', 't');
         INSERT INTO metrics VALUES ('2024-01-01 UTC')",
        "SELECT lo_from_bytea(4714, 'x')",
        "CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM metrics; CREATE MATERIALIZED VIEW doubled AS SELECT 2",
        "CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER told ON sql_drop EXECUTE FUNCTION told()",
    ]);
    let community = edition == Edition::Community;
    if community {
        pair.source.sql("SELECT add_retention_policy('metrics', INTERVAL '100 years')");
    }
    pair.target.each(&[
        "CREATE TABLE public.held (tag text)",
        "CREATE FUNCTION public.hold() RETURNS event_trigger LANGUAGE plpgsql AS
             'BEGIN IF tg_tag = (SELECT tag FROM public.held) THEN PERFORM pg_advisory_xact_lock_shared(7); END IF; END'",
        "CREATE EVENT TRIGGER hold ON ddl_command_start EXECUTE FUNCTION public.hold()",
    ]);
    let jobs = "SELECT count(*) FROM _timescaledb_config.bgw_job WHERE hypertable_id IS NOT NULL";
    let mut run = None;
    for (phase, hold, mode) in [
        ("schema", Hold::At("CREATE VIEW"), "graceful"),
        ("sequences", Hold::By("ALTER SEQUENCE counter CACHE 1"), "graceful"),
        ("large_objects", Hold::By("LOCK TABLE pg_catalog.pg_largeobject IN SHARE MODE"), "graceful"),
        ("attach", Hold::At("ALTER INDEX"), "graceful"),
        ("rest", Hold::At("CREATE RULE"), "graceful"),
        ("refresh", Hold::At("REFRESH MATERIALIZED VIEW"), "immediate"),
        ("refresh", Hold::At("REFRESH MATERIALIZED VIEW"), "graceful"),
        ("jobs", Hold::By("LOCK TABLE pg_catalog.pg_event_trigger IN SHARE MODE"), "immediate"),
        ("jobs", Hold::By("LOCK TABLE pg_catalog.pg_event_trigger IN SHARE MODE"), "graceful"),
    ] {
        let mut holder = pair.target.connect();
        let held = match hold {
            Hold::By(statement) => statement.to_owned(),
            Hold::At(tag) => {
                pair.target.sql(&format!("TRUNCATE public.held; INSERT INTO public.held VALUES ('{tag}')"));
                "SELECT pg_advisory_xact_lock(7)".to_owned()
            }
        };
        holder.batch_execute(&format!("BEGIN; {held}")).unwrap();
        let run = match &run {
            None => run.insert(pair.start("")),
            Some(run) => {
                pair.target.rows(&format!("SELECT run FROM migrate_resume({run}, wait => false)"));
                run
            }
        };
        cluster::poll(&format!("the run to be held in {phase}"), || {
            pair.target.is(&format!(
                "SELECT EXISTS (SELECT FROM pg_locks JOIN timescale_migrate.run r USING (pid)
                                WHERE NOT granted AND r.id = {run} AND r.phase = '{phase}')"
            ))
        });
        assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, '{mode}')")), "{phase}");
        if mode == "graceful" {
            holder.batch_execute("ROLLBACK").unwrap();
        }
        cluster::poll("the end of the run", || pair.state(run) != "running");
        assert_eq!(pair.state(run), "cancelled", "{phase}, {mode}");
        pair.wait_for_silence();
        assert_eq!(pair.target.value(jobs), "0", "{phase}, {mode}");
    }
    pair.target.sql("DROP EVENT TRIGGER hold; DROP FUNCTION hold; DROP TABLE held");
    let run = run.unwrap();
    pair.target.rows(&format!("SELECT * FROM migrate_resume({run})"));
    assert_eq!(pair.state(&run), "done");
    assert_eq!(pair.target.value(jobs), if community { "1" } else { "0" });
    assert_same(&pair);
    assert!(!pair.target.is(&format!("SELECT migrate_cancel({run})")), "a run that is done is not cancelled");
}

/// There is nothing of it to go on with.
fn comparison(edition: Edition) {
    let pair = Pair::plain("cancel_comparison", edition);
    pair.source.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    pair.migrate();
    for mode in ["graceful", "immediate"] {
        // As if the table were a large one.
        let mut holder = pair.target.connect();
        holder.batch_execute("BEGIN; LOCK TABLE t").unwrap();
        thread::scope(|scope| {
            let call = scope.spawn(|| pair.target.error("SELECT * FROM migrate_verify('old')"));
            cluster::poll("the comparison to be held up", || {
                pair.target.is(
                    "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                                    WHERE NOT granted AND a.datname = current_database())",
                )
            });
            let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
            assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, '{mode}')")));
            if mode == "graceful" {
                holder.batch_execute("ROLLBACK").unwrap();
            }
            let error = call.join().unwrap();
            assert_eq!((error.code().code(), error.hint()), ("57014", None), "{error}");
            assert_eq!(pair.state(&run), "cancelled");
        });
        pair.wait_for_silence();
    }
}

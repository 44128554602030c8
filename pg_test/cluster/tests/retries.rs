//! What may pass is tried again by itself, with growing pauses; what may not stops the run, or
//! with `on_error => 'continue'` is listed at its end. A source that says nothing is noticed.

use crate::slow;
use cluster::suite::Test;
use cluster::{Edition, Pair, Stopped, assert_same, of_edition, poll};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::apache("a worker's session on the source ends", session_ends),
    Test::apache("the snapshot's session on the source ends", keeper_ends),
    Test::previous("the snapshot's session on the source ends", keeper_ends),
    Test::both("the source restarts", source_restarts),
    Test::apache("a lock is not to be had for a while", lock_timeout),
    Test::apache("no more attempts than asked for", limit),
    Test::apache("a stopped process sends nothing more of a table", stopped_copy),
    Test::apache("a stopped process holds the snapshot", stopped_keeper),
    Test::apache("the snapshot is lost while the last statistics are gathered", lost_before_comparing),
    Test::apache("on_error continue finishes all else", on_error),
];

/// A session that has more to send than the buffers between both sides hold.
const SENDER: &str = "application_name LIKE 'timescale_migrate run % task %' AND wait_event = 'ClientWrite'";
const KEEPER: &str = "application_name LIKE 'timescale_migrate run % keeper'";

/// Ends one session of the run on the source.
fn end(pair: &Pair, which: &str) {
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND {which} LIMIT 1"
    );
    poll("a session on the source", || pair.source.rows(&end).first().is_some_and(|row| row.get(0) == Some("t")));
}

/// One table whose copy takes seconds.
fn fill_wide(pair: &Pair) {
    pair.source.sql(
        "CREATE FUNCTION slowly(n int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
         CREATE TABLE wide (n int CHECK (public.slowly(n)), filler text);
         ALTER TABLE wide ALTER filler SET STORAGE EXTERNAL;
         INSERT INTO wide SELECT n, repeat(md5(n::text), 10000) FROM generate_series(1, 300) n;
         CREATE OR REPLACE FUNCTION slowly(n int) RETURNS boolean LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_sleep(0.01); RETURN true; END'",
    );
}

#[track_caller]
fn wait_for_success(pair: &Pair, run: &str) {
    pair.wait_for_state(run, "done");
    pair.wait_for_silence();
    assert!(pair.target.is("SELECT every(state = 'done') FROM timescale_migrate.task"));
    assert_same(pair);
}

#[track_caller]
fn assert_said(pair: &Pair, parts: &[&str]) {
    let messages = pair.messages();
    for part in parts {
        assert!(messages.contains(part), "no \"{part}\":\n{messages}");
    }
}

fn session_ends(edition: Edition) {
    let pair = Pair::plain("retry_session", edition);
    fill_wide(&pair);
    let run = pair.start(", jobs => 2");
    end(&pair, SENDER);
    poll("another attempt", || pair.messages().contains("trying again in 1 s (1 of 10)"));
    slow::hurry(&pair);
    wait_for_success(&pair, &run);
    assert!(!pair.messages().contains("continues under the new snapshot"), "{}", pair.messages());
}

fn keeper_ends(edition: Edition) {
    let target = if edition == Edition::Previous { Edition::Apache } else { edition };
    let pair = Pair::across(&format!("retry_keeper {}", edition.name()), edition, target);
    slow::fill(&pair);
    let run = pair.start(", jobs => 2");
    slow::wait_for_the_middle(&pair);
    end(&pair, KEEPER);
    poll("another attempt", || pair.messages().contains("trying again"));
    slow::hurry(&pair);
    wait_for_success(&pair, &run);
    assert_said(
        &pair,
        &[
            &format!("run {run}: the session on the source that held the run's snapshot is gone; trying again in 1 s (1 of 10)"),
            &format!("run {run} continues under the new snapshot"),
        ],
    );
}

fn source_restarts(edition: Edition) {
    let source = Arc::new(of_edition(edition, &[]));
    let pair = Pair::between("retry_restart", source, cluster::shared_target(edition));
    pair.source.sql("CREATE EXTENSION timescaledb");
    slow::fill(&pair);
    let run = pair.start(", jobs => 2");
    slow::wait_for_the_middle(&pair);
    pair.source.cluster.stop_immediately();
    // Not only a session that ends, but also connections that cannot be made.
    poll("a refused connection", || pair.messages().contains("could not connect to the source"));
    assert_eq!(pair.state(&run), "running");
    pair.source.cluster.start_again();
    slow::hurry(&pair);
    wait_for_success(&pair, &run);
    assert_said(&pair, &[&format!("run {run} continues under the new snapshot")]);
}

fn lock_timeout(edition: Edition) {
    let pair = Pair::plain("retry_lock", edition);
    pair.source.sql("CREATE TABLE busy (n int); INSERT INTO busy VALUES (1)");
    let mut holder = pair.source.connect();
    // A statement may hold a password.
    holder.batch_execute("BEGIN; LOCK TABLE busy; SELECT 'bWVsdGVk'").unwrap();
    let run = pair.start(r#", options => '{"lock_timeout": 1}'"#);
    poll("the second attempt", || pair.messages().contains("trying again in 2 s (2 of 10)"));
    drop(holder);
    wait_for_success(&pair, &run);
    assert_said(&pair, &["a table could not be locked within lock_timeout", "public.busy is locked by process"]);
    assert!(!pair.messages().contains("bWVsdGVk"), "{}", pair.messages());
}

fn limit(edition: Edition) {
    let pair = Pair::plain("retry_limit", edition);
    fill_wide(&pair);
    let run = pair.start(r#", jobs => 2, options => '{"retries": 0}'"#);
    end(&pair, SENDER);
    pair.wait_for_state(&run, "failed");
    pair.wait_for_silence();
    assert!(!pair.messages().contains("trying again"), "{}", pair.messages());
    // What it was told before the connection closed, if it came to read that.
    let whose = "side = 'source' AND sqlstate IN ('08006', '57P01')";
    assert!(pair.target.is(&format!("SELECT count(*) = 1 FROM timescale_migrate.task WHERE state = 'failed' AND {whose}")));
    assert!(pair.target.is(&format!("SELECT count(*) = 1 FROM timescale_migrate.run WHERE id = {run} AND {whose}")));
}

/// Stops the process of a session on the source.
fn stopped(pair: &Pair, which: &str) -> Stopped {
    let pid = format!("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND {which} LIMIT 1");
    let mut found = String::new();
    poll("a session on the source", || {
        found = pair.source.rows(&pid).first().and_then(|row| row.get(0)).unwrap_or_default().to_owned();
        !found.is_empty()
    });
    Stopped::process(&found)
}

fn stopped_copy(edition: Edition) {
    let pair = Pair::plain("retry_stopped_copy", edition);
    fill_wide(&pair);
    let run = pair.start(r#", options => '{"source_timeout": 2}'"#);
    let stopped = stopped(&pair, SENDER);
    poll("the silence to be noticed", || {
        pair.messages().contains("public.wide: the source has sent nothing for 2 s")
    });
    slow::hurry(&pair);
    pair.wait_for_state(&run, "done");
    drop(stopped);
    wait_for_success(&pair, &run);
}

fn stopped_keeper(edition: Edition) {
    let pair = Pair::new("retry_stopped_keeper", edition);
    slow::fill(&pair);
    let run = pair.start(r#", jobs => 2, options => '{"source_timeout": 2}'"#);
    slow::wait_for_the_middle(&pair);
    let stopped = stopped(&pair, KEEPER);
    slow::hurry(&pair);
    pair.wait_for_state(&run, "done");
    assert_said(
        &pair,
        &["the source has sent nothing for 2 s (The session on the source is not executing anything.); trying again"],
    );
    drop(stopped);
    wait_for_success(&pair, &run);
}

/// Workers compare while others still gather statistics: what fails there is tried again like all
/// else.
fn lost_before_comparing(edition: Edition) {
    let pair = Pair::plain("retry_comparing", edition);
    pair.source.each(&[
        "CREATE FUNCTION held(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN n; END'",
        "CREATE TABLE one AS SELECT 1 AS n; CREATE INDEX ON one (public.held(n)); CREATE TABLE two AS SELECT 2 AS n",
        // On the target, while an index is made and while statistics are gathered, it waits.
        "CREATE OR REPLACE FUNCTION held(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
         DECLARE phase text;
         BEGIN
             IF to_regclass('timescale_migrate.run_log') IS NOT NULL THEN
                 EXECUTE 'SELECT phase FROM timescale_migrate.run_log' INTO phase;
                 PERFORM pg_advisory_xact_lock_shared(CASE phase WHEN 'index' THEN 1 WHEN 'analyze' THEN 2 END);
             END IF;
             RETURN n;
         END $$",
    ]);
    pair.wait_for_older_transactions();
    let mut holder = pair.target.connect();
    holder.batch_execute("SELECT pg_advisory_lock(1), pg_advisory_lock(2)").unwrap();
    let held_up = || {
        poll("the index to be held up", || {
            pair.target.is("SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
                                           WHERE NOT granted AND locktype = 'advisory' AND datname = current_database())")
        })
    };
    // Of what was copied without it, the source is asked for the checksum at the end.
    let run = pair.start(", jobs => 4");
    held_up();
    pair.target.sql(&format!("SELECT migrate_cancel({run}, 'immediate')"));
    pair.wait_for_state(&run, "cancelled");
    let options = r#"{"verify": "checksum"}"#;
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run}, jobs => 4, wait => false, options => '{options}')"));
    held_up();
    end(&pair, KEEPER);
    poll("the snapshot to be gone", || {
        pair.source.is(&format!(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND {KEEPER})"
        ))
    });
    holder.batch_execute("SELECT pg_advisory_unlock(1)").unwrap();
    // How many do depends on who has taken them by then: after the first failure none is begun.
    poll("a comparison to fail", || {
        pair.target.is("SELECT count(*) > 0 FROM timescale_migrate.task WHERE phase = 'verify' AND state = 'failed'")
    });
    holder.batch_execute("SELECT pg_advisory_unlock(2)").unwrap();
    wait_for_success(&pair, &run);
    assert_said(&pair, &[&format!("run {run} continues under the new snapshot")]);
    let phase = "SELECT phase FROM timescale_migrate.message WHERE message LIKE 'run % trying again in 1 s (1 of 10)'";
    assert_eq!(pair.target.value(phase), "verify");
}

fn on_error(edition: Edition) {
    let pair = Pair::new("retry_on_error", edition);
    slow::fill(&pair);
    pair.source.sql(
        "CREATE INDEX late_index ON slow_too (n); CREATE INDEX other_index ON slow_too (n);
         ALTER TABLE slow_too ADD CONSTRAINT late_constraint UNIQUE (n);
         CREATE VIEW last AS SELECT * FROM slow_too",
    );
    let run = pair.start(r#", jobs => 2, options => '{"on_error": "continue"}'"#);
    slow::wait_for_the_middle(&pair);
    pair.target.sql("CREATE TABLE late_index (); CREATE TABLE late_constraint ()");
    slow::hurry(&pair);
    pair.wait_for_state(&run, "failed");
    pair.wait_for_silence();
    let failed = "SELECT string_agg(phase || ' ' || object, ', ' ORDER BY id) FROM timescale_migrate.task WHERE state <> 'done'";
    assert_eq!(pair.target.value(failed), "index INDEX public.late_index, index CONSTRAINT public.slow_too late_constraint, constraint CONSTRAINT public.slow_too late_constraint");
    assert!(pair.target.is("SELECT count(*) = 1 FROM pg_class WHERE relname = 'other_index'"));
    assert!(pair.target.is("SELECT count(*) > 0 FROM timescale_migrate.task WHERE phase = 'verify' AND state = 'done'"));
    let error = format!("SELECT concat_ws(E'\\n', sqlstate, error, detail) FROM timescale_migrate.run WHERE id = {run}");
    assert_eq!(
        pair.target.value(&error),
        "55000\n3 tasks failed\nindex: INDEX public.late_index: relation \"late_index\" already exists\n\
         index: CONSTRAINT public.slow_too late_constraint: relation \"late_constraint\" already exists\n\
         constraint: CONSTRAINT public.slow_too late_constraint: CONSTRAINT public.slow_too late_constraint cannot be made without its index"
    );
    pair.target.sql("DROP TABLE late_index; DROP TABLE late_constraint");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    wait_for_success(&pair, &run);
}

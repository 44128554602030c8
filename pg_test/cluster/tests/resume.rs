//! A run that stopped, for whatever reason, is continued by one call; the target then holds the
//! source as it is at that call.

use crate::slow::{self, FAST};
use cluster::suite::Test;
use cluster::{Db, Edition, Pair, assert_same, of_edition, shared_source, signal};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::both("what is finished is not copied again", finished_stays),
    Test::community("jobs come with the run's end, not before", last_transaction),
    Test::apache("a table in parts", parts),
    Test::apache("kill -9 of a worker and of the coordinator", kill_9),
    Test::apache("what cannot be resumed", refused),
    Test::apache("the source is not the database that the run began with", another_source),
    Test::apache("an index and a constraint that cannot be made", late_failure),
];

pub const SLOW: &str = "CREATE OR REPLACE FUNCTION slowly(n int) RETURNS boolean LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(0.01); RETURN true; END'";
pub const COPIED: &str = "FROM timescale_migrate.task WHERE phase = 'copy' AND state = 'done'";

/// Cancels the run; what is left of it will not take long.
pub fn cancel(pair: &Pair, run: &str) {
    assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, 'immediate')")));
    pair.wait_for_state(run, "cancelled");
    pair.wait_for_silence();
    pair.both(&[FAST]);
}

/// A run that was cancelled when some tasks were done and others not.
pub fn cancelled(pair: &Pair, arguments: &str) -> String {
    let run = pair.start(arguments);
    slow::wait_for_the_middle(pair);
    cancel(pair, &run);
    let open = "SELECT count(*) FROM timescale_migrate.task WHERE phase = 'copy' AND state = 'pending'";
    assert_ne!(pair.target.value(open), "0", "everything was copied already");
    run
}

#[track_caller]
pub fn resume(pair: &Pair, run: &str) {
    let summary = pair.target.rows(&format!("SELECT * FROM migrate_resume({run}, wait => true)"));
    assert_eq!((summary.len(), summary[0].get("run"), summary[0].get("state")), (1, Some(run), Some("done")));
    assert!(pair.target.is("SELECT every(state = 'done') FROM timescale_migrate.task"));
    assert!(pair.target.is("SELECT percent = 100 AND tasks_done = tasks FROM migrate_status()"));
    pair.wait_for_silence();
}

fn finished_stays(edition: Edition) {
    let pair = Pair::new("resume", edition);
    slow::fill(&pair);
    pair.wait_for_older_transactions();
    let run = cancelled(&pair, ", jobs => 2");
    let began = |objects: &str| {
        let list = format!("SELECT string_agg(object || ' ' || started_at, ', ' ORDER BY object) {COPIED} AND object = ANY ('{objects}')");
        pair.target.value(&list)
    };
    let objects = pair.target.value(&format!("SELECT array_agg(object) {COPIED}"));
    let before = began(&objects);
    assert_ne!(before, "");
    resume(&pair, &run);
    assert_eq!(before, began(&objects));
    assert_same(&pair);
    assert_eq!(pair.target.value("SELECT count(*) FROM timescale_migrate.run WHERE kind = 'migrate'"), "1");
    assert!(pair.messages().contains("continues under the new snapshot"), "{}", pair.messages());
    assert!(pair.target.is(&format!("SELECT every(same) FROM migrate_verify({run})")));
}

fn last_transaction(edition: Edition) {
    let pair = Pair::new("resume_last", edition);
    pair.source.sql("SELECT _timescaledb_functions.stop_background_workers()");
    pair.source.sql(
        "CREATE TABLE h (t timestamptz NOT NULL, n int);
         SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h VALUES ('2024-01-01 UTC', 1);
         ALTER TABLE h SET (timescaledb.compress);
         SELECT add_compression_policy('h', INTERVAL '90 years', initial_start => '2100-01-01 UTC'),
                add_retention_policy('h', INTERVAL '100 years', initial_start => '2100-01-01 UTC')",
    );
    pair.target.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not yet''; END';
         CREATE TRIGGER refuse BEFORE UPDATE ON timescale_migrate.run_log FOR EACH ROW WHEN (NEW.state = 'done')
         EXECUTE FUNCTION refuse()",
    );
    let jobs = "SELECT string_agg(proc_name, ' ' ORDER BY proc_name) FROM timescaledb_information.jobs WHERE job_id >= 1000";
    let run = pair.start("");
    pair.wait_for_state(&run, "failed");
    pair.wait_for_silence();
    assert!(pair.target.is("SELECT error = 'not yet' AND phase = 'jobs' FROM timescale_migrate.run_log"));
    assert_eq!(pair.target.value(&format!("SELECT coalesce(({jobs}), 'none')")), "none");
    pair.target.sql("DROP TRIGGER refuse ON timescale_migrate.run_log; DROP FUNCTION refuse");
    resume(&pair, &run);
    assert_same(&pair);
    assert_eq!(pair.target.value(jobs), "policy_compression policy_retention");
}

fn parts(edition: Edition) {
    let pair = Pair::plain("resume_parts", edition);
    // Without a key: a row that comes twice is not refused, only found.
    pair.source.sql(FAST);
    pair.source.sql(
        "CREATE TABLE wide (n int CHECK (public.slowly(n)), moved int DEFAULT 0, filler text);
         INSERT INTO wide SELECT n, 0, repeat('x', 700) FROM generate_series(1, 1500) n",
    );
    pair.source.sql(SLOW);
    let run = cancelled(&pair, ", options => '{\"split_bytes\": 100000}'");
    let copied = "SELECT count(*) > 100 AND count(*) < 1400 FROM wide";
    assert!(pair.target.is(copied), "not in the middle");
    // From the first pages to the last, then into the room that they left.
    pair.source.sql("UPDATE wide SET moved = 1 WHERE n < 300");
    pair.source.sql("VACUUM wide");
    pair.source.sql("UPDATE wide SET moved = 2 WHERE n > 1300; DELETE FROM wide WHERE n BETWEEN 600 AND 610");
    let place = "SELECT count(*) > 100 FROM wide WHERE moved = 2 AND (ctid::text::point)[0] < 30";
    assert!(pair.source.is(place), "no row moved to the front");
    resume(&pair, &run);
    assert_same(&pair);
    assert!(pair.target.is("SELECT count(*) = count(DISTINCT n) AND count(*) = 1489 FROM wide"));
    assert!(pair.target.is(&format!("SELECT count(*) > 5 {COPIED} AND method LIKE '%part of a large table%'")));
}

fn kill_9(edition: Edition) {
    let target = Arc::new(of_edition(edition, &[]));
    let pair = Pair::between("resume_kill", shared_source(edition), target);
    pair.source.sql("CREATE EXTENSION timescaledb");
    slow::fill(&pair);
    let run = pair.start(", jobs => 2");
    for kind in ["worker", "coordinator"] {
        slow::wait_for_the_middle(&pair);
        let copied: i64 = pair.target.value(&format!("SELECT count(*) {COPIED}")).parse().unwrap();
        let pid = pair.target.value(&format!(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'timescale_migrate {kind}' LIMIT 1"
        ));
        signal("KILL", &pid);
        // All others end with it, and the server starts anew by itself.
        cluster::poll("the server to notice", || {
            pair.target.try_value(&format!("SELECT state FROM migrate_status({run})")).is_ok_and(|s| s == "interrupted")
        });
        pair.wait_for_silence();
        let left: i64 = pair.target.value(&format!("SELECT count(*) {COPIED}")).parse().unwrap();
        assert!(left >= copied, "of {copied} finished tasks {left} are left after kill -9 of a {kind}");
        if kind == "worker" {
            pair.target.sql(&format!("SELECT * FROM migrate_resume({run}, wait => false)"));
        }
    }
    pair.both(&[FAST]);
    resume(&pair, &run);
    assert_same(&pair);
}

fn refused(edition: Edition) {
    let pair = Pair::new("resume_refused", edition);
    slow::fill(&pair);
    let refuses = |run: &str, message: &str, code: &str| {
        let error = pair.target.error(&format!("SELECT * FROM migrate_resume({run}, wait => true)"));
        assert_eq!((error.message(), error.code().code()), (message, code));
    };
    refuses("4711", "run 4711 does not exist", "42704");
    let run = pair.start("");
    slow::wait_for_the_middle(&pair);
    refuses(&run, &format!("run {run} is running and cannot be resumed"), "55000");
    assert_eq!(pair.state(&run), "running");
    pair.both(&[FAST]);
    pair.wait_for_state(&run, "done");
    pair.wait_for_silence();
    refuses(&run, &format!("run {run} is done and cannot be resumed"), "55000");
    pair.target.value("SELECT count(*) FROM migrate_verify('old')");
    let verify = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    refuses(&verify, &format!("run {verify} is not a migration and cannot be resumed"), "55000");
    assert_same(&pair);

    // Not while another one is at it, and the run is then as resumable as before.
    pair.target.sql("DROP TABLE slow; DROP TABLE slow_too; DROP FUNCTION slowly");
    pair.source.sql(SLOW);
    let run = pair.start("");
    slow::wait_for_the_middle(&pair);
    pair.target.sql(&format!("SELECT migrate_cancel({run}, 'immediate')"));
    pair.wait_for_state(&run, "cancelled");
    pair.wait_for_silence();
    let version = pair.target.value("SELECT extversion FROM pg_extension WHERE extname = 'timescale_migrate'");
    let begun_by = |version: &str| {
        pair.target.sql(&format!("UPDATE timescale_migrate.run_log SET extension_version = '{version}' WHERE id = {run}"));
    };
    begun_by("0.0.1");
    let message = format!("run {run} was begun by timescale_migrate 0.0.1 and cannot be resumed by {version}");
    refuses(&run, &message, "55000");
    begun_by(&version);
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run}, wait => false)"));
    refuses(&run, &format!("run {run} is running and cannot be resumed"), "55000");
    pair.both(&[FAST]);
    pair.wait_for_state(&run, "done");
    pair.wait_for_silence();
    assert_same(&pair);
}

fn another_source(edition: Edition) {
    let pair = Pair::new("resume_source", edition);
    slow::fill(&pair);
    let run = cancelled(&pair, "");
    let other = Db::create(pair.source.cluster.clone(), "resume_other_source");
    other.sql("CREATE EXTENSION timescaledb");
    let (dir, port) = (pair.source.cluster.dir.display(), pair.source.cluster.port);
    let to = |name: &str| {
        format!("SELECT * FROM migrate_resume({run}, 'host={dir} port={port} user=postgres dbname={name}', wait => true)")
    };
    let copied = pair.target.value(&format!("SELECT count(*) {COPIED}"));
    let error = pair.target.refuses(&to("resume_other_source"), &["migrate_from"]);
    assert_eq!(error.message(), "the source is not the database that the run began with");
    assert_eq!(error.code().code(), "22023");
    assert_eq!(pair.target.value(&format!("SELECT count(*) {COPIED}")), copied);
    pair.wait_for_silence();
    // The right one may as well be named in another way.
    pair.target.sql(&to("resume_source"));
    pair.wait_for_silence();
    assert_eq!(pair.state(&run), "done");
    assert_same(&pair);
}

fn late_failure(edition: Edition) {
    let pair = Pair::new("resume_late", edition);
    slow::fill(&pair);
    pair.source.sql(
        "CREATE INDEX late_index ON slow_too (n); ALTER TABLE slow_too ADD CONSTRAINT late_constraint UNIQUE (n);
         CREATE TABLE child (n int REFERENCES slow_too (n)); INSERT INTO child VALUES (1)",
    );
    pair.wait_for_older_transactions();
    let run = pair.start(", jobs => 2");
    slow::wait_for_the_middle(&pair);
    pair.target.sql("CREATE TABLE late_index (); CREATE TABLE late_constraint ()");
    pair.both(&[FAST]);
    pair.wait_for_state(&run, "failed");
    pair.wait_for_silence();
    let began = format!("SELECT string_agg(object || ' ' || started_at, ', ' ORDER BY object) {COPIED}");
    let before = pair.target.value(&began);
    let error = |part: &str| {
        let status = pair.target.value(&format!("SELECT concat_ws(' ', sqlstate, phase, object, error) FROM timescale_migrate.run WHERE id = {run}"));
        assert!(status.starts_with("42P07") && status.contains(part), "{status}");
    };
    // Whichever of the two failed first.
    error("already exists");
    // As long as it is there, the same again.
    pair.target.refuses(&format!("SELECT * FROM migrate_resume({run}, jobs => 1)"), &["relation \"late_index\" already exists"]);
    pair.wait_for_silence();
    pair.target.sql("DROP TABLE late_index");
    pair.target.refuses(&format!("SELECT * FROM migrate_resume({run}, wait => true)"), &["relation \"late_constraint\" already exists"]);
    pair.wait_for_silence();
    error("late_constraint");
    pair.target.sql("DROP TABLE late_constraint");
    resume(&pair, &run);
    assert_eq!(pair.target.value(&began), before);
    assert_same(&pair);
}

//! What a user sees of a run: checks and plan beforehand, progress meanwhile, rows afterwards.

use crate::slow;
use cluster::suite::{Test, leave_out};
use cluster::{Db, Edition, Pair, assert_same, assert_same_but, of_edition, poll, shared_source};
use postgres::NoTls;
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::both("preflight and plan change nothing", preflight_and_plan),
    Test::apache("notices while the caller waits", notices),
    Test::apache("a search_path that arrives and hides the functions is named at the end", hidden_functions),
    Test::apache("wait => false", without_waiting),
    Test::apache("percent does not fall when a copy is compared", percent),
    Test::apache("percent grows while one large table is compared", percent_of_one_table),
    Test::apache("as a job", as_a_job),
    Test::apache("as two jobs", as_two_jobs),
    Test::community("as a job of the scheduler", as_a_job_of_the_scheduler),
    Test::apache("as a job of pg_cron", as_a_job_of_pg_cron),
    Test::apache("the source sees run and task", seen_by_the_source),
    Test::apache("by connection string", by_connection_string),
];

fn preflight_and_plan(edition: Edition) {
    let pair = Pair::new("preflight", edition);
    pair.source.sql(
        "CREATE TABLE h (t timestamptz NOT NULL, n int); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours', n FROM generate_series(1, 90) n;
         CREATE TABLE p (n int PRIMARY KEY); INSERT INTO p SELECT generate_series(1, 500); CREATE MATERIALIZED VIEW m AS TABLE p; ANALYZE",
    );
    let database = format!("ALTER DATABASE {}", pair.source.name);
    pair.source.sql(&format!("{database} SET array_nulls = off; {database} SET default_transaction_read_only = on"));
    let everything = "SELECT count(*) || ' ' || (SELECT count(*) FROM pg_stat_user_tables) FROM pg_class";
    let before = (pair.source.value(everything), pair.target.value(everything));
    assert_eq!(pair.target.value("SELECT count(*) FROM migrate_preflight('old') WHERE status = 'error'"), "0");
    assert!(pair.target.is("SELECT every(status IN ('ok', 'warning')) AND count(*) > 3 FROM migrate_preflight('old')"));
    // One step after the other, and nothing is left out.
    assert!(pair.target.is("SELECT min(step) = 1 AND count(DISTINCT step) = max(step) FROM migrate_plan('old')"));
    for object in ["public.h", "public.p", "public.m"] {
        let planned = format!("SELECT count(*) > 0 FROM migrate_plan('old') WHERE object LIKE '%{object}%'");
        assert!(pair.target.is(&planned), "{object} is planned");
    }
    let note = "SELECT note FROM migrate_plan('old') WHERE method = 'ALTER DATABASE'";
    assert_eq!(pair.target.value(note), "owner postgres; setting array_nulls");
    assert!(pair.target.is("SELECT sum(rows) BETWEEN 590 AND 1200 FROM migrate_plan('old') WHERE rows > 0"));
    assert_eq!(before, (pair.source.value(everything), pair.target.value(everything)));
    assert_eq!(pair.target.value("SELECT count(*) FROM timescale_migrate.run"), "0");
    pair.wait_for_silence();
}

fn notices(edition: Edition) {
    let pair = Pair::new("notices", edition);
    slow::fill(&pair);
    let (mut client, heard) = pair.target.connect_listening();
    client.simple_query("SELECT * FROM migrate_from('old', jobs => 4)").unwrap();
    let heard = heard.lock().unwrap();
    let notices: Vec<_> = heard.iter().filter(|line| line.starts_with("NOTICE")).collect();
    assert!(notices.len() >= 3, "{heard:#?}");
    assert!(notices.iter().any(|line| line.contains("/s")), "a rate: {heard:#?}");
    assert!(notices.iter().any(|line| line.contains(": 1 table, 1 hypertable, 14 chunks, ")), "{heard:#?}");
    assert!(notices.iter().any(|line| line.to_lowercase().contains("eta") || line.contains("left")), "{heard:#?}");
}

fn hidden_functions(edition: Edition) {
    let pair = Pair::plain("hidden_functions", edition);
    pair.source.sql("CREATE SCHEMA app; ALTER DATABASE hidden_functions SET search_path = app, \"$user\"");
    let (mut client, heard) = pair.target.connect_listening();
    client.simple_query("SELECT * FROM migrate_from('old')").unwrap();
    let heard = heard.lock().unwrap().join("\n");
    assert!(heard.contains("does not contain schema \"public\", which has this extension's functions: call \"public\".migrate_verify"), "{heard}");
    assert!(pair.target.is("SELECT every(same) IS NOT false FROM public.migrate_verify('old')"));
    assert!(!pair.messages().contains("warning"), "{}", pair.messages());
}

fn without_waiting(edition: Edition) {
    let pair = Pair::new("no_wait", edition);
    slow::fill(&pair);
    let run = pair.start("");
    slow::wait_for_the_middle(&pair);
    let status = pair.target.rows(&format!("SELECT * FROM migrate_status({run})"));
    let status = &status[0];
    assert_eq!(status.get("state"), Some("running"));
    let percent: f64 = status.get("percent").unwrap().parse().unwrap();
    assert!((0.0..100.0).contains(&percent) && !status.get("bar").unwrap().is_empty(), "{status:?}");
    slow::hurry(&pair);
    pair.wait_for_state(&run, "done");
    pair.wait_for_silence();
    let whole = "SELECT percent = 100 AND tasks_done = tasks AND rows = 3000 AND eta IS NULL FROM migrate_status()";
    assert!(pair.target.is(whole), "{:?}", pair.target.rows("SELECT * FROM migrate_status()"));
    assert!(pair.target.is(&format!("SELECT state = 'done' FROM timescale_migrate.run WHERE id = {run}")));
    assert!(pair.target.is("SELECT every(state = 'done') AND count(*) > 14 FROM timescale_migrate.task"));
}

fn percent_of_one_table(edition: Edition) {
    let pair = Pair::plain("percent_of_one", edition);
    // Quick to read, not to compare.
    pair.both(&["CREATE TABLE t AS SELECT n, repeat('x', 8000) AS filler FROM generate_series(1, 200000) n", "ANALYZE t"]);
    let mut client = pair.target.connect();
    let comparison = std::thread::spawn(move || client.simple_query("SELECT * FROM migrate_verify('old')").is_ok());
    let (mut seen, mut rows) = (Vec::<f64>::new(), Vec::<i64>::new());
    let mut look = pair.target.connect();
    while !comparison.is_finished() {
        let status = look.query(
            "SELECT s.percent::float8, t.rows FROM timescale_migrate.task t, migrate_status(t.run) s WHERE t.state = 'running' AND t.rows > 0",
            &[],
        );
        for status in status.unwrap() {
            seen.push(status.get(0));
            rows.push(status.get(1));
        }
    }
    assert!(comparison.join().unwrap());
    // The task may have ended after the snapshot of the last query was taken, and before it read the locks.
    seen.pop();
    seen.dedup();
    rows.dedup();
    assert!(seen.is_sorted() && seen.len() > 3 && rows.is_sorted() && rows.len() > 3, "{seen:?} {rows:?}");
    assert!(pair.target.is("SELECT rows = 200000 AND bytes IS NULL FROM timescale_migrate.task WHERE run = (SELECT max(id) FROM timescale_migrate.run)"));
}

/// The source computes the checksum when the rows have arrived, in the same task.
fn percent(edition: Edition) {
    let pair = Pair::plain("percent", edition);
    pair.source.sql(
        "CREATE TABLE t AS SELECT n, n::numeric / 7 AS a, n::numeric / 11 AS b, now() + n * interval '1 second' AS c
         FROM generate_series(1, 500000) n; ANALYZE",
    );
    let run = pair.start(r#", options => '{"verify": "checksum", "jobs": 1}'"#);
    let (mut seen, mut before) = (Vec::new(), 0.0);
    loop {
        let look = || {
            let status = pair.target.rows(&format!("SELECT state, percent FROM migrate_status({run})"));
            (status[0].get(0).unwrap().to_string(), status[0].get(1).unwrap().parse::<f64>().unwrap())
        };
        let (mut state, mut percent) = look();
        if percent < before || state == "interrupted" {
            // A task, or the run, may have ended after the snapshot of the query was taken, and before it read the locks.
            (state, percent) = look();
        }
        assert!(percent >= before, "{percent} after {before}: {seen:?}");
        if seen.last() != Some(&percent) {
            seen.push(percent);
        }
        before = percent;
        match state.as_str() {
            "running" => {}
            "done" => break,
            other => panic!("{other}"),
        }
    }
    assert!(seen.len() > 3, "{seen:?}");
}

/// Each of them knows its own run.
fn as_two_jobs(edition: Edition) {
    let pair = Pair::new("as_two_jobs", edition);
    pair.source.sql(
        "CREATE TABLE h (t timestamptz NOT NULL, n int); SELECT create_hypertable('h', by_range('t'));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 day', n FROM generate_series(1, 30) n",
    );
    let runs = "SELECT string_agg(concat_ws(' ', id, options->>'mode', state), ', ' ORDER BY id) FROM timescale_migrate.run";
    for (mode, all) in [("schema", "1 schema done"), ("data", "1 schema done, 2 data done")] {
        for _ in 0..2 {
            pair.target.sql(&format!(r#"CALL migrate_job(0, '{{"source": "old", "jobs": 1, "mode": "{mode}"}}')"#));
            assert_eq!(pair.target.value(runs), all);
        }
    }
    pair.target.sql(r#"CALL migrate_job(0, '{"source": "old", "mode": "schema", "verify": "checksum"}')"#);
    assert_eq!(pair.target.value(runs), "1 schema done, 2 data done");
    assert_same(&pair);
    // Another source, or other work, is none of theirs: what it finds on the target is in its way.
    pair.target.refuses(r#"CALL migrate_job(0, '{"source": "old"}')"#, &["already exists on the target"]);
}

fn as_a_job(edition: Edition) {
    let pair = Pair::plain("as_a_job", edition);
    pair.source.sql(
        "CREATE FUNCTION at_home(int) RETURNS boolean LANGUAGE sql AS
             'SELECT NOT EXISTS (SELECT FROM pg_extension WHERE extname = ''timescale_migrate'')';
         CREATE TABLE t (n int CHECK (public.at_home(n))); INSERT INTO t SELECT generate_series(1, 100)",
    );
    let call = r#"CALL migrate_job(1, '{"source": "old", "jobs": 1}')"#;
    let runs = "SELECT string_agg(id || ' ' || state, ', ') FROM timescale_migrate.run";
    pair.target.refuses(call, &["t_n_check"]);
    assert_eq!(pair.target.value(runs), "1 failed");
    pair.both(&["CREATE OR REPLACE FUNCTION at_home(int) RETURNS boolean LANGUAGE sql AS 'SELECT true'"]);
    // It continues the same run, and leaves it alone once it is done.
    for _ in 0..2 {
        pair.target.sql(call);
        assert_eq!(pair.target.value(runs), "1 done");
    }
    assert_same(&pair);
    pair.target.refuses(r#"CALL migrate_job(1, '{"jobs": 1}')"#, &["source"]);
}

/// The run makes jobs itself, of which the scheduler has to hear while this one is waiting.
fn as_a_job_of_the_scheduler(edition: Edition) {
    let pair = Pair::new("scheduled", edition);
    pair.source.each(&[
        "SELECT _timescaledb_functions.stop_background_workers()",
        "CREATE TABLE t (t timestamptz NOT NULL, n int)",
        "SELECT create_hypertable('t', 't')",
        "INSERT INTO t SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 day', n FROM generate_series(1, 100) n",
        "CREATE TABLE told (n int)",
        "CREATE PROCEDURE tell(job_id int, config jsonb) LANGUAGE sql AS 'INSERT INTO public.told VALUES (1)'",
        "SELECT add_job('tell', '1 day', config => '{\"a\": 1}')",
    ]);
    let job = pair.target.value(r#"SELECT add_job('migrate_job', '1 day', config => '{"source": "old", "jobs": 1}')"#);
    let before = pair.target.cluster.log_length();
    let error = first_end(&pair.target, &job);
    assert_eq!(pair.target.value("SELECT string_agg(state, ' ') FROM timescale_migrate.run"), "done");
    // It is to be removed, as long as it is there.
    let removal = format!("To remove the job that migrates: SELECT public.delete_job({job});");
    let log = pair.target.cluster.log_since(before);
    assert!(log.contains(&format!("timescale_migrate run 1 is done: {removal}")), "{log}");
    let message = || pair.target.value("SELECT message FROM migrate_status()");
    let warnings = " FROM timescale_migrate.message WHERE run = 1 AND level = 'warning';";
    assert!(message().ends_with(&format!("{warnings} {removal}")), "{}", message());
    // That its number is taken by the one that brings it is not to be mended.
    let number = "User-Defined Action [1000]: gets another number, because the job that migrates has the number 1000 | \
                  Change it by its name or its table, not by its number.";
    let told = "SELECT message || ' | ' || hint FROM timescale_migrate.message WHERE message LIKE '%number%' AND hint IS NOT NULL";
    assert!(pair.target.value(told).ends_with(number), "{}", pair.target.value(told));
    // Some servers end every job so, once its work is done: then one that does nothing ends in the same words.
    if !error.is_empty() {
        pair.target.sql("CREATE PROCEDURE nothing(job_id int, config jsonb) LANGUAGE sql AS 'SELECT 1'");
        let nothing = pair.target.value("SELECT add_job('nothing', '1 day')");
        assert_eq!(error, first_end(&pair.target, &nothing));
        pair.target.sql(&format!("SELECT delete_job({nothing}); DROP PROCEDURE nothing"));
    }
    poll("the source's job to run", || pair.target.value("SELECT count(*) FROM told") == "1");
    pair.target.sql("TRUNCATE told");
    assert_same_but(&pair, &["job "]);
    pair.target.sql(&format!("CALL run_job({job})"));
    assert_eq!(pair.target.value("SELECT count(*) FROM timescale_migrate.run"), "1");
    // One of which it failed is a job like any other, unless it migrates.
    pair.target.sql("UPDATE _timescaledb_internal.bgw_job_stat SET last_run_success = false, last_finish = now()");
    let failed = pair.preflight("scheduler");
    assert!(!failed.iter().any(|row| row.contains(&format!("[{job}]"))) && failed.iter().any(|row| row.contains("failed")), "{failed:?}");
    pair.target.sql("UPDATE _timescaledb_internal.bgw_job_stat SET last_run_success = true");
    // Every job that is done is named, whichever run is the newest.
    let second = pair.target.value(r#"SELECT add_job('migrate_job', '1 day', config => '{"source": "old", "jobs": 2}', initial_start => '2100-01-01')"#);
    let both = format!("SELECT public.delete_job({job}); SELECT public.delete_job({second});");
    assert!(message().ends_with(&format!(" To remove the jobs that migrate: {both}")), "{}", message());
    pair.target.sql(&both);
    assert!(message().ends_with(warnings), "{}", message());
}

/// As docs/operations.md schedules it, but for the time; in a session that pg_cron opens, and in one of its background workers.
fn as_a_job_of_pg_cron(edition: Edition) {
    if !edition.has_extension("pg_cron") {
        leave_out("no pg_cron in the installation under test; Debian 13: postgresql-17-cron");
    }
    let cluster = Arc::new(of_edition(edition, &[("shared_preload_libraries", "timescaledb, pg_cron")]));
    for workers in ["off", "on"] {
        let connect = || cluster.config("postgres").connect(NoTls).unwrap();
        let socket = cluster.dir.display();
        for setting in [format!("cron.host = '{socket}'"), format!("cron.use_background_workers = {workers}")] {
            connect().batch_execute(&format!("ALTER SYSTEM SET {setting}")).unwrap();
        }
        cluster.stop();
        cluster.start_again();

        let pair = Pair::between(&format!("by_cron_{workers}"), shared_source(edition), cluster.clone());
        pair.source.sql(
            "CREATE FUNCTION at_home(int) RETURNS boolean LANGUAGE sql AS
                 'SELECT NOT EXISTS (SELECT FROM pg_extension WHERE extname = ''timescale_migrate'')';
             CREATE TABLE t (n int CHECK (public.at_home(n))); INSERT INTO t SELECT generate_series(1, 100)",
        );
        let mut cron = connect();
        let schedule = format!(
            r#"SELECT cron.schedule_in_database('migrate', '1 second', $$CALL migrate_job(0, '{{"source": "old", "jobs": 1}}')$$, '{}')"#,
            pair.target.name
        );
        cron.batch_execute(&format!("CREATE EXTENSION IF NOT EXISTS pg_cron; DELETE FROM cron.job_run_details; {schedule}")).unwrap();
        let mut ended = |status: &str, message: &str| {
            let ended = "SELECT count(*) FROM cron.job_run_details WHERE status = $1 AND return_message LIKE $2";
            poll(&format!("a job that {status}"), || cron.query_one(ended, &[&status, &message]).unwrap().get::<_, i64>(0) > 0);
        };
        ended("failed", "%t_n_check%");
        // The next one continues the same run.
        pair.both(&["CREATE OR REPLACE FUNCTION at_home(int) RETURNS boolean LANGUAGE sql AS 'SELECT true'"]);
        ended("succeeded", "CALL%");
        connect().batch_execute("SELECT cron.unschedule('migrate')").unwrap();
        assert_eq!(pair.target.value("SELECT string_agg(id || ' ' || state, ', ') FROM timescale_migrate.run"), "1 done");
        assert_same(&pair);
    }
}

/// Waits for the first run of a scheduled job; its error, empty if it had none.
fn first_end(db: &Db, job: &str) -> String {
    let ended = format!("SELECT last_run_status IS NOT NULL FROM timescaledb_information.job_stats WHERE job_id = {job}");
    poll("the job to end", || db.rows(&ended).first().is_some_and(|row| row.get(0) == Some("t")));
    db.value(&format!("SELECT max(err_message) FROM timescaledb_information.job_errors WHERE job_id = {job}"))
}

fn seen_by_the_source(edition: Edition) {
    let pair = Pair::new("seen", edition);
    slow::fill(&pair);
    let run = pair.start("");
    slow::wait_for_the_middle(&pair);
    let names = pair.source.value(
        "SELECT string_agg(application_name, ', ') FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
    );
    assert!(names.contains("timescale_migrate") && names.contains(&run), "{names}");
    let events = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND backend_type LIKE '%migrate%' AND wait_event = 'Extension'";
    // They can have one since PostgreSQL 17.
    assert_eq!(pair.target.value(events) == "0", pair.target.major() >= 17, "waits without a name of their own");
    slow::hurry(&pair);
    pair.wait_for_state(&run, "done");
}

fn by_connection_string(edition: Edition) {
    for uri in [false, true] {
        let pair = Pair::plain("by_string", edition);
        pair.source.sql("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 100)");
        let (dir, port) = (pair.source.cluster.dir.display(), pair.source.cluster.port);
        let source = if uri {
            format!("postgresql://postgres@/by_string?host={dir}&port={port}")
        } else {
            format!("host={dir} port={port} user=postgres dbname=by_string")
        };
        pair.target.value(&format!("SELECT state FROM migrate_from('{source}', jobs => 1)"));
        assert_same(&pair);
        assert!(pair.target.is(&format!("SELECT every(same) FROM migrate_verify('{source}')")));
    }
}

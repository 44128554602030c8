//! The preflight names the source's policies that would meet the run, and the target's jobs that fail.

use cluster::suite::Test;
use cluster::{Edition, Pair, Versions, poll};

pub const TESTS: &[Test] = &[
    Test::versions("policies that run or are due", policies),
    Test::community("jobs of the target whose newest run failed", failed),
];

const NONE: [&str; 1] = ["ok | policies of the source | none runs or is due within the hour"];

fn policies(versions: Versions) {
    let pair = Pair::of("preflight_jobs", versions);
    let schema = pair.source.functions();
    let hint = format!("SELECT {schema}.stop_background_workers(); -- on the source, as a superuser, and start_background_workers() after the run");
    pair.source.sql(
        "CREATE TABLE h (t timestamptz NOT NULL, n int); SELECT create_hypertable('h', 't', chunk_time_interval => INTERVAL '1 day');
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours', n FROM generate_series(1, 9) n;
         SELECT add_retention_policy('h', INTERVAL '100 years'); ALTER TABLE h SET (timescaledb.compress)",
    );
    pair.source.sql("SELECT add_compression_policy('h', INTERVAL '1 year')");
    // Without a scheduler nothing is due.
    assert_eq!(pair.preflight("jobs"), NONE);

    // The compression runs as long as somebody reads what it is to compress.
    let mut reader = pair.source.connect();
    reader.batch_execute("BEGIN; SELECT * FROM h").unwrap();
    pair.source.sql("SELECT alter_job(job_id, next_start => now() + interval '30 minutes') FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'");
    pair.source.sql(&format!("SELECT {schema}.start_background_workers()"));
    let name = |procedure: &str| {
        pair.source.value(&format!("SELECT application_name FROM _timescaledb_config.bgw_job WHERE proc_name = '{procedure}'"))
    };
    let running = format!(
        "warning | {} | on public.h is running; chunks that it changes during the run are read under a later snapshot | {hint}",
        name("policy_compression")
    );
    // It keeps off whoever reads that chunk next, the preflight too.
    let jobs = || pair.preflight_in_full("jobs", r#"{"lock_timeout": 1}"#);
    poll("the compression policy to run", || jobs().contains(&running));
    let locks = pair.preflight_with("locks", r#"{"lock_timeout": 1}"#);
    let start = "error | tables and chunks of the source | _timescaledb_internal._hyper_";
    let end = " | Wait for the session that holds the lock, or raise the option lock_timeout.";
    assert!(locks.len() == 1 && locks[0].starts_with(start) && locks[0].ends_with(end), "{locks:?}");
    let rows = jobs();
    let due = format!("warning | {} | on public.h is due at ", name("policy_retention"));
    assert!(rows.len() == 2 && rows[0].starts_with(&due) && rows[1] == running, "{rows:?}");
    // A time that is not of today.
    pair.source.sql("SELECT alter_job(job_id, next_start => now() + interval '30 hours') FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'");
    assert_eq!(jobs(), [running]);

    // As the hint says.
    pair.source.sql(&format!("SELECT {schema}.stop_background_workers()"));
    poll("the jobs to end", || pair.preflight("jobs") == NONE);

    // What is due matters only if rows of its hypertable arrive.
    drop(reader);
    pair.source.sql("CREATE TABLE plain (n int); SELECT remove_compression_policy('h')");
    pair.source.sql("SELECT alter_job(job_id, next_start => now() + interval '30 minutes') FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'");
    pair.source.sql(&format!("SELECT {schema}.start_background_workers()"));
    poll("the scheduler to start", || pair.preflight("jobs").first().is_some_and(|row| row.starts_with(&due)));
    assert_eq!(pair.preflight_with("jobs", r#"{"exclude": ["public.h"]}"#), NONE);
    assert_eq!(pair.preflight_with("jobs", r#"{"exclude_data": ["public.h"]}"#), NONE);
    assert!(pair.preflight_with("jobs", r#"{"exclude": ["public.plain"]}"#)[0].starts_with(&due));
    // The configurations of policies are translated, those of actions are the user's own.
    pair.source.sql("CREATE PROCEDURE act(job_id int, config jsonb) LANGUAGE sql AS 'SELECT 1'");
    pair.source.sql(r#"SELECT add_job('act', '1 day', config => '{"hypertable_id": 1}'), add_job('act', '1 day', config => '{"other": 1}')"#);
    let by_number = jobs().into_iter().filter(|row| row.contains("| names a hypertable by its number")).count();
    assert_eq!(by_number, 1, "{:?}", jobs());
    pair.source.sql(&format!("SELECT {schema}.stop_background_workers()"));
}

fn failed(edition: Edition) {
    let pair = Pair::new("preflight_failed", edition);
    let scheduler = || {
        let mut rows = pair.preflight_in_full("scheduler", "{}");
        // On some servers TimescaleDB's own jobs fail as well.
        rows.retain(|row| !row.contains(" Policy [") && !row.contains("Telemetry"));
        rows
    };
    let job = pair.target.value(
        "CREATE PROCEDURE fail(job_id int, config jsonb) LANGUAGE plpgsql AS 'BEGIN RAISE ''no luck''; END';
         SELECT add_job('fail', '1 day', job_name => 'Unlucky')",
    );
    let name = format!("Unlucky [{job}]");
    let warning = format!("warning | {name} | failed on the target at ");
    let hint = " | Jobs that arrive may fail in the same way. The view timescaledb_information.job_errors shows every failure.";
    poll("the job to fail", || scheduler().iter().any(|row| row.starts_with(&warning)));
    let rows = scheduler();
    assert!(rows.len() == 1 && rows[0].ends_with(&format!(": no luck{hint}")), "{rows:?}");
    // A run keeps it.
    pair.source.sql("CREATE TABLE t (n int)");
    pair.migrate();
    assert!(pair.messages().contains(&format!("{name}: failed on the target at ")), "{}", pair.messages());
}

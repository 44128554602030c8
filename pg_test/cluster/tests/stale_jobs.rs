//! Jobs that the source cannot run any more, or whose table does not arrive, are named beforehand, and end no run.

use cluster::suite::Test;
use cluster::{Pair, Versions};

pub const TESTS: &[Test] = &[
    Test::between("what they need is gone", &VERSIONS, gone),
    Test::between("what they are on is left out", &VERSIONS, left_out),
];

const VERSIONS: [Versions; 3] =
    [Versions::new("2.19.3", "2.19.3"), Versions::new("2.19.3", "2.29.2"), Versions::new("2.29.2", "2.29.2")];

fn metric(pair: &Pair) {
    pair.source.sql(
        "CREATE TABLE metric (t timestamptz NOT NULL, v float8); SELECT create_hypertable('metric', 't', chunk_time_interval => INTERVAL '1 day');
         INSERT INTO metric SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n FROM generate_series(1, 100) n",
    );
}

/// The warnings on jobs, and the numbers of the jobs that have arrived.
fn outcome(pair: &Pair, options: &str) -> (Vec<String>, String) {
    let warnings = pair.target.rows(&format!(
        "SELECT subject || ': ' || detail FROM migrate_preflight('old', '{options}') WHERE status = 'warning' AND subject LIKE 'job %' ORDER BY 1"
    ));
    assert_eq!(pair.target.value(&format!("SELECT count(*) FROM migrate_preflight('old', '{options}') WHERE status = 'error'")), "0");
    let warnings: Vec<String> = warnings.iter().map(|row| row.get(0).unwrap().to_owned()).collect();
    assert_eq!(pair.migrate_with(&format!("'{options}', jobs => 2")).get("state"), Some("done"));
    for warning in &warnings {
        assert!(pair.messages().contains(&warning.replace('"', "\"\"")), "no {warning} in {}", pair.messages());
    }
    (warnings, pair.target.value("SELECT string_agg(id::text, ' ' ORDER BY id) FROM _timescaledb_config.bgw_job WHERE id >= 1000"))
}

fn gone(versions: Versions) {
    let pair = Pair::of("stale_jobs", versions);
    metric(&pair);
    let [leaver, nologin] = ["leaver", "nologin"].map(|role| format!("{}_{role}", pair.source.name.replace(' ', "_")));
    pair.source.sql(&format!("DROP ROLE IF EXISTS {leaver}, {nologin}; CREATE ROLE {leaver} LOGIN; CREATE ROLE {nologin} LOGIN"));
    pair.target.sql(&format!("DROP ROLE IF EXISTS {leaver}, {nologin}"));
    let add = |procedure: &str, more: &str| {
        pair.source.value(&format!("SELECT add_job('{procedure}', '1 day', initial_start => '2100-01-01 UTC'{more})"))
    };
    pair.source.sql(&format!(
        "CREATE SCHEMA \"Old place\"; GRANT ALL ON SCHEMA \"Old place\" TO {leaver};
         CREATE PROCEDURE stays(job_id int, config jsonb) LANGUAGE sql AS 'SELECT 1';
         CREATE PROCEDURE \"Old place\".goes(job_id int, config jsonb) LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION \"Old place\".checks(config jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
         ALTER PROCEDURE \"Old place\".goes OWNER TO {leaver}; ALTER FUNCTION \"Old place\".checks OWNER TO {leaver}"
    ));
    let (kept, checked) = (add("stays", ""), add("stays", ", check_config => '\"Old place\".checks'"));
    let (moved, ownerless) = (add("\"Old place\".goes", ", config => '{\"a\": 1}'"), add("stays", ""));
    let unlogged = add("stays", &format!(", config => '{{\"owner\": \"{nologin}\"}}'"));
    let policy = pair.source.value("SELECT add_retention_policy('metric', INTERVAL '300 years', initial_start => '2100-01-01 UTC')");
    let astray = add("stays", "");
    pair.source.each(&[
        format!("DROP OWNED BY {leaver}"),
        format!("UPDATE _timescaledb_config.bgw_job SET owner = '4711' WHERE id = {ownerless}"),
        format!("UPDATE _timescaledb_config.bgw_job SET owner = '{nologin}' WHERE id = {unlogged}"),
        format!("ALTER ROLE {nologin} NOLOGIN"),
        // A policy on what is there no more; under its number, the target has another table.
        format!(
            "UPDATE _timescaledb_config.bgw_job SET proc_schema = '_timescaledb_functions', proc_name = 'policy_retention',
                 application_name = 'Astray', config = '{{\"drop_after\": \"1 day\", \"hypertable_id\": 4711}}' WHERE id = {astray}"
        ),
    ]);
    let (warnings, arrived) = outcome(&pair, "{}");
    let job = |id: &str| format!("job User-Defined Action [{id}]: ");
    let expected = [
        (format!("job Astray [{astray}]: "), "The source no longer has its hypertable 4711. Left out: it will not run on the target."),
        (job(&checked), "The source no longer has its check function \"Old place\".checks. The job arrives; its configuration is not checked, as on the source."),
        (job(&moved), "The source no longer has its function or procedure \"Old place\".goes. Left out: it will not run on the target."),
        (job(&ownerless), "The source no longer has its owner, role 4711. Left out: it will not run on the target."),
    ];
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
    for ((start, part), warning) in expected.iter().zip(&warnings) {
        assert!(warning.starts_with(start.as_str()) && warning.contains(part), "{warning}");
    }
    assert_eq!(arrived, [&kept, &checked, &unlogged, &policy].map(String::as_str).join(" "));
    pair.both(&[format!("CALL run_job({checked})"), format!("SELECT alter_job({checked}, config => '{{}}')")]);
}

fn left_out(versions: Versions) {
    let pair = Pair::of("jobs_left_out", versions);
    metric(&pair);
    pair.source.sql("CREATE TABLE bare (t timestamptz NOT NULL); SELECT create_hypertable('bare', 't')");
    pair.source.sql("CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', t) AS d, sum(v) AS v FROM metric GROUP BY 1");
    let add = |call: &str| pair.source.value(&format!("SELECT add_{call}, initial_start => '2100-01-01 UTC')"));
    let kept = add("retention_policy('metric', INTERVAL '300 years'");
    let on_bare = add("retention_policy('bare', INTERVAL '300 years'");
    let on_daily = add("retention_policy('daily', INTERVAL '300 years'");
    let refreshing = add("continuous_aggregate_policy('daily', NULL, NULL, INTERVAL '1 hour'");
    // Dropped as a superuser can in a session that restores.
    let mut client = pair.source.connect();
    client.batch_execute("SET timescaledb.restoring = on; DROP TABLE bare").unwrap();
    let (warnings, arrived) = outcome(&pair, r#"{"caggs": "skip"}"#);
    let mut expected = vec![
        (format!("[{on_bare}]"), "public.bare does not arrive."),
        (format!("[{on_daily}]"), "public.daily does not arrive."),
        (format!("[{refreshing}]"), "public.daily does not arrive."),
    ];
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
    for warning in &warnings {
        expected.retain(|(number, part)| !(warning.contains(number.as_str()) && warning.contains(part)));
    }
    assert!(expected.is_empty(), "no {expected:?} in {warnings:#?}");
    assert_eq!(arrived, kept);
    let rows = "SELECT count(*) || ' ' || sum(v) FROM metric";
    assert_eq!(pair.source.value(rows), pair.target.value(rows));
}

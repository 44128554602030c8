//! Continuous aggregates that are not copied: computed anew from what they read, or left out.

use cluster::suite::Test;
use cluster::{Edition, Pair, Versions, assert_same_but, poll};

pub const TESTS: &[Test] = &[
    Test::versions("computed anew", computed_anew),
    Test::community("computed anew, where raw data is gone", raw_data_gone),
    Test::community("computed anew, interrupted", interrupted),
    Test::community("left out", left_out),
];

const RAW: &str = "
    CREATE FUNCTION heavy(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN n; END';
    CREATE TABLE reading (t timestamptz NOT NULL, device int NOT NULL, n int);
    SELECT create_hypertable('reading', 't', chunk_time_interval => INTERVAL '10 days');
    INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '50 minutes', i % 7, i FROM generate_series(0, 3000) i";

const CAGGS: [(&str, &str); 6] = [
    ("hourly", "SELECT time_bucket('1 hour', t) AS bucket, device, sum(public.heavy(n)) AS n, count(*) AS c FROM reading GROUP BY 1, 2"),
    ("daily", "SELECT time_bucket('1 day', bucket) AS day, device, sum(n) AS n FROM hourly GROUP BY 1, 2"),
    ("weekly", "SELECT time_bucket('7 days', day) AS week, sum(n) AS n FROM daily GROUP BY 1"),
    ("monthly", "SELECT time_bucket('1 month', t, 'Europe/Berlin') AS month, sum(n) AS n FROM reading GROUP BY 1"),
    ("\"It's \"\"Odd\"\"\"", "SELECT time_bucket('6 hours', t) AS \"The Bucket\", max(n) FROM reading GROUP BY 1 HAVING count(*) > 1"),
    ("never_refreshed", "SELECT time_bucket('1 day', t) AS day, count(*) FROM reading GROUP BY 1"),
];

fn make(pair: &Pair) {
    pair.source.sql(RAW);
    for (name, query) in CAGGS {
        pair.source.sql(&format!(
            "CREATE MATERIALIZED VIEW {name} WITH (timescaledb.continuous, timescaledb.materialized_only = {}) AS {query} WITH NO DATA",
            name != "hourly"
        ));
    }
    for (name, _) in &CAGGS[..5] {
        pair.source.sql(&format!("CALL refresh_continuous_aggregate('{}', NULL, '2024-03-01 UTC')", name.replace('\'', "''")));
    }
    pair.source.each(&[
        "CREATE INDEX own_index ON hourly (n, bucket DESC)",
        "CREATE MATERIALIZED VIEW kept AS SELECT sum(n) AS n FROM weekly",
        "SELECT add_continuous_aggregate_policy('daily', NULL, INTERVAL '1 day', INTERVAL '1 day', initial_start => '2100-01-01 UTC')",
        // Not yet in any of them.
        "INSERT INTO reading VALUES ('2024-01-05 03:00 UTC', 2, 1000), ('2024-02-11 03:00 UTC', 3, 1000)",
    ]);
}

/// What a refresh of everything makes of a side.
fn refresh(side: &cluster::Db) {
    for (name, _) in CAGGS {
        side.sql(&format!("CALL refresh_continuous_aggregate('{}', NULL, NULL)", name.replace('\'', "''")));
    }
}

const RECOMPUTE: &str = r#"'{"caggs": "recompute"}', jobs => 3"#;

fn computed_anew(versions: Versions) {
    let pair = Pair::of("caggs_anew", versions);
    make(&pair);
    let levels = "SELECT string_agg(object || ' ' || right(note, 1), ', ' ORDER BY note, object) FROM migrate_plan('old', '{\"caggs\": \"recompute\"}') WHERE phase = 'recompute'";
    let planned = pair.target.value(levels);
    assert!(planned.ends_with("public.never_refreshed 1, public.daily 2, public.weekly 3"), "{planned}");
    pair.migrate_with(RECOMPUTE);
    // None of it was copied, and all of it has arrived, with what was made of it.
    let copied = "SELECT count(*) FROM timescale_migrate.task WHERE phase = 'copy' AND object LIKE '%materialized_hypertable%'";
    assert_eq!(pair.target.value(copied), "0");
    assert!(pair.target.is("SELECT (SELECT sum(n) FROM hourly) = (SELECT sum(n) FROM reading) AND (SELECT n FROM kept) = (SELECT sum(n) FROM reading)"));
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify((SELECT max(id) FROM timescale_migrate.run))"));
    refresh(&pair.source);
    pair.source.sql("REFRESH MATERIALIZED VIEW kept");
    // Up to where nothing is known to be materialized depends on which refresh came first.
    let mut differ = vec!["invalidations of "];
    if !versions.same() {
        differ.extend(["writes to ", "sparse indexes of "]);
    }
    assert_same_but(&pair, &differ);
    pair.both(&[
        "INSERT INTO reading SELECT timestamptz '2024-01-15 00:10 UTC' + i * INTERVAL '9 hours', i % 7, i FROM generate_series(0, 300) i",
        "CALL refresh_continuous_aggregate('hourly', '2024-01-10 UTC', '2024-03-10 UTC')",
        "CALL refresh_continuous_aggregate('daily', '2024-01-10 UTC', '2024-03-10 UTC')",
    ]);
    assert_same_but(&pair, &differ);
}

fn raw_data_gone(edition: Edition) {
    let pair = Pair::new("caggs_anew_gone", edition);
    pair.source.sql("SELECT _timescaledb_functions.stop_background_workers()");
    make(&pair);
    pair.source.sql("SELECT drop_chunks('reading', timestamptz '2024-02-01 UTC')");
    // One in the middle is gone as well.
    pair.source.sql("SELECT drop_chunks('reading', timestamptz '2024-03-01 UTC', newer_than => timestamptz '2024-02-15 UTC')");
    let told = |of: &str| pair.target.value(&format!("SELECT string_agg({of}"));
    let warnings = told("concat(subject, ' ', detail), E'\\n') FROM migrate_preflight('old', '{\"caggs\": \"recompute\"}') WHERE status = 'warning' AND topic <> 'scheduler'");
    let planned = told("concat(object, ' ', note), E'\\n') FROM migrate_plan('old', '{\"caggs\": \"recompute\"}') WHERE phase = 'left_out'");
    assert_eq!(warnings, planned);
    for (cagg, first) in [("hourly", "2024-01-01 00:00:00+00"), ("daily", "2024-01-01 00:00:00+00"), ("weekly", "2024-01-01 00:00:00+00"), ("monthly", "2023-12-31 23:00:00+00")] {
        let line = warnings.lines().find(|line| line.contains(&format!("public.{cagg} ")));
        assert!(line.is_some_and(|line| line.contains(first)), "{cagg}:\n{warnings}");
    }
    assert!(warnings.lines().any(|line| line.contains("hourly") && line.contains("to 2024-02-2")), "{warnings}");
    assert!(!warnings.contains("never_refreshed"), "{warnings}");
    pair.migrate_with(RECOMPUTE);
    assert!(pair.messages().contains("public.weekly: Its buckets from 2024-01-01"), "{}", pair.messages());
    let rows = "SELECT (SELECT sum(c) FROM hourly) = (SELECT count(*) FROM reading), (SELECT sum(n) FROM weekly) = (SELECT sum(n) FROM reading)";
    assert!(pair.target.is(rows));
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify((SELECT max(id) FROM timescale_migrate.run))"));
    pair.target.refuses("SELECT * FROM migrate_verify('old')", &["public.hourly"]);
}

/// A refresh that was cut off, and raw rows that come only with the resume.
fn interrupted(edition: Edition) {
    let pair = Pair::new("caggs_anew_again", edition);
    pair.source.sql("SELECT _timescaledb_functions.stop_background_workers()");
    make(&pair);
    let heavy = |body: &str| format!("CREATE OR REPLACE FUNCTION heavy(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN {body} RETURN n; END'");
    pair.source.sql(&heavy("PERFORM pg_sleep(0.05);"));
    let run = pair.start(r#", options => '{"caggs": "recompute"}'"#);
    let state = |cagg: &str| pair.target.value(&format!("SELECT coalesce(max(state), '') FROM timescale_migrate.task WHERE phase = 'recompute' AND object = 'public.{cagg}'"));
    poll("a refresh to be under way, another to be done", || state("hourly") == "running" && state("monthly") == "done");
    assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, 'immediate')")));
    pair.wait_for_state(&run, "cancelled");
    pair.wait_for_silence();
    for side in [&pair.source, &pair.target] {
        side.sql(&heavy(""));
    }
    pair.source.sql("INSERT INTO reading VALUES ('2024-01-06 UTC', 1, 1000000)");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    refresh(&pair.source);
    pair.source.sql("REFRESH MATERIALIZED VIEW kept");
    assert_same_but(&pair, &["invalidations of "]);
}

fn left_out(edition: Edition) {
    let pair = Pair::new("caggs_left_out", edition);
    pair.source.sql("SELECT _timescaledb_functions.stop_background_workers()");
    make(&pair);
    pair.source.each(&[
        "CREATE ROLE caggs_reader; GRANT SELECT ON hourly TO caggs_reader; COMMENT ON VIEW daily IS 'by day'",
        "CREATE VIEW over_it AS SELECT sum(n) FROM daily; CREATE VIEW over_that AS SELECT count(*) FROM over_it",
        "CREATE FUNCTION latest() RETURNS SETOF hourly LANGUAGE sql STABLE AS 'SELECT * FROM public.hourly'",
        "CREATE PROCEDURE own_work(int, jsonb) LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM over_that; END",
        "CREATE FUNCTION checked(jsonb) RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM hourly; END",
        "CREATE PROCEDURE other_work(int, jsonb) LANGUAGE sql AS 'SELECT 1'",
        "SELECT add_job('own_work', '1 day'); SELECT add_job('other_work', '2 days', check_config => 'checked'); SELECT add_job('other_work', '3 days', initial_start => '2100-01-01 UTC')",
        "SELECT add_retention_policy('reading', INTERVAL '100 years', initial_start => '2100-01-01 UTC')",
        "ALTER MATERIALIZED VIEW hourly SET (timescaledb.compress); SELECT compress_chunk(c) FROM show_chunks('hourly') c",
    ]);
    let skip = r#"'{"caggs": "skip"}'"#;
    let named = pair.target.value(&format!("SELECT string_agg(concat(topic, ' ', subject), E'\\n') FROM migrate_preflight('old', {skip}) WHERE status = 'warning' AND topic <> 'scheduler'"));
    let planned = pair.target.value(&format!("SELECT string_agg(object, E'\\n') FROM migrate_plan('old', {skip}) WHERE phase = 'left_out'"));
    let gone = ["hourly", "daily", "weekly", "monthly", "\"It's \"\"Odd\"\"\"", "never_refreshed", "over_it", "over_that", "latest", "kept", "own_work", "checked"];
    for name in gone {
        assert!(named.contains(&format!("public.{name}")) && planned.contains(&format!("public.{name}")), "no {name}:\n{named}\n{planned}");
    }
    assert_eq!(named.matches(" job ").count(), 3, "{named}");
    // What holds rows of its own is not given up.
    pair.source.sql("CREATE TABLE seen (row hourly)");
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', {skip})"), &["TABLE public.seen", "VIEW public.hourly"]);
    pair.source.sql("DROP TABLE seen");
    pair.migrate_with(&format!("{skip}, jobs => 2"));
    for line in planned.lines() {
        assert!(pair.messages().contains(&line.replace('"', "\"\"")), "no warning of {line}");
    }
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify((SELECT max(id) FROM timescale_migrate.run))"));
    assert!(pair.target.is("SELECT NOT EXISTS (SELECT FROM _timescaledb_catalog.continuous_agg)"));
    // Nothing else is missing: without them, the source is the same.
    pair.source.each(&[
        "DROP FUNCTION latest, checked; DROP PROCEDURE own_work; DROP VIEW over_that, over_it; DROP MATERIALIZED VIEW kept",
        "DROP MATERIALIZED VIEW weekly; DROP MATERIALIZED VIEW daily; DROP MATERIALIZED VIEW hourly; DROP MATERIALIZED VIEW monthly",
        "DROP MATERIALIZED VIEW \"It's \"\"Odd\"\"\"; DROP MATERIALIZED VIEW never_refreshed",
        "SELECT delete_job(id) FROM _timescaledb_config.bgw_job WHERE proc_name = 'own_work' OR check_name = 'checked'",
    ]);
    assert_same_but(&pair, &["threshold of ", "writes to "]);
}

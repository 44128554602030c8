//! Continuous aggregates arrive with what they hold and what they know, and refresh alike from then on.

use cluster::suite::Test;
use cluster::{Pair, Versions, assert_same_but};

pub const TESTS: &[Test] = &[
    Test::versions("every kind", every_kind),
    Test::versions("raw data that is gone", raw_data_gone),
    Test::versions("owner, privileges, dependents", surroundings),
];

/// Migrates and compares; what both sides still have in common is in `assert_same_rows`.
fn migrate(pair: &Pair, versions: Versions) {
    pair.migrate();
    // Older versions list none.
    let left_out: &[&str] = if versions.source == "2.29.2" { &[] } else { &["sparse indexes of "] };
    assert_same_but(pair, left_out);
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
}

/// Rows, watermarks and thresholds. What a version notes of writes, and how large its tables are
/// while it compresses them, is its own affair.
fn assert_same_rows(pair: &Pair, versions: Versions) {
    assert_same_rows_but(pair, versions, &[]);
}

fn assert_same_rows_but(pair: &Pair, versions: Versions, others: &[&str]) {
    let mut left_out = vec!["sparse indexes of ", "compressed "];
    if !versions.same() {
        left_out.extend(["writes to ", "invalidations of ", "rows of ", "batches of ", "status of "]);
        left_out.extend(others);
    }
    assert_same_but(pair, &left_out);
}

const RAW: &str = "
    CREATE TABLE device (id int PRIMARY KEY, site text NOT NULL);
    INSERT INTO device SELECT i, 'site ' || i % 3 FROM generate_series(0, 6) i;
    CREATE TABLE reading (t timestamptz NOT NULL, device int NOT NULL, \"Value\" numeric, n int);
    SELECT create_hypertable('reading', 't', chunk_time_interval => INTERVAL '10 days');
    INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '50 minutes', i % 7, i % 1000 / 4.0, i
    FROM generate_series(0, 3500) i";

fn every_kind(versions: Versions) {
    let pair = Pair::of("caggs", versions);
    pair.source.sql(RAW);
    pair.source.sql("CREATE SCHEMA \"Odd Schema\"; CREATE TABLE tick (at bigint NOT NULL, v int); SELECT create_hypertable('tick', 'at', chunk_time_interval => 1000);
        CREATE FUNCTION now_tick() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT coalesce(max(at), 0) FROM public.tick'; SELECT set_integer_now_func('tick', 'now_tick');
        INSERT INTO tick SELECT i, i % 77 FROM generate_series(-500, 9000, 3) i");
    let only = "timescaledb.materialized_only = true";
    let real_time = "timescaledb.materialized_only = false";
    let caggs = [
        ("hourly", real_time, "SELECT time_bucket('1 hour', t) AS bucket, device, sum(\"Value\") AS total, count(*) AS n, avg(\"Value\") AS mean FROM reading GROUP BY 1, 2"),
        ("daily", only, "SELECT time_bucket('1 day', bucket) AS day, device, sum(total) AS total, sum(n) AS n FROM hourly GROUP BY 1, 2"),
        ("weekly", real_time, "SELECT time_bucket('7 days', day) AS week, sum(total) AS total, max(n) AS most FROM daily GROUP BY 1"),
        ("plain", only, "SELECT time_bucket('6 hours', t) AS bucket, min(n), max(n) FROM reading GROUP BY 1 HAVING count(*) > 1"),
        ("packed", only, "SELECT time_bucket('3 hours', t) AS bucket, device, sum(n) AS n FROM reading GROUP BY 1, 2"),
        ("by_site", real_time, "SELECT time_bucket('1 day', t) AS day, d.site, count(*), sum(r.n) AS n FROM reading r JOIN device d ON d.id = r.device GROUP BY 1, 2"),
        ("in_berlin", only, "SELECT time_bucket('1 day', t, 'Europe/Berlin') AS day, count(*), sum(n) AS n FROM reading GROUP BY 1"),
        ("monthly", real_time, "SELECT time_bucket('1 month', t) AS month, device, sum(n) AS n FROM reading GROUP BY 1, 2"),
        ("monthly_in_berlin", only, "SELECT time_bucket('1 month', t, 'Europe/Berlin') AS month, sum(n) AS n FROM reading GROUP BY 1"),
        ("shifted", only, "SELECT time_bucket('1 day', t, \"offset\" => INTERVAL '90 minutes') AS day, sum(n) AS n FROM reading GROUP BY 1"),
        ("from_origin", only, "SELECT time_bucket('5 days', t, origin => timestamptz '2023-12-30 12:00 UTC') AS day, sum(n) AS n FROM reading GROUP BY 1"),
        ("\"Odd Schema\".\"It's \"\"Odd\"\"\"", real_time, "SELECT time_bucket('12 hours', t) AS \"The Bucket\", device AS \"De vice\", sum(\"Value\") AS \"Sum\" FROM reading GROUP BY 1, 2"),
        ("renamed", only, "SELECT time_bucket('1 day', t) AS day, sum(n) AS n, count(*) AS c FROM reading GROUP BY 1"),
        ("by_tick", real_time, "SELECT time_bucket(100, at) AS bucket, sum(v) AS v FROM tick GROUP BY 1"),
        ("never_refreshed", real_time, "SELECT time_bucket('1 day', t) AS day, count(*) FROM reading GROUP BY 1"),
    ];
    // Where buckets begin can be said since 2.15.
    let known = |name: &str| versions.source >= "2.15" || !["shifted", "from_origin"].contains(&name);
    let caggs: Vec<_> = caggs.into_iter().filter(|(name, _, _)| known(name)).collect();
    for (name, option, query) in &caggs {
        pair.source.sql(&format!("CREATE MATERIALIZED VIEW {name} WITH (timescaledb.continuous, {option}) AS {query} WITH NO DATA"));
        match *name {
            "by_tick" => pair.source.sql("CALL refresh_continuous_aggregate('by_tick', 0, 7000)"),
            "never_refreshed" => (),
            _ => pair.source.sql(&format!("CALL refresh_continuous_aggregate('{}', NULL, '2024-04-10 UTC')", name.replace('\'', "''"))),
        }
    }
    pair.source.each(&[
        "ALTER MATERIALIZED VIEW packed SET (timescaledb.compress, timescaledb.compress_segmentby = 'device')",
        "SELECT compress_chunk(c) FROM (SELECT c FROM show_chunks('packed') c LIMIT 1) x",
        "ALTER MATERIALIZED VIEW renamed RENAME COLUMN n TO \"Sum of N\"",
        "ALTER MATERIALIZED VIEW plain RENAME TO plainly",
        "CREATE INDEX own_index ON hourly (n, bucket DESC)",
        // Late and deleted rows that no refresh has seen, and one that some have.
        "INSERT INTO reading VALUES ('2024-01-05 03:00 UTC', 2, 1000, 1), ('2024-02-11 03:00 UTC', 3, 1000, 1)",
        "CALL refresh_continuous_aggregate('hourly', '2024-02-01 UTC', '2024-03-01 UTC')",
        "DELETE FROM reading WHERE t = '2024-01-01 UTC'",
        "UPDATE reading SET n = 7 WHERE t = '2024-03-03 UTC'",
        "INSERT INTO tick VALUES (33, 100), (8000, 100)",
    ]);
    // Before, only a hypertable's could be set.
    if versions.source >= "2.13" {
        pair.source.sql("SELECT set_chunk_time_interval('monthly', INTERVAL '200 days')");
    }
    migrate(&pair, versions);

    // A refresh changes exactly what it would have changed on the source.
    let refresh = |name: &str, window: &str| format!("CALL refresh_continuous_aggregate('{}', {window})", name.replace('\'', "''"));
    pair.both(&[&refresh("hourly", "'2024-01-04 UTC', '2024-01-20 UTC'"), &refresh("daily", "'2024-01-04 UTC', '2024-02-20 UTC'")]);
    assert_same_rows(&pair, versions);
    pair.both(&[
        "INSERT INTO reading SELECT timestamptz '2024-01-15 00:10 UTC' + i * INTERVAL '9 hours', i % 7, i, 100000 + i FROM generate_series(0, 400) i",
        "INSERT INTO tick SELECT i, 1000 FROM generate_series(10, 12000, 700) i",
        "UPDATE device SET site = 'moved' WHERE id = 1",
        "DELETE FROM reading WHERE device = 5 AND t < '2024-01-20 UTC'",
    ]);
    assert_same_rows(&pair, versions);
    let refreshes = |window: fn(&str) -> &'static str| {
        // What is compressed can be refreshed on PostgreSQL 14 and newer.
        let names = caggs.iter().map(|(name, _, _)| if *name == "plain" { "plainly" } else { name });
        let names = names.filter(|name| pair.source.major() >= 14 || *name != "packed");
        pair.both(&names.map(|name| refresh(name, window(name))).collect::<Vec<_>>());
    };
    refreshes(|name| if name == "by_tick" { "500, 9000" } else { "'2024-01-10 UTC', '2024-05-20 UTC'" });
    // How a window is cut to buckets that begin elsewhere has changed between versions.
    let cut_otherwise = ["rows seen in public.shifted", "rows seen in public.from_origin", "watermark of public.shifted", "watermark of public.from_origin"];
    assert_same_rows_but(&pair, versions, &cut_otherwise);
    refreshes(|_| "NULL, NULL");
    pair.both(&[
        "SELECT compress_chunk(c, true) FROM show_chunks('packed') c",
        "ALTER MATERIALIZED VIEW daily SET (timescaledb.materialized_only = false)",
    ]);
    assert_same_rows(&pair, versions);
    pair.target.sql(&refresh("packed", "NULL, NULL"));
    let right = "SELECT (SELECT sum(n) FROM daily) = (SELECT count(*) FROM reading) AND (SELECT sum(n) FROM packed) = (SELECT sum(n) FROM reading)";
    assert!(pair.target.is(right));
}

fn raw_data_gone(versions: Versions) {
    let pair = Pair::of("caggs_gone", versions);
    pair.source.sql(RAW);
    pair.source.each(&[
        "CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
         SELECT time_bucket('1 hour', t) AS bucket, device, sum(n) AS n FROM reading GROUP BY 1, 2 WITH NO DATA",
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS
         SELECT time_bucket('1 day', bucket) AS day, sum(n) AS n FROM hourly GROUP BY 1 WITH NO DATA",
        "CALL refresh_continuous_aggregate('hourly', NULL, '2024-04-01 UTC')",
        "CALL refresh_continuous_aggregate('daily', NULL, '2024-04-01 UTC')",
        "SELECT drop_chunks('reading', timestamptz '2024-03-01 UTC')",
        // The same for the level between.
        "SELECT drop_chunks('hourly', timestamptz '2024-02-01 UTC')",
        "INSERT INTO reading VALUES ('2024-03-20 UTC', 1, 1, 1000000)",
    ]);
    let history = "SELECT count(*), sum(n) FROM daily WHERE day < '2024-02-01 UTC'";
    let kept = pair.source.value(history);
    migrate(&pair, versions);
    assert_eq!(pair.target.value(history), kept);
    pair.both(&[
        "CALL refresh_continuous_aggregate('hourly', '2024-03-10 UTC', NULL)",
        "CALL refresh_continuous_aggregate('daily', '2024-03-10 UTC', NULL)",
    ]);
    assert_same_rows(&pair, versions);
    assert_eq!(pair.target.value(history), kept);
    assert!(pair.target.is("SELECT sum(n) > 1000000 FROM daily WHERE day = '2024-03-20 UTC'"));
    // Over the dropped range as well: whatever that does on the source, it does on the target.
    pair.both(&["CALL refresh_continuous_aggregate('hourly', NULL, NULL)", "CALL refresh_continuous_aggregate('daily', NULL, NULL)"]);
    assert_same_rows(&pair, versions);
}

fn surroundings(versions: Versions) {
    let pair = Pair::of("caggs_around", versions);
    let (owner, reader) = (format!("caggs_owner_{}", versions.suffix()), format!("caggs_reader_{}", versions.suffix()));
    pair.source.sql(&format!("DROP ROLE IF EXISTS {owner}, {reader}; CREATE ROLE {owner}; CREATE ROLE {reader}; GRANT CREATE ON SCHEMA public TO {owner}"));
    pair.source.sql(RAW);
    pair.source.sql(&format!(
        "ALTER TABLE reading OWNER TO {owner}; SET ROLE {owner};
         CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous) AS
         SELECT time_bucket('1 hour', t) AS bucket, device, sum(n) AS n FROM reading GROUP BY 1, 2 WITH NO DATA;
         GRANT SELECT ON hourly TO {reader}; GRANT INSERT ON hourly TO {reader} WITH GRANT OPTION;
         COMMENT ON VIEW hourly IS 'it''s the \"hourly\" one'; COMMENT ON COLUMN hourly.n IS 'their sum'"
    ));
    pair.source.sql("CALL refresh_continuous_aggregate('hourly', NULL, '2024-02-01 UTC')");
    pair.source.sql(
        "CREATE VIEW over_it AS SELECT device, sum(n) AS n FROM hourly GROUP BY device;
         CREATE VIEW over_that AS SELECT count(*) AS devices FROM over_it;
         CREATE MATERIALIZED VIEW kept AS SELECT date_trunc('month', bucket AT TIME ZONE 'UTC') AS month, sum(n) AS n FROM hourly GROUP BY 1;
         CREATE FUNCTION latest() RETURNS SETOF hourly LANGUAGE sql STABLE AS 'SELECT * FROM public.hourly ORDER BY bucket DESC, device LIMIT 3';
         CREATE TABLE seen (row hourly, note text); INSERT INTO seen SELECT h, 'first' FROM hourly h ORDER BY bucket, device LIMIT 5",
    );
    let body = if pair.source.major() < 14 { "AS 'SELECT sum(n) FROM public.hourly'" } else { "BEGIN ATOMIC SELECT sum(n) FROM hourly; END" };
    pair.source.sql(&format!("CREATE FUNCTION atomic() RETURNS numeric LANGUAGE sql STABLE {body}"));
    pair.target.sql(&format!("DROP ROLE IF EXISTS {owner}, {reader}"));
    migrate(&pair, versions);
    for query in ["SELECT string_agg(o::text, ' ' ORDER BY device) FROM over_it o", "SELECT devices FROM over_that", "SELECT string_agg(l::text, ' ') FROM latest() l", "SELECT atomic()"] {
        assert_eq!(pair.source.value(query), pair.target.value(query));
    }
    for side in [&pair.source, &pair.target] {
        side.sql(&format!("SET ROLE {reader}; SELECT * FROM hourly"));
        assert_eq!(side.error(&format!("SET ROLE {reader}; SELECT * FROM reading")).code().code(), "42501");
        side.sql("INSERT INTO reading VALUES ('2024-01-02 UTC', 1, 1, 5000)");
        let mut client = side.connect();
        client.batch_execute(&format!("SET SESSION AUTHORIZATION {owner}")).unwrap();
        client.batch_execute("CALL refresh_continuous_aggregate('hourly', NULL, '2024-02-01 UTC')").unwrap();
        side.sql("REFRESH MATERIALIZED VIEW kept");
    }
    assert_same_rows(&pair, versions);
    // Dropped with all that belongs to it, as one that was made on the target.
    pair.both(&["DROP TABLE seen", "DROP FUNCTION latest(), atomic()", "DROP MATERIALIZED VIEW kept", "DROP VIEW over_that, over_it", "DROP MATERIALIZED VIEW hourly"]);
    assert_same_rows(&pair, versions);
    let left = "SELECT count(*) FROM pg_class WHERE relname ~ '_materialized_hypertable|_partial_view|_direct_view'";
    assert_eq!(pair.source.value(left), pair.target.value(left));
}

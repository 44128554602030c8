//! Only the rows of a time range: whole chunks as they are, of others the rows inside; continuous
//! aggregates keep their buckets, also when they are refreshed.

use cluster::suite::Test;
use cluster::{Db, Edition, Pair, Versions};

pub const TESTS: &[Test] = &[
    Test::versions("of a hypertable with aggregates", of_aggregates),
    Test::community("of an aggregate under another", of_an_aggregate),
    Test::both("before now, of integers, resumed", otherwise),
];

const RUN: &str = "(SELECT max(id) FROM timescale_migrate.run)";

/// Rows of a query as one text.
fn all(side: &Db, query: &str) -> String {
    side.value(&format!("SELECT string_agg(q::text, ' ' ORDER BY q::text) FROM ({query}) q"))
}

fn of_aggregates(versions: Versions) {
    let pair = Pair::of("time_range", versions);
    pair.source.sql("
        CREATE TABLE reading (t timestamptz NOT NULL, device int, n int);
        SELECT create_hypertable('reading', 't', chunk_time_interval => INTERVAL '10 days');
        INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '50 minutes', i % 3, i FROM generate_series(0, 2000) i;
        ALTER TABLE reading SET (timescaledb.compress, timescaledb.compress_segmentby = 'device')");
    for (name, query) in [
        ("hourly", "SELECT time_bucket('1 hour', t) AS hour, device, sum(n) AS n FROM reading GROUP BY 1, 2"),
        ("weekly", "SELECT time_bucket('7 days', hour) AS week, sum(n) AS n FROM hourly GROUP BY 1"),
        ("monthly", "SELECT time_bucket('1 month', t) AS month, sum(n) AS n FROM reading GROUP BY 1"),
    ] {
        pair.source.sql(&format!(
            "CREATE MATERIALIZED VIEW {name} WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS {query} WITH NO DATA"
        ));
        pair.source.sql(&format!("CALL refresh_continuous_aggregate('{name}', NULL, '2024-03-05 UTC')"));
    }
    pair.source.each(&[
        // Some of them in the range, one of them cut by it.
        "SELECT compress_chunk(c) FROM show_chunks('reading', older_than => timestamptz '2024-02-01 UTC') c",
        "INSERT INTO reading VALUES ('2024-01-05 UTC', 1, 1000), ('2024-01-29 UTC', 1, 1000), ('2024-02-28 UTC', 1, 1000)",
    ]);
    let options = r#"{"time_range": {"*": {"from": "2024-01-13 07:00", "to": "2024-02-25 12:00"}}}"#;
    pair.migrate_with(&format!("'{options}', jobs => 2"));
    let inside = "SELECT * FROM reading WHERE t >= '2024-01-13 07:00 UTC' AND t < '2024-02-25 12:00 UTC'";
    assert_eq!(all(&pair.target, "SELECT * FROM reading"), all(&pair.source, inside));
    assert!(pair.target.is(&format!("SELECT every(same) AND count(*) > 5 FROM migrate_verify({RUN})")));
    assert!(pair.target.is(&format!("SELECT every(same) FROM migrate_verify('old', options => '{options}')")));
    // Those that are whole arrive as they are.
    let compressed = "SELECT count(*) FROM _timescaledb_catalog.chunk WHERE status & 1 = 1";
    assert_eq!(pair.target.value(compressed), "1");
    let aggregates = ["SELECT * FROM hourly", "SELECT * FROM weekly", "SELECT * FROM monthly"];
    let same = || aggregates.iter().for_each(|query| assert_eq!(all(&pair.target, query), all(&pair.source, query), "{query}"));
    same();
    // A refresh changes what it changes on the source, but no bucket of which rows stayed behind.
    pair.source.sql("CALL refresh_continuous_aggregate('hourly', '2024-01-14 UTC', '2024-02-24 UTC')");
    // Of hours that have arrived none is missing, up to the newest.
    pair.source.sql("CALL refresh_continuous_aggregate('weekly', NULL, NULL)");
    for name in ["hourly", "weekly", "monthly"] {
        pair.target.sql(&format!("CALL refresh_continuous_aggregate('{name}', NULL, NULL)"));
    }
    same();
}

fn of_an_aggregate(edition: Edition) {
    let pair = Pair::new("time_range_cagg", edition);
    pair.source.sql("
        CREATE TABLE reading (t timestamptz NOT NULL, n int);
        SELECT create_hypertable('reading', 't');
        INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '5 hours', i FROM generate_series(0, 400) i");
    for (name, query) in [
        ("daily", "SELECT time_bucket('1 day', t) AS day, sum(n) AS n FROM reading GROUP BY 1"),
        ("weekly", "SELECT time_bucket('7 days', day) AS week, sum(n) AS n FROM daily GROUP BY 1"),
    ] {
        pair.source.sql(&format!("CREATE MATERIALIZED VIEW {name} WITH (timescaledb.continuous) AS {query} WITH NO DATA"));
        pair.source.sql(&format!("CALL refresh_continuous_aggregate('{name}', NULL, NULL)"));
    }
    // The one above is not refreshed for them.
    pair.source.sql("INSERT INTO reading VALUES ('2024-01-05 UTC', 1000), ('2024-03-05 UTC', 1000)");
    pair.source.sql("CALL refresh_continuous_aggregate('daily', NULL, NULL)");
    pair.migrate_with(r#"'{"time_range": {"public.daily": {"from": "2024-02-10"}}}'"#);
    let (daily, weekly) = ("SELECT * FROM daily", "SELECT * FROM weekly");
    assert_eq!(all(&pair.target, daily), all(&pair.source, &format!("{daily} WHERE day >= '2024-02-10 UTC'")));
    assert_eq!(all(&pair.target, "SELECT * FROM reading"), all(&pair.source, "SELECT * FROM reading"));
    assert_eq!(all(&pair.target, weekly), all(&pair.source, weekly));
    pair.target.sql("CALL refresh_continuous_aggregate('weekly', NULL, NULL)");
    pair.source.sql("CALL refresh_continuous_aggregate('weekly', '2024-02-12 UTC', NULL)");
    assert_eq!(all(&pair.target, weekly), all(&pair.source, weekly));
}

fn otherwise(edition: Edition) {
    let pair = Pair::new("time_range_otherwise", edition);
    pair.source.sql("
        CREATE SCHEMA \"App\";
        CREATE TABLE recent (\"When\" date NOT NULL, n int);
        SELECT create_hypertable('recent', 'When', chunk_time_interval => INTERVAL '100 days');
        INSERT INTO recent SELECT now() - i * INTERVAL '10 days', i FROM generate_series(0, 200) i;
        CREATE TABLE \"App\".tick (at bigint NOT NULL, v int);
        SELECT create_hypertable('\"App\".tick', 'at', chunk_time_interval => 1000);
        INSERT INTO \"App\".tick SELECT i, i FROM generate_series(-500, 5000) i;
        CREATE TABLE plain (t timestamptz);
        INSERT INTO plain VALUES ('2000-01-01');
        CREATE INDEX late ON plain (t)");
    for (range, message) in [
        (r#"{"public.nothing": {"from": 1}}"#, "No hypertable on the source matches the pattern 'public.nothing'."),
        (r#"{"public.plain": {"from": 1}}"#, "What the pattern 'public.plain' matches is no hypertable: public.plain."),
        (r#"{"public.rec*": {"from": "-1 year"}, "public.*ent": {"to": "2100-01-01"}}"#, "Several patterns match public.recent."),
        (r#"{"\"App\".*": {"from": 7, "to": 7}}"#, "option \"time_range\" of \"App\".tick: from is not before to"),
        (r#"{"\"App\".*": {"from": "yesterday"}}"#, "option time_range of \"App\".tick: source: invalid input syntax for type bigint: \"yesterday\""),
        (r#"{"public.recent": {"from": "30 days"}}"#, "which begins with a minus sign"),
        (r#"{"public.recent": {"from": "-1 year and more"}}"#, "invalid input syntax for type interval"),
        (r#"{"public.recent": {"from": "-1 year and more"}}"#, "which begins with a minus sign"),
    ] {
        let call = format!("SELECT * FROM migrate_from('old', '{{\"time_range\": {range}}}')");
        pair.target.refuses(&call, &[message]);
    }
    let options = r#"{"time_range": {"*": {"from": "-1 year"}, "\"App\".tick": {"from": -250, "to": 2500}}, "verify": "checksum"}"#;
    let cut = "SELECT count(*) FROM migrate_plan('old', '{}') WHERE note = 'only rows in the time range'";
    assert_eq!(pair.target.value(&cut.replace("{}", options)), "3");
    // It ends late, and is continued when the source has more rows.
    pair.target.sql("
        CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not now''; END';
        CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.refuse()");
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{options}', jobs => 2)"), &["not now"]);
    pair.target.sql("DROP EVENT TRIGGER refuse; DROP FUNCTION public.refuse()");
    pair.source.sql("INSERT INTO \"App\".tick VALUES (-251, 1), (-249, 1), (2499, 1), (2500, 1), (9999, 1)");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({RUN})"));
    for (table, inside) in [
        ("\"App\".tick", "at >= -250 AND at < 2500"),
        ("recent", "\"When\" >= (now() AT TIME ZONE 'UTC' - INTERVAL '1 year')::date"),
        ("plain", "true"),
    ] {
        let rows = format!("SELECT * FROM {table}");
        assert_eq!(all(&pair.target, &rows), all(&pair.source, &format!("{rows} WHERE {inside}")), "{table}");
    }
    assert!(pair.target.is(&format!("SELECT every(same) FROM migrate_verify({RUN})")));
}

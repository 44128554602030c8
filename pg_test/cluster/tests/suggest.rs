//! Which tables the extension suggests to turn into hypertables, and what it says about them.

use cluster::suite::Test;
use cluster::{Edition, Pair, poll};

pub const TESTS: &[Test] = &[
    Test::community("tables and hypertables", tables_and_hypertables),
    Test::apache("from plain PostgreSQL, by a role with few rights", plain),
];

/// A minute apart, for 83 days, of eight devices.
const ROWS: &str = "SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 minute', 'd' || n % 8, n, repeat('x', 50) FROM generate_series(1, 120000) n";
/// No analysis but the test's own.
const COLUMNS: &str = "(ts timestamptz NOT NULL, device text, n bigint, note text) WITH (autovacuum_enabled = off)";

fn suggested(pair: &Pair, arguments: &str) -> Vec<[String; 3]> {
    let rows = pair.target.rows(&format!("SELECT object, reason, options FROM migrate_suggest('old'{arguments}) ORDER BY 1"));
    rows.iter().map(|row| [0, 1, 2].map(|column| row.get(column).unwrap_or("-").to_owned())).collect()
}

/// Reason and options of an object.
fn of<'a>(rows: &'a [[String; 3]], object: &str) -> (&'a str, &'a str) {
    let row = rows.iter().find(|row| row[0] == object).unwrap_or_else(|| panic!("{object} in {rows:#?}"));
    (&row[1], &row[2])
}

fn tables_and_hypertables(edition: Edition) {
    let pair = Pair::new("suggest", edition);
    for table in ["metric", "raw", "raw_indexed", "nullable", "keyed", "referenced", "product", "uncompressed"] {
        pair.source.sql(&format!("CREATE TABLE {table} {COLUMNS}"));
    }
    pair.source.each(&[
        "CREATE INDEX ON metric (device, ts)",
        "CREATE INDEX ON raw_indexed (ts)",
        "ALTER TABLE nullable ALTER ts DROP NOT NULL",
        "ALTER TABLE keyed ADD PRIMARY KEY (n)",
        "ALTER TABLE referenced ADD PRIMARY KEY (n)",
        "CREATE TABLE refers (n bigint REFERENCES referenced)",
        "CREATE TABLE small (ts timestamptz NOT NULL, device text, n bigint, note text)",
        "SELECT create_hypertable('small', 'ts', chunk_time_interval => INTERVAL '1 hour')",
        "SELECT create_hypertable('uncompressed', 'ts')",
        r#"CREATE SCHEMA "My Schema""#,
        r#"CREATE TABLE "My Schema"."Odd ""Name" ("Time's" date NOT NULL, "De Vice" text, n bigint, note text) WITH (autovacuum_enabled = off)"#,
        "CREATE TABLE parted (ts timestamptz NOT NULL, device text, n bigint, note text) PARTITION BY RANGE (ts)",
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (MINVALUE) TO ('2024-02-01 UTC')",
        "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2024-02-01 UTC') TO (MAXVALUE)",
    ]);
    let all = ["metric", "raw", "raw_indexed", "nullable", "keyed", "referenced", "product", "uncompressed", "parted", r#""My Schema"."Odd ""Name""#];
    for table in all {
        pair.source.sql(&format!("INSERT INTO {table} {ROWS}"));
    }
    pair.source.sql(&format!("INSERT INTO small {ROWS} OFFSET 0 ROWS FETCH FIRST 3600 ROWS ONLY"));
    pair.source.sql("UPDATE product SET note = 'updated'");
    for table in all.iter().filter(|table| !table.starts_with("raw")) {
        pair.source.sql(&format!("ANALYZE {table}"));
    }
    let counted = "SELECT n_tup_upd = 120000 FROM pg_stat_user_tables WHERE relname = 'product'";
    poll("the updates to be counted", || pair.source.is(counted));

    let rows = suggested(&pair, "");
    let objects: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(
        objects,
        [
            r#""My Schema"."Odd ""Name""#, "public.keyed", "public.metric", "public.nullable", "public.parted", "public.raw",
            "public.raw_indexed", "public.referenced", "public.small", "public.uncompressed",
        ]
    );
    let compress = r#""compress": {"after": "7 days", "orderby": ["ts desc"], "segmentby": ["device"]}"#;
    let plain = format!(r#"{{"time": "ts", {compress}, "chunk_interval": "7 days"}}"#);
    let (reason, options) = of(&rows, "public.metric");
    assert_eq!(options, plain);
    let start = "Its time column is ts: an index contains it, the rows are stored in its order. A chunk of 7 days has about ";
    let end = " with its indexes. Compression would segment by device, which has about 8 values.";
    assert!(reason.starts_with(start) && reason.ends_with(end), "{reason}");
    let (reason, options) = of(&rows, "public.raw");
    assert_eq!(options, "-");
    assert_eq!(reason, "Its time column may be ts. It was never analyzed, so no chunk interval can be suggested. Execute ANALYZE public.raw on the source, and call migrate_suggest again.");
    let (reason, options) = of(&rows, "public.raw_indexed");
    assert_eq!(options, r#"{"time": "ts", "compress": {"after": "7 days", "orderby": ["ts desc"]}, "chunk_interval": "7 days"}"#);
    assert!(reason.contains("It was never analyzed, so no column to segment by can be suggested. Execute ANALYZE"), "{reason}");
    let (reason, options) = of(&rows, "public.nullable");
    assert_eq!(options, "-");
    assert!(reason.ends_with("Obstacle: it has the time column \"ts\", which may be NULL. ALTER TABLE \"public\".\"nullable\" ALTER COLUMN \"ts\" SET NOT NULL; -- on the source"), "{reason}");
    let (reason, options) = of(&rows, "public.keyed");
    assert_eq!(options, format!(r#"{{"keys": "extend", "time": "ts", {compress}, "chunk_interval": "7 days"}}"#));
    assert!(reason.ends_with("ts is added to the unique key (n); values of n alone can then occur more than once."), "{reason}");
    let (reason, options) = of(&rows, "public.referenced");
    assert_eq!(options, "-");
    assert!(reason.ends_with("Obstacle: foreign key refers_n_fkey of public.refers references (n), without ts."), "{reason}");
    let (reason, options) = of(&rows, "public.parted");
    assert_eq!(options, plain);
    assert!(reason.starts_with("Its time column is ts: the table is partitioned by it, the rows are stored in its order. A chunk of 7 days "), "{reason}");
    let (reason, options) = of(&rows, r#""My Schema"."Odd ""Name""#);
    assert_eq!(options, plain.replace("ts", "Time's").replace("device", "De Vice"));
    assert!(reason.contains(r#"Its time column is "Time's": the rows are stored in its order."#), "{reason}");
    // All together they are what a run takes.
    pair.target.sql("CREATE TABLE suggested AS SELECT jsonb_object_agg(object, options) AS all_of_them FROM migrate_suggest('old') WHERE options IS NOT NULL");
    let of_run = "SELECT count(*) FROM suggested, migrate_preflight('old', jsonb_build_object('hypertables', all_of_them))
         WHERE topic = 'objects' AND status";
    assert_eq!(pair.target.value(&format!("{of_run} = 'warning' AND detail LIKE 'Arrives with chunks of 7 days by %'")), "5");
    assert_eq!(pair.target.value(&format!("{of_run} = 'warning' AND detail = 'Arrives with its chunks. Chunks older than 7 days are compressed.'")), "1");
    assert_eq!(pair.target.value(&format!("{of_run} = 'warning' AND detail = 'Arrives with other chunks than on the source: of 6 hours.'")), "1");
    assert_eq!(pair.target.value(&format!("{of_run} = 'error'")), "0");
    let (small, options) = of(&rows, "public.small");
    assert_eq!(options, r#"{"chunk_interval": "6 hours"}"#);
    assert!(small.contains(" chunks are too small, about "), "{small}");
    let (uncompressed, options) = of(&rows, "public.uncompressed");
    assert_eq!(options, format!("{{{compress}}}"));
    assert_eq!(uncompressed, "It is not compressed.");

    pair.target.refuses(r#"SELECT * FROM migrate_suggest('old', '{"include": ["public.nothing"]}')"#, &["option include cannot be used"]);
    // What has it already is not named.
    pair.source.sql("SELECT set_chunk_time_interval('small', INTERVAL '6 hours')");
    pair.source.sql("ALTER TABLE uncompressed SET (timescaledb.compress)");
    let part = suggested(&pair, r#", '{"include": ["public.*"], "exclude": ["public.r*", "public.metric", "public.nullable", "public.keyed"]}'"#);
    assert_eq!(part.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["public.parted"]);
}

fn plain(edition: Edition) {
    let pair = Pair::plain("suggest_plain", edition);
    pair.source.each(&[
        format!("CREATE TABLE metric {COLUMNS}"),
        format!("INSERT INTO metric {ROWS}"),
        "CREATE TABLE ticks (at bigint NOT NULL, place text, note text) WITH (autovacuum_enabled = off)".to_string(),
        format!("INSERT INTO ticks SELECT (extract(epoch FROM t) * 1000)::bigint, d, x FROM ({ROWS}) s(t, d, n, x)"),
        "CREATE TABLE hidden (LIKE metric) WITH (autovacuum_enabled = off)".to_string(),
        "INSERT INTO hidden SELECT * FROM metric".to_string(),
        "ANALYZE".to_string(),
        "CREATE ROLE suggest_reader LOGIN PASSWORD 'r'; GRANT SELECT ON metric, ticks TO suggest_reader".to_string(),
    ]);
    pair.target.sql("ALTER USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (SET user 'suggest_reader', SET password 'r')");
    let rows = suggested(&pair, "");
    assert_eq!(rows.len(), 3, "{rows:#?}");
    assert_eq!(of(&rows, "public.metric").1, r#"{"time": "ts", "chunk_interval": "7 days"}"#);
    assert_eq!(of(&rows, "public.ticks").1, r#"{"time": "at", "chunk_interval": 604800000}"#);
    let (reason, options) = of(&rows, "public.hidden");
    assert_eq!(options, "-");
    assert!(reason.contains("Its statistics cannot be read, so no chunk interval can be suggested. Grant SELECT on it on the source."), "{reason}");

    pair.target.sql("DROP EXTENSION timescaledb");
    pair.target.refuses("SELECT * FROM migrate_suggest('old')", &["this database has no TimescaleDB"]);
}

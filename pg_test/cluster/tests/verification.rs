//! A difference of one value in one row is found and named, and ends in an error.

use cluster::suite::Test;
use cluster::{Edition, Pair, poll};

pub const TESTS: &[Test] = &[
    Test::both("changed, missing and added rows", rows),
    Test::apache("the smallest differences of values", values),
    Test::apache("rows that are too large for a text form", large),
    Test::apache("by run, and after the source has gone on", by_run),
    Test::both("a hypertable gets other chunks meanwhile", other_chunks),
];

/// The verification fails with the error of its own, and names exactly these.
fn finds(pair: &Pair, call: &str, objects: &[&str]) {
    let (mut client, heard) = pair.target.connect_listening();
    let error = client.simple_query(&format!("SELECT * FROM {call}")).expect_err("no difference was found");
    assert_eq!(error.code().map(|code| code.code()), Some("XX001"), "{error:?}");
    let failing = "SELECT string_agg(DISTINCT object, ' ' ORDER BY object) FROM timescale_migrate.verification WHERE NOT same AND run = (SELECT max(id) FROM timescale_migrate.run)";
    let failing = pair.target.value(failing);
    assert_eq!(failing.split(' ').collect::<Vec<_>>(), objects);
    let heard = heard.lock().unwrap();
    assert!(!heard.iter().any(|line| line.starts_with("WARNING")), "{heard:#?}");
    let detail = error.as_db_error().and_then(|error| error.detail()).unwrap_or_default();
    let rows = pair.target.value("SELECT count(*) FROM timescale_migrate.verification WHERE NOT same AND run = (SELECT max(id) FROM timescale_migrate.run)");
    assert_eq!(detail.lines().count().to_string(), rows, "{detail}");
}

fn same(pair: &Pair, call: &str) {
    assert!(pair.target.is(&format!("SELECT every(same) AND count(*) > 1 FROM {call}")), "{call}");
}

fn rows(edition: Edition) {
    let pair = Pair::new("verify_rows", edition);
    pair.source.sql(
        "CREATE TABLE h (t timestamptz NOT NULL, n int); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n FROM generate_series(1, 240) n;
         CREATE TABLE p (n int, t text); INSERT INTO p SELECT n, 'text' FROM generate_series(1, 500) n",
    );
    pair.migrate();
    same(&pair, "migrate_verify('old')");
    same(&pair, "migrate_verify('old', level => 'count')");
    // Chunks are called as on the source.
    let mut chunks = pair.source.rows("SELECT show_chunks('h')::text ORDER BY 1").iter().map(|row| row.get(0).unwrap().to_owned()).collect::<Vec<_>>();
    let parts = pair.target.rows("SELECT part FROM migrate_verify('old') WHERE part IS NOT NULL");
    let mut parts: Vec<_> = parts.iter().map(|row| row.get(0).unwrap().to_owned()).collect();
    chunks.sort();
    parts.sort();
    assert_eq!(chunks, parts);
    // One row per chunk and table.
    assert_eq!(pair.target.value("SELECT count(*) FROM migrate_verify('old') WHERE object = 'public.h' AND source_rows > 0"), "11");

    pair.target.sql("UPDATE h SET n = -1 WHERE n = 100");
    finds(&pair, "migrate_verify('old')", &["public.h"]);
    assert_eq!(pair.target.value("SELECT count(*) FROM timescale_migrate.verification WHERE NOT same AND run = (SELECT max(id) FROM timescale_migrate.run)"), "1", "one chunk");
    same(&pair, "migrate_verify('old', level => 'count')");
    pair.target.sql("UPDATE h SET n = 100 WHERE n = -1");
    same(&pair, "migrate_verify('old')");

    pair.target.sql("DELETE FROM p WHERE n = 7");
    finds(&pair, "migrate_verify('old', level => 'count')", &["public.p"]);
    pair.target.sql("INSERT INTO p VALUES (8, 'text')");
    finds(&pair, "migrate_verify('old')", &["public.p"]);
    // Two rows that exchange their values, and a row that stands twice.
    pair.target.sql("UPDATE p SET n = 7 WHERE ctid = (SELECT max(ctid) FROM p WHERE n = 8)");
    same(&pair, "migrate_verify('old')");
    pair.target.sql("UPDATE p SET n = CASE n WHEN 3 THEN 4 ELSE 3 END, t = n::text WHERE n IN (3, 4)");
    finds(&pair, "migrate_verify('old')", &["public.p"]);
    pair.target.sql("TRUNCATE h; DROP TABLE p");
    finds(&pair, "migrate_verify('old')", &["public.h", "public.p"]);
}

fn values(edition: Edition) {
    let pair = Pair::plain("verify_values", edition);
    let cases = [
        ("float8", "'0'", "'-0'"),
        ("float8", "0.1", "'0.1'::float8 + 5e-17"),
        ("real", "'NaN'", "NULL"),
        ("numeric", "1.0", "1.00"),
        ("json", "'{\"a\":1}'", "'{\"a\": 1}'"),
        ("text", "''", "NULL"),
        ("text", "'a'", "'a '"),
        ("text[]", "'{NULL}'", "'{\"NULL\"}'"),
        ("int[]", "'{1}'", "'[0:0]={1}'"),
        ("timestamptz", "'2024-01-01 UTC'", "'2024-01-01 00:00:00.000001 UTC'"),
        ("interval", "'1 month'", "'30 days'"),
        ("bytea", "'\\x00'", "'\\x'"),
    ];
    for (number, (kind, value, _)) in cases.iter().enumerate() {
        pair.source.sql(&format!("CREATE TABLE v{number:02} (v {kind}); INSERT INTO v{number:02} VALUES ({value}), (NULL)"));
    }
    pair.source.sql("CREATE TABLE two (a text, b text); INSERT INTO two VALUES ('x', 'yz'), ('a,b', NULL)");
    pair.migrate();
    // The session's settings have no part in it.
    let mut client = pair.target.connect();
    let settings = "SET extra_float_digits = -10; SET bytea_output = 'escape'; SET TimeZone = 'Asia/Kathmandu';
        SET DateStyle = 'German'; SET IntervalStyle = 'sql_standard'";
    client.batch_execute(settings).unwrap();
    client.simple_query("SELECT * FROM migrate_verify('old')").unwrap();
    for (number, (kind, value, other)) in cases.iter().enumerate() {
        let table = format!("v{number:02}");
        pair.target.sql(&format!("UPDATE {table} SET v = ({other})::{kind} WHERE v IS NOT NULL"));
        finds(&pair, "migrate_verify('old')", &[&format!("public.{table}")]);
        pair.target.sql(&format!("TRUNCATE {table}; INSERT INTO {table} VALUES ({value}), (NULL)"));
    }
    same(&pair, "migrate_verify('old')");
    pair.target.sql("UPDATE two SET a = 'xy', b = 'z' WHERE a = 'x'");
    finds(&pair, "migrate_verify('old')", &["public.two"]);
}

/// A row's text form may have 1 GB. That of a bytea is twice as large as the value.
fn large(edition: Edition) {
    let pair = Pair::plain("verify_large", edition);
    pair.source.each(&[
        "CREATE DOMAIN of_bytes AS bytea; CREATE TABLE small (n int)",
        "CREATE TABLE large (n int, kind regtype, bytes of_bytes COMPRESSION lz4, \"arr,ay\" text[], nothing text)",
        "INSERT INTO large SELECT 1, NULL, convert_to(repeat('x', 540000000), 'UTF8'), '{a,NULL}', NULL",
        "INSERT INTO large VALUES (2, 'int', '', '{}', '')",
    ]);
    // A column whose binary form differs between servers.
    let error = pair.target.error("SELECT * FROM migrate_from('old')");
    assert!(error.hint().is_some_and(|hint| hint.starts_with("A row is larger than 1 GB as text")), "{error:?}");
    pair.target.sql("SELECT migrate_cleanup(1)");
    pair.source.sql("ALTER TABLE large DROP kind");
    pair.migrate_with(r#"'{"verify": "checksum"}'"#);
    assert!(pair.target.is("SELECT every(same) AND count(source_checksum) = 2 FROM timescale_migrate.verification"));
    pair.target.sql("UPDATE large SET nothing = '' WHERE n = 1");
    finds(&pair, "migrate_verify('old')", &["public.large"]);
}

fn by_run(edition: Edition) {
    let pair = Pair::plain("verify_run", edition);
    pair.source.sql("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 100); CREATE TABLE u (n int)");
    let summary = pair.migrate();
    let by_run = format!("migrate_verify({})", summary.get("run").unwrap());
    same(&pair, &by_run);
    pair.source.sql("INSERT INTO t VALUES (101)");
    finds(&pair, &by_run, &["public.t"]);
    finds(&pair, "migrate_verify('old')", &["public.t"]);
    // Every run counts by itself; with checksums where the options say so.
    let again = Pair::plain("verify_run_checksum", edition);
    again.source.sql("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 100)");
    again.migrate_with(r#"'{"verify": "checksum"}'"#);
    assert!(again.target.is("SELECT every(same) AND every(source_checksum = target_checksum) FROM timescale_migrate.verification"));
}

/// One that a table has become is read chunk by chunk.
fn other_chunks(edition: Edition) {
    let pair = Pair::plain("verify_other_chunks", edition);
    pair.source.sql("CREATE TABLE h (t timestamptz NOT NULL, n int); INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n FROM generate_series(1, 60) n");
    pair.migrate_with(r#"'{"hypertables": {"public.h": {"time": "t", "chunk_interval": "1 day"}}}'"#);
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    pair.target.sql("INSERT INTO h VALUES ('2025-01-01 UTC', 0); DELETE FROM h WHERE n = 0");
    let chunk = |order: &str| pair.target.value(&format!("SELECT c FROM show_chunks('h') c ORDER BY c {order} LIMIT 1"));
    let (first, empty) = (chunk(""), chunk("DESC"));
    // An empty chunk is dropped, and a row goes to a new one.
    for (held, change) in [
        (&empty, format!("DROP TABLE {empty}")),
        (&first, "DELETE FROM h WHERE n = 1; INSERT INTO h VALUES ('2026-01-01 UTC', 1)".to_string()),
    ] {
        let mut other = pair.target.connect();
        other.batch_execute(&format!("BEGIN; LOCK TABLE {held}")).unwrap();
        std::thread::scope(|scope| {
            let call = scope.spawn(|| pair.target.is(&format!("SELECT every(same) AND count(*) = 1 FROM migrate_verify({run}, 'count')")));
            poll("the comparison to wait", || {
                pair.target.is(&format!("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = '{held}'::regclass)"))
            });
            other.batch_execute(&format!("{change}; COMMIT")).unwrap();
            assert!(call.join().unwrap(), "{change}");
        });
    }
}

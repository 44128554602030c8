//! Rows into an existing schema: interrupted, of a range of time, and in several runs.

use crate::resume::{cancel, cancelled, resume};
use crate::slow;
use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, of_edition, shared_source};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::both("cancelled, and resumed after changes", cancelled_and_resumed),
    Test::apache("the target's server crashes", crashed),
    Test::both("of a range of time", time_range),
    Test::apache("in two runs, after one that is removed", two_runs),
    Test::both("statistics of what a resume brings into other chunks", statistics),
];

const SCHEMA: &str = r#"{"mode": "schema"}"#;
const DATA: &str = r#", options => '{"mode": "data", "verify": "checksum"}', jobs => 2"#;

/// Both hold tables that take seconds to copy, and the target no rows.
fn filled(pair: &Pair) {
    slow::fill(pair);
    pair.source.sql("CREATE TABLE quick (n int PRIMARY KEY); INSERT INTO quick SELECT generate_series(1, 100)");
    pair.wait_for_older_transactions();
    pair.migrate_with(&format!("'{SCHEMA}', jobs => 2"));
}

fn change(pair: &Pair) {
    pair.source.sql(
        "UPDATE slow SET n = -n WHERE n BETWEEN 1000 AND 1003; DELETE FROM slow_too WHERE n > 990;
         INSERT INTO quick VALUES (101); INSERT INTO slow VALUES ('2025-01-01 UTC', 1)",
    );
}

fn cancelled_and_resumed(edition: Edition) {
    let pair = Pair::new("mode_cancelled", edition);
    filled(&pair);
    let run = cancelled(&pair, DATA);
    change(&pair);
    resume(&pair, &run);
    assert_same(&pair);
    assert!(pair.target.is(&format!("SELECT every(same) AND count(*) > 5 FROM migrate_verify({run}, 'checksum')")));
}

fn crashed(edition: Edition) {
    let pair = Pair::between("mode_crashed", shared_source(edition), Arc::new(of_edition(edition, &[])));
    pair.source.sql("CREATE EXTENSION timescaledb");
    filled(&pair);
    let run = pair.start(DATA);
    slow::wait_for_the_middle(&pair);
    pair.target.cluster.stop_immediately();
    pair.target.cluster.start_again();
    slow::hurry(&pair);
    change(&pair);
    resume(&pair, &run);
    assert_same(&pair);
    // Once more, with a cleanup in place of a resume.
    pair.target.sql("TRUNCATE slow, slow_too, quick");
    pair.both(&[crate::resume::SLOW]);
    let run = pair.start(DATA);
    slow::wait_for_the_middle(&pair);
    cancel(&pair, &run);
    pair.target.cluster.stop_immediately();
    pair.target.cluster.start_again();
    pair.target.sql(&format!("SELECT migrate_cleanup({run})"));
    for table in ["slow", "slow_too", "quick", "show_chunks('slow')"] {
        assert_eq!(pair.target.value(&format!("SELECT count(*) FROM {table}")), "0", "{table}");
    }
}

fn time_range(edition: Edition) {
    let pair = Pair::new("mode_time_range", edition);
    pair.source.sql(
        "CREATE TABLE reading (t timestamptz NOT NULL, n int); SELECT create_hypertable('reading', by_range('t', INTERVAL '1 day'));
         CREATE TABLE other (LIKE reading); SELECT create_hypertable('other', by_range('t', INTERVAL '1 day'));
         INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n FROM generate_series(0, 239) n;
         INSERT INTO other TABLE reading; CREATE TABLE plain (n int); INSERT INTO plain VALUES (1)",
    );
    pair.migrate_with(&format!("'{SCHEMA}'"));
    // The chunks of the second are not the source's.
    pair.target.sql("SELECT set_chunk_time_interval('other', INTERVAL '3 days'); INSERT INTO other VALUES ('2024-01-04 UTC', -1); DELETE FROM other");
    let options = r#"{"mode": "data", "verify": "checksum", "time_range": {"*": {"from": "2024-01-03 12:00 UTC", "to": "2024-01-06 06:00 UTC"}}}"#;
    pair.migrate_with(&format!("'{options}', jobs => 2"));
    for table in ["reading", "other"] {
        let rows = "SELECT count(*) || ' ' || min(n) || ' ' || max(n) FROM";
        assert_eq!(pair.target.value(&format!("{rows} {table}")), "66 60 125", "{table}");
    }
    assert_eq!(pair.target.value("SELECT count(*) FROM plain"), "1");
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    assert!(pair.target.is(&format!("SELECT every(same) AND count(*) > 3 FROM migrate_verify({run}, 'checksum')")));
    pair.target.sql("UPDATE other SET n = 0 WHERE n = 70");
    pair.target.refuses(&format!("SELECT * FROM migrate_verify({run}, 'checksum')"), &["checksums differ"]);
}

fn two_runs(edition: Edition) {
    let pair = Pair::new("mode_two_runs", edition);
    pair.source.sql(
        "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.device (n int PRIMARY KEY); INSERT INTO a.device SELECT generate_series(1, 9);
         CREATE TABLE a.late (n int); INSERT INTO a.late VALUES (1);
         CREATE TABLE b.reading (t timestamptz NOT NULL, device int REFERENCES a.device); SELECT create_hypertable('b.reading', 't');
         INSERT INTO b.reading SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 day', n % 9 + 1 FROM generate_series(0, 99) n",
    );
    pair.migrate_with(&format!("'{SCHEMA}'"));
    // The second needs the rows of the first.
    let only = |schema: &str| format!(r#"'{{"mode": "data", "include": ["{schema}.*"], "verify": "checksum", "on_error": "continue"}}', jobs => 2"#);
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', {})", only("b")), &["foreign key reading_device_fkey of b.reading is violated by rows on the target"]);
    let failed = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    pair.target.sql(&format!("SELECT migrate_cleanup({failed})"));
    assert_eq!(pair.target.value("SELECT count(*) FROM b.reading"), "0");
    pair.migrate_with(&only("a"));
    let first = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', {})", only("a")), &["table a.device: is not empty on the target"]);
    pair.migrate_with(&only("b"));
    assert_same(&pair);
    for run in [first, pair.target.value("SELECT max(id) FROM timescale_migrate.run")] {
        assert!(pair.target.is(&format!("SELECT every(same) AND count(*) > 1 FROM migrate_verify({run})")), "{run}");
    }
}

fn statistics(edition: Edition) {
    let pair = Pair::new("mode_statistics", edition);
    pair.both(&["CREATE TABLE r (t timestamptz NOT NULL, n int) WITH (autovacuum_enabled = off)"]);
    pair.source.sql("SELECT create_hypertable('r', 't', chunk_time_interval => INTERVAL '10 days')");
    pair.target.sql("SELECT create_hypertable('r', 't', chunk_time_interval => INTERVAL '3 days')");
    pair.target.sql("SELECT add_dimension('r', 'n', number_partitions => 2)");
    pair.source.sql("INSERT INTO r SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n FROM generate_series(1, 1000) n");
    pair.wait_for_older_transactions();
    pair.target.sql("ALTER TABLE r ADD CONSTRAINT not_yet CHECK (n < 900)");
    let call = r#"SELECT * FROM migrate_from('old', '{"mode": "data", "on_error": "continue"}', jobs => 2)"#;
    pair.target.refuses(call, &["not_yet"]);
    let chunks = || {
        let query = "SELECT array[count(*), count(*) FILTER (WHERE EXISTS (SELECT FROM pg_statistic WHERE starelid = c))] FROM show_chunks('r') c";
        let found = pair.target.value(query);
        let (all, analyzed) = found.trim_matches(['{', '}']).split_once(',').unwrap();
        assert_eq!(all, analyzed);
        all.parse::<u32>().unwrap()
    };
    let before = chunks();
    assert!(before > 8, "{before}");
    pair.target.sql("ALTER TABLE r DROP CONSTRAINT not_yet");
    resume(&pair, &pair.target.value("SELECT max(id) FROM timescale_migrate.run"));
    assert_eq!(pair.target.value("SELECT count(*) FROM r"), "1000");
    assert!(chunks() > before);
}

//! A source whose lock table has no room for all chunks: each is locked while it is copied, and
//! what happened to one before that is noticed; it is then read as it is.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, of_edition, poll, shared_target};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::both("chunks truncated or dropped before they are copied", truncated),
    Test::community("chunks compressed and decompressed before they are copied", compressed),
];

/// A table that is copied first, and takes until [`free`]; then 300 chunks.
fn held(name: &str, edition: Edition) -> Pair {
    // Room for 360 locks, of which a quarter is left to others.
    let source = of_edition(edition, &[("max_locks_per_transaction", "10"), ("max_connections", "36")]);
    let pair = Pair::between(name, Arc::new(source), shared_target(edition));
    pair.source.sql("CREATE EXTENSION timescaledb; SELECT _timescaledb_functions.stop_background_workers()");
    pair.source.sql(
        "CREATE FUNCTION passes(n int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
         CREATE TABLE first (n int CHECK (public.passes(n)), filler text);
         INSERT INTO first SELECT n, repeat('x', 7000) FROM generate_series(1, 100) n;
         CREATE OR REPLACE FUNCTION passes(n int) RETURNS boolean LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN true; END';
         CREATE TABLE many (t bigint NOT NULL, device int, v text);
         SELECT create_hypertable('many', by_range('t', 100), create_default_indexes => false);
         INSERT INTO many SELECT n, n % 3, md5(n::text) FROM generate_series(0, 29999) n",
    );
    pair
}

/// Starts a migration, and does something on the source when the first table is being copied.
fn run_with(pair: &Pair, arguments: &str, meanwhile: &[String]) -> String {
    let mut gate = pair.target.connect();
    gate.batch_execute("SELECT pg_advisory_lock(4711)").unwrap();
    let run = pair.start(arguments);
    let copying = "SELECT EXISTS (SELECT FROM timescale_migrate.task WHERE state = 'running' AND object = 'public.first')";
    poll("the first table to be copied", || pair.target.is(copying));
    pair.source.each(meanwhile);
    drop(gate);
    run
}

fn chunk(pair: &Pair, number: i32) -> String {
    pair.source.value(&format!("SELECT c FROM show_chunks('many') c OFFSET {number} LIMIT 1"))
}

fn truncated(edition: Edition) {
    let pair = held("small_source_truncated", edition);
    let (truncated, dropped) = (chunk(&pair, 200), chunk(&pair, 10));
    let meanwhile = [format!("TRUNCATE {truncated}"), format!("DROP TABLE {dropped}")];
    let run = run_with(&pair, ", jobs => 1, options => '{\"retries\": 0}'", &meanwhile);
    pair.wait_for_state(&run, "done");
    pair.wait_for_silence();
    let messages = pair.messages();
    let changed = format!("{truncated} of public.many has changed on the source since the snapshot: copied under a later one");
    let gone = format!("{dropped} was dropped on the source since the snapshot: it is left out");
    for message in [changed, gone] {
        assert!(messages.contains(&message), "no \"{message}\":\n{messages}");
    }
    assert_same(&pair);
    // The comparison on its own takes the same way.
    assert!(pair.target.is("SELECT count(*) = 300 AND every(same) FROM migrate_verify('old')"));
}

fn compressed(edition: Edition) {
    let pair = held("small_source_compressed", edition);
    pair.source.sql("ALTER TABLE many SET (timescaledb.compress, timescaledb.compress_segmentby = 'device')");
    let (compressed, decompressed, again) = (chunk(&pair, 150), chunk(&pair, 100), chunk(&pair, 50));
    for chunk in [&decompressed, &again] {
        pair.source.sql(&format!("SELECT compress_chunk('{chunk}')"));
    }
    let meanwhile = [
        format!("SELECT compress_chunk('{compressed}')"),
        format!("SELECT decompress_chunk('{decompressed}')"),
        format!("SELECT decompress_chunk('{again}')"),
        format!("SELECT compress_chunk('{again}')"),
    ];
    let run = run_with(&pair, ", jobs => 1, options => '{\"verify\": \"checksum\"}'", &meanwhile);
    pair.wait_for_state(&run, "done");
    pair.wait_for_silence();
    let messages = pair.messages();
    assert!(messages.contains("has changed on the source since the snapshot, and 2 more relations have"), "{messages}");
    assert!(!messages.contains("not compared"), "{messages}");
    assert_same(&pair);
}

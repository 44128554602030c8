//! What workers make on the chunks of a hypertable one by one is what TimescaleDB makes in one
//! statement.

use cluster::suite::Test;
use cluster::{Edition, Pair, Versions, of_edition, shared_source};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::versions("statistics", statistics),
    Test::both("more chunks than the lock table holds", many_chunks),
];

fn statistics(versions: Versions) {
    let pair = Pair::of("chunk_statistics", versions);
    pair.source.sql(
        "CREATE TABLE h (t timestamptz NOT NULL, device int NOT NULL, v float8, s text);
         SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         CREATE INDEX doubled ON h ((v * 2));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '2 minutes', n % 9, n / 7.0, 's' || n % 5
         FROM generate_series(0, 6 * 720 - 1) n;
         ALTER TABLE h SET (timescaledb.compress, timescaledb.compress_segmentby = 'device');
         SELECT count(compress_chunk(c)) FROM show_chunks('h', older_than => timestamptz '2024-01-03 UTC') c;
         INSERT INTO h SELECT timestamptz '2024-01-02 00:01 UTC' + n * INTERVAL '10 minutes', 3, n, 'late' FROM generate_series(0, 99) n;
         CREATE TABLE \"Odd h\" (\"a t\" bigint NOT NULL); SELECT create_hypertable('\"Odd h\"', by_range('a t', 10));
         INSERT INTO \"Odd h\" SELECT generate_series(1, 35)",
    );
    pair.source.sql(
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS
         SELECT time_bucket('1 day', t) AS day, device, sum(v) AS v FROM h GROUP BY 1, 2 WITH NO DATA",
    );
    pair.source.sql("CALL refresh_continuous_aggregate('daily', NULL, NULL)");
    // So that it depends on nothing when ANALYZE is run once more.
    pair.target.sql("SELECT _timescaledb_functions.stop_background_workers()");
    pair.migrate();
    let found = include_str!("sql/statistics.sql");
    let ours = pair.target.value(found);
    assert!(ours.contains("1 t ") && ours.contains("compress"), "{ours}");
    let materialized = pair.target.value(
        "SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) FROM timescaledb_information.continuous_aggregates",
    );
    for table in ["h", "\"Odd h\"", &materialized] {
        pair.target.sql(&format!("ANALYZE {table}"));
    }
    assert_eq!(ours, pair.target.value(found));
    // Each chunk has been taken once, and roots and chunks in tasks of their own.
    let tasks = "SELECT string_agg(regexp_replace(object, '^.*_chunk of', '1 of'), ', ' ORDER BY object) FROM timescale_migrate.task WHERE stage = 'analyze'";
    let expected = "4 chunks of public.\"Odd h\", 6 chunks of public.h, 1 of public.daily, public.\"Odd h\", public.daily, public.h";
    assert_eq!(pair.target.value(tasks), expected);
}

fn many_chunks(edition: Edition) {
    // Room for 160 locks, by the documented formula; the server adds some for processes of its own.
    let settings = [("max_locks_per_transaction", "10"), ("max_connections", "16"), ("max_worker_processes", "20")];
    let small = Arc::new(of_edition(edition, &settings));
    let pair = Pair::between("many_chunks", shared_source(edition), small);
    pair.source.sql(
        "CREATE EXTENSION timescaledb;
         CREATE TABLE few (t bigint NOT NULL, n int); SELECT create_hypertable('few', by_range('t', 10), create_default_indexes => false);
         INSERT INTO few SELECT n, n FROM generate_series(1, 700) n;
         CREATE TABLE many (t bigint NOT NULL, n int); SELECT create_hypertable('many', by_range('t', 10), create_default_indexes => false);
         INSERT INTO many SELECT n, n FROM generate_series(1, 4000) n",
    );
    pair.migrate();
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
    assert!(pair.target.is("SELECT every(reltuples > 0) FROM pg_class JOIN pg_inherits ON inhrelid = oid"));
    let whole = "SELECT string_agg(DISTINCT starelid::regclass::text, ' ') FROM pg_statistic WHERE stainherit";
    assert_eq!(pair.target.value(whole), "few");
    let warned = pair.messages();
    assert!(warned.contains("public.many") && warned.contains("max_locks_per_transaction"), "{warned}");
}

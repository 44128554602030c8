//! Many chunks and tables: under the target's default settings, and in memory that hardly grows with them.
//!
//! SCALE=full makes it as many as the target is made for.

use cluster::suite::Test;
use cluster::{Edition, Pair, Watch, assert_same_rows, of_edition, shared_source};
use std::sync::Arc;
use std::time::Instant;

pub const TESTS: &[Test] = &[Test::richest("many chunks and tables", many)];

struct Scale {
    chunks: usize,
    tables: usize,
    /// Of the target; empty is the server's own default.
    settings: [(&'static str, &'static str); 3],
    /// What the coordinator, a worker and the source's session with the snapshot may have above a
    /// bare backend, in MB: in a migration, and in a comparison.
    most: [u64; 3],
}

const FULL: Scale = Scale {
    chunks: 10_000,
    tables: 5_000,
    settings: [("max_locks_per_transaction", ""), ("max_connections", ""), ("max_worker_processes", "")],
    most: [100, 100, 100],
};

/// So few that the test is quick, with a lock table as much smaller.
const QUICK: Scale = Scale {
    chunks: 1_000,
    tables: 1_500,
    settings: [("max_locks_per_transaction", "10"), ("max_connections", "64"), ("max_worker_processes", "12")],
    most: [40, 20, 20],
};

fn many(edition: Edition) {
    let full = std::env::var_os("SCALE").is_some_and(|scale| scale == "full");
    let Scale { chunks, tables, settings, most } = if full { FULL } else { QUICK };
    let target = Arc::new(of_edition(edition, &settings));
    let pair = Pair::between("scale", shared_source(edition), target);
    fill(&pair, edition, chunks, tables);

    let calls = ["SELECT migrate_from('old', jobs => 2)", "SELECT count(*) FROM migrate_verify('old', jobs => 2)"];
    for call in calls {
        let (here, there, begun) = (Watch::start(&pair.target), Watch::start(&pair.source), Instant::now());
        pair.target.each(&["SET statement_timeout = 0", call]);
        let seconds = begun.elapsed().as_secs();
        let mut peaks = here.end();
        peaks.extend(there.end());
        println!("{chunks} chunks and {tables} tables: {call} in {seconds} s; MB above a bare backend: {peaks:?}");
        let peaks = ["coordinator", "worker", "keeper"].map(|kind| peaks[&format!("timescale_migrate {kind}")]);
        assert!(peaks.iter().zip(most).all(|(peak, most)| *peak < most), "MB: {peaks:?}, not below {most:?}");
    }
    assert_same_rows(&pair);
    let made = pair.target.value("SELECT concat_ws(' ', tables, hypertables, chunks) FROM timescale_migrate.run_log WHERE kind = 'migrate'");
    assert_eq!(made, format!("{tables} 2 {chunks}"));
}

/// A row in each table and chunk. Half of the chunks is compressed, where that is possible.
fn fill(pair: &Pair, edition: Edition, chunks: usize, tables: usize) {
    pair.source.each(&[
        "CREATE EXTENSION timescaledb",
        "SELECT _timescaledb_functions.stop_background_workers()",
        "CREATE TABLE plain (t bigint NOT NULL, n int, v text)",
        "SELECT create_hypertable('plain', by_range('t', 10))",
        "CREATE TABLE packed (LIKE plain)",
        "SELECT create_hypertable('packed', by_range('t', 10))",
    ]);
    let half = chunks / 2;
    for (table, first) in ["plain", "packed"].iter().flat_map(|table| (0..half).step_by(500).map(move |n| (table, n))) {
        let last = half.min(first + 500) - 1;
        pair.source.sql(&format!(
            "INSERT INTO {table} SELECT n * 10, n, md5(n::text) FROM generate_series({first}, {last}) n"
        ));
    }
    if edition == Edition::Community {
        pair.source.sql("ALTER TABLE packed SET (timescaledb.compress, timescaledb.compress_orderby = 't')");
        let compress = pair.source.rows("SELECT format('SELECT compress_chunk(%L)', c) FROM show_chunks('packed') c");
        pair.source.each(&compress.iter().map(|row| row.get(0).unwrap()).collect::<Vec<_>>());
    }
    for first in (0..tables).step_by(500) {
        pair.source.sql(&format!(
            "DO $$ BEGIN FOR i IN {first}..{} LOOP
                 EXECUTE format('CREATE TABLE table_%1$s (id int PRIMARY KEY, name text DEFAULT ''none'', at timestamptz);
                                 INSERT INTO table_%1$s VALUES (%1$s, md5(%1$L), ''2024-01-01 UTC'')', i);
             END LOOP; END $$",
            tables.min(first + 500) - 1
        ));
    }
}

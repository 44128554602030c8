//! Over a long link, a run asks the source much at once.

use cluster::proxy::Proxy;
use cluster::suite::Test;
use cluster::{Edition, Pair};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

pub const TESTS: &[Test] = &[
    Test::both("until the rows are copied", few),
    Test::apache("small relations are taken together, however long the link is", together),
];

fn few(edition: Edition) {
    let pair = Pair::new("round_trips", edition);
    pair.source.each(&["CREATE TABLE m (ts timestamptz NOT NULL)", "SELECT create_hypertable('m', 'ts')"]);
    let (proxy, counted) = (Proxy::new(pair.source.cluster.port), Arc::new(AtomicUsize::new(0)));
    let count = counted.clone();
    // ReadyForQuery, at the end of each answer.
    proxy.look(move |message| {
        count.fetch_add(usize::from(message.kind == b'Z'), Ordering::Relaxed);
        None
    });
    pair.target.sql(&format!("ALTER SERVER old OPTIONS (SET port '{}')", proxy.port));
    let of = |statement: &str| {
        counted.store(0, Ordering::Relaxed);
        pair.target.sql(statement);
        counted.load(Ordering::Relaxed)
    };
    let (preflight, run) = (of("SELECT migrate_preflight('old')"), of("SELECT migrate_from('old')"));
    // pg_dump alone asks about 55 times.
    assert!(preflight < 88 && run < 102, "{preflight} round trips in a preflight, {run} in a run");
}

/// Longer than a batch takes after which a worker takes a larger one.
const ROUND_TRIP: Duration = Duration::from_millis(300);

fn together(edition: Edition) {
    let pair = Pair::new("together", edition);
    pair.source.each(&[
        "CREATE TABLE m (ts timestamptz NOT NULL)",
        "SELECT create_hypertable('m', 'ts', chunk_time_interval => INTERVAL '1 day')",
        "INSERT INTO m SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 day' FROM generate_series(1, 100) n",
    ]);
    let (proxy, counted) = (Proxy::new(pair.source.cluster.port), Arc::new(AtomicUsize::new(0)));
    let count = counted.clone();
    proxy.look(move |message| {
        // The last message of each answer, to a worker that connects or begins to copy.
        let of_worker = |what: &str| message.kind == b'Z' && message.query.contains(what);
        let begins = of_worker("SET LOCAL application_name = 'timescale_migrate run 1 task");
        if begins || of_worker("COPY") || of_worker("COMMIT") || of_worker("run 1 worker") {
            sleep(ROUND_TRIP);
        }
        count.fetch_add(begins.into(), Ordering::Relaxed);
        None
    });
    pair.target.sql(&format!("ALTER SERVER old OPTIONS (SET port '{}')", proxy.port));
    pair.target.sql("SELECT migrate_from('old', jobs => 1)");
    assert_eq!(pair.target.value("SELECT count(*) FROM m"), "100");
    let transactions = counted.load(Ordering::Relaxed);
    assert!(transactions < 20, "100 chunks took {transactions} transactions on the source");
}

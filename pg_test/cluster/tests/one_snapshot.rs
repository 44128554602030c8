//! A source that is written to meanwhile: the target holds it as it was at one moment.

use cluster::suite::Test;
use cluster::{Edition, Pair};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

pub const TESTS: &[Test] = &[
    Test::both("while the source is written to", while_written_to),
    Test::both("while the source drops a chunk", while_dropped),
];

/// Retention drops a chunk after it was listed and before it is locked.
fn while_dropped(edition: Edition) {
    let pair = Pair::new("dropped_meanwhile", edition);
    pair.source.sql(
        "CREATE TABLE hyper (t timestamptz NOT NULL, n int); SELECT create_hypertable('hyper', by_range('t', INTERVAL '1 day'));
         INSERT INTO hyper SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '6 hours', n FROM generate_series(0, 19) n",
    );
    let mut retention = pair.source.connect();
    retention.batch_execute("BEGIN; SELECT drop_chunks('hyper', timestamptz '2024-01-02 UTC')").unwrap();
    let run = pair.start("");
    cluster::poll("the run to wait for the chunk", || {
        pair.source.is("SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE NOT l.granted AND a.application_name LIKE 'timescale_migrate run % reader')")
    });
    retention.batch_execute("COMMIT").unwrap();
    pair.wait_for_state(&run, "done");
    assert_eq!(pair.target.value("SELECT count(*) FROM show_chunks('hyper')"), "4");
    cluster::assert_same(&pair);
}

fn while_written_to(edition: Edition) {
    let pair = Pair::new("snapshot", edition);
    // Each transaction of the writer adds its number to both tables, moves a row of a third
    // and takes a number of a sequence.
    pair.source.sql(
        "CREATE TABLE plain (n int PRIMARY KEY);
         CREATE TABLE hyper (t timestamptz NOT NULL, n int);
         SELECT create_hypertable('hyper', by_range('t', INTERVAL '1 day'));
         CREATE TABLE counter (n int); INSERT INTO counter VALUES (0);
         CREATE TABLE a_first (n int, filler text);
         INSERT INTO a_first SELECT n, repeat('x', 500) FROM generate_series(1, 50000) n;
         CREATE TABLE z_last (n int); INSERT INTO z_last VALUES (0);
         INSERT INTO hyper SELECT timestamptz '2024-01-01 UTC' + d * INTERVAL '1 day', -d FROM generate_series(1, 40) d",
    );
    let stop = AtomicBool::new(false);
    let write = || {
        let mut client = pair.source.connect();
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) {
            n += 1;
            let write = format!(
                "UPDATE z_last SET n = {n};
                 INSERT INTO plain VALUES ({n});
                 INSERT INTO hyper VALUES (timestamptz '2024-01-01 UTC' + {n} % 40 * INTERVAL '1 day', {n});
                 UPDATE counter SET n = {n}"
            );
            client.batch_execute(&write).unwrap();
        }
    };
    thread::scope(|scope| {
        let writer = scope.spawn(write);
        // The writer ends whatever becomes of the migration; scope would wait for it for ever.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            cluster::poll("the writer to begin", || pair.source.is("SELECT n > 20 FROM counter"));
            let before = pair.source.value("SELECT n FROM counter");
            pair.migrate();
            before
        }));
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        let before: i64 = outcome.unwrap_or_else(|e| std::panic::resume_unwind(e)).parse().unwrap();

        let n: i64 = pair.target.value("SELECT n FROM counter").parse().unwrap();
        let last: i64 = pair.source.value("SELECT n FROM counter").parse().unwrap();
        assert!(before <= n && n < last, "the snapshot of {n} lies within {before} to {last}");
        let whole = format!("SELECT min(n) = 1 AND max(n) = {n} AND count(*) = {n} FROM");
        assert!(pair.target.is(&format!("{whole} plain")), "plain holds exactly 1 to {n}");
        assert!(pair.target.is(&format!("{whole} hyper WHERE n > 0")), "hyper as well");
        assert_eq!(pair.target.value("SELECT n FROM z_last"), n.to_string());
        assert_eq!(pair.target.value("SELECT count(*) FROM hyper WHERE n < 0"), "40");
    });
}

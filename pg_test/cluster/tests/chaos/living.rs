//! What goes on at the source while faults strike: its users write, its jobs compress, refresh and drop.

use super::Random;
use cluster::Db;
use postgres::NoTls;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Between two statements: others want a turn.
const PAUSE: Duration = Duration::from_millis(20);

/// Each with a random number in place of `$`.
const WORK: &[&str] = &[
    "INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + random() * INTERVAL '34 days', 1 + $ % 50, $, 1 FROM generate_series(1, 5)",
    "UPDATE reading SET v = v + 1 WHERE n = $ % 2000",
    "DELETE FROM reading WHERE n = $ % 2000 AND n > 100",
    "INSERT INTO packed SELECT timestamptz '2024-01-01 UTC' + random() * INTERVAL '12 days', $ % 5, 'new' FROM generate_series(1, 5)",
    "DELETE FROM packed WHERE device = $ % 5 AND t BETWEEN timestamptz '2024-01-03 UTC' AND timestamptz '2024-01-03 02:00 UTC'",
    "SELECT compress_chunk(c, if_not_compressed => true) FROM (SELECT c FROM show_chunks('packed') c ORDER BY random() LIMIT 1) x",
    "SELECT decompress_chunk(c, if_compressed => true) FROM (SELECT c FROM show_chunks('packed') c ORDER BY random() LIMIT 1) x",
    "SELECT compress_chunk(c, if_not_compressed => true) FROM (SELECT c FROM show_chunks('tick') c ORDER BY random() LIMIT 1) x",
    "SELECT decompress_chunk(c, if_compressed => true) FROM (SELECT c FROM show_chunks('tick') c ORDER BY random() LIMIT 1) x",
    "CALL refresh_continuous_aggregate('hourly', NULL, '2024-01-25 UTC')",
    "CALL refresh_continuous_aggregate('daily', NULL, '2024-01-20 UTC')",
    "CALL refresh_continuous_aggregate('hundreds', 0, 4000)",
    "BEGIN; SELECT drop_chunks('tick', older_than => 1000); INSERT INTO tick SELECT n, $ % 7 FROM generate_series(0, 900, 9) n; COMMIT",
    // Procedures that some versions do not have.
    "DO 'DECLARE pair regclass[]; BEGIN
         SELECT ARRAY[c, next] INTO pair FROM (
             SELECT format(''%I.%I'', chunk_schema, chunk_name)::regclass AS c,
                    lead(format(''%I.%I'', chunk_schema, chunk_name)::regclass) OVER (ORDER BY range_start_integer) AS next
             FROM timescaledb_information.chunks WHERE hypertable_name = ''tick'') x
         WHERE next IS NOT NULL ORDER BY random() LIMIT 1;
         CALL merge_chunks(pair);
     END'",
    "BEGIN; TRUNCATE tick; INSERT INTO tick SELECT n, $ % 77 FROM generate_series(0, 9000, 3) n; COMMIT",
    "BEGIN; TRUNCATE part; INSERT INTO part SELECT date '2024-01-15' + n, $ FROM generate_series(1, 90) n; COMMIT",
    "INSERT INTO future.metric SELECT timestamptz '2024-01-01 UTC' + random() * INTERVAL '34 days', $, 'new' FROM generate_series(1, 5)",
    "UPDATE future.parted SET t = timestamptz '2024-01-01 UTC' + random() * INTERVAL '60 days' WHERE n = $ % 900",
    "INSERT INTO future.divided SELECT timestamptz '2024-01-01 UTC' + random() * INTERVAL '34 days', $, 'new' FROM generate_series(1, 5)",
    "SELECT compress_chunk(c, if_not_compressed => true) FROM (SELECT c FROM show_chunks('future.divided') c ORDER BY random() LIMIT 1) x",
    "SELECT decompress_chunk(c, if_compressed => true) FROM (SELECT c FROM show_chunks('future.divided') c ORDER BY random() LIMIT 1) x",
    "SELECT drop_chunks('future.divided', newer_than => timestamptz '2024-02-01 UTC')",
    "UPDATE large SET filler = repeat('y', 300) WHERE n = $ % 3000",
    "VACUUM FULL large",
    "ALTER TABLE event ALTER note SET STATISTICS 50",
    "UPDATE device SET weight = $ WHERE id = 1 + $ % 50",
];

/// Works until it is told to stop. The source may be down meanwhile.
pub fn work(source: &Db, mut random: Random, stop: &AtomicBool) {
    let mut client = None;
    while !stop.load(Ordering::Relaxed) {
        if client.is_none() {
            client = source.cluster.config(&source.name).connect(NoTls).ok();
        }
        let (statement, number) = (random.of(WORK), random.below(1_000_000).to_string());
        // Two sessions may meet, as with the run's own.
        if client.as_mut().is_some_and(|client| client.batch_execute(&statement.replace('$', &number)).is_err_and(|e| e.is_closed())) {
            client = None;
        }
        std::thread::sleep(PAUSE);
    }
}

//! Compressed chunks of kinds that not every version has, or that travel in another way.

use crate::compressed_chunks::{assert_same_contents, migrate};
use cluster::suite::{Test, leave_out};
use cluster::{Edition, Pair, Versions, assert_same, assert_same_but};

pub const TESTS: &[Test] = &[
    Test::between("nothing to order by", &UNORDERED, nothing_to_order_by),
    Test::community("compressed again, one chunk a worker", one_chunk_a_worker),
    Test::between("of the access method hypercore", &HYPERCORE, hypercore),
    Test::between("compressed as they come in", &DIRECT, direct),
];

/// 2.18 to 2.21 have it.
const HYPERCORE: [Versions; 2] = [
    Versions::new("2.19.3", "2.19.3"),
    Versions::new("2.19.3", "2.29.2"),
];

const UNORDERED: [Versions; 3] = [
    Versions::new("2.19.3", "2.19.3"),
    Versions::new("2.19.3", "2.29.2"),
    Versions::new("2.29.2", "2.29.2"),
];

/// 2.29 has brought it.
const DIRECT: [Versions; 1] = [Versions::new("2.29.2", "2.29.2")];

/// The time column is the one that segments are made by.
fn nothing_to_order_by(versions: Versions) {
    let pair = Pair::of("compressed_unordered", versions);
    pair.source.sql("CREATE TYPE pair AS (a int, b text)");
    for (name, more, chunks) in [("step", "", 3), ("step_again", ", p pair", 9)] {
        pair.source.sql(&format!(
            "CREATE TABLE {name} (n int NOT NULL, v float8{more}); SELECT create_hypertable('{name}', 'n', chunk_time_interval => 10);
             ALTER TABLE {name} SET (timescaledb.compress, timescaledb.compress_segmentby = 'n');
             INSERT INTO {name} SELECT i % 40, i FROM generate_series(1, 4000) i;
             SELECT count(compress_chunk(c)) FROM (SELECT c FROM show_chunks('{name}') c ORDER BY c LIMIT {chunks}) x;
             INSERT INTO {name} VALUES (1, 0.5)"
        ));
    }
    migrate(&pair, versions, &[("step_again", "binary form")]);
    for name in ["step", "step_again"] {
        pair.both(&[
            &format!("INSERT INTO {name} SELECT i % 50, -i FROM generate_series(1, 1000) i"),
            &format!("DELETE FROM {name} WHERE n = 7"),
            &format!("SELECT count(compress_chunk(c, true)) FROM show_chunks('{name}') c"),
        ]);
    }
    assert_same_contents(&pair, true);
}

/// Where rows are compressed again, that happens in the transaction that brings them: there are never more chunks uncompressed on disk
/// than there are workers.
fn one_chunk_a_worker(edition: Edition) {
    let pair = Pair::new("compressed_again", edition);
    pair.source.sql(
        "SELECT _timescaledb_functions.stop_background_workers();
         CREATE TYPE pair AS (a int, b text);
         CREATE TABLE wide (t timestamptz NOT NULL, filler text, p pair); SELECT create_hypertable('wide', 't', chunk_time_interval => INTERVAL '1 day');
         ALTER TABLE wide SET (timescaledb.compress, timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 't');
         INSERT INTO wide SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '10 seconds', repeat('x', 500), ROW(i, 'b')::pair
         FROM generate_series(0, 12 * 8640 - 1) i",
    );
    let number = |db: &cluster::Db, query: &str| db.value(query).parse::<i64>().unwrap();
    let chunk = number(&pair.source, "SELECT max(pg_total_relation_size(c)) FROM show_chunks('wide') c");
    pair.source.sql("SELECT count(compress_chunk(c)) FROM show_chunks('wide') c");
    let again = "SELECT count(*) FROM migrate_plan('old') WHERE method LIKE '%, compressed again'";
    assert_eq!(pair.target.value(again), "12");

    let size = "SELECT pg_database_size(current_database())";
    let run = pair.start(", jobs => 2");
    let (mut peak, mut seen) = (0, std::collections::BTreeSet::new());
    cluster::poll("the run to end", || {
        // Counted on disk, where what is not committed is as well.
        peak = peak.max(number(&pair.target, size));
        // Not yet compressed, and compressed.
        let chunks = "SELECT count(*) FILTER (WHERE k.status & 1 = 0 AND pg_relation_size(k.relid) > 0) || ' ' || count(*) FILTER (WHERE k.status & 1 = 1)
            FROM _timescaledb_catalog.chunk k JOIN _timescaledb_catalog.hypertable h ON h.id = k.hypertable_id AND h.table_name = 'wide'";
        seen.insert(pair.target.value(chunks));
        pair.state(&run) != "running"
    });
    pair.wait_for_state(&run, "done");
    assert!(seen.iter().all(|counts| counts.starts_with("0 ")), "{seen:?}");
    assert!(seen.len() > 3, "it was not seen under way: {seen:?}");
    let end = number(&pair.target, size);
    assert!(peak < end + 2 * chunk * 5 / 4 + (4 << 20), "at most {peak} bytes, at the end {end}, a chunk {chunk}");
    assert!(12 * chunk > 3 * (2 * chunk * 5 / 4 + (4 << 20)), "too small a chunk to tell: {chunk}");
    assert_same_but(&pair, &["rows of ", "batches of ", "compressed "]);
}

fn hypercore(versions: Versions) {
    let pair = Pair::of("compressed_hypercore", versions);
    leave_out_if_hypercore_fails(&pair.source);
    for name in ["by_chunk", "by_default"] {
        pair.source.sql(&format!(
            "CREATE TABLE {name} (t timestamptz NOT NULL, device text, n int); SELECT create_hypertable('{name}', 't', chunk_time_interval => INTERVAL '1 day');
             CREATE INDEX ON {name} (device);
             ALTER TABLE {name} SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't DESC');
             INSERT INTO {name} SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 hour', 'd' || i % 3, i FROM generate_series(0, 99) i"
        ));
    }
    pair.source.each(&[
        "SELECT compress_chunk(c, hypercore_use_access_method => i < 3) FROM show_chunks('by_chunk') WITH ORDINALITY AS s(c, i) WHERE i < 5",
        "INSERT INTO by_chunk VALUES ('2024-01-01 00:30 UTC', 'late', 1000)",
        "SELECT compress_chunk(c) FROM show_chunks('by_default') c LIMIT 1",
        "ALTER TABLE by_default SET ACCESS METHOD hypercore",
        "INSERT INTO by_default SELECT timestamptz '2024-02-01 UTC' + i * INTERVAL '1 hour', 'd' || i % 3, i FROM generate_series(0, 40) i",
    ]);
    let warnings = "SELECT string_agg(subject || ': ' || detail, '; ' ORDER BY subject) FROM migrate_preflight('old') WHERE status = 'warning'";
    let warnings = pair.target.value(warnings);
    assert!(warnings.contains("public.by_chunk: 2 of") && warnings.contains("public.by_default: 2 of"), "{warnings}");
    let planned = "SELECT count(*) FROM migrate_plan('old') WHERE method LIKE '%, compressed again' AND note LIKE '%hypercore%'";
    assert_eq!(pair.target.value(planned), "4");
    pair.migrate();
    assert_eq!(pair.target.value("SELECT count(*) FROM pg_class c JOIN pg_am m ON m.oid = c.relam AND m.amname = 'hypercore'"), "0");
    let compressed = "SELECT count(*) FROM timescaledb_information.chunks WHERE is_compressed";
    assert_eq!(pair.target.value(compressed), "7");
    let rows = |side: &cluster::Db, name: &str| side.value(&format!("SELECT count(*) || md5(string_agg(r::text, ' ' ORDER BY r.t)) FROM {name} r"));
    let same = || ["by_chunk", "by_default"].iter().for_each(|name| assert_eq!(rows(&pair.source, name), rows(&pair.target, name), "{name}"));
    same();
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
    pair.both(&[
        "INSERT INTO by_chunk VALUES ('2024-01-01 00:45 UTC', 'd1', 2000), ('2024-03-01 UTC', 'd1', 2000)",
        "INSERT INTO by_default VALUES ('2024-02-01 00:45 UTC', 'd1', 2000), ('2024-03-01 UTC', 'd1', 2000)",
        "DELETE FROM by_default WHERE device = 'd2'",
    ]);
    same();
}

fn direct(versions: Versions) {
    let pair = Pair::of("compressed_directly", versions);
    let fill = |day: usize| {
        format!("INSERT INTO direct SELECT timestamptz '2024-01-0{day} UTC' + i * INTERVAL '1 second', i FROM generate_series(1, 5000) i")
    };
    pair.source.sql(
        "CREATE TABLE direct (t timestamptz NOT NULL, v int); SELECT create_hypertable('direct', 't', chunk_time_interval => INTERVAL '1 day');
         ALTER TABLE direct SET (timescaledb.compress, timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 't',
                                 timescaledb.direct_compress)",
    );
    // Of the policies that come with it, one stays as it is, and none is due.
    pair.source.sql(
        "SELECT remove_compression_policy('direct');
         SELECT alter_job(job_id, next_start => '2100-01-01 UTC') FROM timescaledb_information.jobs WHERE job_id >= 1000",
    );
    pair.source.sql(&fill(1));
    pair.migrate();
    assert_same(&pair);
    pair.both(&[fill(2)]);
    assert_same(&pair);
    let compressed = "SELECT count(*) = 2 AND every(is_compressed) FROM timescaledb_information.chunks WHERE hypertable_name = 'direct'";
    assert!(pair.target.is(compressed));
}

/// On newer minor versions of PostgreSQL than they were made for, TimescaleDB's versions with this access method cannot compute anything
/// from what they read of a chunk, whoever asks.
fn leave_out_if_hypercore_fails(db: &cluster::Db) {
    db.sql(
        "CREATE TABLE probe (t timestamptz NOT NULL); SELECT create_hypertable('probe', 't'); INSERT INTO probe VALUES (now());
         ALTER TABLE probe SET (timescaledb.compress, timescaledb.compress_orderby = 't');
         SELECT compress_chunk(c, hypercore_use_access_method => true) FROM show_chunks('probe') c",
    );
    let mut client = db.connect();
    client.batch_execute("SET timescaledb.enable_columnarscan = off").unwrap();
    if let Err(error) = client.batch_execute("SELECT max(t::text) FROM probe") {
        let message = error.as_db_error().map_or_else(|| panic!("{error:?}"), |error| error.message().to_owned());
        // Of the faults of that server, the one that is known.
        assert!(message.starts_with("type with OID ") && message.ends_with(" does not exist"), "{message}");
        leave_out("the access method hypercore of the installed TimescaleDB does not work on the installed PostgreSQL");
    }
    db.sql("DROP TABLE probe");
}

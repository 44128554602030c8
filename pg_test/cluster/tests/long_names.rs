//! Names that have to be cut tell nothing apart: chunks, what holds their compressed rows, and indexes keep to themselves all the same.

use cluster::suite::Test;
use cluster::{Pair, Versions, assert_same_but};

pub const TESTS: &[Test] = &[
    Test::between("compressed chunks", &TARGETS, compressed),
    Test::between("a resume and a cleanup", &TARGETS, resumed),
    Test::between("compressed again at the same time", &NEWEST, compressed_again),
];

/// 2.29 refuses to compress a chunk whose name is so long, but takes one that is compressed.
const TARGETS: [Versions; 2] = [Versions::new("2.19.3", "2.19.3"), Versions::new("2.19.3", "2.29.2")];
const NEWEST: [Versions; 1] = [Versions::new("2.19.3", "2.29.2")];

/// What does not depend on which version makes it.
const OTHERS: [&str; 2] = ["batches of ", "sparse indexes of "];

/// A hypertable with compressed chunks of a prefix of this length, whose numbers begin at 1000 on both sides.
fn fill(pair: &Pair, prefix: usize, more: &str) {
    let number = "SELECT setval('_timescaledb_catalog.chunk_id_seq', 999)";
    pair.both(&[number]);
    pair.source.sql(&format!(
        "CREATE TABLE reading (t timestamptz NOT NULL, device int, v float8{more});
         SELECT create_hypertable('reading', 't', chunk_time_interval => INTERVAL '1 day', associated_table_prefix => '{}');
         CREATE INDEX an_index_whose_name_is_cut_on_each_of_the_chunks_that_have_it ON reading (device, t);
         CREATE INDEX an_index_whose_name_is_cut_on_each_of_the_chunks_that_have_it_2 ON reading (v);
         INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '10 minutes', i % 3, i FROM generate_series(0, 16 * 144 - 1) i;
         ALTER TABLE reading SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't');
         SELECT count(compress_chunk(c)) FROM show_chunks('reading', older_than => timestamptz '2024-01-15 UTC') c",
        "p".repeat(prefix)
    ));
}

fn compressed(versions: Versions) {
    let pair = Pair::of("long_compressed", versions);
    fill(&pair, 48, "");
    pair.migrate_with("jobs => 4, options => '{\"verify\": \"checksum\"}'");
    assert_same_but(&pair, &OTHERS);
    assert!(pair.target.is("SELECT count(DISTINCT t) = 16 * 144 FROM reading"));
    let own = "SELECT count(DISTINCT compress_relid) FROM _timescaledb_catalog.compression_settings WHERE compress_relid IS NOT NULL";
    assert_eq!(pair.target.value(own), "14");
}

/// All rows have arrived and no chunk is compressed yet when the first index cannot be made.
fn failed(pair: &Pair) -> String {
    pair.target.sql(
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not yet''; END';
         CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION refuse()",
    );
    let run = pair.start(", jobs => 4");
    pair.wait_for_state(&run, "failed");
    pair.wait_for_silence();
    pair.target.sql("DROP EVENT TRIGGER refuse; DROP FUNCTION refuse()");
    assert_eq!(pair.target.value(&format!("SELECT error FROM timescale_migrate.run WHERE id = {run}")), "not yet");
    run
}

fn resumed(versions: Versions) {
    let pair = Pair::of("long_resumed", versions);
    fill(&pair, 48, "");
    let mine = "SELECT string_agg(c.oid::text, ' ' ORDER BY c.oid) FROM pg_class c
        WHERE c.relnamespace = '_timescaledb_internal'::regnamespace AND c.relkind IN ('r', 'i')";
    let before = pair.target.value(mine);
    let run = failed(&pair);
    assert_ne!(pair.target.value(mine), before);
    assert!(pair.target.is(&format!("SELECT migrate_cleanup({run}) > 0")));
    assert_eq!(pair.target.value(mine), before);

    let run = failed(&pair);
    // Some are copied again, beside the others.
    pair.source.sql(
        "INSERT INTO reading SELECT timestamptz '2024-01-03 00:05 UTC' + i * INTERVAL '1 day', 1, -i FROM generate_series(0, 3) i",
    );
    pair.target.rows(&format!("SELECT * FROM migrate_resume({run}, wait => true)"));
    assert_same_but(&pair, &OTHERS);
    assert!(pair.target.is("SELECT count(DISTINCT t) = 16 * 144 + 4 FROM reading"));
}

/// TimescaleDB lets the server choose a name for the index of what it compresses a chunk to.
fn compressed_again(versions: Versions) {
    let pair = Pair::of("long_again", versions);
    pair.source.sql("CREATE TYPE pair AS (a int, b text)");
    fill(&pair, 40, ", p pair");
    pair.migrate_with("jobs => 4");
    let again = "SELECT count(*) FROM timescale_migrate.task WHERE method LIKE '%, compressed again'";
    assert_eq!(pair.target.value(again), "14");
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old', 'checksum')"));
}

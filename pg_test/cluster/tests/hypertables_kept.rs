//! Hypertables of the source that get compression and policies on the way.

use crate::hypertables_option::{AT_THE_END, NO_MORE, all};
use crate::resume::resume;
use cluster::suite::Test;
use cluster::{Pair, Versions};

pub const TESTS: &[Test] =
    &[Test::between("hypertables get compression and policies", &Versions::TARGETS, improved)];

/// Of the chunks of a hypertable: when each begins, and whether it is compressed.
const CHUNKS: &str = "SELECT string_agg(concat_ws(' ', range_start, is_compressed), ', ' ORDER BY range_start) FROM timescaledb_information.chunks WHERE hypertable_name = ";

fn improved(versions: Versions) {
    let pair = Pair::of("hypertables_kept", versions);
    pair.source.each(&[
        "CREATE TABLE \"Plain\" (t timestamptz NOT NULL, dev int, v float8, PRIMARY KEY (t, dev))",
        "SELECT create_hypertable('\"Plain\"', 't', chunk_time_interval => INTERVAL '1 day')",
        "INSERT INTO \"Plain\" SELECT date_trunc('day', now()) - n * INTERVAL '1 hour', n % 3, n FROM generate_series(0, 480) n",
        "SELECT count(_timescaledb_functions.freeze_chunk(c)) FROM show_chunks('\"Plain\"', older_than => INTERVAL '19 days') c",
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS
             SELECT time_bucket('1 day', t) AS day, sum(v) AS v FROM \"Plain\" GROUP BY 1",
        "CREATE TABLE packed (t timestamptz NOT NULL, dev int, v float8)",
        "SELECT create_hypertable('packed', 't', chunk_time_interval => INTERVAL '1 day')",
        "INSERT INTO packed SELECT date_trunc('day', now()) - n * INTERVAL '1 hour', n % 3, n FROM generate_series(0, 480) n",
        "ALTER TABLE packed SET (timescaledb.compress, timescaledb.compress_segmentby = 'dev')",
        "SELECT count(compress_chunk(c)) FROM show_chunks('packed', older_than => INTERVAL '15 days') c",
        "INSERT INTO packed SELECT now() - INTERVAL '17 days', 5, 5",
        "SELECT add_compression_policy('packed', INTERVAL '1000 days')",
        "SELECT add_retention_policy('packed', INTERVAL '1001 days')",
        "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs WHERE hypertable_name = 'packed'",
    ]);
    let options = r#"{"hypertables": {
        "public.\"Plain\"": {"time": "t", "compress": {"segmentby": ["dev"], "orderby": ["t desc"], "after": "7 days"}, "retention": "10 years"},
        "public.packed": {"compress": {"after": "3 days"}}}, "verify": "checksum"}"#;
    let told = pair.preflight_with("objects", options);
    for row in [
        "warning | table public.\"Plain\" | Arrives with its chunks. Chunks older than 7 days are compressed. When the run is done, a policy drops chunks older than 10 years.",
        "warning | table public.packed | Arrives with its chunks. Chunks older than 3 days are compressed.",
    ] {
        assert!(told.iter().any(|told| told == row), "{told:#?}");
    }
    let plan = format!("SELECT string_agg(concat_ws(' ', object, note), '; ' ORDER BY object) FROM migrate_plan('old', '{options}') WHERE method = 'compress_chunk'");
    assert_eq!(pair.target.value(&plan), "public.\"Plain\" chunks older than 7 days; public.packed chunks older than 3 days");

    // A resume copies a chunk that was compressed on the target again, and compresses it again.
    pair.target.sql(AT_THE_END);
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{options}', jobs => 2)"), &["not yet"]);
    pair.source.sql("UPDATE \"Plain\" SET v = v + 1 WHERE t BETWEEN now() - INTERVAL '12 days' AND now() - INTERVAL '10 days'");
    pair.source.sql("INSERT INTO packed SELECT now() - INTERVAL '9 days', 7, 7; INSERT INTO packed SELECT now() - INTERVAL '16 days', 7, 7");
    pair.target.sql(NO_MORE);
    resume(&pair, "1");

    for table in ["\"Plain\"", "packed", "daily"] {
        assert_eq!(all(&pair.target, &format!("TABLE {table}")), all(&pair.source, &format!("TABLE {table}")), "{table}");
    }
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify(1)") && pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
    // A frozen chunk stays what it is, and so does one that is compressed already.
    let compressed = |table: &str, days: i32, frozen: i32| {
        format!("{CHUNKS}'{table}' AND is_compressed <> (range_end <= now() - INTERVAL '{days} days' AND range_end > now() - INTERVAL '{frozen} days')")
    };
    assert_eq!(pair.target.try_value(&compressed("Plain", 7, 19)).unwrap_or_default(), "");
    assert_eq!(pair.target.try_value(&compressed("packed", 3, 1000)).unwrap_or_default(), "");
    let partial = "SELECT count(*) FROM _timescaledb_catalog.chunk WHERE status & 8 <> 0";
    assert_eq!(pair.target.value(partial), pair.source.value(partial));
    assert_eq!(pair.source.value(&format!("{CHUNKS}'Plain' AND is_compressed")), "");
    let settings = "SELECT string_agg(concat_ws(' ', relid::regclass, segmentby, orderby), '; ' ORDER BY relid::regclass::text)
        FROM _timescaledb_catalog.compression_settings WHERE relid IN ('\"Plain\"'::regclass, 'packed'::regclass)";
    assert!(pair.target.value(settings).starts_with("\"Plain\" {dev} {t}; packed {dev}"), "{}", pair.target.value(settings));
    // One of a kind: those of the option, besides what it does not name.
    let jobs = "SELECT string_agg(concat_ws(' ', hypertable_name, proc_name, config->>'compress_after', config->>'drop_after', scheduled), '; ' ORDER BY hypertable_name, proc_name)
        FROM timescaledb_information.jobs WHERE hypertable_name IN ('Plain', 'packed')";
    assert_eq!(
        pair.target.value(jobs),
        "Plain policy_compression 7 days t; Plain policy_retention 10 years t; packed policy_compression 3 days t; packed policy_retention 1001 days f"
    );
    pair.target.sql("INSERT INTO \"Plain\" VALUES (now() - INTERVAL '8 days', 9, 9); INSERT INTO packed VALUES (now() - INTERVAL '8 days', 9, 9)");
}

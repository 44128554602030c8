//! Hypertables of the source that get compression, policies and other chunks on the way.

use crate::hypertables_option::{AT_THE_END, NO_MORE, all};
use crate::resume::resume;
use crate::slow::{FAST, hurry};
use cluster::suite::Test;
use cluster::{Edition, Pair, Versions, poll};

pub const TESTS: &[Test] = &[
    Test::between("hypertables get compression and policies", &Versions::TARGETS, improved),
    Test::between("hypertables get other chunks", &Versions::TARGETS, divided),
    Test::between("hypertables get other chunks while the source changes theirs", &Versions::TARGETS, living),
    Test::community("what keeps hypertables from getting other chunks", refused),
];

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
        "public.packed": {"compress": {"after": "3 days"}}}, "verify": "checksum", "policies": "paused"}"#;
    let told = pair.preflight_with("objects", options);
    for row in [
        "warning | table public.\"Plain\" | Arrives with its chunks. Chunks older than 7 days are compressed. A policy, paused at first, drops chunks older than 10 years.",
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
        "Plain policy_compression 7 days f; Plain policy_retention 10 years f; packed policy_compression 3 days f; packed policy_retention 1001 days f"
    );
    pair.target.sql("INSERT INTO \"Plain\" VALUES (now() - INTERVAL '8 days', 9, 9); INSERT INTO packed VALUES (now() - INTERVAL '8 days', 9, 9)");
}

fn divided(versions: Versions) {
    let pair = Pair::of("hypertables_divided", versions);
    pair.source.each(&[
        "CREATE TABLE device (id int PRIMARY KEY)",
        "INSERT INTO device SELECT generate_series(0, 9)",
        "CREATE TABLE \"Odd H\" (gone int, t timestamptz NOT NULL, dev int REFERENCES device, v float8 CHECK (v >= 0), twice float8 GENERATED ALWAYS AS (v * 2) STORED, note text)",
        "SELECT create_hypertable('\"Odd H\"', 't', chunk_time_interval => INTERVAL '6 hours')",
        "INSERT INTO \"Odd H\" (t, dev, v) SELECT date_trunc('day', now()) - n * INTERVAL '1 hour', n % 3, n FROM generate_series(120, 240) n",
        "ALTER TABLE \"Odd H\" DROP COLUMN gone",
        "ALTER TABLE \"Odd H\" ADD COLUMN late int DEFAULT 7",
        "INSERT INTO \"Odd H\" (t, dev, v, note) SELECT date_trunc('day', now()) - n * INTERVAL '1 hour', n % 3, n, repeat('n', n) FROM generate_series(0, 119) n",
        "CREATE UNIQUE INDEX once ON \"Odd H\" (dev, t)",
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS
             SELECT time_bucket('1 day', t) AS day, dev, sum(v) AS v FROM \"Odd H\" GROUP BY 1, 2",
        "ALTER TABLE \"Odd H\" SET (timescaledb.compress, timescaledb.compress_segmentby = 'dev')",
        "SELECT count(compress_chunk(c)) FROM show_chunks('\"Odd H\"', older_than => INTERVAL '6 days') c",
        "INSERT INTO \"Odd H\" (t, dev, v) SELECT now() - INTERVAL '7 days', 5, 5",
        "SELECT count(_timescaledb_functions.freeze_chunk(c)) FROM show_chunks('\"Odd H\"', older_than => INTERVAL '3 days', newer_than => INTERVAL '4 days') c",
        "SELECT add_retention_policy('\"Odd H\"', INTERVAL '1001 days')",
        "CREATE TABLE numbered (n bigint NOT NULL, d text NOT NULL)",
        "SELECT create_hypertable('numbered', 'n', 'd', 2, chunk_time_interval => 100)",
        "INSERT INTO numbered SELECT n, 'd' || n % 7 FROM generate_series(-500, 2500) n",
        "CREATE TABLE hashed (t date NOT NULL, d text NOT NULL, id int, PRIMARY KEY (id, t))",
        "SELECT create_hypertable('hashed', 't', chunk_time_interval => INTERVAL '3 days', create_default_indexes => false)",
        "INSERT INTO hashed SELECT date '2024-01-01' + n, 'd' || n % 5, n FROM generate_series(0, 30) n",
    ]);
    let options = r#"{"hypertables": {
        "public.\"Odd H\"": {"chunk_interval": "2 days", "compress": {"after": "4 days"}},
        "public.numbered": {"time": "n", "chunk_interval": 1000},
        "public.hashed": {"hash": {"column": "d", "partitions": 3}, "keys": "extend", "indexes": true}},
        "verify": "count", "policies": "paused"}"#;
    let told = pair.preflight_with("objects", options);
    for row in [
        "warning | table public.\"Odd H\" | Arrives with other chunks than on the source: of 2 days. Chunks older than 4 days are compressed.",
        "warning | table public.numbered | Arrives with other chunks than on the source: of 1000.",
        "warning | table public.hashed | Arrives with other chunks than on the source, in 3 partitions by the hash of \"d\". Its unique or primary key \"hashed_pkey\" gets \"d\".",
    ] {
        assert!(told.iter().any(|told| told == row), "{told:#?}");
    }
    let same = || {
        for table in ["\"Odd H\"", "numbered", "hashed", "daily"] {
            assert_eq!(all(&pair.target, &format!("TABLE {table}")), all(&pair.source, &format!("TABLE {table}")), "{table}");
        }
        assert!(pair.target.is("SELECT every(same) FROM migrate_verify(1)") && pair.target.is("SELECT every(same) FROM migrate_verify(1, 'count')"));
    };
    pair.target.sql(AT_THE_END);
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{options}', jobs => 2)"), &["not yet"]);
    // Nothing that is as it was is copied again.
    let tasks = "SELECT md5(string_agg(id || ' ' || started_at, ',' ORDER BY id)) FROM timescale_migrate.task WHERE phase = 'copy'";
    let before = pair.target.value(tasks);
    // Of what was copied without checksums the source is asked, chunk by chunk.
    pair.target.refuses("SELECT * FROM migrate_resume(1, options => '{\"verify\": \"checksum\"}')", &["not yet"]);
    assert_eq!(pair.target.value(tasks), before, "{}", pair.messages());
    assert!(!pair.messages().contains("counted, not compared"), "{}", pair.messages());
    assert!(pair.target.is("SELECT count(*) = 3 AND every(same AND source_checksum IS NOT NULL) FROM timescale_migrate.verification
        WHERE run = 1 AND object IN ('public.\"Odd H\"', 'public.numbered', 'public.hashed')"));
    // What was written to, compressed, decompressed or dropped is copied again with all of its hypertable.
    pair.source.each(&[
        "SELECT count(compress_chunk(c, true)) FROM show_chunks('\"Odd H\"', older_than => INTERVAL '5 days') c",
        "SELECT count(decompress_chunk(c, true)) FROM show_chunks('\"Odd H\"', older_than => INTERVAL '8 days') c",
        "SELECT count(*) FROM (SELECT drop_chunks('\"Odd H\"', older_than => INTERVAL '9 days')) d",
        "INSERT INTO \"Odd H\" (t, dev, v) SELECT now() + INTERVAL '3 days', 8, 8",
        "CALL refresh_continuous_aggregate('daily', now() - INTERVAL '2 days', NULL)",
        "DELETE FROM numbered WHERE n < 0",
    ]);
    pair.target.sql(NO_MORE);
    resume(&pair, "1");
    same();
    let lengths = |table: &str, length: &str| {
        let query = format!("SELECT string_agg(DISTINCT ({length})::text, ' ') FROM timescaledb_information.chunks WHERE hypertable_name = '{table}'");
        pair.target.value(&query)
    };
    assert_eq!(lengths("Odd H", "range_end - range_start"), "2 days");
    assert_eq!(lengths("numbered", "range_end_integer - range_start_integer"), "1000");
    assert_eq!(lengths("hashed", "range_end - range_start"), "3 days");
    let dimensions = "SELECT string_agg(concat_ws(' ', hypertable_name, column_name, num_partitions), ', ' ORDER BY hypertable_name, dimension_number) FROM timescaledb_information.dimensions WHERE hypertable_name NOT LIKE '\\_%'";
    assert_eq!(pair.target.value(dimensions), "Odd H t, hashed t, hashed d 3, numbered n, numbered d 2");
    assert!(pair.target.is(
        "SELECT count(*) > 3 AND every(is_compressed = (range_end <= now() - INTERVAL '4 days')) FROM timescaledb_information.chunks WHERE hypertable_name = 'Odd H'"
    ));
    let settings = "SELECT segmentby::text FROM _timescaledb_catalog.compression_settings WHERE relid = '\"Odd H\"'::regclass";
    assert_eq!(pair.target.value(settings), "{dev}");
    let jobs = "SELECT string_agg(concat_ws(' ', proc_name, config->>'compress_after', config->>'drop_after'), '; ' ORDER BY proc_name)
        FROM timescaledb_information.jobs WHERE hypertable_name = 'Odd H'";
    assert_eq!(pair.target.value(jobs), "policy_compression 4 days; policy_retention 1001 days");
    let keys = "SELECT string_agg(pg_get_indexdef(indexrelid), '; ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = 'hashed'::regclass";
    assert_eq!(
        pair.target.value(keys),
        "CREATE INDEX hashed_d_t_idx ON public.hashed USING btree (d, t DESC); CREATE UNIQUE INDEX hashed_pkey ON public.hashed USING btree (id, t, d); CREATE INDEX hashed_t_idx ON public.hashed USING btree (t DESC)"
    );
    // The aggregate goes on from where it was.
    pair.both(&["INSERT INTO \"Odd H\" (t, dev, v) VALUES (date_trunc('day', now()) - INTERVAL '25 hours', 9, 90)"]);
    pair.both(&["CALL refresh_continuous_aggregate('daily', NULL, NULL)"]);
    same();
    pair.target.refuses("INSERT INTO \"Odd H\" (t, dev, v) SELECT t, dev, v FROM \"Odd H\" LIMIT 1", &["duplicate key"]);
    pair.target.refuses("INSERT INTO \"Odd H\" (t, dev, v) VALUES (now(), 77, 1)", &["foreign key"]);
}

/// Under a later snapshot all of the hypertable is read again, and what its aggregate has materialized of it.
fn living(versions: Versions) {
    let pair = Pair::of("hypertables_divided_living", versions);
    pair.source.sql(FAST);
    pair.source.each(&[
        "CREATE TABLE h (t timestamptz NOT NULL, n int CHECK (public.slowly(n)))",
        "SELECT create_hypertable('h', 't', chunk_time_interval => INTERVAL '1 hour')",
        "INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '2 minutes', i FROM generate_series(0, 999) i",
        "CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS
             SELECT time_bucket('1 hour', t) AS hour, sum(n) AS n FROM h GROUP BY 1",
        "ALTER TABLE h SET (timescaledb.compress)",
    ]);
    pair.source.sql("CREATE OR REPLACE FUNCTION slowly(n int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.01); RETURN true; END'");
    let run = pair.start(r#", options => '{"hypertables": {"public.h": {"chunk_interval": "12 hours"}}, "verify": "checksum"}', jobs => 1"#);
    poll("some chunks to be copied", || {
        assert_eq!(pair.state(&run), "running", "{}", pair.messages());
        pair.target.is("SELECT count(*) > 2 FROM timescale_migrate.task WHERE phase = 'copy' AND state = 'done' AND method LIKE '%its chunks'")
    });
    pair.source.each(&[
        "INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '2 minutes', i FROM generate_series(2000, 2010) i",
        "CALL refresh_continuous_aggregate('hourly', '2024-01-02 UTC', NULL)",
        // The last that happens: from now on a snapshot shows all.
        "BEGIN; SELECT count(compress_chunk(c)) FROM show_chunks('h') c;
         SELECT count(*) FROM (SELECT drop_chunks('h', older_than => timestamptz '2024-01-01 04:00 UTC')) d; COMMIT",
    ]);
    hurry(&pair);
    pair.wait_for_end(&run);
    pair.is_done(&run);
    assert!(pair.messages().contains("has changed on the source since the snapshot"), "{}", pair.messages());
    for table in ["h", "hourly"] {
        assert_eq!(all(&pair.target, &format!("TABLE {table}")), all(&pair.source, &format!("TABLE {table}")), "{table}");
    }
    assert!(pair.target.is(&format!("SELECT every(same) FROM migrate_verify({run})")));
    pair.both(&["CALL refresh_continuous_aggregate('hourly', NULL, NULL)"]);
    assert_eq!(all(&pair.target, "TABLE hourly"), all(&pair.source, "TABLE hourly"));
}

fn refused(edition: Edition) {
    let pair = Pair::plain("hypertables_divided_refused", edition);
    pair.source.each(&[
        "CREATE EXTENSION timescaledb",
        "CREATE TABLE h (t timestamptz NOT NULL, d int)",
        "SELECT create_hypertable('h', 't')",
        "INSERT INTO h SELECT now(), 1",
        "CREATE TABLE three (t timestamptz NOT NULL, d int, e int)",
        "SELECT create_hypertable('three', 't', 'd', 2)",
        "SELECT add_dimension('three', 'e', number_partitions => 2)",
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', t) AS day, sum(d) FROM h GROUP BY 1 WITH NO DATA",
    ]);
    let refused = |options: &str| {
        let found = pair.preflight_in_full("objects", options);
        found.into_iter().filter(|row| row.starts_with("error")).collect::<Vec<_>>()
    };
    assert_eq!(
        refused(r#"{"hypertables": {"public.*": {"time": "d", "chunk_interval": 7}}}"#),
        [
            "error | table public.daily | is a continuous aggregate | Leave it out of the option hypertables.",
            "error | table public.h | is a hypertable by \"t\" on the source | Leave time out of its entry.",
            "error | table public.h | has the time column \"t\" of type timestamp with time zone, and chunk_interval is a number | Give an interval such as \"7 days\".",
            "error | table public.three | is a hypertable by \"t\" on the source | Leave time out of its entry.",
            "error | table public.three | has the time column \"t\" of type timestamp with time zone, and chunk_interval is a number | Give an interval such as \"7 days\".",
            "error | table public.three | has dimensions other than a time and a hash, and cannot get other chunks | Leave chunk_interval and hash out of its entry.",
        ]
    );
    let cut = r#"{"hypertables": {"public.h": {"chunk_interval": "1 day"}}, "time_range": {"public.h": {"from": "-1 day"}}}"#;
    assert_eq!(
        refused(cut),
        ["error | table public.h | cannot get other chunks and lose rows by time_range at the same time | Leave chunk_interval and hash out of its entry."]
    );
    pair.source.sql("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER d AFTER DELETE ON h REFERENCING OLD TABLE AS o FOR EACH STATEMENT EXECUTE FUNCTION f()");
    assert_eq!(
        refused(r#"{"hypertables": {"public.h": {"compress": {}}}}"#),
        ["error | table public.h | has \"d\", a trigger for DELETE with a transition table, which no hypertable with compression can have | DROP TRIGGER \"d\" ON \"public\".\"h\"; -- on the source"]
    );
    pair.source.sql("SET timescaledb.restoring = on; INSERT INTO h SELECT now(), 2");
    assert_eq!(
        refused(r#"{"hypertables": {"public.h": {"chunk_interval": "1 day"}}}"#),
        ["error | table public.h | may have rows that are in none of its chunks, and cannot get other chunks | Leave chunk_interval and hash out of its entry."]
    );
}

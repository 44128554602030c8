//! Compressed chunks arrive compressed, with their settings and states, and both sides go on alike.

use cluster::suite::Test;
use cluster::{Pair, Versions, assert_same_but};

pub const TESTS: &[Test] = &[
    Test::versions("every state", every_state),
    Test::versions("every type", every_type),
    Test::versions("every setting", every_setting),
];

/// Migrates, and compares all that is comparable between these versions. The chunks of the tables
/// named cannot travel compressed, each for its reason; all others do.
pub fn migrate(pair: &Pair, versions: Versions, as_rows: &[(&str, &str)]) {
    let planned = "SELECT object, method, note FROM migrate_plan('old')
        WHERE phase = 'copy' AND (method LIKE '%compressed%' OR note <> '')";
    for step in pair.target.rows(planned) {
        let [object, method, note] = ["object", "method", "note"].map(|name| step.get(name).unwrap_or_default());
        match as_rows.iter().find(|(table, _)| object.ends_with(table)) {
            None => assert!(method.ends_with(", compressed"), "{object}: {method}, {note}"),
            Some((_, reason)) => {
                assert!(method.ends_with(", compressed again") && note.contains(reason), "{object}: {method}, {note}");
            }
        }
    }
    let methods = |of: &str| {
        pair.target.value(&format!(
            "SELECT string_agg(method, ' ' ORDER BY method) FROM {of} WHERE method LIKE '%compressed%'"
        ))
    };
    let planned = methods("migrate_plan('old')");
    pair.migrate();
    assert_eq!(planned, methods("timescale_migrate.task"));

    let mut left_out = Vec::new();
    for (table, _) in as_rows {
        // Batches are made anew, of all rows of the chunk.
        for key in ["rows of ", "batches of ", "compressed ", "status of "] {
            left_out.push(format!("{key}public.{table} chunk"));
        }
    }
    // There, NULL stands for what compresses a column that is all NULL.
    if versions.target == "2.19.3" {
        left_out.push("batches of ".into());
    }
    // Older versions make fewer, and list none.
    if versions.source != "2.29.2" {
        left_out.push("sparse indexes of ".into());
    }
    assert_same_but(pair, &left_out.iter().map(String::as_str).collect::<Vec<_>>());
    let made = "SELECT string_agg(DISTINCT c.creation_time::text, ' ' ORDER BY c.creation_time::text)
        FROM _timescaledb_catalog.chunk c JOIN _timescaledb_catalog.hypertable h ON h.id = c.hypertable_id
        WHERE h.schema_name = 'public'";
    // Noted since 2.13.
    if versions.source >= "2.13" {
        assert_eq!(pair.source.value(made), pair.target.value(made));
    }
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
    // The figures of its progress are computed from these.
    assert!(pair.target.is("SELECT every(estimated_rows > 0 AND estimated_bytes > 0) FROM timescale_migrate.task WHERE phase = 'verify' AND rows > 0"));
}

/// What both sides still have in common after both have written and compressed: which rows a
/// version decompresses for a write, and how it makes batches, is its own affair.
pub fn assert_same_contents(pair: &Pair, statuses: bool) {
    let mut left_out = vec!["rows of ", "batches of ", "compressed ", "sparse indexes of ", "range of "];
    if !statuses {
        left_out.push("status of ");
    }
    assert_same_but(pair, &left_out);
}

/// Both sides can change rows of compressed chunks, as those on PostgreSQL 14 and newer can.
fn writes(pair: &Pair) -> bool {
    pair.source.major() >= 14
}

/// Both sides compress again what was written to since, as 2.14 and newer do.
fn recompresses(versions: Versions) -> bool {
    versions.source >= "2.14"
}

fn every_state(versions: Versions) {
    let pair = Pair::of("compressed_states", versions);
    let table = |name: &str, settings: &str| {
        pair.source.sql(&format!(
            "CREATE TABLE {name} (t timestamptz NOT NULL, device text NOT NULL, v float8, n int, empty text);
             SELECT create_hypertable('{name}', 't', chunk_time_interval => INTERVAL '1 day');
             CREATE INDEX ON {name} (device, t DESC);
             ALTER TABLE {name} SET (timescaledb.compress, {settings});
             INSERT INTO {name} SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '5 minutes', 'd' || i % 7, i / 7.0, i
             FROM generate_series(0, 5 * 288 - 1) i"
        ));
    };
    let segmented = "timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't DESC'";
    let whole = "timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 't'";
    let compress = |name: &str, chunks: usize| {
        pair.source.sql(&format!("SELECT count(compress_chunk(c, true)) FROM (SELECT c FROM show_chunks('{name}') c LIMIT {chunks}) x"));
    };
    let late = |name: &str| {
        pair.source.sql(&format!(
            "INSERT INTO {name} (t, device, v, n) SELECT timestamptz '2024-01-02 00:01 UTC' + i * INTERVAL '5 minutes', 'd' || i % 9, -i, i
             FROM generate_series(0, 99) i"
        ));
    };
    // One with segmentby, one without; the last two chunks are not compressed.
    for (name, settings) in [("segmented", segmented), ("whole", whole)] {
        table(name, settings);
        compress(name, 3);
    }
    for (name, settings) in [("partial", segmented), ("partial_whole", whole)] {
        table(name, settings);
        compress(name, 5);
        late(name);
    }
    // Chunks that were added to the one before. Which writers leave batches unsorted depends on the
    // version; the state that they leave does not.
    table("unordered", &format!("{whole}, timescaledb.compress_chunk_time_interval = '2 days'"));
    // Newer versions add no chunk to another where they make sparse indexes for those of the table.
    pair.source.sql("DROP INDEX unordered_device_t_idx");
    compress("unordered", 4);
    pair.source.sql(
        "UPDATE _timescaledb_catalog.chunk k SET status = k.status | 2 FROM _timescaledb_catalog.hypertable h
         WHERE h.id = k.hypertable_id AND h.table_name = 'unordered' AND k.status & 1 <> 0",
    );
    table("frozen", segmented);
    compress("frozen", 5);
    late("frozen");
    // Frozen without being compressed.
    table("stiff", segmented);
    let functions = pair.source.functions();
    if writes(&pair) {
        pair.source.sql(&format!(
            "SELECT {functions}.freeze_chunk(c) FROM show_chunks('frozen') c;
             SELECT {functions}.freeze_chunk(c) FROM show_chunks('stiff') c LIMIT 3"
        ));
    }
    // Batches that are older than a column, or hold one that is gone.
    table("grown", segmented);
    compress("grown", 2);
    pair.source.sql("ALTER TABLE grown ADD COLUMN added int DEFAULT 42");
    pair.source.sql("ALTER TABLE grown ADD COLUMN added_later text DEFAULT 'it''s \"x\"'");
    pair.source.sql("ALTER TABLE grown ADD COLUMN null_later numeric");
    compress("grown", 4);
    pair.source.sql("ALTER TABLE grown ADD COLUMN last timestamptz[] DEFAULT '{2024-01-01 UTC}'");
    pair.source.sql("ALTER TABLE grown DROP COLUMN v");
    late_without_v(&pair.source);

    // What compresses a column that is all NULL can be read by no target before 2.20.1.
    let as_rows: &[_] = if versions.target == "2.19.3" { &[("grown", "all NULL")] } else { &[] };
    migrate(&pair, versions, as_rows);
    let defaults = "SELECT count(*) = 576 FROM grown WHERE added = 42 AND added_later = 'it''s \"x\"' AND null_later IS NULL
        AND t < '2024-01-03 UTC' AND extract(minute FROM t) % 5 = 0";
    assert!(pair.target.is(defaults));
    if !writes(&pair) {
        return;
    }

    let tables = ["segmented", "whole", "partial", "partial_whole", "unordered", "grown"];
    let each = |statements: &[&str]| {
        pair.both(&tables.map(|name| statements.iter().map(|s| s.replace("{}", name)).collect::<Vec<_>>()).concat());
    };
    each(&[
        "INSERT INTO {} (t, device, n) SELECT timestamptz '2024-01-01 00:02 UTC' + i * INTERVAL '1 hour', 'd' || i % 8, 7000 + i
         FROM generate_series(0, 150) i",
        "UPDATE {} SET empty = 'not any more' WHERE device = 'd3' AND n % 5 = 0",
        "DELETE FROM {} WHERE device = 'd4'",
        "DELETE FROM {} WHERE n % 11 = 0",
    ]);
    for side in [&pair.source, &pair.target].into_iter() {
        for name in ["frozen", "stiff"] {
            let refused = side.error(&format!("INSERT INTO {name} (t, device) VALUES ('2024-01-02 UTC', 'd1')"));
            assert!(refused.message().contains("frozen"), "{refused:?}");
        }
    }
    assert_same_contents(&pair, false);
    // Unordered batches are sorted when the chunk is compressed again. In the order of time, as which
    // chunk is added to which depends on that.
    each(&["SELECT count(compress_chunk(c, true))
        FROM (SELECT format('%I.%I', chunk_schema, chunk_name)::regclass AS c
              FROM timescaledb_information.chunks WHERE hypertable_name = '{}' ORDER BY range_start) x"]);
    assert_same_contents(&pair, versions.same());
    each(&[
        "SELECT count(decompress_chunk(c, true)) FROM show_chunks('{}', newer_than => timestamptz '2024-01-03 UTC') c",
        "SELECT drop_chunks('{}', timestamptz '2024-01-02 UTC')",
    ]);
    for side in [&pair.source, &pair.target].into_iter() {
        for name in ["frozen", "stiff"] {
            side.sql(&format!("SELECT {}.unfreeze_chunk(c) FROM show_chunks('{name}') c", side.functions()));
        }
    }
    pair.both(&[
        "DROP TABLE segmented",
        "DROP TABLE partial_whole",
        "DELETE FROM frozen WHERE device = 'd2'",
        "DELETE FROM stiff WHERE device = 'd2'",
    ]);
    assert_same_contents(&pair, versions.same());
    let left = "SELECT count(*) FROM pg_class c WHERE relkind = 'r' AND relname LIKE '%\\_compressed'
        AND NOT EXISTS (SELECT FROM _timescaledb_catalog.compression_settings s WHERE s.compress_relid = c.oid)";
    assert_eq!(pair.target.value(left), "0", "relations without their chunk");
}

fn late_without_v(source: &cluster::Db) {
    source.sql(
        "INSERT INTO grown (t, device, n, added) SELECT timestamptz '2024-01-02 00:01 UTC' + i * INTERVAL '5 minutes', 'd' || i % 9, i, i
         FROM generate_series(0, 99) i",
    );
}

fn every_type(versions: Versions) {
    let pair = Pair::of("compressed_types", versions);
    pair.source.sql(
        "CREATE SCHEMA \"Odd types\";
         CREATE TYPE \"Odd types\".\"Mood\" AS ENUM ('sad', 'it''s fine', 'happy');
         CREATE DOMAIN percent AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
         CREATE TABLE every_type (
             t timestamptz NOT NULL, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, s text, c varchar(20) COLLATE \"C\", j jsonb, b bool, u uuid,
             n numeric, p percent, ints int[], texts text[], mood \"Odd types\".\"Mood\", d date, ts timestamp,
             time time, span interval, bytes bytea, host inet, net cidr, range int4range, point point, empty numeric);
         SELECT create_hypertable('every_type', 't', chunk_time_interval => INTERVAL '1 day');
         ALTER TABLE every_type SET (timescaledb.compress, timescaledb.compress_segmentby = 'mood', timescaledb.compress_orderby = 'i4 DESC, t');
         INSERT INTO every_type
         SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '7 minutes', i % 32767, i * 1000, i * 10000000000, i / 3.0::float4, i / 3.0,
                CASE i % 5 WHEN 0 THEN '' WHEN 1 THEN NULL ELSE repeat('text ', i % 50) || i END, 'v' || i % 3, jsonb_build_object('i', i % 5, 'x', NULL),
                CASE WHEN i % 7 > 0 THEN i % 2 = 0 END, md5(i::text)::uuid, CASE i % 9 WHEN 0 THEN 'NaN' ELSE i / 7.0 END, i % 100 + 0.5, ARRAY[i, NULL, i % 3],
                ARRAY['a', NULL, i::text], (enum_range(NULL::\"Odd types\".\"Mood\"))[1 + i % 3],
                date '2024-01-01' + i, timestamp 'infinity', time '00:00' + i * INTERVAL '1 s', make_interval(months => i % 3, days => i, secs => i / 8.0),
                decode(md5(i::text), 'hex'), inet '10.0.0.0' + i, '10.1.0.0/16', int4range(i, i + 5), point(i, -i), NULL
         FROM generate_series(0, 999) i;
         INSERT INTO every_type (t) SELECT timestamptz '2024-01-02 UTC' + i * INTERVAL '1 minute' FROM generate_series(0, 200) i;
         INSERT INTO every_type (t, f8, f4, i8) VALUES ('2024-01-01 00:01 UTC', '-0', 'NaN', -9223372036854775808), ('2024-01-01 00:02 UTC', 'Infinity', '-Infinity', 1e18);
         SELECT count(compress_chunk(c)) FROM show_chunks('every_type') c;
         -- Their binary form contains OIDs of this server.
         CREATE TYPE pair AS (a int, b text);
         CREATE TABLE composite (t timestamptz NOT NULL, v pair, r regtype, moods \"Odd types\".\"Mood\"[]);
         SELECT create_hypertable('composite', 't', chunk_time_interval => INTERVAL '1 day');
         ALTER TABLE composite SET (timescaledb.compress, timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 't');
         INSERT INTO composite SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 hour', ROW(i, 'b' || i)::pair, 'pair', enum_range(NULL::\"Odd types\".\"Mood\") FROM generate_series(0, 40) i;
         SELECT count(compress_chunk(c)) FROM show_chunks('composite') c",
    );
    let as_rows = [("composite", "binary form")];
    migrate(&pair, versions, &as_rows);
    if !writes(&pair) {
        return;
    }
    pair.both(&[
        "INSERT INTO every_type (t, s, mood, b) SELECT timestamptz '2024-01-02 UTC' + i * INTERVAL '1 minute', 'new', 'happy', true FROM generate_series(0, 50) i",
        "UPDATE every_type SET u = md5('x')::uuid WHERE mood = 'sad' AND i4 > 500000",
        "DELETE FROM every_type WHERE mood = 'it''s fine' AND NOT b",
        "UPDATE composite SET v.a = 7 WHERE t < '2024-01-02 UTC'",
        "SELECT count(compress_chunk(c, true)) FROM show_chunks('every_type') c",
        "SELECT count(decompress_chunk(c, true)) FROM show_chunks('composite') c",
    ]);
    assert_same_contents(&pair, recompresses(versions));
}

fn every_setting(versions: Versions) {
    let pair = Pair::of("compressed_settings", versions);
    let newer = versions.source >= "2.29";
    let table = |name: &str, more: &str, settings: &str| {
        pair.source.sql(&format!(
            "CREATE TABLE {name} (t timestamptz NOT NULL, device int NOT NULL, host text, n bigint, v float8{more});
             SELECT create_hypertable('{name}', 't', chunk_time_interval => INTERVAL '1 day');
             CREATE INDEX ON {name} (n); CREATE INDEX ON {name} (host);
             ALTER TABLE {name} SET (timescaledb.compress{settings});
             INSERT INTO {name} SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '10 minutes', i % 5, 'h' || i % 3,
                CASE WHEN i % 13 > 0 THEN i / 100 END, i / 7.0 FROM generate_series(0, 5 * 144 - 1) i"
        ));
    };
    let compress = "SELECT count(compress_chunk(c)) FROM (SELECT c FROM show_chunks('{}') c LIMIT 3) x";
    table("by_default", "", "");
    table("sorted", "", ", timescaledb.compress_segmentby = 'host, device', timescaledb.compress_orderby = 'n DESC NULLS FIRST, t ASC NULLS LAST, v DESC NULLS LAST'");
    table("\"Odd \"\"Name\"", ", \"Seg ment\" text, UNIQUE (t, \"Seg ment\")", ", timescaledb.compress_segmentby = '\"Seg ment\"'");
    table("keyed", ", PRIMARY KEY (device, t)", ", timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't'");
    table("skipped", "", ", timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't'");
    if versions.source >= "2.16" {
        pair.source.sql("SET timescaledb.enable_chunk_skipping = on; SELECT enable_chunk_skipping('skipped', 'n')");
    }
    table("changed", "", ", timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't DESC'");
    let mut tables = vec!["by_default", "sorted", "\"Odd \"\"Name\"", "keyed", "skipped", "changed"];
    if newer {
        let chosen = ", timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't', timescaledb.sparse_index = 'bloom(host), minmax(n)'";
        table("sparse", "", chosen);
        tables.push("sparse");
    }
    for name in &tables {
        pair.source.sql(&compress.replace("{}", name));
    }
    // Chunks keep what they were compressed with, since 2.14; the next one takes the new settings.
    if versions.source >= "2.14" {
        pair.source.sql("ALTER TABLE changed SET (timescaledb.compress, timescaledb.compress_segmentby = 'host', timescaledb.compress_orderby = 'v')");
    }
    pair.source.sql("SELECT compress_chunk(c) FROM show_chunks('changed', newer_than => timestamptz '2024-01-04 UTC', older_than => timestamptz '2024-01-05 UTC') c");
    pair.source.sql("INSERT INTO keyed VALUES ('2024-01-02 00:00:01 UTC', 1, 'late', 5, 7)");

    migrate(&pair, versions, &[]);
    for side in [&pair.source, &pair.target] {
        let duplicate = side.error("INSERT INTO keyed VALUES ('2024-01-02 00:00 UTC', 4)");
        assert_eq!(duplicate.code().code(), "23505");
        let late = side.error("INSERT INTO keyed VALUES ('2024-01-02 00:00:01 UTC', 1)");
        assert_eq!(late.code().code(), "23505");
    }
    if !writes(&pair) {
        return;
    }
    for name in &tables {
        pair.both(&[
            &format!("INSERT INTO {name} SELECT timestamptz '2024-01-02 00:05 UTC' + i * INTERVAL '10 minutes', i % 6, 'h' || i % 3, i FROM generate_series(0, 900) i"),
            &format!("UPDATE {name} SET v = 1 WHERE host = 'h1' AND device = 2"),
            &format!("DELETE FROM {name} WHERE n = 3"),
            &format!("SELECT count(compress_chunk(c, true)) FROM show_chunks('{name}') c"),
            &format!("SELECT drop_chunks('{name}', timestamptz '2024-01-02 UTC')"),
        ]);
    }
    assert_same_contents(&pair, recompresses(versions));
    // What is skipped and filtered by is right for these rows.
    let counts = "SELECT string_agg(what || count, ' ' ORDER BY what) FROM (SELECT 'skipped ' AS what, count(*) FROM skipped WHERE n BETWEEN 2 AND 4
        UNION ALL SELECT 'by default ', count(*) FROM by_default WHERE host = 'h1' UNION ALL SELECT 'sorted ', count(*) FROM sorted WHERE n IS NULL) x";
    for side in [&pair.source, &pair.target] {
        let fast = side.value(counts);
        let mut client = side.connect();
        client.batch_execute("SET timescaledb.enable_chunk_skipping = on; SET enable_indexscan = off").unwrap();
        assert_eq!(client.query_one(counts, &[]).unwrap().get::<_, String>(0), fast);
    }
    assert_eq!(pair.source.value(counts), pair.target.value(counts));
}


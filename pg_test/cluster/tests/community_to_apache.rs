//! What only the Community edition has is named, all of it, before a target without that edition is touched. On demand the rest arrives
//! without it, with every row of every table.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same_but};

pub const TESTS: &[Test] = &[
    Test::community("each feature is named", each_is_named),
    Test::community("all rows arrive without", all_rows_arrive),
    Test::community("no row of a table is left out", no_row_is_left_out),
];

const SKIP: &str = r#"'{"on_unsupported": "skip", "verify": "checksum"}', jobs => 2"#;

fn each_is_named(_: Edition) {
    let pair = Pair::across("apache_target", Edition::Community, Edition::Apache);
    let source = &pair.source;
    source.sql("SELECT _timescaledb_functions.stop_background_workers()");
    for name in ["plain", "enabled", "packed", "raw", "kept", "sorted"] {
        source.sql(&format!(
            "CREATE TABLE {name} (t timestamptz NOT NULL, n int); SELECT create_hypertable('{name}', by_range('t', INTERVAL '1 day'));
             INSERT INTO {name} SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '9 hours', i FROM generate_series(1, 9) i"
        ));
    }
    source.sql("ALTER TABLE enabled SET (timescaledb.compress); ALTER TABLE packed SET (timescaledb.compress)");
    source.sql("SELECT compress_chunk(c) FROM show_chunks('packed') c");
    source.sql("SELECT _timescaledb_functions.freeze_chunk(c) FROM show_chunks('plain') c LIMIT 2");
    for cagg in ["daily", "\"Odd one\""] {
        source.sql(&format!(
            "CREATE MATERIALIZED VIEW {cagg} WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', t) AS day, sum(n) FROM raw GROUP BY 1 WITH NO DATA"
        ));
    }
    source.sql(
        "SELECT add_retention_policy('kept', INTERVAL '10 years'); SELECT add_reorder_policy('sorted', 'sorted_t_idx');
         SELECT add_continuous_aggregate_policy('daily', NULL, INTERVAL '1 day', INTERVAL '1 day');
         CREATE PROCEDURE own_work(int, jsonb) LANGUAGE sql AS 'SELECT 1'; SELECT add_job('own_work', '1 day')",
    );
    let named = |status: &str, options: &str| {
        pair.target.value(&format!(
            "SELECT string_agg(format('%s %s: %s %s', topic, subject, detail, hint), E'\\n')
             FROM migrate_preflight('old', '{options}') WHERE status = '{status}' AND topic <> 'verdict'"
        ))
    };
    let errors = named("error", "{}");
    let features = [
        "compression of public.enabled",
        "compression of public.packed",
        "frozen chunks of public.plain",
        "continuous aggregate public.daily",
        "continuous aggregate public.\"Odd one\"",
        "policy_retention",
        "policy_reorder",
        "own_work",
        "policy_refresh_continuous_aggregate",
    ];
    for part in features.iter().chain(&["Community", "on_unsupported"]) {
        assert!(errors.contains(part), "no {part}:\n{errors}");
    }
    assert_eq!(errors.lines().count(), features.len(), "{errors}");
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["packed", "daily", "own_work"]);
    assert_eq!(pair.target.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"), "0");
    // On demand the same are warnings.
    assert_eq!(named("error", r#"{"on_unsupported": "skip"}"#), "");
    let warnings = named("warning", r#"{"on_unsupported": "skip"}"#);
    for part in features {
        assert_eq!(warnings.matches(part).count(), 1, "{part}:\n{warnings}");
    }
    // Without them, the same source arrives.
    source.sql("DROP MATERIALIZED VIEW daily; DROP MATERIALIZED VIEW \"Odd one\"; SELECT delete_job(id) FROM _timescaledb_config.bgw_job WHERE id >= 1000");
    source.sql("DROP TABLE enabled; SELECT decompress_chunk(c) FROM show_chunks('packed') c");
    source.sql("ALTER TABLE packed SET (timescaledb.compress = false)");
    source.sql("SELECT _timescaledb_functions.unfreeze_chunk(c) FROM show_chunks('plain') c");
    pair.migrate();
    cluster::assert_same(&pair);
}

fn all_rows_arrive(_: Edition) {
    let pair = Pair::across("apache_skip", Edition::Community, Edition::Apache);
    let source = &pair.source;
    source.sql("SELECT _timescaledb_functions.stop_background_workers()");
    let hypertables = ["whole", "part", "\"Odd one\"", "stiff", "grown"];
    for name in hypertables {
        source.sql(&format!(
            "CREATE TABLE {name} (t timestamptz NOT NULL, device text, n int, PRIMARY KEY (device, t)); SELECT create_hypertable('{name}', by_range('t', INTERVAL '1 day'));
             ALTER TABLE {name} SET (timescaledb.compress, timescaledb.compress_segmentby = 'device');
             INSERT INTO {name} SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 hour', 'd' || i % 3, i FROM generate_series(0, 99) i"
        ));
    }
    source.sql("SET timescaledb.enable_chunk_skipping = on; SELECT enable_chunk_skipping('part', 'n')");
    source.sql("SELECT compress_chunk(c) FROM show_chunks('whole') c; SELECT compress_chunk(c) FROM show_chunks('part') c; SELECT compress_chunk(c) FROM show_chunks('\"Odd one\"') c LIMIT 2");
    source.sql("SELECT compress_chunk(c) FROM show_chunks('stiff') c LIMIT 2; SELECT compress_chunk(c) FROM show_chunks('grown') c");
    source.sql("INSERT INTO part SELECT timestamptz '2024-01-01 00:30 UTC' + i * INTERVAL '1 hour', 'late', 1000 + i FROM generate_series(0, 99) i");
    source.sql("ALTER TABLE grown ADD COLUMN added int DEFAULT 42");
    source.sql("SELECT _timescaledb_functions.freeze_chunk(c) FROM show_chunks('stiff') c");
    source.each(&[
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
         SELECT time_bucket('1 day', t) AS day, device, sum(n) AS n FROM part GROUP BY 1, 2",
        "CREATE MATERIALIZED VIEW weekly WITH (timescaledb.continuous) AS SELECT time_bucket('7 days', day) AS week, sum(n) AS n FROM daily GROUP BY 1",
        "GRANT SELECT ON daily TO PUBLIC; COMMENT ON VIEW daily IS 'by day'",
        "CREATE VIEW over_it AS SELECT device, sum(n) FROM daily GROUP BY 1; CREATE VIEW over_that AS SELECT count(*) FROM over_it",
        "CREATE MATERIALIZED VIEW kept AS SELECT max(n) FROM weekly; CREATE INDEX ON kept (max)",
        "CREATE FUNCTION latest() RETURNS SETOF daily LANGUAGE sql STABLE AS 'SELECT * FROM public.daily'",
        "CREATE PROCEDURE own_work(int, jsonb) LANGUAGE plpgsql AS 'DECLARE d public.daily; BEGIN END'; SELECT add_job('own_work', '1 day')",
        "SELECT add_continuous_aggregate_policy('weekly', NULL, INTERVAL '1 day', INTERVAL '1 day'); SELECT add_compression_policy('part', INTERVAL '1 day')",
        "CREATE TABLE plain (n int); INSERT INTO plain VALUES (1); CREATE VIEW beside AS SELECT * FROM plain",
    ]);
    let chunk = source.value("SELECT c FROM show_chunks('part') c LIMIT 1");
    source.sql(&format!("CREATE VIEW over_chunk AS SELECT n FROM {chunk}; CREATE VIEW over_chunk_too AS SELECT n FROM over_chunk; CREATE TYPE of_chunk AS (c {chunk})"));

    let gone = ["daily", "weekly", "over_it", "over_that", "kept", "latest", "over_chunk", "over_chunk_too", "of_chunk"];
    let planned = "SELECT string_agg(object, E'\\n') FROM migrate_plan('old', '{\"on_unsupported\": \"skip\"}') WHERE phase = 'left_out'";
    let planned = pair.target.value(planned);
    pair.migrate_with(SKIP);
    let messages = pair.messages();
    for name in gone.iter().chain(&["own_work", "policy_refresh_continuous_aggregate", "policy_compression", "frozen chunks of public.stiff"]) {
        assert!(messages.lines().any(|line| line.contains("warning") && line.contains(name)), "no warning of {name}:\n{messages}");
    }
    for line in planned.lines() {
        assert!(messages.contains(&line.replace('"', "\"\"")), "no warning of {line}:\n{messages}");
    }
    let made = format!("SELECT count(*) FROM pg_class WHERE relname IN ('{}')", gone.join("', '"));
    assert_eq!(pair.target.value(&made), "0");
    // Everything else has arrived, with each row, in the source's own chunks.
    let states = [
        "batches of ", "bucket of ", "compress", "continuous aggregate ", "definition of ", "invalidations of ", "job ", "range of ", "sparse indexes of ", "status of ",
        "threshold of ", "watermark of ", "schema TABLE daily", "schema VIEW daily",
    ];
    let mut left_out: Vec<String> = states.map(String::from).into();
    for name in hypertables {
        left_out.extend([format!("rows of public.{name} chunk"), format!("rows seen in public.{name} chunk")]);
    }
    for name in gone {
        left_out.extend(["rows of public.", "rows seen in public.", "public.", "schema "].map(|what| format!("{what}{name}")));
    }
    assert_same_but(&pair, &left_out.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(pair.target.value("SET timescaledb.enable_chunk_skipping = on; SELECT count(*) FROM part WHERE n >= 0"), "200");
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify((SELECT max(id) FROM timescale_migrate.run))"));
    pair.target.refuses("SELECT * FROM migrate_verify('old')", &["public.daily"]);
    assert_eq!(pair.target.value("SELECT count(*) FROM grown WHERE added = 42"), "100");
    pair.target.sql("INSERT INTO stiff VALUES ('2024-01-01 00:01 UTC', 'new', 1); DELETE FROM part WHERE device = 'late'");
}

fn no_row_is_left_out(_: Edition) {
    let pair = Pair::across("apache_rows", Edition::Community, Edition::Apache);
    pair.source.each(&[
        "CREATE TABLE raw (t timestamptz NOT NULL, n int); SELECT create_hypertable('raw', by_range('t'))",
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', t) AS day, sum(n) AS n FROM raw GROUP BY 1",
        "CREATE TABLE seen (row daily, note text); INSERT INTO seen (note) VALUES ('mine')",
        "CREATE TABLE _timescaledb_internal.mine (n int)",
    ]);
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', {SKIP})"), &["_timescaledb_internal.mine"]);
    pair.source.sql("DROP TABLE _timescaledb_internal.mine");
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', {SKIP})"), &["TABLE public.seen", "VIEW public.daily"]);
    pair.source.sql("DROP TABLE seen");
    pair.migrate_with(SKIP);
}

//! What only the Community edition has is named, all of it, before a target without that edition is touched.

use cluster::suite::Test;
use cluster::{Edition, Pair};

pub const TESTS: &[Test] = &[Test::community("each feature is named", each_is_named)];

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
    let errors = "SELECT string_agg(format('%s %s: %s %s', \"check\", subject, detail, hint), E'\\n') FROM migrate_preflight('old') WHERE status = 'error'";
    let errors = pair.target.value(errors);
    for part in ["enabled", "packed", "daily", "\"Odd one\"", "kept", "sorted", "own_work", "policy_refresh_continuous_aggregate", "Community"] {
        assert!(errors.contains(part), "no {part}:\n{errors}");
    }
    assert!(!errors.contains("plain"), "{errors}");
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["packed", "daily", "own_work"]);
    assert_eq!(pair.target.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"), "0");
    // Without them, the same source arrives.
    source.sql("DROP MATERIALIZED VIEW daily; DROP MATERIALIZED VIEW \"Odd one\"; SELECT delete_job(id) FROM _timescaledb_config.bgw_job WHERE id >= 1000");
    source.sql("DROP TABLE enabled; SELECT decompress_chunk(c) FROM show_chunks('packed') c");
    source.sql("ALTER TABLE packed SET (timescaledb.compress = false)");
    pair.migrate();
    cluster::assert_same(&pair);
}

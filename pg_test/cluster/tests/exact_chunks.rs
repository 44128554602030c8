//! Chunks arrive with exactly the source's slices, however these came about, and with what was
//! changed on them alone.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};

pub const TESTS: &[Test] = &[
    Test::both("1,000 chunks", a_thousand),
    Test::both("what a chunk has from its hypertable", made_alike),
    Test::community("slices that fit no grid", unaligned),
    Test::community("Community source, Apache target", to_apache),
    Test::community("Apache source, Community target", from_apache),
];

const UNALIGNED: &str = "
    CREATE TABLE uneven (t timestamptz NOT NULL, host text NOT NULL, n int, PRIMARY KEY (t, host));
    SELECT create_hypertable('uneven', by_range('t', INTERVAL '1 day'));
    SELECT add_dimension('uneven', by_hash('host', 2));
    SELECT _timescaledb_functions.create_chunk('uneven', format('{\"t\": [%s, %s], \"host\": [%s, %s]}',
        n * n * 1000000007, (n + 1) * (n + 1) * 1000000007, h, h2)::jsonb)
    FROM generate_series(1::bigint, 8) n,
        (VALUES ('-9223372036854775808', '1000'), ('1000', '9223372036854775807')) hash (h, h2);
    INSERT INTO uneven SELECT timestamptz 'epoch' + n * INTERVAL '997 s', 'h' || n % 7, n FROM generate_series(2, 80) n
    ON CONFLICT DO NOTHING";

fn a_thousand(edition: Edition) {
    let pair = Pair::new("thousand", edition);
    pair.source.sql(
        "CREATE TABLE many (t timestamptz NOT NULL, n int);
         SELECT create_hypertable('many', by_range('t', INTERVAL '1 day'));",
    );
    // One transaction would need a lock for each chunk and index.
    for part in 0..10 {
        pair.source.sql(&format!(
            "INSERT INTO many SELECT timestamptz '2020-01-01 12:00 UTC' + n * INTERVAL '1 day', n
             FROM generate_series({part} * 100, {part} * 100 + 99) n"
        ));
    }
    let summary = pair.migrate();
    assert_eq!(summary.get("chunks"), Some("1000"));
    assert_eq!(summary.get("rows"), Some("1000"));
    assert_same(&pair);
}

fn made_alike(edition: Edition) {
    let pair = Pair::new("alike", edition);
    pair.source.sql(
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := NEW.n + 1; RETURN NEW; END';
         CREATE TABLE host (name text PRIMARY KEY);
         INSERT INTO host SELECT 'h' || n FROM generate_series(0, 4) n;
         CREATE TABLE metric (
             t timestamptz NOT NULL, host text NOT NULL REFERENCES host, n int DEFAULT 3 CHECK (n > 0), note text,
             UNIQUE (t, host), EXCLUDE USING btree (t WITH =, n WITH =)) WITH (fillfactor = 70);
         SELECT create_hypertable('metric', by_range('t', INTERVAL '1 day'), create_default_indexes => false);
         CREATE INDEX ON metric (host, t DESC) INCLUDE (n) WHERE n > 5;
         CREATE INDEX ON metric USING brin (t);
         CREATE INDEX ON metric (lower(note) text_pattern_ops);
         CREATE TRIGGER noted BEFORE INSERT ON metric FOR EACH ROW EXECUTE FUNCTION noted();
         ALTER TABLE metric ALTER note SET STORAGE EXTERNAL, ALTER note SET STATISTICS 7, ALTER n SET (n_distinct = 9);
         ALTER TABLE metric REPLICA IDENTITY FULL;
         INSERT INTO metric SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '5 hours', 'h' || n % 5, n, 'note ' || n
         FROM generate_series(1, 40) n",
    );
    pair.migrate();
    assert_same(&pair);
    for side in [&pair.source, &pair.target] {
        side.sql("INSERT INTO metric (t, host) VALUES ('2024-01-02 01:00 UTC', 'h1'), ('2026-01-02 UTC', 'h1')");
        assert_eq!(side.error("INSERT INTO metric VALUES ('2024-01-02 01:00 UTC', 'h1', 90)").code().code(), "23505");
        assert_eq!(side.error("INSERT INTO metric VALUES ('2024-01-02 02:00 UTC', 'none')").code().code(), "23503");
    }
    assert_same(&pair);
    // An index made on the root is dropped with its parts on the chunks.
    pair.target.sql("DROP INDEX metric_host_t_n_idx");
    assert_eq!(pair.target.value("SELECT count(*) FROM pg_class WHERE relname LIKE '%metric_host_t_n_idx'"), "0");
}

fn unaligned(edition: Edition) {
    let pair = Pair::new("unaligned", edition);
    pair.source.sql(UNALIGNED);
    pair.migrate();
    assert_same(&pair);
}

fn to_apache(_: Edition) {
    let pair = Pair::across("to_apache", Edition::Community, Edition::Apache);
    pair.source.sql(UNALIGNED);
    pair.migrate();
    assert_same(&pair);
}

fn from_apache(_: Edition) {
    let pair = Pair::across("from_apache", Edition::Apache, Edition::Community);
    pair.source.sql(
        "CREATE TABLE m (t timestamptz NOT NULL, n int);
         SELECT create_hypertable('m', by_range('t', INTERVAL '1 day'));
         INSERT INTO m SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '5 hours', n FROM generate_series(1, 100) n",
    );
    pair.migrate();
    assert_same(&pair);
}

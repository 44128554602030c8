//! The tests' own comparison finds what differs; else the other tests would prove nothing.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, differences};

pub const TESTS: &[Test] = &[Test::both("finds each difference", finds_each)];

fn finds_each(edition: Edition) {
    let pair = Pair::new("comparison", edition);
    pair.source.sql(
        "CREATE TABLE h (t timestamptz NOT NULL, n int, PRIMARY KEY (t, n));
         SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours', n FROM generate_series(1, 9) n;
         CREATE TABLE p (n int, t text); INSERT INTO p VALUES (1, 'a'), (2, 'b'); CREATE SEQUENCE s;
         CREATE TABLE u (n int); SELECT lo_from_bytea(99, 'x')",
    );
    pair.migrate();
    assert_same(&pair);

    // What is done to the target, how it is undone, and where the difference is to be found.
    let chunk = pair.target.value("SELECT min(c::text) FROM show_chunks('h') c");
    let cases = [
        ("UPDATE h SET n = -5 WHERE n = 5", "UPDATE h SET n = 5 WHERE n = -5", "rows of public.h chunk"),
        ("DELETE FROM p WHERE n = 2", "INSERT INTO p VALUES (2, 'b')", "rows of public.p"),
        ("UPDATE p SET t = NULL WHERE n = 1", "UPDATE p SET t = 'a' WHERE n = 1", "rows of public.p"),
        ("SELECT nextval('s')", "SELECT setval('s', 1, false)", "sequence public.s"),
        ("SELECT lo_put(99, 0, 'y')", "SELECT lo_put(99, 0, 'x')", "large object 99"),
        ("GRANT SELECT ON u TO PUBLIC", "REVOKE ALL ON u FROM PUBLIC", "schema TABLE u; Type: ACL"),
        ("CREATE INDEX ON p (n)", "DROP INDEX p_n_idx", "schema p_n_idx"),
        ("CREATE INDEX x ON CHUNK (n)", "DROP INDEX _timescaledb_internal.x", "public.h chunk"),
        ("ALTER TABLE CHUNK SET (fillfactor = 50)", "ALTER TABLE CHUNK RESET (fillfactor)", "public.h chunk"),
        ("SELECT set_chunk_time_interval('h', INTERVAL '2 days')", "SELECT set_chunk_time_interval('h', INTERVAL '1 day')", "hypertable"),
        ("INSERT INTO h VALUES ('2030-01-01 UTC', 1)", "SELECT drop_chunks('h', newer_than => timestamptz '2029-01-01 UTC')", "public.h chunk"),
        ("COMMENT ON TABLE p IS 'x'", "COMMENT ON TABLE p IS NULL", "schema TABLE p"),
        ("DROP TABLE u", "CREATE TABLE u (n int)", "rows of public.u"),
    ];
    for (change, undo, key) in cases {
        pair.target.sql(&change.replace("CHUNK", &chunk));
        let found = differences(&pair);
        assert!(found.iter().any(|text| text.contains(key)), "{change}: {found:#?}");
        pair.target.sql(&undo.replace("CHUNK", &chunk));
        assert_same(&pair);
    }
}

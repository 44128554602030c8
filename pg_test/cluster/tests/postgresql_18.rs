//! What PostgreSQL 18 has brought arrives.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};

pub const TESTS: &[Test] = &[
    Test::since_18("virtual generated columns", virtual_columns),
    Test::since_18("constraints: not enforced, without overlaps, not null", constraints),
];

fn virtual_columns(edition: Edition) {
    let pair = Pair::new("virtual", edition);
    pair.source.sql(
        "CREATE TABLE p (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2), thrice int GENERATED ALWAYS AS (id * 3) STORED);
         INSERT INTO p SELECT generate_series(1, 30);
         CREATE TABLE only_virtual (one int GENERATED ALWAYS AS (1));
         INSERT INTO only_virtual SELECT FROM generate_series(1, 5);
         CREATE TABLE h (twice float8 GENERATED ALWAYS AS (v * 2), t timestamptz NOT NULL, device int, v float8);
         SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h (t, device, v) SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '20 minutes', n % 5, n FROM generate_series(1, 500) n;
         ALTER TABLE h ADD COLUMN label text GENERATED ALWAYS AS ('d' || device::text);
         ALTER TABLE h SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't')",
    );
    pair.source.each(&[
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', t) AS day, sum(twice) AS twice FROM h GROUP BY 1",
        "SELECT count(compress_chunk(c)) FROM (SELECT c FROM show_chunks('h') c LIMIT 4) x",
        // One chunk with rows beside its batches.
        "INSERT INTO h (t, device, v) VALUES ('2024-01-02 00:01 UTC', 1, 1000)",
    ]);
    pair.migrate_with(r#"'{"verify": "checksum"}', jobs => 2"#);
    assert_same(&pair);
    assert!(pair.target.is("SELECT count(*) = 501 AND every(twice = v * 2 AND label = 'd' || device) FROM h"));
    pair.both(&["INSERT INTO h (t, device, v) VALUES ('2024-01-03 00:01 UTC', 2, 5)", "INSERT INTO p VALUES (31)"]);
    assert_same(&pair);
}

fn constraints(edition: Edition) {
    let pair = Pair::new("constraints_18", edition);
    pair.source.sql(
        "CREATE TABLE device (id int PRIMARY KEY); INSERT INTO device VALUES (1);
         CREATE TABLE loose (n int CONSTRAINT positive CHECK (n > 0) NOT ENFORCED, device int REFERENCES device NOT ENFORCED);
         INSERT INTO loose VALUES (-1, 99);
         CREATE TABLE room (id int4range, during tstzrange, PRIMARY KEY (id, during WITHOUT OVERLAPS));
         INSERT INTO room VALUES ('[1,2)', '[2024-01-01 UTC, 2025-01-01 UTC)'), ('[1,2)', '[2025-01-01 UTC, 2026-01-01 UTC)');
         CREATE TABLE booking (room int4range, during tstzrange, FOREIGN KEY (room, PERIOD during) REFERENCES room (id, PERIOD during));
         INSERT INTO booking VALUES ('[1,2)', '[2024-06-01 UTC, 2025-06-01 UTC)');
         CREATE TABLE filled (a int CONSTRAINT a_is_there NOT NULL, b int, c int NOT NULL NO INHERIT); INSERT INTO filled VALUES (1, NULL, 1);
         ALTER TABLE filled ADD CONSTRAINT b_will_be_there NOT NULL b NOT VALID;
         CREATE TABLE h (t timestamptz CONSTRAINT t_is_there NOT NULL, device int, v int);
         SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h VALUES ('2024-01-01 UTC', 99, NULL), ('2024-01-02 UTC', 1, -1)",
    );
    pair.source.each(&[
        "ALTER TABLE h ADD CONSTRAINT v_will_be_there NOT NULL v NOT VALID",
        "ALTER TABLE h ADD CONSTRAINT positive CHECK (v > 0) NOT ENFORCED",
        "ALTER TABLE h ADD CONSTRAINT known FOREIGN KEY (device) REFERENCES device NOT ENFORCED",
    ]);
    pair.migrate();
    assert_same(&pair);
    for side in [&pair.source, &pair.target] {
        assert_eq!(side.error("INSERT INTO h VALUES ('2024-01-01 UTC', 1, NULL)").code().code(), "23502");
        // TimescaleDB itself checks what is not enforced.
        side.sql("INSERT INTO h VALUES ('2024-01-01 01:00 UTC', 98, 5), ('2024-03-01 UTC', 98, 5)");
    }
    assert_same(&pair);
}

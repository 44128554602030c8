//! Sources older than the target: plain PostgreSQL 15, the major before, and earlier versions of TimescaleDB.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, differences, shared_source, shared_target};

pub const TESTS: &[Test] = &[
    Test::postgres_15("plain PostgreSQL 15", postgres_15),
    Test::next("plain PostgreSQL of the major before", major_before),
    Test::apache("plain PostgreSQL of the same version", plain),
    Test::community("every earlier TimescaleDB that is installed", timescaledb),
];

const PLAIN: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TABLE person (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE NULLS NOT DISTINCT, mood mood, tags text[]);
    INSERT INTO person (name, mood, tags) SELECT 'p' || n, 'happy', ARRAY['a', n::text] FROM generate_series(1, 1000) n;
    CREATE TABLE visit (at timestamptz, who int REFERENCES person, PRIMARY KEY (at, who)) PARTITION BY RANGE (at);
    CREATE TABLE visit_2024 PARTITION OF visit FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE TABLE visit_rest PARTITION OF visit DEFAULT;
    INSERT INTO visit SELECT timestamptz '2023-12-30 UTC' + n * INTERVAL '1 hour', 1 + n % 1000 FROM generate_series(1, 500) n;
    CREATE INDEX ON visit (who) INCLUDE (at);
    CREATE VIEW happy AS SELECT name FROM person WHERE mood = 'happy';
    CREATE MATERIALIZED VIEW visits AS SELECT who, count(*) FROM visit GROUP BY who;
    CREATE FUNCTION f(a int DEFAULT 3) RETURNS int LANGUAGE sql AS 'SELECT a';
    SELECT lo_from_bytea(815, '\\x0123')";

fn postgres_15(_: Edition) {
    older(&Pair::from_15("from_15"));
}

fn major_before(edition: Edition) {
    older(&Pair::between("from_major_before", shared_source(Edition::Apache), shared_target(edition)));
}

fn older(pair: &Pair) {
    pair.source.sql(PLAIN);
    pair.migrate();
    // The newer server words a view's query its own way.
    let wrong: Vec<_> =
        differences(pair).into_iter().filter(|text| !text.contains("Type: VIEW") && !text.contains("Type: MATERIALIZED VIEW")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
}

fn plain(edition: Edition) {
    let pair = Pair::plain("from_plain", edition);
    pair.source.sql(PLAIN);
    pair.migrate();
    assert_same(&pair);
}

fn timescaledb(edition: Edition) {
    let pair = Pair::plain("versions", edition);
    let versions = "SELECT version FROM pg_available_extension_versions WHERE name = 'timescaledb' AND version <>
        (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb')";
    for version in pair.source.rows(versions) {
        let version = version.get(0).unwrap();
        let pair = Pair::plain(&format!("from_{version}"), edition);
        // An update script may be there without the library that it updates from.
        let mut source = pair.source.connect();
        if source.batch_execute(&format!("CREATE EXTENSION timescaledb VERSION '{version}'")).is_err() {
            continue;
        }
        pair.source.sql(
            "CREATE TABLE h (t timestamptz NOT NULL, host text NOT NULL, n int);
             SELECT create_hypertable('h', 't', 'host', 3, chunk_time_interval => INTERVAL '1 day');
             INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '5 hours', 'h' || n % 7, n FROM generate_series(1, 100) n;
             CREATE INDEX ON h (host, t)",
        );
        pair.source.sql("ALTER TABLE h DROP n, ADD m int DEFAULT 5");
        pair.source.sql("INSERT INTO h VALUES ('2024-02-01 UTC', 'new', 7)");
        println!("from TimescaleDB {version}");
        pair.migrate();
        let wrong: Vec<_> =
            differences(&pair).into_iter().filter(|text| !text.contains("ts_insert_blocker")).collect();
        assert!(wrong.is_empty(), "from {version}:\n{}", wrong.join("\n"));
    }
}

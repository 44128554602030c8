//! Sources older than the target: plain PostgreSQL of earlier majors, and earlier versions of TimescaleDB.

use cluster::suite::{Test, leave_out};
use cluster::{Db, Edition, Pair, Versions, assert_same, differences, of_edition, shared_source, shared_target};
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::postgres_15("plain PostgreSQL 15", postgres_15),
    Test::next("plain PostgreSQL of the major before", major_before),
    Test::previous("plain PostgreSQL of the oldest major", oldest),
    Test::apache("plain PostgreSQL of the same version", plain),
    Test::community("every earlier TimescaleDB that is installed", timescaledb),
    Test::previous("a distributed hypertable", distributed),
    Test::between("continuous aggregates of the form before 2.7", &OLD_FORMS, old_forms),
    Test::between("continuous aggregates by time_bucket_ng", &OLD_FORMS, time_bucket_ng),
];

/// The last in which these can be made, the older form only below PostgreSQL 15.
const OLD_FORMS: [Versions; 2] = [
    Versions { from: Edition::Previous, ..Versions::new("2.11.2", "2.29.2") },
    Versions { from: Edition::Previous, ..Versions::new("2.13.1", "2.29.2") },
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

fn oldest(edition: Edition) {
    older(&Pair::between("from_oldest", shared_source(edition), shared_target(Edition::Apache)));
}

fn older(pair: &Pair) {
    let unknown = if pair.source.major() < 15 { "NULLS NOT DISTINCT" } else { "not there" };
    pair.source.sql(&PLAIN.replace(unknown, ""));
    pair.migrate();
    assert_same(pair);
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

const NG: &str = "timescaledb_experimental.time_bucket_ng";

/// A continuous aggregate: its name, more options, whether it is materialized only, and its query.
type OldCagg<'a> = (&'a str, &'a str, bool, String);

fn old_forms(versions: Versions) {
    let pair = Pair::of("old_forms", versions);
    if pair.source.major() >= 15 {
        leave_out("continuous aggregates of the form before 2.7 need a PostgreSQL before 15; PREVIOUS_PG_CONFIG names one");
    }
    let old = ", timescaledb.finalized = false";
    old_caggs(&pair, &[
        ("old_form", old, true, "SELECT time_bucket('1 day', t) AS day, device, sum(n) AS n, avg(v) AS mean, count(*) AS c, max(v) FROM reading GROUP BY 1, 2".into()),
        ("old_real_time", old, false, "SELECT time_bucket('6 hours', t) AS bucket, sum(n) AS n, min(v), stddev(n) FROM reading GROUP BY 1".into()),
        ("\"Old \"\"having\"", old, true, "SELECT time_bucket('1 hour', t) AS \"The Bucket\", count(*) AS c FROM reading GROUP BY 1 HAVING count(*) > 1".into()),
        ("packed", old, true, "SELECT time_bucket('1 day', t) AS day, device, sum(n) AS n FROM reading GROUP BY 1, 2".into()),
        ("old_months", old, true, format!("SELECT {NG}('1 month', t) AS month, sum(n) AS n FROM local GROUP BY 1")),
    ]);
    assert!(pair.target.is("SELECT count(*) > 20 FROM old_form WHERE day < '2024-01-05 UTC'"), "the history is not there");
}

fn time_bucket_ng(versions: Versions) {
    let pair = Pair::of("time_bucket_ng", versions);
    old_caggs(&pair, &[
        ("months", "", true, format!("SELECT {NG}('1 month', t, 'Europe/Berlin') AS month, device, sum(n) AS n FROM reading GROUP BY 1, 2")),
        ("weeks", "", false, format!("SELECT {NG}('7 days', t) AS week, sum(n) AS n FROM local GROUP BY 1")),
        ("zoned_days", "", true, format!("SELECT {NG}('5 days', t, timezone => 'Asia/Kathmandu') AS day, sum(n) AS n FROM reading GROUP BY 1")),
        ("from_origin", "", true, format!("SELECT {NG}('3 days', t, origin => timestamptz '2023-12-01 12:00 UTC', timezone => 'America/New_York') AS day, sum(n) AS n FROM reading GROUP BY 1")),
        ("packed", "", true, format!("SELECT {NG}('1 day', t, 'UTC') AS day, device, sum(n) AS n FROM reading GROUP BY 1, 2")),
    ]);
}

/// Makes the aggregates on the source, migrates, and compares them as they arrived and after later writes and refreshes.
fn old_caggs(pair: &Pair, caggs: &[OldCagg]) {
    pair.source.sql(
        "CREATE TABLE reading (t timestamptz NOT NULL, device int NOT NULL, v float8, n int);
         SELECT create_hypertable('reading', 't', chunk_time_interval => INTERVAL '10 days');
         INSERT INTO reading SELECT timestamptz '2023-12-30 UTC' + i * INTERVAL '50 minutes', i % 7, i / 3.0, i FROM generate_series(0, 3500) i;
         CREATE TABLE local (t timestamp NOT NULL, n int);
         SELECT create_hypertable('local', 't', chunk_time_interval => INTERVAL '10 days');
         INSERT INTO local SELECT t AT TIME ZONE 'UTC', n FROM reading",
    );
    for (name, form, only, query) in caggs {
        pair.source.sql(&format!(
            "CREATE MATERIALIZED VIEW {name} WITH (timescaledb.continuous, timescaledb.materialized_only = {only}{form}) AS {query} WITH NO DATA"
        ));
        pair.source.sql(&format!("CALL refresh_continuous_aggregate('{name}', NULL, '2024-04-01')"));
    }
    pair.source.each(&[
        "ALTER MATERIALIZED VIEW packed SET (timescaledb.compress)",
        "SELECT compress_chunk(c) FROM show_chunks('packed') c",
        // History that only the aggregates hold, and a late row that none has seen.
        "SELECT drop_chunks('reading', timestamptz '2024-01-20 UTC')",
        "INSERT INTO reading VALUES ('2024-02-11 03:00 UTC', 3, 1000, 1)",
    ]);
    pair.migrate();
    let same = |what: &str| {
        for (name, ..) in caggs {
            let picture = |db: &Db| db.value(&format!("SELECT count(*) || ' ' || md5(string_agg(c::text, ' ' ORDER BY c::text)) FROM {name} c"));
            assert_eq!(picture(&pair.source), picture(&pair.target), "{name} {what}");
        }
    };
    same("as it arrived");
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
    pair.both(&["INSERT INTO reading SELECT timestamptz '2024-03-02 00:10 UTC' + i * INTERVAL '5 hours', i % 7, i, i FROM generate_series(0, 300) i",
        "INSERT INTO local SELECT timestamp '2024-03-02 00:10' + i * INTERVAL '5 hours', i FROM generate_series(0, 300) i"]);
    same("after later writes");
    // Rows of compressed chunks could not be removed then.
    for (name, ..) in caggs.iter().filter(|(name, ..)| *name != "packed") {
        pair.both(&[&format!("CALL refresh_continuous_aggregate('{name}', '2024-02-01', '2024-05-20')")]);
    }
    same("after a refresh");
}

fn distributed(edition: Edition) {
    if !edition.has_version("2.13.1") {
        leave_out("distributed hypertables need TimescaleDB 2.13.1 in the older installation, PREVIOUS_PG_CONFIG");
    }
    let cluster = Arc::new(of_edition(edition, &[("max_prepared_transactions", "10")]));
    let pair = Pair::between("distributed", cluster.clone(), shared_target(Edition::Apache));
    pair.source.sql("CREATE EXTENSION timescaledb VERSION '2.13.1'");
    pair.source.sql("CREATE ROLE nodes SUPERUSER LOGIN PASSWORD 'x'");
    let (data, passfile) = (cluster.data().metadata().unwrap(), cluster.data().join("passfile"));
    std::fs::write(&passfile, "*:*:*:nodes:x").unwrap();
    std::fs::set_permissions(&passfile, Permissions::from_mode(0o600)).unwrap();
    chown(&passfile, Some(data.uid()), Some(data.gid())).unwrap();
    let mut client = pair.source.connect();
    client.batch_execute("SET SESSION AUTHORIZATION nodes").unwrap();
    let node = format!("SELECT add_data_node('node', host => '127.0.0.1', port => {}, database => 'node', password => 'x')", cluster.port);
    client.batch_execute(&node).unwrap();
    for statement in [
        "CREATE TABLE near (n int)",
        "CREATE TABLE reading (t timestamptz NOT NULL, n int)",
        "SELECT create_distributed_hypertable('reading', 't')",
        "INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 hour', i FROM generate_series(0, 99) i",
    ] {
        client.batch_execute(statement).unwrap();
    }
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["public.reading", "data nodes"]);
    pair.target.refuses("SELECT * FROM migrate_from('old', '{\"on_unsupported\": \"skip\"}')", &["public.reading", "data nodes"]);
}

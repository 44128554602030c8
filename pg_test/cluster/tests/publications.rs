//! Publications of whatever there is, on either side and at any time of a run, hinder none of its phases.

use cluster::suite::Test;
use cluster::{Db, Edition, Pair, Versions, assert_same, assert_same_but};

pub const TESTS: &[Test] = &[
    Test::between("of the source", &Versions::TARGETS, of_the_source),
    Test::between("of the target, while a run goes on", &Versions::TARGETS, of_the_target),
    Test::apache("of the target, from the beginning", from_the_beginning),
    Test::both("of tables that become hypertables", converted),
];

/// Tables with a key and without one, a hypertable, and what TimescaleDB notes of it in tables of its own, some of which have no key.
fn fill(source: &Db) {
    source.sql(
        "CREATE TABLE keyed (n int PRIMARY KEY, v text, w int); INSERT INTO keyed SELECT n, 'v' || n, n FROM generate_series(1, 100) n;
         CREATE SCHEMA apart; CREATE TABLE apart.noted (n int, v text); INSERT INTO apart.noted SELECT n, v FROM keyed;
         CREATE TABLE code (n int UNIQUE, v text); INSERT INTO code SELECT n, v FROM keyed;
         CREATE TABLE item (n int REFERENCES code (n)); INSERT INTO item SELECT n FROM code;
         CREATE TABLE metric (t timestamptz NOT NULL, device int NOT NULL, v float8, PRIMARY KEY (t, device));
         SELECT create_hypertable('metric', 't', chunk_time_interval => INTERVAL '1 day'); ALTER TABLE metric REPLICA IDENTITY FULL;
         INSERT INTO metric SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '20 minutes', n % 3, n FROM generate_series(0, 700) n;
         ALTER TABLE metric SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't')",
    );
    source.each(&[
        "CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous) AS
         SELECT time_bucket('1 hour', t) AS h, device, sum(v) AS v FROM metric GROUP BY 1, 2 WITH NO DATA",
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS
         SELECT time_bucket('1 day', h) AS d, sum(v) AS v FROM hourly GROUP BY 1 WITH NO DATA",
        "CALL refresh_continuous_aggregate('hourly', NULL, '2024-01-08 UTC')",
        "CALL refresh_continuous_aggregate('daily', NULL, '2024-01-06 UTC')",
        "SELECT count(compress_chunk(c)) FROM (SELECT c FROM show_chunks('metric') c ORDER BY c::text LIMIT 5) x",
        "INSERT INTO metric VALUES ('2024-01-02 00:01 UTC', 1, 1), ('2024-01-08 00:01 UTC', 1, 1)",
        "SELECT add_retention_policy('metric', INTERVAL '300 years', initial_start => '2100-01-01 UTC')",
        "SELECT add_continuous_aggregate_policy('hourly', NULL, NULL, INTERVAL '1 hour', initial_start => '2100-01-02 UTC')",
        "CREATE MATERIALIZED VIEW summed AS SELECT count(*) FROM metric",
    ]);
}

/// Both comparisons write what they find to tables of the extension, and take it away again.
fn verify(pair: &Pair, run: &str) {
    for _ in 0..2 {
        assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old', 'count')"));
        assert!(pair.target.is(&format!("SELECT every(same) FROM migrate_verify({run})")));
    }
}

fn same(pair: &Pair, versions: Versions) {
    let otherwise: &[&str] = &["sparse indexes of ", "invalidations of ", "threshold of ", "batches of ", "compressed "];
    assert_same_but(pair, if versions.same() { &["batches of "] } else { otherwise });
}

fn of_the_source(versions: Versions) {
    let pair = Pair::of("published", versions);
    fill(&pair.source);
    pair.source.sql(
        "CREATE PUBLICATION everything FOR ALL TABLES; COMMENT ON PUBLICATION everything IS 'of all';
         CREATE PUBLICATION schemas FOR TABLES IN SCHEMA apart, public WITH (publish = 'insert, delete');
         CREATE PUBLICATION parts FOR TABLE keyed (n, w) WHERE (w > 5), ONLY apart.noted WITH (publish = 'insert', publish_via_partition_root);
         CREATE PUBLICATION metrics FOR TABLE metric",
    );
    pair.migrate();
    same(&pair, versions);
    for list in [
        "SELECT string_agg(concat_ws(' ', pubname, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot,
                                     obj_description(oid, 'pg_publication')), ', ' ORDER BY pubname) FROM pg_publication",
        "SELECT string_agg(concat_ws(' ', pubname, tablename, attnames, rowfilter), ', ' ORDER BY pubname, tablename)
         FROM pg_publication_tables WHERE schemaname !~ '^_?timescale'",
        "SELECT count(*) FROM pg_publication_tables WHERE pubname = 'metrics'",
    ] {
        assert_eq!(pair.source.value(list), pair.target.value(list));
    }
    // The last of all: until then no subscriber gets anything of the run.
    let planned = "SELECT string_agg(DISTINCT phase, ' ') FROM migrate_plan('old') WHERE object LIKE '%PUBLICATION%'";
    assert_eq!(pair.target.value(planned), "publications");
    verify(&pair, "1");
}

fn of_the_target(versions: Versions) {
    let pair = Pair::of("publishing", versions);
    fill(&pair.source);
    // One table cannot be filled yet, while all the others are.
    pair.source.sql(
        "CREATE FUNCTION at_home(int) RETURNS boolean LANGUAGE sql AS
             'SELECT NOT EXISTS (SELECT FROM pg_extension WHERE extname = ''timescale_migrate'')';
         CREATE TABLE late (n int CHECK (public.at_home(n))); INSERT INTO late VALUES (1)",
    );
    let fail = "SELECT * FROM migrate_from('old', '{\"on_error\": \"continue\"}', jobs => 2)";
    pair.target.refuses(fail, &["late_n_check"]);
    let publish = "CREATE PUBLICATION everything FOR ALL TABLES;
        CREATE PUBLICATION own FOR TABLES IN SCHEMA timescale_migrate, _timescaledb_catalog, public";
    pair.target.sql(publish);
    // A resume copies these again, one of which is referred to and has no identity.
    pair.source.sql("INSERT INTO code VALUES (1000, 'new'); UPDATE apart.noted SET v = 'other' WHERE n = 7; DELETE FROM metric WHERE t = '2024-01-09 UTC'; REFRESH MATERIALIZED VIEW summed");
    pair.both(&["CREATE OR REPLACE FUNCTION at_home(int) RETURNS boolean LANGUAGE sql AS 'SELECT true'"]);
    assert_eq!(pair.target.value("SELECT state FROM migrate_resume(1, jobs => 2)"), "done");
    verify(&pair, "1");
    // Tables are as they were, TimescaleDB's too.
    let lent = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relreplident <> 'd' AND relnamespace::regnamespace::text LIKE '\\_timescaledb\\_catalog'";
    assert_eq!(pair.target.value(lent), "0");
    pair.target.sql("DROP PUBLICATION everything, own");
    same(&pair, versions);

    // A hypertable cannot come to be under the first.
    let other = Db::create(pair.target.cluster.clone(), &format!("published_cleanup {}", versions.suffix()));
    other.sql(&format!("CREATE EXTENSION timescaledb VERSION '{}'", versions.target));
    let other = Pair::server(&pair.source, other);
    pair.source.sql("CREATE OR REPLACE FUNCTION at_home(int) RETURNS boolean LANGUAGE sql AS
        'SELECT NOT EXISTS (SELECT FROM pg_extension WHERE extname = ''timescale_migrate'')'");
    other.sql(publish);
    other.refuses(fail, &["publication everything", "FOR ALL TABLES", "DROP PUBLICATION \"everything\""]);
    other.sql("DROP PUBLICATION everything");
    other.refuses(fail, &["late_n_check"]);
    other.sql("CREATE PUBLICATION everything FOR ALL TABLES");
    other.sql("SELECT migrate_cleanup(2)");
    assert_eq!(other.value("SELECT state FROM timescale_migrate.run WHERE id = 2"), "removed");
    assert_eq!(other.value("SELECT string_agg(pubname, ' ' ORDER BY pubname) FROM pg_publication"), "everything own");
}

fn from_the_beginning(edition: Edition) {
    let pair = Pair::plain("published_first", edition);
    pair.source.sql(
        "CREATE TABLE keyed (n int PRIMARY KEY); INSERT INTO keyed SELECT generate_series(1, 100);
         CREATE TABLE noted (v text); INSERT INTO noted SELECT generate_series(1, 100)::text; SELECT lo_from_bytea(77, 'large')",
    );
    pair.target.sql("CREATE PUBLICATION everything FOR ALL TABLES");
    pair.migrate();
    verify(&pair, "1");
    pair.target.sql("DROP PUBLICATION everything");
    assert_same(&pair);
}

fn converted(edition: Edition) {
    let pair = Pair::plain("published_converted", edition);
    pair.source.sql(
        "CREATE SCHEMA apart; CREATE TABLE metric (t timestamptz NOT NULL, n int, v text, PRIMARY KEY (t, n));
         INSERT INTO metric SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n, 'v' FROM generate_series(1, 100) n;
         CREATE TABLE apart.metric (t timestamptz NOT NULL, n int); INSERT INTO apart.metric SELECT t, n FROM metric; ALTER TABLE apart.metric REPLICA IDENTITY FULL;
         CREATE PUBLICATION everything FOR ALL TABLES; CREATE PUBLICATION schemas FOR TABLES IN SCHEMA apart;
         CREATE PUBLICATION named FOR TABLE metric, apart.metric; CREATE PUBLICATION lone FOR TABLE ONLY metric;
         CREATE PUBLICATION parts FOR TABLE metric (t, n) WHERE (n > 5)",
    );
    let options = r#"{"hypertables": {"*.metric": {"time": "t", "chunk_interval": "1 day"}}, "verify": "checksum"}"#;
    let told = pair.preflight_with("objects", options);
    let of = |row: &str| told.iter().filter(|told| told.starts_with(row)).count();
    for name in ["lone", "named", "parts"] {
        let row = format!("warning | publication {name} | will not publish rows of public.metric in chunks that are made after the run");
        assert_eq!(of(&row), 1, "{told:?}");
    }
    // Without what the option leaves out there are no publications.
    let part = options.replacen('{', r#"{"include": ["*.metric"], "#, 1);
    assert!(!pair.preflight_with("objects", &part).iter().any(|told| told.contains("publication")));
    let row = "warning | publication schemas | publishes apart.metric by its schema, and will not publish its rows, which are in chunks in another schema";
    assert_eq!((of(row), of("warning | publication ")), (1, 5), "{told:?}");
    pair.migrate_with(&format!("'{options}', jobs => 2"));
    // The chunks hold the rows: each of them is published as well.
    let published = "SELECT string_agg(pubname || ' ' || n, ', ' ORDER BY pubname) FROM (
        SELECT pubname, count(DISTINCT tablename) FILTER (WHERE tablename <> 'metric') || '/' || count(*) FILTER (WHERE tablename = 'metric') AS n
        FROM pg_publication_tables WHERE tablename ~ '^metric$|_chunk$' GROUP BY 1) q";
    assert_eq!(pair.target.value(published), "everything 10/2, lone 5/1, named 10/2, parts 5/1, schemas 0/1");
    pair.target.sql("ALTER PUBLICATION \"schemas\" ADD TABLE \"apart\".\"metric\"");
    assert!(pair.target.value(published).ends_with("schemas 5/1"), "{}", pair.target.value(published));
    let filters = "SELECT string_agg(DISTINCT concat_ws(' ', attnames, rowfilter), ', ') FROM pg_publication_tables WHERE pubname = 'parts'";
    assert_eq!(pair.target.value(filters), pair.source.value(filters));
}

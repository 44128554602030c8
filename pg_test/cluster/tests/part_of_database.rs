//! Parts of a database: what is included or excluded, and tables without their rows. What DROP ...
//! CASCADE leaves of the source afterwards is what has to be on the target.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, assert_same_but};

pub const TESTS: &[Test] = &[
    Test::community("what is excluded, and what depends on it", excluded),
    Test::community("what is included, and what it needs", included),
    Test::community("what TimescaleDB calls, and tables that inherit", called),
    Test::community("without rows", without_rows),
    Test::apache("of plain tables", plain_tables),
    Test::community("resumed and compared", resumed),
    Test::apache("what does not arrive is not warned of", not_told),
];

/// Tables of every kind in several schemas; a hypertable with compressed chunks, two continuous aggregates and a policy.
pub fn make_tables(source: &cluster::Db) {
    source.sql(include_str!("sql/part_of_database.sql"));
    source.each(&[
        "CREATE MATERIALIZED VIEW app.hourly WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS
         SELECT time_bucket('1 hour', t) AS hour, device, sum(n) AS n FROM app.reading GROUP BY 1, 2 WITH NO DATA",
        "CREATE MATERIALIZED VIEW app.daily WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS
         SELECT time_bucket('1 day', hour) AS day, sum(n) AS n FROM app.hourly GROUP BY 1 WITH NO DATA",
        "CALL refresh_continuous_aggregate('app.hourly', NULL, NULL)",
        "CALL refresh_continuous_aggregate('app.daily', NULL, NULL)",
        "ALTER TABLE app.reading SET (timescaledb.compress, timescaledb.compress_segmentby = 'device')",
        "SELECT compress_chunk(c) FROM show_chunks('app.reading', older_than => timestamptz '2024-01-20 UTC') c",
        "SELECT add_retention_policy('app.reading', INTERVAL '100 years', initial_start => '2100-01-01 UTC')",
    ]);
}

fn make(source: &cluster::Db) {
    make_tables(source);
    source.each(&[
        "CREATE VIEW other.per_day AS SELECT * FROM app.daily",
        "SELECT add_compression_policy('other.log', INTERVAL '90 years', initial_start => '2100-01-02 UTC')",
        "SELECT add_job('other.act', '1 day', initial_start => '2100-01-03 UTC')",
    ]);
}

/// What the plan says is left out, an object a line.
fn left_out(pair: &Pair, options: &str) -> Vec<String> {
    let plan = format!("SELECT object || ': ' || note FROM migrate_plan('old', '{options}') WHERE phase = 'left_out'");
    pair.target.rows(&plan).iter().map(|row| row.get(0).unwrap_or_default().to_owned()).collect()
}

fn excluded(edition: Edition) {
    let pair = Pair::new("part_exclude", edition);
    make(&pair.source);
    let options = r#"{"exclude": ["other.*", "app.\"D\"e?ice", "app.hour*"]}"#;
    let left = left_out(&pair, options);
    for part in [
        "continuous aggregate app.daily: It reads app.hourly, which does not arrive.",
        "FK CONSTRAINT app.reading reading_device_fkey: It depends on TABLE app.\"Device\", which does not arrive.",
        "VIEW app.joined: It depends on TABLE app.\"Device\", which does not arrive.",
        "TABLE app.counted: It depends on FUNCTION other.count(), which does not arrive. Left out: its rows and the objects",
        "job Columnstore Policy",
    ] {
        assert!(left.iter().any(|line| line.starts_with(part)), "{part}\n{}", left.join("\n"));
    }
    let noted = format!("SELECT string_agg(note, E'\\n') FROM migrate_plan('old', '{options}') WHERE phase = 'note' AND object = 'option exclude'");
    let noted = pair.target.value(&noted);
    assert!(noted.contains("Objects that match the pattern 'app.\"D\"e?ice': 1. They do not arrive, nor does anything that depends"), "{noted}");
    pair.migrate_with(&format!("'{options}', jobs => 2"));
    let run = "(SELECT max(id) FROM timescale_migrate.run)";
    assert!(pair.target.is(&format!("SELECT every(same) AND count(*) > 5 FROM migrate_verify({run})")));
    assert!(pair.messages().contains("only what the options select is compared, not the whole source"));
    let verify = format!("SELECT every(same) FROM migrate_verify('old', options => '{options}')");
    assert!(pair.target.is(&verify));
    pair.target.refuses("SELECT * FROM migrate_verify('old', 'count')", &["differ"]);
    pair.source.each(&[
        "DROP MATERIALIZED VIEW app.daily CASCADE",
        "DROP MATERIALIZED VIEW app.hourly CASCADE",
        "DROP TABLE app.\"Device\" CASCADE",
        "DROP TABLE app.counted",
        "SELECT delete_job(id) FROM _timescaledb_config.bgw_job WHERE proc_name = 'act'",
        "DROP SCHEMA other CASCADE",
        "CREATE SCHEMA other",
    ]);
    assert_same(&pair);
}

fn included(edition: Edition) {
    let pair = Pair::new("part_include", edition);
    make(&pair.source);
    pair.source.each(&[
        "CREATE ROLE part_owner",
        "CREATE ROLE part_stranger",
        "ALTER TABLE app.reading OWNER TO part_owner",
        "ALTER TABLE other.log OWNER TO part_stranger",
        "COMMENT ON DATABASE part_include IS 'of the source'",
        "SELECT lo_from_bytea(0, 'a large object')",
    ]);
    // The last one brings its hypertable and the aggregate between them.
    let options = r#"{"include": ["app.part", "app.daily"]}"#;
    let left = left_out(&pair, options);
    assert!(left.iter().any(|line| line.starts_with("FK CONSTRAINT app.reading reading_device_fkey: ")), "{left:?}");
    aggregate_here(&pair, options);
    pair.migrate_with(&format!("'{options}', jobs => 2"));
    let tables = "SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY relname) FROM pg_class c
        WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p', 'v')";
    assert_eq!(pair.target.value(tables), "app.daily app.hourly app.part app.part_1 app.part_2 app.reading");
    assert!(pair.target.is("SELECT to_regnamespace('other') IS NULL AND to_regrole('part_stranger') IS NULL"));
    assert!(pair.target.is("SELECT relowner = 'part_owner'::regrole FROM pg_class WHERE oid = 'app.reading'::regclass"));
    assert!(pair.target.is("SELECT NOT EXISTS (SELECT FROM pg_largeobject_metadata)"));
    let run = "(SELECT max(id) FROM timescale_migrate.run)";
    assert!(pair.target.is(&format!("SELECT every(same) AND count(*) > 5 FROM migrate_verify({run})")));
    pair.source.each(&[
        "COMMENT ON DATABASE part_include IS NULL",
        "SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
        "DROP TABLE app.\"Device\" CASCADE",
        "DROP TABLE app.counted",
        "DROP TABLE app.named CASCADE",
        "DROP SEQUENCE app.numbers",
        "SELECT delete_job(id) FROM _timescaledb_config.bgw_job WHERE proc_name = 'act'",
        "DROP SCHEMA other CASCADE",
    ]);
    assert_same(&pair);
    // Another part follows into the same database, without what only an excluded view reads.
    let second = r#"{"include": ["app.tag*"], "exclude": ["app.tagged"]}"#;
    pair.source.sql("CREATE TABLE app.tag (name text); CREATE VIEW app.tagged AS SELECT name FROM app.tag, app.reading");
    pair.migrate_with(&format!("'{second}'"));
    pair.source.sql("DROP VIEW app.tagged");
    assert_same(&pair);
    // Nobody is told to drop what a finished run made.
    let made = "error | table app.tag | already exists on the target | Run 3 made it. Leave it out with the option exclude, or migrate into another database.";
    assert_eq!(pair.preflight_with("target", r#"{"include": ["app.tag"]}"#), [made]);
    // Nor to leave out what no pattern matches.
    pair.source.sql("CREATE TYPE app.status AS ENUM ('new'); CREATE TABLE app.tag_a (s app.status); CREATE TABLE app.tag_b (s app.status)");
    pair.migrate_with(r#"'{"include": ["app.tag_a"]}'"#);
    let made = "error | type app.status | already exists on the target | Run 4 made it. No pattern can leave it out alone: migrate both parts by one call, into another database.";
    assert_eq!(pair.preflight_with("target", r#"{"include": ["app.tag_b"]}"#), [made]);
}

/// An aggregate of that name which no run made.
fn aggregate_here(pair: &Pair, options: &str) {
    pair.target.each(&[
        "CREATE SCHEMA app",
        "CREATE TABLE app.own (t timestamptz NOT NULL)",
        "SELECT create_hypertable('app.own', 't')",
        "CREATE MATERIALIZED VIEW app.daily WITH (timescaledb.continuous) AS
         SELECT time_bucket('1 day', t) AS day FROM app.own GROUP BY 1",
    ]);
    let statement = "DROP MATERIALIZED VIEW app.daily";
    let hint = format!("error | view app.daily | already exists on the target | {statement}; -- or migrate into an empty database");
    assert_eq!(pair.preflight_with("target", options), [hint]);
    pair.target.each(&[statement, "DROP SCHEMA app CASCADE"]);
}

fn called(edition: Edition) {
    let pair = Pair::new("part_called", edition);
    pair.source.sql(include_str!("sql/part_of_database_called.sql"));
    pair.source.each(&[
        "CREATE MATERIALIZED VIEW app.hourly WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS
         SELECT time_bucket('1 hour', t) AS hour, device, lib.total(n) AS n FROM app.sliced GROUP BY 1, 2",
        "CREATE MATERIALIZED VIEW app.daily WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS
         SELECT time_bucket('1 day', hour) AS day, sum(n) AS n FROM app.hourly GROUP BY 1",
        "CREATE VIEW app.shown AS SELECT * FROM app.daily",
        "CREATE MATERIALIZED VIEW app.counted WITH (timescaledb.continuous) AS
         SELECT time_bucket(100::bigint, t) AS bucket, sum(n) AS n FROM app.counter GROUP BY 1",
    ]);
    // All of it comes by what reads it or is part of it, but for a partition that nothing reads.
    pair.migrate_with(r#"'{"include": ["app.shown", "app.counted", "app.part_1", "lib.parents"]}', jobs => 2"#);
    assert!(pair.target.is("SELECT to_regclass('app.part_2') IS NULL AND (SELECT count(*) = 9 FROM app.part)"));
    assert!(pair.target.is("SELECT to_regprocedure('lib.newest()') IS NOT NULL AND to_regclass('lib.parts') IS NULL"));

    let database = cluster::Db::create(pair.target.cluster.clone(), "part_called_not");
    database.sql("CREATE EXTENSION timescaledb");
    let without = Pair { target: Pair::server(&pair.source, database), source: pair.source };
    let options = r#"{"exclude": ["lib.newest", "lib.total"]}"#;
    let left = left_out(&without, options);
    for part in [
        "hypertable app.counter: It depends on FUNCTION lib.newest(), which does not arrive.",
        "continuous aggregate app.counted: It ",
        "continuous aggregate app.hourly: It depends on AGGREGATE lib.total(integer), which does not arrive.",
        "continuous aggregate app.daily: It reads app.hourly, which does not arrive.",
        "VIEW app.shown: It depends on VIEW app.daily, which does not arrive.",
    ] {
        assert!(left.iter().any(|line| line.starts_with(part)), "{part}\n{}", left.join("\n"));
    }
    without.migrate_with(&format!("'{options}', jobs => 2"));
    let source = &without.source;
    source.each(&[
        "DROP MATERIALIZED VIEW app.daily CASCADE",
        "DROP MATERIALIZED VIEW app.hourly",
        "DROP MATERIALIZED VIEW app.counted",
        "DROP TABLE app.counter",
        "DROP AGGREGATE lib.total(int)",
        "DROP FUNCTION lib.newest()",
    ]);
    assert_same(&without);
    // The whole of a partitioned table comes with a view.
    let database = cluster::Db::create(without.target.cluster.clone(), "part_called_view");
    database.sql("CREATE EXTENSION timescaledb");
    let target = Pair::server(source, database);
    target.sql(r#"SELECT * FROM migrate_from('old', '{"include": ["lib.parts"]}')"#);
    assert_eq!(target.value("SELECT count(*) FROM lib.parts"), "19");
}

fn without_rows(edition: Edition) {
    let pair = Pair::new("part_empty", edition);
    make(&pair.source);
    pair.source.sql("INSERT INTO app.reading VALUES ('2024-01-05 00:00:30 UTC', 1, 1000)");
    let options = r#"{"exclude_data": ["app.reading", "app.daily", "app.part", "app.summed", "app.numbers"]}"#;
    pair.migrate_with(&format!("'{options}', jobs => 2"));
    let count = |table: &str| pair.target.value(&format!("SELECT count(*) FROM {table}"));
    for table in ["app.reading", "app.daily", "app.part"] {
        assert_eq!(count(table), "0", "{table}");
    }
    assert!(pair.target.is("SELECT NOT relispopulated FROM pg_class WHERE oid = 'app.summed'::regclass"));
    assert_eq!(pair.target.value("SELECT nextval('app.numbers')"), "1");
    let sum = "SELECT sum(n) FROM app.hourly";
    let before = pair.source.value(sum);
    assert_eq!(pair.target.value(sum), before);
    // The raw rows stay behind: what the source would compute anew must not be emptied on the target.
    pair.target.sql("CALL refresh_continuous_aggregate('app.hourly', NULL, NULL)");
    assert_eq!(pair.target.value(sum), before);
    // What is new is materialized.
    pair.target.sql("INSERT INTO app.\"Device\" (id) VALUES (70); INSERT INTO app.reading VALUES ('2025-01-05 00:00 UTC', 70, 5)");
    pair.target.sql("CALL refresh_continuous_aggregate('app.hourly', NULL, NULL)");
    assert!(pair.target.is(&format!("SELECT ({sum}) = {before} + 5")));
    pair.target.sql("CALL refresh_continuous_aggregate('app.daily', NULL, NULL)");
    assert!(pair.target.is(&format!("SELECT ({sum}) = (SELECT sum(n) FROM app.daily)")));
    let run = "(SELECT max(id) FROM timescale_migrate.run)";
    pair.target.sql("DELETE FROM app.reading");
    pair.target.sql("DELETE FROM app.\"Device\" WHERE id = 70");
    let compared = format!("SELECT count(*) FROM migrate_verify({run}) WHERE object IN ('app.reading', 'app.part_1')");
    assert_eq!(pair.target.try_value(&compared).unwrap_or("different".into()), "different");
}

fn plain_tables(edition: Edition) {
    let pair = Pair::plain("part_plain", edition);
    pair.source.sql(include_str!("sql/part_of_database_plain.sql"));
    for (options, message) in [
        (r#"{"include": ["app.a", "nowhere.*"]}"#, "No object on the source matches the pattern 'nowhere.*'."),
        (r#"{"exclude": ["App.\"A\""]}"#, "No object on the source matches the pattern 'App.\"A\"'."),
    ] {
        pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{options}')"), &[message]);
        assert_eq!(pair.preflight_with("objects", options).len(), 1 + usize::from(options.contains("app.a")));
    }
    pair.target.refuses(
        r#"SELECT * FROM migrate_from('old', '{"include": ["a"]}')"#,
        &["invalid value for option \"include[0]\": pattern 'a' names no schema"],
    );
    pair.migrate_with(r#"'{"include": ["app.*", "odd*.*"], "exclude": ["app.unwanted", "app.f"]}'"#);
    pair.source.sql("DROP SCHEMA rest CASCADE; DROP TABLE app.unwanted CASCADE; DROP TABLE app.computed; DROP FUNCTION app.f CASCADE; DROP PUBLICATION shared");
    assert_same_but(&pair, &["schema of "]);
}

fn resumed(edition: Edition) {
    let pair = Pair::new("part_resume", edition);
    make(&pair.source);
    // The index fails on the target, late.
    pair.target.sql("CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not now''; END'");
    pair.target.sql("CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.refuse()");
    let options = r#"{"exclude": ["other.*"], "exclude_data": ["app.part_1"]}"#;
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{options}', jobs => 2)"), &["not now"]);
    pair.target.sql("DROP EVENT TRIGGER refuse; DROP FUNCTION public.refuse()");
    pair.source.sql("CREATE TABLE other.later (a int); CREATE TABLE app.later (a int); INSERT INTO app.later VALUES (1)");
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    assert!(pair.target.is("SELECT to_regclass('other.later') IS NULL AND (SELECT count(*) = 1 FROM app.later)"));
    assert!(pair.target.is(&format!("SELECT every(same) FROM migrate_verify({run})")));
    // By its name alone the source is compared whole.
    let hint = format!("Run {run} migrated with other options. Call migrate_verify({run}) to compare what it copied.");
    let refused = pair.target.refuses("SELECT * FROM migrate_verify('old')", &["no table"]);
    assert!(refused.hint().is_some_and(|all| all.ends_with(&hint) && all.contains("AND NOT same;")), "{refused:?}");
    pair.source.each(&[
        "DROP TABLE app.counted",
        "SELECT delete_job(id) FROM _timescaledb_config.bgw_job WHERE proc_name = 'act'",
        "DROP SCHEMA other CASCADE",
        "CREATE SCHEMA other",
        "TRUNCATE app.part_1",
    ]);
    assert_same(&pair);
}

fn not_told(edition: Edition) {
    let pair = Pair::plain("part_not_told", edition);
    pair.source.sql(
        "CREATE TYPE kind AS ENUM ('a'); CREATE TABLE wanted (n int PRIMARY KEY);
         CREATE TABLE hashed (k kind) PARTITION BY HASH (k); CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 1, REMAINDER 0);
         CREATE TABLE other (n int); ALTER TABLE other ADD CONSTRAINT loose FOREIGN KEY (n) REFERENCES wanted NOT VALID;
         CREATE TABLE quiet (n int CONSTRAINT off REFERENCES wanted); ALTER TABLE quiet DISABLE TRIGGER ALL;
         CREATE INDEX broken ON other (n); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass;
         CREATE ROLE part_not_told_owner; CREATE FUNCTION definer() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
         ALTER FUNCTION definer() OWNER TO part_not_told_owner;
         CREATE FUNCTION fire() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER fires ON ddl_command_end EXECUTE FUNCTION fire();
         ALTER DATABASE part_not_told SET default_transaction_read_only = on",
    );
    pair.target.sql("ALTER DATABASE part_not_told SET work_mem = '8MB'");
    let told = |options: &str| {
        let rows = format!("SELECT concat_ws(' | ', topic, subject, detail) FROM migrate_preflight('old', '{options}') WHERE status <> 'ok' AND topic <> 'verdict'");
        pair.target.rows(&rows).iter().map(|row| row.get(0).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = told(r#"{"owners": "drop"}"#);
    for row in [
        "objects | partitioned table public.hashed | is partitioned by the hash of k",
        "objects | invalid index public.broken",
        "objects | foreign key off of public.quiet | Its triggers are disabled",
        "objects | setting default_transaction_read_only of the database | is left out",
        "foreign_keys | loose on public.other",
        "owners | public.definer()",
        "event_triggers | fires",
        "roles | all roles | has the setting work_mem",
    ] {
        assert!(all.iter().any(|found| found.starts_with(row)), "{row}\n{}", all.join("\n"));
    }
    let told = told(r#"{"owners": "drop", "include": ["public.wanted"]}"#);
    assert_eq!(told, ["objects | option include | Objects that match the pattern 'public.wanted': 1. They arrive with everything that they need."]);
}

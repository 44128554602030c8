//! The schema and the rows in calls of their own.

use crate::part_of_database;
use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, differences};

pub const TESTS: &[Test] = &[
    Test::community("of the schema alone", schema),
    Test::apache("of the schema of plain tables, resumed", plain_schema),
    Test::community("the schema, then the rows", both),
    Test::community("the schema, then the rows with all jobs paused", paused),
    Test::apache("the schema of plain tables, then their rows", plain_both),
    Test::community("rows into tables of another form", other_forms),
    Test::community("rows into what does not fit", refusals),
    Test::community("rows beneath continuous aggregates", beneath_aggregates),
    Test::apache("rows that violate a foreign key", violated),
    Test::community("rows, resumed and cleaned up", resumed),
    Test::apache("rows among others, resumed", among_others),
];

const SCHEMA: &str = r#"{"mode": "schema"}"#;
const DATA: &str = r#"{"mode": "data", "verify": "checksum"}"#;

fn make(source: &cluster::Db) {
    part_of_database::make_tables(source);
    source.each(&[
        "SELECT add_continuous_aggregate_policy('app.hourly', NULL, NULL, '1 day', initial_start => '2100-01-01 UTC')",
        "SELECT add_job('other.act', '1 day', initial_start => '2100-01-03 UTC', scheduled => false)",
        "SELECT lo_from_bytea(0, 'a large object')",
    ]);
}

/// What differs although it is no row, nor follows from there being none.
fn not_of_rows(pair: &Pair) -> Vec<String> {
    let rows = ["rows ", "sequence ", "large object", "job ", "invalidations of ", "threshold of ", "watermark of "];
    let is_of_rows = |key: &str| key.contains(" chunk ") || rows.iter().any(|start| key.starts_with(start));
    let mut found = differences(pair);
    found.retain(|text| !is_of_rows(text.lines().next().unwrap_or_default()));
    found
}

/// Resumes the newest run, which another mode is refused for.
fn resume_in_its_mode(pair: &Pair) {
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    pair.target.refuses(
        &format!(r#"SELECT * FROM migrate_resume({run}, options => '{{"mode": "all"}}')"#),
        &["option \"mode\" cannot be changed for a run that has begun"],
    );
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
}

fn schema(edition: Edition) {
    let pair = Pair::new("mode_schema", edition);
    make(&pair.source);
    let count = |query: &str| pair.target.value(&format!("SELECT count(*) FROM {query}"));
    let plan = format!("migrate_plan('old', '{SCHEMA}')");
    assert_eq!(count(&format!("{plan} WHERE phase IN ('copy', 'large_objects', 'sequences', 'refresh', 'verify')")), "0");
    assert_eq!(count(&format!("{plan} WHERE phase = 'jobs' AND object LIKE 'JOB%' AND note LIKE '%; paused'")), "3");
    assert_eq!(pair.preflight_with("disk", SCHEMA), Vec::<String>::new());
    assert!(pair.preflight_with("verdict", SCHEMA)[0].starts_with("ok"));
    pair.migrate_with(&format!("'{SCHEMA}', jobs => 2"));
    for table in ["app.reading", "app.hourly", "app.\"Device\"", "app.part", "show_chunks('app.reading')", "pg_largeobject"] {
        assert_eq!(count(table), "0", "{table}");
    }
    assert!(pair.target.is("SELECT NOT relispopulated FROM pg_class WHERE oid = 'app.summed'::regclass"));
    assert_eq!(pair.target.value("SELECT nextval('app.numbers')"), "1");
    pair.target.sql("REFRESH MATERIALIZED VIEW app.summed");
    assert_eq!(not_of_rows(&pair), Vec::<String>::new());
    // Nothing is there to compare.
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    for arguments in [run.clone(), format!("'old', options => '{SCHEMA}'")] {
        pair.target.refuses(&format!("SELECT * FROM migrate_verify({arguments})"), &["there are no rows to compare"]);
    }
    // The aggregates are new ones.
    pair.target.each(&[
        "INSERT INTO app.\"Device\" VALUES (1, 'one')",
        "INSERT INTO app.reading SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 hour', 1, 1 FROM generate_series(0, 99) i",
        "CALL refresh_continuous_aggregate('app.hourly', NULL, NULL)",
        "CALL refresh_continuous_aggregate('app.daily', NULL, NULL)",
    ]);
    assert_eq!(pair.target.value("SELECT sum(n) FROM app.daily"), "100");
    // Those that are paused on the source stay paused.
    let scheduled = "_timescaledb_config.bgw_job WHERE id >= 1000 AND scheduled";
    assert_eq!(count(scheduled), "0");
    assert!(!pair.messages().contains("still paused"), "{}", pair.messages());
    assert_eq!(count(&format!("migrate_start_jobs({run})")), "2");
    assert_eq!(count(scheduled), "2");
}

fn plain_schema(edition: Edition) {
    let pair = Pair::plain("mode_plain_schema", edition);
    pair.source.sql(include_str!("sql/part_of_database_plain.sql"));
    // The index fails on the target, late.
    pair.target.sql("CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not now''; END'");
    pair.target.sql("CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('ALTER TABLE', 'CREATE INDEX') EXECUTE FUNCTION public.refuse()");
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{SCHEMA}')"), &["not now"]);
    pair.target.sql("DROP EVENT TRIGGER refuse; DROP FUNCTION public.refuse()");
    resume_in_its_mode(&pair);
    assert_eq!(not_of_rows(&pair), Vec::<String>::new());
    assert_eq!(pair.target.value("SELECT sum(rows)::int FROM migrate_status()"), "0");
}

fn both(edition: Edition) {
    let pair = Pair::new("mode_both", edition);
    make(&pair.source);
    pair.migrate_with(&format!("'{SCHEMA}', jobs => 2"));
    let plan = "SELECT string_agg(DISTINCT method, '; ' ORDER BY method) FROM migrate_plan('old', '{\"mode\": \"data\"}') WHERE phase = 'copy'";
    assert_eq!(pair.target.value(plan), "COPY binary; COPY binary, compressed");
    // It checks the keys, and starts the jobs that are not paused on the source.
    let steps = |phase: &str| {
        pair.target.value(&format!(
            "SELECT string_agg(regexp_replace(object, ' \\[.*', '') || ' ' || method, '; ' ORDER BY step) FROM migrate_plan('old', '{DATA}') WHERE phase = '{phase}'"
        ))
    };
    assert_eq!(steps("foreign_key"), "foreign key reading_device_fkey of app.reading check");
    assert_eq!(steps("jobs"), "JOB Retention Policy start; JOB Refresh Continuous Aggregate Policy start");
    pair.migrate_with(&format!("'{DATA}', jobs => 2"));
    assert_same(&pair);
    assert!(pair.target.is("SELECT every(same) AND count(*) > 5 FROM timescale_migrate.verification"));
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    assert!(pair.target.is(&format!("SELECT every(same) AND count(*) > 5 FROM migrate_verify({run})")));
}

fn paused(edition: Edition) {
    let pair = Pair::new("mode_paused", edition);
    make(&pair.source);
    pair.migrate_with(&format!("'{SCHEMA}'"));
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    pair.migrate_with(r#"'{"mode": "data", "policies": "paused"}'"#);
    let told = format!("2 jobs of run {run} are still paused; call migrate_start_jobs({run}) to start them");
    assert!(pair.messages().contains(&told), "{}", pair.messages());
    assert_eq!(pair.target.value(&format!("SELECT count(*) FROM migrate_start_jobs({run})")), "2");
    assert_same(&pair);
}

fn plain_both(edition: Edition) {
    let pair = Pair::plain("mode_plain_both", edition);
    pair.source.sql(include_str!("sql/part_of_database_plain.sql"));
    pair.migrate_with(&format!("'{SCHEMA}'"));
    pair.migrate_with(&format!("'{DATA}'"));
    assert_same(&pair);
}

fn other_forms(edition: Edition) {
    let pair = Pair::new("mode_forms", edition);
    pair.source.each(&[
        "CREATE TABLE reading (t timestamptz NOT NULL, device int, v float8, note varchar(10))",
        "SELECT create_hypertable('reading', 't', chunk_time_interval => INTERVAL '10 days')",
        "INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 hour', i % 5, i / 7.0, 'n' || i FROM generate_series(0, 999) i",
        "ALTER TABLE reading SET (timescaledb.compress, timescaledb.compress_segmentby = 'device')",
        "SELECT compress_chunk(c) FROM show_chunks('reading', older_than => timestamptz '2024-01-20 UTC') c",
        "CREATE TABLE flat (LIKE reading)",
        "SELECT create_hypertable('flat', 't', chunk_time_interval => INTERVAL '10 days')",
        "INSERT INTO flat TABLE reading",
        "ALTER TABLE flat SET (timescaledb.compress)",
        "SELECT compress_chunk(c) FROM show_chunks('flat') c LIMIT 2",
        "CREATE TABLE plain (LIKE reading)",
        "INSERT INTO plain TABLE reading",
        "CREATE TABLE packed (LIKE reading)",
        "SELECT create_hypertable('packed', 't', chunk_time_interval => INTERVAL '10 days')",
        "INSERT INTO packed TABLE reading",
        "ALTER TABLE packed SET (timescaledb.compress, timescaledb.compress_segmentby = 'device')",
        "SELECT compress_chunk(c) FROM show_chunks('packed') c",
    ]);
    pair.target.each(&[
        // Another interval and dimension, other columns in another order, a wider type.
        "CREATE TABLE reading (note text, extra int, device int, t timestamptz NOT NULL, v float8)",
        "SELECT create_hypertable('reading', 't', chunk_time_interval => INTERVAL '3 days')",
        "SELECT add_dimension('reading', 'device', number_partitions => 2)",
        "CREATE TABLE flat (t timestamptz NOT NULL, v float8, device int, note varchar(20), id bigint GENERATED ALWAYS AS IDENTITY)",
        "CREATE TABLE plain (LIKE flat)",
        "SELECT create_hypertable('plain', 't', chunk_time_interval => INTERVAL '30 days')",
        // The same dimensions, without compression.
        "CREATE TABLE packed (t timestamptz NOT NULL, device int, v float8, note varchar(10))",
        "SELECT create_hypertable('packed', 't', chunk_time_interval => INTERVAL '1 day')",
        "CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''fired''; END'",
        "CREATE TRIGGER always BEFORE INSERT ON reading FOR EACH ROW EXECUTE FUNCTION fire()",
        "CREATE TRIGGER always BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION fire()",
    ]);
    pair.target.sql("ALTER TABLE reading ENABLE ALWAYS TRIGGER always; ALTER TABLE plain ENABLE ALWAYS TRIGGER always");
    pair.target.sql("ALTER TABLE plain ALTER COLUMN id DROP NOT NULL");
    let notes = "SELECT string_agg(DISTINCT note, '; ' ORDER BY note) FROM migrate_plan('old', '{\"mode\": \"data\"}') WHERE phase = 'copy' AND note <> ''";
    assert_eq!(pair.target.value(notes), "an ordinary table on the target; compression is not enabled for the hypertable on the target; other chunks on the target");
    let summary = pair.migrate_with(&format!("'{DATA}', jobs => 2"));
    let chunks = "SELECT sum((SELECT count(*) FROM show_chunks(t))) FROM unnest('{reading,plain,packed}'::regclass[]) t";
    assert_eq!(summary.get("chunks"), Some(&*pair.target.value(chunks)));
    for table in ["reading", "flat", "plain", "packed"] {
        let sum = format!("SELECT md5(string_agg(x::text, ',' ORDER BY x::text)) FROM (SELECT t, device, v, note FROM {table}) x");
        assert_eq!(pair.source.value(&sum), pair.target.value(&sum), "{table}");
    }
    assert!(pair.target.is("SELECT count(*) > 4 AND bool_and(same) FROM timescale_migrate.verification"));
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    assert!(pair.target.is(&format!("SELECT count(*) > 4 AND bool_and(same) FROM migrate_verify({run})")));
    let states = "SELECT string_agg(DISTINCT (tgrelid::regclass::text ~ '_chunk')::text || ' ' || tgenabled::text, '; ') FROM pg_trigger WHERE tgname = 'always'";
    // TimescaleDB gives new chunks triggers that fire in the origin role.
    assert_eq!(pair.target.value(states), "false A; true O");
    assert_eq!(pair.target.value("SELECT count(*) FROM show_chunks('packed')"), pair.source.value("SELECT count(*) FROM show_chunks('packed')"));
    assert!(pair.target.is("SELECT count(*) > 20 FROM show_chunks('reading')"));
}

fn refusals(edition: Edition) {
    let pair = Pair::new("mode_refusals", edition);
    pair.source.each(&[
        "CREATE TABLE absent (a int)",
        "CREATE TABLE narrow (a varchar(10), b bigint, c int, d numeric(10, 2))",
        "CREATE TABLE needy (a int)",
        "CREATE TABLE filled (a int)",
        "INSERT INTO filled VALUES (1)",
        "CREATE TABLE seen (a int)",
        "CREATE TABLE ruled (a int)",
        "CREATE TABLE made (a int)",
    ]);
    pair.target.each(&[
        "CREATE TABLE narrow (a varchar(5), b int, d numeric)",
        "CREATE TABLE needy (a int, b int NOT NULL, c int NOT NULL DEFAULT 1)",
        "CREATE TABLE filled (a int)",
        "INSERT INTO filled VALUES (2)",
        "CREATE VIEW seen AS SELECT 1 AS a",
        "CREATE TABLE ruled (a int)",
        "CREATE RULE r AS ON INSERT TO ruled DO INSTEAD NOTHING",
        "ALTER TABLE ruled ENABLE ALWAYS RULE r",
        "CREATE TABLE made (a int GENERATED ALWAYS AS (1) STORED)",
    ]);
    let found = pair.preflight_in_full("objects", r#"{"mode": "data"}"#);
    for row in [
        "error | table public.absent | does not exist on the target | ",
        "error | column a of public.narrow | has type character varying(5) on the target and character varying(10) on the source | ",
        "error | column b of public.narrow | has type integer on the target and bigint on the source | ",
        "error | column c of public.narrow | has type integer on the source and does not exist on the target | ",
        "error | column b of public.needy | is NOT NULL on the target, has no default there, and does not exist on the source | ",
        "error | table public.filled | is not empty on the target | ",
        "error | table public.seen | is not an ordinary table on the target | ",
        "error | table public.ruled | has a rule for INSERT on the target, which COPY does not apply | ",
        "error | column a of public.made | is generated on the target | ",
    ] {
        assert_eq!(found.iter().filter(|found| found.starts_with(row)).count(), 1, "{row}\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), 9, "{found:?}");
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"mode": "data"}')"#, &["9 checks failed"]);
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"into": "any"}')"#, &["option \"into\" needs \"mode\": \"data\""]);
    // Rows that the target has may stay, and a sequence that is ahead.
    pair.both(&["CREATE SEQUENCE ahead", "CREATE SEQUENCE behind"]);
    pair.source.sql("SELECT setval('ahead', 5), setval('behind', 9)");
    pair.target.sql("SELECT setval('ahead', 7), setval('behind', 8)");
    pair.migrate_with(r#"'{"mode": "data", "into": "any", "include": ["public.filled", "public.ahead", "public.behind"]}'"#);
    assert_eq!(pair.target.value("SELECT string_agg(a::text, ' ' ORDER BY a) FROM filled"), "1 2");
    assert_eq!(pair.target.value("SELECT nextval('ahead') || ' ' || nextval('behind')"), "8 10");
}

fn violated(edition: Edition) {
    let pair = Pair::plain("mode_violated", edition);
    let tables = ["CREATE TABLE device (id int PRIMARY KEY)", "CREATE TABLE reading (device int CONSTRAINT of_device REFERENCES device)"];
    pair.both(&tables);
    pair.source.sql("INSERT INTO device VALUES (1), (2); INSERT INTO reading VALUES (1), (2)");
    let without = r#"{"mode": "data", "exclude_data": ["public.device"]}"#;
    pair.target.refuses(
        &format!("SELECT * FROM migrate_from('old', '{without}')"),
        &["foreign key of_device of public.reading is violated by rows on the target", "Key (device)=("],
    );
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    assert_eq!(pair.target.value(&format!("SELECT migrate_cleanup({run})")), "1");
    assert_eq!(pair.target.value("SELECT count(*) FROM reading"), "0");
    assert!(pair.messages().contains(&format!("emptied what run {run} had filled: public.reading")), "{}", pair.messages());
    // The source's own violation is told.
    pair.source.sql("SET session_replication_role = replica; DELETE FROM device WHERE id = 2");
    pair.migrate_with(&format!("'{DATA}'"));
    assert!(pair.messages().contains("foreign key of_device of public.reading is violated by the source's own rows: Key (device)=(2)"));
    assert_eq!(pair.target.value("SELECT count(*) FROM reading"), "2");
}

fn resumed(edition: Edition) {
    let pair = Pair::new("mode_resumed", edition);
    make(&pair.source);
    pair.migrate_with(&format!("'{SCHEMA}', jobs => 2"));
    // A chunk whose rows cannot come in.
    pair.target.sql("ALTER TABLE app.reading ADD CONSTRAINT none CHECK (false)");
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"mode": "data"}', jobs => 2)"#, &["violates check constraint"]);
    pair.target.sql("DO $$ BEGIN PERFORM migrate_cleanup((SELECT max(id) FROM timescale_migrate.run)); END $$");
    assert_eq!(pair.target.value("SELECT (SELECT count(*) FROM show_chunks('app.reading')) + (SELECT count(*) FROM show_chunks('app.hourly'))"), "0");
    pair.target.sql("ALTER TABLE app.reading DROP CONSTRAINT none");
    // A table's rows cannot be read, late.
    pair.target.sql("ALTER TABLE app.named ADD CONSTRAINT not_yet CHECK (device <> 'x')");
    let call = r#"SELECT * FROM migrate_from('old', '{"mode": "data", "on_error": "continue"}', jobs => 2)"#;
    pair.target.refuses(call, &["not_yet"]);
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    pair.target.refuses("SELECT * FROM migrate_start_jobs(1)", &[&format!("cannot start the jobs of run 1: run {run} is not done"), "migrate_resume"]);
    pair.target.sql(&format!("SELECT migrate_cleanup({run})"));
    assert_eq!(not_of_rows(&pair).iter().filter(|text| !text.contains("not_yet")).count(), 1, "{:?}", not_of_rows(&pair));
    for table in ["app.reading", "app.hourly", "app.\"Device\"", "show_chunks('app.hourly')"] {
        assert_eq!(pair.target.value(&format!("SELECT count(*) FROM {table}")), "0", "{table}");
    }
    pair.target.refuses(call, &["not_yet"]);
    pair.target.sql("ALTER TABLE app.named DROP CONSTRAINT not_yet");
    pair.source.sql("INSERT INTO app.reading VALUES ('2024-02-01 UTC', 1, 7); INSERT INTO app.named VALUES (2, 'y')");
    pair.source.sql("REFRESH MATERIALIZED VIEW app.summed");
    resume_in_its_mode(&pair);
    assert_same(&pair);
}

fn beneath_aggregates(edition: Edition) {
    let pair = Pair::new("mode_aggregates", edition);
    let table = [
        "CREATE TABLE reading (t timestamptz NOT NULL, n int)",
        "SELECT create_hypertable('reading', 't', chunk_time_interval => INTERVAL '10 days')",
        "CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous) AS
         SELECT time_bucket('1 hour', t) AS hour, sum(n) AS n FROM reading GROUP BY 1 WITH NO DATA",
    ];
    pair.both(&table);
    pair.source.sql("INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '10 minutes', i FROM generate_series(0, 999) i");
    pair.source.sql("CALL refresh_continuous_aggregate('hourly', NULL, '2024-01-04 UTC')");
    let other = "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS
         SELECT time_bucket('1 day', t) AS day, sum(n) AS n FROM reading GROUP BY 1 WITH NO DATA";
    let twice = "CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous) AS
         SELECT time_bucket('1 hour', t) AS hour, sum(n) * 2 AS n FROM reading GROUP BY 1 WITH NO DATA";
    // One that only this side has, and that was refreshed when there was nothing to refresh.
    pair.target.sql(other);
    pair.target.sql("CALL refresh_continuous_aggregate('daily', NULL, NULL)");
    pair.migrate_with(&format!("'{DATA}', jobs => 2"));
    let buckets = "SELECT count(*) || ' ' || sum(n) FROM hourly";
    assert_eq!(pair.source.value(buckets), pair.target.value(buckets));
    pair.target.sql("CALL refresh_continuous_aggregate('daily', NULL, NULL)");
    assert!(pair.target.is("SELECT (SELECT sum(n) FROM daily) = (SELECT sum(n) FROM reading)"));
    // Its buckets would go with the next refresh.
    pair.target.sql("DROP MATERIALIZED VIEW hourly");
    pair.target.sql("TRUNCATE reading");
    pair.target.refuses(
        r#"SELECT * FROM migrate_from('old', '{"mode": "data"}')"#,
        &["continuous aggregate public.daily: is not empty on the target, and reads tables that the run would write to"],
    );
    pair.target.sql("DROP MATERIALIZED VIEW daily");
    // Of the same name, and of another query.
    pair.target.sql(twice);
    pair.migrate_with(&format!("'{DATA}', jobs => 2"));
    assert!(pair.messages().contains("continuous aggregate public.hourly: Its query differs on the target."));
    pair.target.sql("CALL refresh_continuous_aggregate('hourly', NULL, NULL)");
    assert!(pair.target.is("SELECT (SELECT sum(n) FROM hourly) = 2 * (SELECT sum(n) FROM reading)"));
}

fn among_others(edition: Edition) {
    let pair = Pair::new("mode_among", edition);
    pair.both(&[
        "CREATE TABLE reading (t timestamptz NOT NULL, n int)",
        "CREATE TABLE late (n int)",
        "CREATE TABLE device (n int PRIMARY KEY)",
    ]);
    pair.source.each(&[
        "SELECT create_hypertable('reading', 't', chunk_time_interval => INTERVAL '10 days')",
        "INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 hour', i FROM generate_series(0, 999) i",
        "INSERT INTO late VALUES (1)",
        "INSERT INTO device VALUES (1)",
    ]);
    pair.target.sql("SELECT create_hypertable('reading', 't', chunk_time_interval => INTERVAL '3 days')");
    pair.target.sql("SELECT add_dimension('reading', 'n', number_partitions => 2)");
    pair.wait_for_older_transactions();
    let begin = || {
        pair.target.sql("ALTER TABLE late ADD CONSTRAINT not_yet CHECK (n > 1)");
        let call = r#"SELECT * FROM migrate_from('old', '{"mode": "data", "on_error": "continue"}', jobs => 2)"#;
        pair.target.refuses(call, &["not_yet"]);
        pair.target.sql("ALTER TABLE late DROP CONSTRAINT not_yet");
        pair.target.value("SELECT max(id) FROM timescale_migrate.run")
    };
    let run = begin();
    assert_eq!(pair.target.value("SELECT count(*) FROM reading"), "1000");
    // A table of its own is copied again, and what has come in among others stays.
    pair.source.sql("UPDATE device SET n = 2");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    assert_eq!(pair.target.value("SELECT count(*) || ' ' || sum(n) FROM reading"), "1000 499500");
    assert_eq!(pair.target.value("SELECT (SELECT n FROM late) || ' ' || (SELECT n FROM device)"), "1 2");
    pair.target.sql("TRUNCATE reading, late, device");
    let run = begin();
    pair.source.sql("INSERT INTO reading VALUES ('2024-01-02 UTC', 5)");
    pair.target.refuses(
        &format!("SELECT * FROM migrate_resume({run})"),
        &["has changed on the source since it was copied into public.reading, and cannot be copied again"],
    );
    pair.target.sql(&format!("SELECT migrate_cleanup({run})"));
    assert_eq!(pair.target.value("SELECT (SELECT count(*) FROM reading) || ' ' || (SELECT count(*) FROM device)"), "0 0");
    pair.migrate_with(&format!("'{DATA}', jobs => 2"));
    assert_eq!(pair.target.value("SELECT count(*) FROM reading"), "1001");
}

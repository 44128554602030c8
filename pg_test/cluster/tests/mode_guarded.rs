//! Rows into an existing schema: what could lose, double or destroy some is refused, or does not happen.
use cluster::suite::Test;
use cluster::{Edition, Pair, poll};

pub const TESTS: &[Test] = &[
    Test::apache("a cleanup leaves what a later run brought", superseded),
    Test::apache("tables of extensions get none", own_tables),
    Test::apache("tables are made anew before a resume", made_anew),
    Test::community("constraints that the source does not have", stricter),
    Test::community("rows that come in meanwhile stay", came_in),
    Test::community("an aggregate of other rows", mixed),
    Test::apache("columns that are generated on the source alone", generated),
    Test::apache("chunks that would be skipped", skipping),
    Test::apache("a table that another one references", outside_key),
    Test::apache("another table takes a name before a resume", doubled),
    Test::apache("the source's own violation excuses no other", mild_key),
    Test::apache("another table takes a name meanwhile", swap),
];

fn superseded(edition: Edition) {
    let pair = Pair::plain("guarded_superseded", edition);
    pair.both(&["CREATE TABLE a (n int)", "CREATE TABLE b (n int)"]);
    pair.source.sql("INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)");
    pair.target.sql("ALTER TABLE a ADD CONSTRAINT not_yet CHECK (n > 1)");
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"mode": "data"}', jobs => 1)"#, &["not_yet"]);
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    pair.target.sql("ALTER TABLE a DROP CONSTRAINT not_yet; TRUNCATE a, b");
    pair.migrate_with(r#"'{"mode": "data"}'"#);
    pair.target.sql("INSERT INTO a VALUES (77)");
    pair.target.sql(&format!("SELECT migrate_cleanup({run})"));
    let after = pair.target.value("SELECT (SELECT count(*) FROM a) || ' ' || (SELECT count(*) FROM b)");
    assert_eq!(after, "2 1");
}

fn own_tables(edition: Edition) {
    let pair = Pair::plain("guarded_own", edition);
    pair.source.sql(
        "CREATE SCHEMA timescale_migrate; CREATE TABLE timescale_migrate.task_log (id int, run bigint);
         INSERT INTO timescale_migrate.task_log VALUES (100000, 1)",
    );
    let refused = ["table timescale_migrate.task_log: belongs to an extension on the target"];
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"mode": "data", "into": "any"}')"#, &refused);
}

fn made_anew(edition: Edition) {
    let pair = Pair::plain("guarded_anew", edition);
    pair.both(&["CREATE TABLE a (n int)", "CREATE TABLE b (n int)"]);
    pair.source.sql("INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)");
    pair.target.sql("ALTER TABLE b ADD CONSTRAINT not_yet CHECK (n > 1)");
    pair.wait_for_older_transactions();
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"mode": "data", "on_error": "continue", "verify": "checksum"}', jobs => 1)"#, &["not_yet"]);
    assert_eq!(pair.target.value("SELECT count(*) FROM a"), "1");
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    pair.target.sql("DROP TABLE a, b");
    pair.target.sql("CREATE TABLE a (n int); CREATE TABLE b (n int)");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    assert_eq!(pair.target.value("SELECT (SELECT count(*) FROM a) || ' ' || (SELECT count(*) FROM b)"), "1 1");
}

fn stricter(edition: Edition) {
    let pair = Pair::new("guarded_stricter", edition);
    pair.both(&[
        "CREATE TABLE r (t timestamptz NOT NULL, d int, n int)",
        "SELECT create_hypertable('r', 't', chunk_time_interval => INTERVAL '10 days')",
        "ALTER TABLE r SET (timescaledb.compress, timescaledb.compress_segmentby = 'd')",
    ]);
    pair.source.each(&[
        "INSERT INTO r SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 hour', 1, i - 100 FROM generate_series(0, 99) i",
        "SELECT compress_chunk(c) FROM show_chunks('r') c",
    ]);
    pair.target.sql("ALTER TABLE r ADD CONSTRAINT positive CHECK (n > 0)");
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"mode": "data"}')"#, &["check constraint \"positive\""]);
}

fn came_in(edition: Edition) {
    let pair = Pair::new("guarded_came_in", edition);
    pair.both(&[
        "CREATE TABLE r (t timestamptz NOT NULL, n int)",
        "SELECT create_hypertable('r', 't', chunk_time_interval => INTERVAL '10 days')",
    ]);
    pair.source.sql("INSERT INTO r VALUES ('2024-01-01 UTC', 1)");
    held(&pair, r#"{"mode": "data", "into": "any"}"#, || {
        pair.target.sql("INSERT INTO r VALUES ('2024-01-01 05:00 UTC', 2)")
    });
    assert!(pair.target.is("SELECT EXISTS (SELECT FROM r WHERE n = 2)"));
}

fn mixed(edition: Edition) {
    let pair = Pair::new("guarded_mixed", edition);
    pair.both(&[
        "CREATE TABLE r (t timestamptz NOT NULL, n int)",
        "SELECT create_hypertable('r', 't', chunk_time_interval => INTERVAL '10 days')",
        "CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS
         SELECT time_bucket('1 hour', t) AS hour, sum(n) AS n FROM r GROUP BY 1 WITH NO DATA",
        "CREATE TABLE late (n int)",
    ]);
    pair.source.sql("INSERT INTO r SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '10 minutes', 1 FROM generate_series(0, 999) i");
    pair.source.sql("INSERT INTO late VALUES (1)");
    pair.source.sql("CALL refresh_continuous_aggregate('hourly', NULL, '2024-02-01 UTC')");
    // Rows of this side's own.
    pair.target.sql("INSERT INTO r VALUES ('2024-01-02 00:05 UTC', 1000), ('2023-12-01 00:05 UTC', 1000)");
    pair.target.sql("ALTER TABLE late ADD CONSTRAINT not_yet CHECK (n > 1)");
    pair.wait_for_older_transactions();
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"mode": "data", "into": "any", "on_error": "continue"}', jobs => 1)"#, &["not_yet"]);
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    pair.target.sql("ALTER TABLE late DROP CONSTRAINT not_yet");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    pair.target.sql("CALL refresh_continuous_aggregate('hourly', NULL, NULL)");
    assert_eq!(pair.target.value("SELECT sum(n) FROM hourly"), pair.target.value("SELECT sum(n) FROM r"));
}

fn generated(edition: Edition) {
    let pair = Pair::plain("guarded_generated", edition);
    pair.source.sql("CREATE TABLE a (n int, twice int GENERATED ALWAYS AS (n * 2) STORED); INSERT INTO a VALUES (1)");
    pair.target.sql("CREATE TABLE a (n int, twice int)");
    let refused = ["column twice of public.a: is generated on the source, but not on the target"];
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"mode": "data"}')"#, &refused);
}

fn skipping(edition: Edition) {
    let pair = Pair::new("guarded_skipping", edition);
    pair.both(&[
        "CREATE TABLE r (t timestamptz NOT NULL, n int)",
        "SELECT create_hypertable('r', 't', chunk_time_interval => INTERVAL '10 days')",
        "SET timescaledb.enable_chunk_skipping = on; SELECT enable_chunk_skipping('r', 'n')",
    ]);
    let refused = ["table public.r: has chunk skipping enabled on the target"];
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"mode": "data"}')"#, &refused);
}

fn outside_key(edition: Edition) {
    let pair = Pair::plain("guarded_outside", edition);
    pair.both(&["CREATE TABLE device (id int PRIMARY KEY)", "CREATE TABLE b (n int)"]);
    pair.source.sql("INSERT INTO device VALUES (1); INSERT INTO b VALUES (1)");
    pair.target.sql("CREATE TABLE own (device int REFERENCES device); ALTER TABLE b ADD CONSTRAINT not_yet CHECK (n > 1)");
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"mode": "data", "on_error": "continue"}')"#, &["not_yet"]);
    let cleanup = "SELECT migrate_cleanup(max(id)) FROM timescale_migrate.run";
    pair.target.refuses(cleanup, &["Drop the foreign key, call migrate_cleanup again"]);
    pair.target.sql("ALTER TABLE own DROP CONSTRAINT own_device_fkey");
    pair.target.sql("SELECT migrate_cleanup(1)");
    assert_eq!(pair.target.value("SELECT count(*) FROM device"), "0");
}

fn doubled(edition: Edition) {
    let pair = Pair::new("guarded_doubled", edition);
    pair.both(&["CREATE TABLE late (n int)"]);
    pair.source.sql("CREATE TABLE r (t timestamptz NOT NULL, n int); INSERT INTO r VALUES ('2024-01-01 UTC', 1); INSERT INTO late VALUES (1)");
    pair.target.sql("CREATE TABLE r (t timestamptz NOT NULL, n int); SELECT create_hypertable('r', 't')");
    pair.target.sql("INSERT INTO r VALUES ('2024-01-01 UTC', 1000)");
    pair.target.sql("ALTER TABLE late ADD CONSTRAINT not_yet CHECK (n > 1)");
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"mode": "data", "into": "any", "on_error": "continue"}', jobs => 1)"#, &["not_yet"]);
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    pair.source.sql("CREATE TABLE new (LIKE r); INSERT INTO new TABLE r; DROP TABLE r; ALTER TABLE new RENAME TO r");
    pair.target.sql("ALTER TABLE late DROP CONSTRAINT not_yet");
    let refused = ["has changed on the source since it was copied into public.r, and cannot be copied again"];
    pair.target.refuses(&format!("SELECT * FROM migrate_resume({run})"), &refused);
    assert_eq!(pair.target.value("SELECT count(*) FROM r WHERE n = 1"), "1");
}

fn mild_key(edition: Edition) {
    let pair = Pair::plain("guarded_key", edition);
    pair.both(&["CREATE TABLE device (id int PRIMARY KEY)", "CREATE TABLE reading (device int REFERENCES device)"]);
    pair.source.sql("INSERT INTO device VALUES (1); INSERT INTO reading VALUES (1)");
    pair.source.sql("SET session_replication_role = replica; INSERT INTO reading VALUES (5000)");
    let call = r#"SELECT * FROM migrate_from('old', '{"mode": "data", "exclude_data": ["public.device"]}')"#;
    pair.target.refuses(call, &["foreign key reading_device_fkey of public.reading is violated by rows on the target"]);
}

/// Runs to the end; meanwhile, when a worker waits to copy a table that is larger than the others, something happens.
fn held(pair: &Pair, options: &str, meanwhile: impl Fn()) -> String {
    pair.both(&["CREATE TABLE big (n text)"]);
    pair.source.sql("INSERT INTO big SELECT repeat(md5(i::text), 30) FROM generate_series(1, 5000) i");
    let mut locker = pair.target.connect();
    locker.simple_query("BEGIN; LOCK TABLE big IN SHARE MODE").unwrap();
    let run = pair.start(&format!(", options => '{options}', jobs => 1"));
    poll("the worker to wait", || pair.target.is("SELECT EXISTS (SELECT FROM pg_locks l WHERE NOT granted AND relation = 'big'::regclass)"));
    meanwhile();
    locker.simple_query("COMMIT").unwrap();
    pair.wait_for_end(&run);
    run
}

fn swap(edition: Edition) {
    let pair = Pair::plain("guarded_swap", edition);
    pair.both(&["CREATE TABLE a (n int)"]);
    pair.source.sql("INSERT INTO a VALUES (1)");
    let run = held(&pair, r#"{"mode": "data"}"#, || {
        pair.source.sql("CREATE TABLE new (LIKE a); INSERT INTO new TABLE a; DROP TABLE a; ALTER TABLE new RENAME TO a")
    });
    let error = pair.target.value(&format!("SELECT error FROM timescale_migrate.run WHERE id = {run}"));
    assert_eq!(error, "another table of the source has taken the name of public.a since the run began");
}

//! What an abandoned run has made can be removed by one call, and nothing else goes with it.

use crate::slow;
use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, poll, quote};

pub const TESTS: &[Test] = &[
    Test::both("as before, and ready for another run", as_before),
    Test::both("a run that failed at its end", late),
    Test::apache("what others made upon it stays, with what it needs", outsiders),
    Test::apache("runs that cannot be removed", refused),
];

/// A role that the test has for itself; roles are the servers'.
fn role(pair: &Pair) -> String {
    format!("of {}", pair.source.name)
}

/// Everything that lies in the target.
fn state(pair: &Pair) -> Vec<String> {
    let list = "SELECT pg_describe_object(classid, objid, 0) FROM timescale_migrate.object
        WHERE classid <> 'pg_authid'::regclass OR pg_get_userbyid(objid) = ':role'
        UNION ALL SELECT 'internal ' || oid::regclass FROM pg_class
                  WHERE relnamespace::regnamespace::text = '_timescaledb_internal' AND relkind = 'r' AND relname !~ '^bgw_'
        UNION ALL SELECT 'hypertable ' || hypertable_name FROM timescaledb_information.hypertables
        UNION ALL SELECT 'job ' || job_id FROM timescaledb_information.jobs
        UNION ALL SELECT 'setting ' || setconfig::text FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase
                  WHERE datname = current_database()
        UNION ALL SELECT concat_ws(' ', 'database', datdba::regrole, datconnlimit, shobj_description(oid, 'pg_database'), coalesce(datacl, acldefault('d', datdba)))
                  FROM pg_database WHERE datname = current_database()
        UNION ALL SELECT concat_ws(' ', nspname, nspowner::regrole, obj_description(oid, 'pg_namespace'),
                                   (SELECT string_agg(acl::text, ' ' ORDER BY acl::text) FROM unnest(coalesce(nspacl, acldefault('n', nspowner))) acl))
                  FROM pg_namespace WHERE nspname IN ('public', 'mine', 'common')
        ORDER BY 1";
    pair.target.rows(&list.replace(":role", &role(pair))).iter().map(|row| row.get(0).unwrap().to_owned()).collect()
}

/// One of everything that makes an order of removal hard.
fn fill(pair: &Pair, edition: Edition) {
    slow::fill(pair);
    let (role, database) = (quote(&role(pair)), quote(&pair.source.name));
    pair.source.sql(&format!("DROP ROLE IF EXISTS {role}"));
    pair.source.sql(&format!(
        "CREATE ROLE {role}; CREATE SCHEMA \"S x\"; CREATE TYPE \"S x\".mood AS ENUM ('a', 'b');
         CREATE TYPE based; CREATE FUNCTION based_in(cstring) RETURNS based LANGUAGE internal STRICT IMMUTABLE AS 'int4in';
         CREATE FUNCTION based_out(based) RETURNS cstring LANGUAGE internal STRICT IMMUTABLE AS 'int4out';
         CREATE TYPE based (INPUT = based_in, OUTPUT = based_out, LIKE = int4);
         CREATE TABLE hen (id int PRIMARY KEY, egg int, m \"S x\".mood, b based); CREATE TABLE egg (id serial PRIMARY KEY, hen int REFERENCES hen);
         ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg;
         CREATE TABLE part (n int) PARTITION BY RANGE (n); CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (9);
         CREATE VIEW over AS SELECT h.id, s.n FROM hen h, slow s; CREATE MATERIALIZED VIEW summed AS SELECT count(*) FROM over;
         CREATE FUNCTION f() RETURNS SETOF over LANGUAGE sql BEGIN ATOMIC SELECT * FROM over; END;
         CREATE PUBLICATION told FOR TABLE hen; CREATE STATISTICS known ON id, egg FROM hen; CREATE EXTENSION hstore;
         CREATE DOMAIN \"S x\".little AS int CHECK (VALUE < 9); CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
         ALTER TABLE hen OWNER TO {role}; ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT SELECT ON TABLES TO PUBLIC;
         ALTER DATABASE {database} SET work_mem = '8MB'; ALTER DATABASE {database} CONNECTION LIMIT 77; COMMENT ON DATABASE {database} IS 'of the source';
         GRANT CREATE ON DATABASE {database} TO {role}; SELECT lo_from_bytea(0, 'large');
         ALTER SCHEMA public OWNER TO {role}; GRANT CREATE ON SCHEMA public TO PUBLIC; COMMENT ON SCHEMA public IS 'theirs';
         CREATE SCHEMA common AUTHORIZATION {role}; GRANT USAGE ON SCHEMA common TO PUBLIC"
    ));
    if edition == Edition::Community {
        for statement in [
            "SELECT _timescaledb_functions.stop_background_workers()",
            "CREATE TABLE packed (t timestamptz NOT NULL, d int)",
            "SELECT create_hypertable('packed', by_range('t', INTERVAL '1 day'))",
            "ALTER TABLE packed SET (timescaledb.compress, timescaledb.compress_segmentby = 'd')",
            "INSERT INTO packed SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n % 3 FROM generate_series(1, 100) n",
            "SELECT count(compress_chunk(c)) FROM show_chunks('packed') c",
            "CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous) AS
             SELECT time_bucket('1 hour', t) AS h, count(*) AS n FROM packed GROUP BY 1",
            "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS
             SELECT time_bucket('1 day', h) AS d, sum(n) AS n FROM hourly GROUP BY 1",
            "CREATE VIEW over_daily AS SELECT * FROM daily",
            "SELECT add_retention_policy('packed', INTERVAL '100 years')",
            "CREATE PROCEDURE act(job_id int, config jsonb) LANGUAGE sql AS 'SELECT 1'",
            "SELECT add_job('act', '1 day', initial_start => '2100-01-04 UTC')",
        ] {
            pair.source.sql(statement);
        }
    }
    // What existed before and looks as if it were the run's.
    pair.target.sql(&format!(
        "DROP ROLE IF EXISTS {role}; CREATE SCHEMA mine; CREATE TABLE mine.own (n int); CREATE VIEW mine.seen AS SELECT * FROM mine.own; CREATE SCHEMA common;
         ALTER DATABASE {} SET statement_timeout = '7min'", quote(&pair.target.name)
    ));
}

#[track_caller]
fn clean_up(pair: &Pair, run: &str) {
    assert!(pair.target.is(&format!("SELECT migrate_cleanup({run}) > 5")));
    assert_eq!(pair.state(run), "removed");
    pair.wait_for_silence();
}

/// Whatever the caller's database may have by its own is no part of the comparison.
fn assert_ready_for_another(pair: &Pair) {
    pair.source.sql(slow::FAST);
    pair.migrate();
    pair.target.sql("DROP SCHEMA mine CASCADE");
    pair.target.sql(&format!("ALTER DATABASE {} RESET statement_timeout", quote(&pair.target.name)));
    assert_same(pair);
}

fn as_before(edition: Edition) {
    let pair = Pair::new("cleanup", edition);
    fill(&pair, edition);
    let before = state(&pair);
    let run = pair.start(", jobs => 2");
    slow::wait_for_the_middle(&pair);
    assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, 'immediate')")));
    pair.wait_for_state(&run, "cancelled");
    pair.wait_for_silence();
    assert_ne!(state(&pair), before);
    clean_up(&pair, &run);
    assert_eq!(state(&pair), before);
    let again = pair.target.value(&format!("SELECT migrate_cleanup({run})"));
    assert_eq!(again, "0", "a second cleanup removed something");
    assert_ready_for_another(&pair);
}

fn late(edition: Edition) {
    let pair = Pair::new("cleanup_late", edition);
    fill(&pair, edition);
    // The largest, and so the first.
    pair.source.sql("CREATE TABLE spoilt (filler text); INSERT INTO spoilt SELECT repeat('x', 500) FROM generate_series(1, 3000)");
    let before = state(&pair);
    let run = pair.start(r#", jobs => 2, options => '{"verify": "checksum"}'"#);
    let copied = "SELECT count(*) = 1 FROM timescale_migrate.task WHERE object = 'public.spoilt' AND state = 'done'";
    poll("the table to be copied", || pair.target.is(copied));
    // Found by the comparison at the end.
    pair.target.sql("INSERT INTO spoilt VALUES (1)");
    slow::hurry(&pair);
    pair.wait_for_state(&run, "failed");
    pair.wait_for_silence();
    clean_up(&pair, &run);
    assert_eq!(state(&pair), before);
    pair.source.sql("DROP TABLE spoilt");
    assert_ready_for_another(&pair);
}

fn outsiders(edition: Edition) {
    let pair = Pair::new("cleanup_outsiders", edition);
    fill(&pair, edition);
    let before = state(&pair);
    let run = pair.start(", jobs => 2");
    slow::wait_for_the_middle(&pair);
    pair.target.sql(&format!("SELECT migrate_cancel({run}, 'immediate')"));
    pair.wait_for_state(&run, "cancelled");
    pair.wait_for_silence();
    pair.target.sql("CREATE VIEW mine.upon AS SELECT id, m FROM hen; CREATE TABLE mine.child (n slow)");
    let error = pair.target.refuses(&format!("SELECT migrate_cleanup({run})"), &["table public.hen: needed by", "view mine.upon", "table public.slow: needed by"]);
    assert_eq!(error.code().code(), "2BP01");
    assert!(pair.target.is("SELECT count(*) = 0 FROM mine.upon"));
    assert!(pair.target.is("SELECT to_regclass('slow_too') IS NULL AND to_regclass('egg') IS NULL AND to_regtype('hstore') IS NULL"));
    let error = pair.target.error(&format!("SELECT * FROM migrate_resume({run})"));
    assert_eq!(error.message(), format!("run {run} was removed and cannot be resumed"));
    // The rest is told, and nobody else sees it.
    assert!(pair.target.is(&format!("SELECT message ~ 'removed in part. Call migrate_cleanup\\({run}\\)' FROM migrate_status({run})")));
    assert!(pair.target.is("SELECT datconnlimit = 0 FROM pg_database WHERE datname = current_database()"));
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["already exists on the target", &format!("Call migrate_cleanup({run}) to remove the rest.")]);
    pair.target.sql("DROP VIEW mine.upon; DROP TABLE mine.child");
    clean_up(&pair, &run);
    assert_eq!(state(&pair), before);
}

fn refused(edition: Edition) {
    let pair = Pair::new("cleanup_refused", edition);
    slow::fill(&pair);
    let refuses = |run: &str, message: &str, code: &str| {
        let error = pair.target.error(&format!("SELECT migrate_cleanup({run})"));
        assert_eq!((error.message(), error.code().code()), (message, code));
    };
    refuses("4711", "run 4711 does not exist", "42704");
    let run = pair.start("");
    slow::wait_for_the_middle(&pair);
    refuses(&run, &format!("run {run} is running and cannot be removed"), "55000");
    slow::hurry(&pair);
    pair.wait_for_state(&run, "done");
    pair.wait_for_silence();
    refuses(&run, &format!("run {run} is done and cannot be removed"), "55000");
    pair.target.value("SELECT count(*) FROM migrate_verify('old')");
    let verify = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    refuses(&verify, &format!("run {verify} is not a migration and cannot be removed"), "55000");
    assert_same(&pair);
}

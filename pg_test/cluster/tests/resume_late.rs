//! A run that stopped when all had been copied, triggers and indexes included, finds a source on which everything has changed.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, assert_same_but, of_edition, shared_source};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::both("and a target that has crashed", all_at_once),
    Test::apache("columns of another type", columns),
    Test::community("a chunk is compressed further while its copy waits", compressed_further),
    Test::apache("an unlogged table is read on the target meanwhile", read_meanwhile),
];

/// Stays in the phase in which it is refreshed, on the target alone.
pub const CRAWL: &str = "CREATE FUNCTION crawl() RETURNS int LANGUAGE plpgsql AS
        'BEGIN IF EXISTS (SELECT FROM pg_extension WHERE extname = ''timescale_migrate'') THEN PERFORM pg_sleep(600); END IF; RETURN 1; END';
    CREATE MATERIALIZED VIEW late AS SELECT crawl()";
const FAST: &str = "CREATE OR REPLACE FUNCTION crawl() RETURNS int LANGUAGE sql AS 'SELECT 1'";

/// Starts a run, and ends it at that point. What was written before it is older than all that it copies under.
pub fn stopped(pair: &Pair, options: &str) -> String {
    pair.wait_for_older_transactions();
    let run = pair.start(&format!(", options => '{options}'"));
    cluster::poll("the run to refresh its view", || pair.target.is("SELECT phase = 'refresh' FROM migrate_status()"));
    assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, 'immediate')")));
    pair.wait_for_state(&run, "cancelled");
    pair.wait_for_silence();
    pair.both(&[FAST]);
    run
}

fn all_at_once(edition: Edition) {
    let pair = Pair::between("resume_late_all", shared_source(edition), Arc::new(of_edition(edition, &[])));
    pair.source.sql("CREATE EXTENSION timescaledb");
    pair.source.sql(
        "CREATE TABLE grown (n int PRIMARY KEY, filler text); INSERT INTO grown VALUES (1, 'x');
         CREATE TABLE same (n int); INSERT INTO same SELECT generate_series(1, 100);
         CREATE UNLOGGED TABLE fleeting (n int); INSERT INTO fleeting SELECT generate_series(1, 100);
         CREATE TABLE h (t timestamptz NOT NULL, n int); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n FROM generate_series(0, 99) n;
         CREATE TABLE stamped (n int, by text); CREATE TABLE log (n int);
         CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN INSERT INTO public.log VALUES (1); IF TG_OP = ''INSERT'' THEN NEW.by := ''trigger''; END IF; RETURN NEW; END';
         CREATE TRIGGER always BEFORE INSERT ON stamped FOR EACH ROW EXECUTE FUNCTION stamp();
         CREATE TRIGGER emptied BEFORE TRUNCATE ON stamped FOR EACH STATEMENT EXECUTE FUNCTION stamp();
         INSERT INTO stamped VALUES (1, 'me'); UPDATE stamped SET by = 'me'; ALTER TABLE stamped ENABLE ALWAYS TRIGGER always",
    );
    pair.source.sql("SELECT lo_from_bytea(4711, 'left'), lo_from_bytea(4712, 'changed'), lo_from_bytea(4713, 'gone')");
    pair.source.sql(CRAWL);
    let run = stopped(&pair, r#"{"split_bytes": 100000}"#);
    let copied = |object: &str| {
        pair.target.value(&format!("SELECT string_agg(started_at::text, ' ') FROM timescale_migrate.task WHERE phase = 'copy' AND object = '{object}'"))
    };
    let before = copied("public.same");
    pair.target.cluster.stop_immediately();
    pair.target.cluster.start_again();
    assert!(pair.target.is("SELECT count(*) = 0 FROM fleeting"));
    pair.source.sql(
        "INSERT INTO grown SELECT n, repeat('x', 500) FROM generate_series(2, 3000) n; UPDATE stamped SET by = 'me again';
         UPDATE h SET n = -n WHERE n = 7; SELECT lo_put(4712, 0, 'another'), lo_unlink(4713), lo_from_bytea(4714, 'new')",
    );
    // Other options than it began with, as far as that can be.
    pair.target.refuses(&format!("SELECT * FROM migrate_resume({run}, options => '{{\"split_bytes\": 0}}')"), &["split_bytes"]);
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run}, options => '{{\"verify\": \"checksum\", \"retries\": 2}}')"));
    assert!(pair.target.is("SELECT options @> '{\"verify\": \"checksum\", \"retries\": 2, \"split_bytes\": 100000}' FROM timescale_migrate.run"));
    assert_eq!(copied("public.same"), before, "copied again without need");
    assert!(pair.messages().contains("public.fleeting was emptied by a crash"), "{}", pair.messages());
    assert_same(&pair);
}

/// Whether a crash has emptied a table, a resume finds out without waiting for who reads it.
fn read_meanwhile(edition: Edition) {
    let pair = Pair::plain("resume_late_read", edition);
    pair.source.sql("CREATE UNLOGGED TABLE fleeting (n int); INSERT INTO fleeting SELECT generate_series(1, 100)");
    pair.source.sql(CRAWL);
    let run = stopped(&pair, "{}");
    let mut reader = pair.target.connect();
    reader.batch_execute("BEGIN; LOCK TABLE fleeting IN ACCESS SHARE MODE").unwrap();
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run}, wait => false)"));
    pair.wait_for_end(&run);
    pair.is_done(&run);
    reader.batch_execute("COMMIT").unwrap();
    assert_same(&pair);
}

fn columns(edition: Edition) {
    let pair = Pair::plain("resume_late_columns", edition);
    pair.source.sql("CREATE TABLE typed (n bigint); INSERT INTO typed VALUES (1)");
    pair.source.sql(CRAWL);
    let run = stopped(&pair, "{}");
    pair.source.sql("ALTER TABLE typed ALTER n TYPE float8");
    let error = pair.target.refuses(&format!("SELECT * FROM migrate_resume({run})"), &["migrate_cleanup"]);
    assert_eq!(error.message(), "the columns of public.typed have changed on the source since the run began: \"n\" is of type double precision instead of bigint");
}

/// By what reads compressed chunks on the source it is not seen that rows beside the batches were there before.
fn compressed_further(edition: Edition) {
    let pair = Pair::new("resume_late_compressed", edition);
    crate::slow::fill(&pair);
    pair.source.sql("SELECT _timescaledb_functions.stop_background_workers()");
    // Of a type that no compressed chunk can bring along.
    for statement in [
        "CREATE EXTENSION hstore",
        "CREATE TABLE packed (t timestamptz NOT NULL, device int, tags hstore)",
        "SELECT create_hypertable('packed', by_range('t', INTERVAL '1 day'))",
        "ALTER TABLE packed SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't')",
        "INSERT INTO packed SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 minute', n % 3, 'a=>1' FROM generate_series(0, 99) n",
        "SELECT compress_chunk(c) FROM show_chunks('packed') c",
        "INSERT INTO packed SELECT timestamptz '2024-01-01 00:00:30 UTC' + n * INTERVAL '1 minute', n % 3, 'a=>2' FROM generate_series(0, 99) n",
    ] {
        pair.source.sql(statement);
    }
    // The first by its size.
    pair.source.sql(
        "CREATE TABLE larger (n int CHECK (public.slowly(n)), filler text);
         INSERT INTO larger SELECT n, repeat('x', 2000) FROM generate_series(1, 500) n",
    );
    let run = pair.start(", jobs => 1");
    let begun = "SELECT count(*) = 1 FROM timescale_migrate.task WHERE object = 'public.larger' AND state = 'running'";
    cluster::poll("the first table to be copied", || pair.target.is(begun));
    let open = "SELECT count(*) = 1 FROM timescale_migrate.task WHERE object LIKE '%of public.packed' AND state = 'pending' AND method LIKE '%again'";
    assert!(pair.target.is(open), "{:?}", pair.target.rows("SELECT object, state, method FROM timescale_migrate.task"));
    let partial = "SELECT count(*) = 1 FROM _timescaledb_catalog.chunk WHERE status & 8 <> 0";
    assert!(pair.source.is(partial));
    pair.source.sql("SELECT compress_chunk(c) FROM show_chunks('packed') c");
    assert!(!pair.source.is(partial));
    crate::slow::hurry(&pair);
    pair.wait_for_state(&run, "done");
    pair.wait_for_silence();
    assert!(pair.messages().contains("has changed on the source since the snapshot: copied under a later one"), "{}", pair.messages());
    assert_eq!(pair.target.value("SELECT count(*) FROM packed"), "200");
    assert_same_but(&pair, &["batches of ", "compressed ", "status of ", "rows of _timescaledb", "sparse "]);
}

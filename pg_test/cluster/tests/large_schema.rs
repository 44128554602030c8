//! A schema that takes more locks than one transaction can have: made in several, of which each
//! stays when a later one fails.

use cluster::{Edition, Pair, assert_same, of_edition, shared_source};
use cluster::suite::Test;
use std::sync::Arc;

pub const TESTS: &[Test] = &[Test::richest("made in several transactions, and gone on with after a failure", in_parts)];

/// Among them the table that cannot be made: in the middle, as pg_dump sorts by name.
const OBSTACLE: &str = "CREATE FUNCTION obstacle() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.t400') THEN
            RAISE 'no room';
        END IF;
    END $$;
    CREATE EVENT TRIGGER obstacle ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION obstacle()";

fn in_parts(edition: Edition) {
    // Room for some 1500 locks, where a table alone has three: itself, its TOAST, and that one's index.
    let target = of_edition(edition, &[("max_locks_per_transaction", "10"), ("max_connections", "20")]);
    let pair = Pair::between("large_schema", shared_source(edition), Arc::new(target));
    pair.source.sql("CREATE EXTENSION timescaledb");
    pair.source.sql(
        "DO $$ BEGIN FOR i IN 100..849 LOOP
             EXECUTE format('CREATE TABLE t%1$s (n int, v text); COMMENT ON TABLE t%1$s IS ''number %1$s''; INSERT INTO t%1$s VALUES (%1$s)', i);
         END LOOP; END $$;
         CREATE TABLE hyper (t timestamptz NOT NULL, n int);
         SELECT create_hypertable('hyper', by_range('t', INTERVAL '1 day'));
         INSERT INTO hyper VALUES ('2024-01-01 UTC', 1), ('2024-01-02 UTC', 2)",
    );
    pair.target.sql(OBSTACLE);
    let error = pair.target.error("SELECT * FROM migrate_from('old', jobs => 2)");
    assert_eq!(error.message(), "TABLE public.t400: no room");
    pair.wait_for_silence();
    let made = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname ~ '^t[0-9]'";
    let first = pair.target.value(made);
    assert!(first.starts_with("t100 t101 ") && !first.contains("t400"), "{first}");

    // What it has made is in nobody's way but another run's.
    pair.target.sql("DROP EVENT TRIGGER obstacle; DROP FUNCTION obstacle");
    let error = pair.target.error("SELECT * FROM migrate_from('old', jobs => 2)");
    assert_eq!(error.code().code(), "42710", "{error:?}");
    pair.wait_for_silence();
    // One before and one behind the place where it stopped go, and some come.
    pair.source.sql("DROP TABLE t100; DROP TABLE t800; CREATE TABLE t0 (n int); CREATE TABLE t500_too (n int)");
    pair.target.sql("SELECT * FROM migrate_resume(1, wait => true)");
    pair.wait_for_silence();
    assert!(pair.messages().contains("TABLE public.t100 was dropped on the source since the run began"), "{}", pair.messages());
    assert!(!pair.messages().contains("is new"), "{}", pair.messages());
    pair.target.sql("DROP TABLE t100");
    assert_same(&pair);
}

//! Constraints, also those that the source's rows or their order make hard.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, quote};

pub const TESTS: &[Test] = &[
    Test::both("a foreign key that the source violates arrives NOT VALID", violated),
    Test::apache("cycles, self references, deferrable, NOT VALID", hard_ones),
    Test::both("between hypertables and plain tables", with_hypertables),
    Test::both("a function that needs the application's search_path", search_path),
];

fn violated(edition: Edition) {
    let pair = Pair::new("violated", edition);
    // As rows got in while triggers were off.
    pair.source.sql(
        "CREATE TABLE a (n int PRIMARY KEY); INSERT INTO a VALUES (1), (2);
         CREATE TABLE b (n int CONSTRAINT b_in_a REFERENCES a);
         CREATE TABLE c (n int CONSTRAINT c_in_a REFERENCES a); INSERT INTO c VALUES (2);
         SET session_replication_role = replica; INSERT INTO b VALUES (1), (99)",
    );
    let summary = pair.migrate();
    assert_eq!(summary.get("state"), Some("done"));
    assert_eq!(pair.warnings_of_run(), 1, "{}", pair.messages());
    assert!(pair.messages().contains("b_in_a"), "{}", pair.messages());
    let valid = "SELECT string_agg(conname || ' ' || convalidated, ', ' ORDER BY conname) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace";
    assert_eq!(pair.target.value(valid), "b_in_a false, c_in_a true");
    assert_eq!(pair.target.value("SELECT count(*) FROM b"), "2");
}

fn hard_ones(edition: Edition) {
    let pair = Pair::plain("hard_constraints", edition);
    pair.source.sql(
        "CREATE TABLE egg (n int PRIMARY KEY, hen int);
         CREATE TABLE hen (n int PRIMARY KEY, egg int REFERENCES egg DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO egg VALUES (1, 1); INSERT INTO hen VALUES (1, 1);
         ALTER TABLE egg ADD FOREIGN KEY (hen) REFERENCES hen ON DELETE SET NULL (hen);
         CREATE TABLE tree (n int PRIMARY KEY, up int REFERENCES tree MATCH FULL ON UPDATE CASCADE);
         INSERT INTO tree VALUES (1, 1), (2, 1);
         CREATE TABLE loose (n int, m int UNIQUE NULLS NOT DISTINCT); INSERT INTO loose VALUES (-1, NULL);
         ALTER TABLE loose ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;
         ALTER TABLE loose ADD CONSTRAINT known FOREIGN KEY (n) REFERENCES tree NOT VALID;
         CREATE TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED, EXCLUDE USING gist (int4range(n, n + 1) WITH &&) WHERE (n > 5));
         CREATE FUNCTION sum_of_tree() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(n) FROM public.tree';
         CREATE TABLE a_checked (n int CHECK (n <= sum_of_tree())); INSERT INTO a_checked VALUES (3)",
    );
    pair.migrate();
    assert_same(&pair);
}

fn with_hypertables(edition: Edition) {
    let pair = Pair::new("hypertable_keys", edition);
    pair.source.sql(
        "CREATE TABLE device (id int PRIMARY KEY); INSERT INTO device SELECT generate_series(1, 5);
         CREATE TABLE reading (t timestamptz, device int REFERENCES device ON DELETE CASCADE, v float8, PRIMARY KEY (t, device));
         SELECT create_hypertable('reading', by_range('t', INTERVAL '1 day'));
         INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours', 1 + n % 5, n FROM generate_series(1, 30) n;
         CREATE TABLE alarm AS SELECT t, device FROM reading WHERE v > 20;
         ALTER TABLE alarm ADD FOREIGN KEY (t, device) REFERENCES reading ON DELETE CASCADE",
    );
    pair.migrate();
    assert_same(&pair);
    for side in [&pair.source, &pair.target] {
        side.sql("DELETE FROM device WHERE id = 3");
    }
    assert_same(&pair);
}

/// It stops the run, and the hint says what to do.
fn search_path(edition: Edition) {
    let pair = Pair::new("search_path", edition);
    pair.source.sql(&format!("ALTER DATABASE {} SET search_path = app, public", quote(&pair.source.name)));
    pair.source.sql(
        "CREATE SCHEMA app; CREATE TABLE app.bounds (most int); INSERT INTO app.bounds VALUES (100);
         CREATE FUNCTION app.fits(n int) RETURNS boolean LANGUAGE plpgsql STABLE AS 'BEGIN RETURN n <= (SELECT most FROM bounds); END';
         CREATE FUNCTION app.half(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n / 2';
         CREATE FUNCTION app.quarter(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN half(half(n)); END';
         CREATE TABLE app.checked (t timestamptz NOT NULL, n int CHECK (app.fits(n)), q int GENERATED ALWAYS AS (app.quarter(n)) STORED);
         SELECT create_hypertable('app.checked', by_range('t', INTERVAL '1 day'));
         INSERT INTO app.checked SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n FROM generate_series(1, 50) n",
    );
    let run = pair.start("");
    for function in ["quarter", "fits"] {
        pair.wait_for_state(&run, "failed");
        pair.wait_for_silence();
        let said = pair.target.value(&format!("SELECT concat_ws(' ', phase, hint, context) FROM timescale_migrate.run WHERE id = {run}"));
        assert!(said.contains("ALTER FUNCTION ... SET search_path") && said.contains(function), "{said}");
        pair.target.sql(&format!("ALTER FUNCTION app.{function} SET search_path = app"));
        pair.source.sql(&format!("ALTER FUNCTION app.{function} SET search_path = app"));
        pair.target.value(&format!("SELECT run FROM migrate_resume({run}, wait => false)"));
    }
    pair.wait_for_state(&run, "done");
    assert_same(&pair);
}

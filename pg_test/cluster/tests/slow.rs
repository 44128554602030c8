//! A source whose copy takes as long as a test needs: each row's CHECK sleeps on the target.

use cluster::Pair;

pub const FAST: &str =
    "CREATE OR REPLACE FUNCTION slowly(n int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END'";

/// Makes a hypertable `slow` and a plain table `slow_too`; the copy of each takes seconds.
pub fn fill(pair: &Pair) {
    pair.source.sql(
        "CREATE FUNCTION slowly(n int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
         CREATE TABLE slow (t timestamptz NOT NULL, n int CHECK (public.slowly(n)));
         SELECT create_hypertable('slow', by_range('t', INTERVAL '1 day'));
         INSERT INTO slow SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '10 minutes', n
         FROM generate_series(1, 2000) n;
         CREATE TABLE slow_too (n int CHECK (public.slowly(n)));
         INSERT INTO slow_too SELECT generate_series(1, 1000);
         CREATE OR REPLACE FUNCTION slowly(n int) RETURNS boolean LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_sleep(0.01); RETURN true; END'",
    );
}

/// Makes a plain table `slow`; its copy takes seconds.
pub fn make_plain(pair: &Pair) {
    pair.source.sql(FAST);
    pair.source.sql(
        "CREATE TABLE slow (n int CHECK (public.slowly(n)));
         INSERT INTO slow SELECT generate_series(1, 1000);
         CREATE OR REPLACE FUNCTION slowly(n int) RETURNS boolean LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_sleep(0.01); RETURN true; END'",
    );
}

/// Waits until the run has copied something and has not copied all.
pub fn wait_for_the_middle(pair: &Pair) {
    cluster::poll("some tasks to be done", || {
        let status = pair
            .target
            .rows("SELECT state, tasks_done > 0 AND tasks_done < tasks AND rows > 0, message FROM migrate_status()");
        let Some(status) = status.first() else {
            return false;
        };
        assert_eq!(status.get(0), Some("running"), "{:?}", status.get(2));
        status.get(1) == Some("t")
    });
}

/// Lets the copy finish at once from now on.
pub fn hurry(pair: &Pair) {
    pair.both(&[FAST]);
}

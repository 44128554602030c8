//! The preflight tells one server from several behind one address, and from a pooler.

mod front;

use cluster::suite::Test;
use cluster::{Cluster, Edition, Pair, assert_same, of_edition};
use front::Front;
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::apache("one server", one_server),
    Test::apache("a load balancer before a server and its standby", load_balancer),
    Test::apache("a pooler that shares sessions", shared_sessions),
    Test::apache("a pooler that keeps sessions apart", own_sessions),
    Test::apache("a standby as the source", standby),
    Test::apache("nobody at the other end", nobody),
];

fn pair_on_own_source(name: &str, edition: Edition) -> Pair {
    let pair = Pair::between(name, Arc::new(of_edition(edition, &[])), cluster::shared_target(edition));
    pair.source.sql("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 1000)");
    pair
}

/// Lets the target reach the source by another port.
fn reach_by(pair: &Pair, port: u16) {
    pair.target.sql(&format!("ALTER SERVER old OPTIONS (SET port '{port}')"));
}

/// As the preflight names a server.
fn name_of(cluster: &Cluster) -> String {
    let query = "SELECT date_trunc('second', pg_postmaster_start_time())";
    let mut client = cluster.config("postgres").options("-c timezone=UTC").connect(postgres::NoTls).unwrap();
    let started = client.simple_query(query).unwrap();
    let Some(postgres::SimpleQueryMessage::Row(row)) = started.get(1) else { panic!("{started:?}") };
    format!("127.0.0.1:{}, started {}", cluster.port, row.get(0).unwrap())
}

fn one_server(edition: Edition) {
    let pair = Pair::plain("endpoint_one", edition);
    let server = name_of(&pair.source.cluster);
    assert_eq!(pair.preflight("endpoint"), [format!("ok | {server} | two connections reached the same server")]);
}

fn load_balancer(edition: Edition) {
    let pair = pair_on_own_source("endpoint_balanced", edition);
    let replica = pair.source.cluster.standby();
    let (first, second) = (name_of(&pair.source.cluster), name_of(&replica));
    reach_by(&pair, Front::balance([pair.source.cluster.port, replica.port]));
    let hint = "Name one server, without a load balancer: all sessions of a run must share one snapshot.";
    assert_eq!(
        pair.preflight("endpoint"),
        [format!("error | {first} | a second connection reached a different server: {second} | {hint}")]
    );
    pair.target.refuses_with(
        "SELECT * FROM migrate_from('old')",
        &format!(
            "ERROR: cannot migrate: endpoint: {first}: a second connection reached a different server: {second} (SQLSTATE 22023)\nHINT: {hint}"
        ),
    );
    assert_eq!(pair.target.value("SELECT to_regclass('t') IS NULL"), "t");
}

fn shared_sessions(edition: Edition) {
    let pair = pair_on_own_source("endpoint_pooled", edition);
    let server = name_of(&pair.source.cluster);
    reach_by(&pair, Front::share_one_session(pair.source.cluster.port));
    let expected = format!(
        "error | {server} | a connection pooler lets several connections share one session | \
         Connect to the server itself, or have the pooler keep sessions apart (pgbouncer: pool_mode = session)."
    );
    assert_eq!(pair.preflight("endpoint"), [expected]);
}

fn own_sessions(edition: Edition) {
    let pair = pair_on_own_source("endpoint_sessions", edition);
    let server = name_of(&pair.source.cluster);
    reach_by(&pair, Front::keep_sessions_apart(pair.source.cluster.port));
    let expected = format!(
        "warning | {server} | connections go through a pooler, which must keep sessions apart and have room for all of them | \
         Connect to the server itself if that is possible."
    );
    assert_eq!(pair.preflight("endpoint"), [expected]);
    // A warning is no obstacle.
    pair.migrate();
    assert!(pair.messages().contains("connections go through a pooler"), "{}", pair.messages());
    assert_same(&pair);
}

fn standby(edition: Edition) {
    let pair = pair_on_own_source("endpoint_standby", edition);
    let replica = pair.source.cluster.standby();
    let server = name_of(&replica);
    reach_by(&pair, replica.port);
    let expected = format!(
        "warning | {server} | is a standby, where replaying changes may cancel what the run reads | \
         Raise max_standby_streaming_delay there, or name the primary as the source."
    );
    assert_eq!(pair.preflight("endpoint"), [expected]);
    pair.migrate();
    assert_same(&pair);
}

fn nobody(edition: Edition) {
    let pair = Pair::plain("endpoint_nobody", edition);
    reach_by(&pair, 1);
    let rows = pair.preflight("connection");
    let start = "error | 127.0.0.1 | connection to server at \"127.0.0.1\", port 1 failed: Connection refused";
    assert!(rows.len() == 1 && rows[0].starts_with(start), "{rows:?}");
}

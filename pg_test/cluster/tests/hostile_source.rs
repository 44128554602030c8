//! A source that is not what it should be: what it sends harms neither this server nor its log.

use cluster::proxy::{Proxy, Strike, frame};
use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};
use std::sync::atomic::{AtomicBool, Ordering};

pub const TESTS: &[Test] = &[
    Test::apache("notices of a connection's start are in no log", notices),
    Test::apache("a view in a table's place is not read", view_in_place),
    Test::community("a restriction of views is the users' alone", restricted),
];

const NOTICE: u8 = b'N';
const READY: u8 = b'Z';

/// A pair whose source is behind a proxy.
fn behind_a_proxy(name: &str, edition: Edition) -> (Pair, Proxy) {
    let pair = Pair::plain(name, edition);
    pair.source.sql("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 10)");
    let proxy = Proxy::new(pair.source.cluster.port);
    pair.target.sql(&format!("ALTER SERVER old OPTIONS (SET port '{}')", proxy.port));
    (pair, proxy)
}

fn notices(edition: Edition) {
    let (pair, proxy) = behind_a_proxy("hostile_notices", edition);
    let before = pair.target.cluster.log_length();
    proxy.look(|m| {
        let forged = b"SWARNING\0VWARNING\0C01000\0Mforged\nLOG:  connection authorized: user=postgres\0\0";
        let notice = frame(NOTICE, forged);
        // The first message that ends an answer ends the connection's start.
        (m.kind == READY).then(|| Strike::Send([notice, frame(READY, m.body)].concat()))
    });
    pair.migrate();
    let log = pair.target.cluster.log_since(before);
    assert!(!log.contains("forged") && !log.contains("connection authorized"), "{log}");
    pair.target.sql(&format!("ALTER SERVER old OPTIONS (SET port '{}')", pair.source.cluster.port));
    assert_same(&pair);
}

/// Renaming a schema waits for no lock on a table, and its owner need not be a superuser.
fn view_in_place(edition: Edition) {
    static SWAPPED: AtomicBool = AtomicBool::new(false);
    let (pair, proxy) = behind_a_proxy("hostile_view", edition);
    pair.migrate();
    let before = pair.source.cluster.log_length();
    let source = pair.source.cluster.config(&pair.source.name);
    proxy.look(move |m| {
        let locked = m.kind == READY && m.query.contains("LOCK TABLE ONLY \"public\".\"t\"");
        if locked && !SWAPPED.swap(true, Ordering::Relaxed) {
            let mut owner = source.connect(postgres::NoTls).unwrap();
            let swap = "ALTER SCHEMA public RENAME TO before; CREATE SCHEMA public;
                CREATE FUNCTION public.code() RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE LOG 'the code ran'; RETURN 1; END$$;
                CREATE VIEW public.t AS SELECT public.code() AS n";
            owner.batch_execute(swap).unwrap();
        }
        None
    });
    pair.target.refuses("SELECT * FROM migrate_verify('old')", &["access to non-system view \"t\" is restricted"]);
    assert!(SWAPPED.load(Ordering::Relaxed));
    let log = pair.source.cluster.log_since(before);
    assert!(!log.contains("LOG:  the code ran"), "{log}");
}

fn restricted(edition: Edition) {
    let pair = Pair::new("hostile_restricted", edition);
    pair.source.sql(
        "CREATE TABLE t (ts timestamptz NOT NULL); SELECT create_hypertable('t', 'ts'); INSERT INTO t VALUES ('2024-01-01 UTC')",
    );
    pair.source.sql("ALTER DATABASE hostile_restricted SET restrict_nonsystem_relation_kind = 'view, foreign-table'");
    pair.migrate();
    for side in [&pair.source, &pair.target] {
        side.sql("ALTER DATABASE hostile_restricted RESET restrict_nonsystem_relation_kind");
    }
    assert_same(&pair);
}

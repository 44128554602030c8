//! A password is in no table, no message, no log, no process title and no environment, nor in shared memory afterwards.

use crate::slow;
use cluster::suite::Test;
use cluster::{Edition, Pair, of_edition, shared_source};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::apache("leave no trace", leave_no_trace),
    Test::apache("pass as no statements", no_statements),
];

const SECRET: &str = "bWVsdGVkIHNub3c";

/// The titles of all processes. The secret is in none, and in no environment.
fn processes() -> String {
    let mut titles = String::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |file| {
            let bytes = std::fs::read(process.path().join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        assert!(!read("environ").contains(SECRET), "in an environment");
        titles += &read("cmdline");
    }
    assert!(!titles.contains(SECRET), "in a process title");
    titles
}

/// It passed through dynamic shared memory, which is a file while it is there.
fn is_in_shared_memory() -> bool {
    let contents = std::fs::read_dir("/dev/shm").unwrap().flatten().filter_map(|file| std::fs::read(file.path()).ok());
    contents.into_iter().any(|bytes| bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()))
}

fn leave_no_trace(edition: Edition) {
    let pair = Pair::new("secrets", edition);
    slow::fill(&pair);
    pair.source.sql(&format!("CREATE ROLE secrets_user SUPERUSER LOGIN PASSWORD '{SECRET}'"));
    let before = pair.target.cluster.log_length();
    let port = pair.source.cluster.port;
    // The statement itself is the caller's to log or not.
    let source = format!("host=127.0.0.1 port={port} dbname=secrets user=secrets_user password={SECRET}");
    let mut client = pair.target.connect();
    client.batch_execute("SET log_statement = none; SET log_min_error_statement = panic").unwrap();
    let call = format!(r#"SELECT * FROM migrate_from('{source}', '{{"retries": 0, "privileges": "drop"}}', wait => false)"#);
    // Only pg_dump reads this one, where privileges are dropped.
    let mut holder = pair.source.connect();
    holder.batch_execute("BEGIN; LOCK TABLE pg_catalog.pg_init_privs").unwrap();
    // It returns when the schema has been read.
    let caller = std::thread::spawn(move || {
        client.simple_query(&call).unwrap();
        client
    });
    cluster::poll("pg_dump to wait", || {
        pair.source.is("SELECT EXISTS (SELECT FROM pg_stat_activity
                        WHERE application_name LIKE 'timescale_migrate schema %' AND wait_event_type = 'Lock')")
    });
    assert!(processes().contains("dbname='secrets'"), "pg_dump was not found");
    drop(holder);
    let mut client = caller.join().unwrap();
    slow::wait_for_the_middle(&pair);

    processes();
    for side in [&pair.source, &pair.target] {
        let activity = "SELECT string_agg(concat_ws(' ', application_name, query, backend_type), ' ') FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
        let activity = side.value(&format!("{activity} AND query NOT LIKE '%migrate\\_from%'"));
        assert!(!activity.contains(SECRET), "{activity}");
    }
    // A failure tells most.
    pair.source.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name LIKE '%migrate%'",
    );
    cluster::poll("the run to fail", || pair.target.is("SELECT state = 'failed' FROM migrate_status()"));
    for table in pair.target.rows("SELECT oid::regclass FROM pg_class WHERE relnamespace = 'timescale_migrate'::regnamespace AND relkind IN ('r', 'v')") {
        let found = format!("SELECT count(*) FROM {} AS t WHERE t::text LIKE '%{SECRET}%'", table.get(0).unwrap());
        assert_eq!(pair.target.value(&found), "0", "{:?}", table.get(0));
    }
    // Nor does the run know it any more.
    slow::hurry(&pair);
    pair.wait_for_silence();
    cluster::poll("shared memory to be free of it", || !is_in_shared_memory());
    pair.target.refuses("SELECT * FROM migrate_resume(1)", &["No password is stored"]);
    client.simple_query(&format!("SELECT * FROM migrate_resume(1, '{source}')")).unwrap();
    pair.target.refuses("SELECT * FROM migrate_verify(1)", &["No password is stored"]);
    client.simple_query(&format!("SELECT * FROM migrate_verify(1, source => '{source}')")).unwrap();
    let log = pair.target.cluster.log_since(before);
    assert!(!log.contains(SECRET), "{log}");
}

/// What keeps statements, for its users to read, or writes them to the log sees none with a secret.
fn no_statements(edition: Edition) {
    let target = Arc::new(of_edition(edition, &[
        ("shared_preload_libraries", "timescaledb,pg_stat_statements"),
        ("pg_stat_statements.track", "all"),
        ("log_statement", "all"),
        ("log_min_duration_statement", "0"),
    ]));
    let pair = Pair::between("secrets_statements", shared_source(edition), target);
    pair.source.sql(&format!(
        "DROP ROLE IF EXISTS kept_secret; CREATE ROLE kept_secret LOGIN PASSWORD '{SECRET}'; CREATE TABLE t (); ALTER TABLE t OWNER TO kept_secret;
         CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
         CREATE USER MAPPING FOR kept_secret SERVER far OPTIONS (user 'me', password '{SECRET}')"
    ));
    let verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = 'kept_secret'";
    let mapping = "SELECT array_agg(o ORDER BY o) FROM pg_user_mappings, unnest(umoptions) o WHERE srvname = 'far'";
    pair.target.sql("CREATE EXTENSION pg_stat_statements");
    let before = pair.target.cluster.log_length();
    pair.migrate();
    for arrives in [verifier, mapping] {
        assert_eq!(pair.source.value(arrives), pair.target.value(arrives));
    }
    let verifier = pair.target.value(verifier);
    let seen = pair.target.value("SELECT string_agg(query, E'\n') FROM pg_stat_statements");
    assert!(seen.contains("CREATE TABLE public.t"), "{seen}");
    for text in [seen, pair.target.cluster.log_since(before)] {
        assert!(!text.contains(SECRET) && !text.contains(&verifier), "{text}");
    }
}

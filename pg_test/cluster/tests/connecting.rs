//! A source that cannot be connected to: what the user reads, and in which words.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, of_edition, shared_target};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::apache("nobody listens", refused),
    Test::apache("nobody answers", silent),
    Test::apache("something else answers", no_server),
    Test::apache("a wrong password, none, a wrong user", authentication),
    Test::apache("a database that there is not, or takes nobody", database),
    Test::apache("a service that there is not", service),
    Test::apache("a password from a passfile", passfile),
    Test::apache("a password is not sent in clear unasked", clear_password),
    Test::apache("no encryption", encryption),
    Test::apache("encryption with a key that has a password", client_key),
];

/// The call fails because there is no connection, and the detail says why.
#[track_caller]
fn cannot_connect(pair: &Pair, source: &str, detail: &str) {
    let text = format!("ERROR: could not connect to the source (SQLSTATE 08001)\nDETAIL: {detail}");
    for call in ["migrate_from", "migrate_plan", "migrate_verify"] {
        pair.target.refuses_with(&format!("SELECT * FROM {call}('{source}')"), &text);
    }
    let row = format!(
        "SELECT concat_ws(' | ', topic, status, detail) FROM migrate_preflight('{source}') WHERE topic = 'connection' AND status = 'error'"
    );
    assert_eq!(pair.target.value(&row), format!("connection | error | {detail}"));
}

fn reach(pair: &Pair, options: &str) {
    pair.target.sql(&format!("ALTER SERVER old OPTIONS ({options})"));
}

fn refused(edition: Edition) {
    let pair = Pair::plain("connect_refused", edition);
    reach(&pair, "SET port '1'");
    let detail = "connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n\
                  \tIs the server running on that host and accepting TCP/IP connections?";
    cannot_connect(&pair, "old", detail);
    cannot_connect(&pair, "host=127.0.0.1 port=1", detail);
    cannot_connect(&pair, "postgresql://127.0.0.1:1/app", detail);
    let socket = "connection to server on socket \"/nowhere/.s.PGSQL.1\" failed: No such file or directory\n\
                  \tIs the server running locally and accepting connections on that socket?";
    cannot_connect(&pair, "host=/nowhere port=1", socket);
}

fn silent(edition: Edition) {
    let pair = Pair::plain("connect_silent", edition);
    // It takes connections, and says nothing: as a host behind a firewall that drops packets.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    reach(&pair, &format!("SET port '{}'", listener.local_addr().unwrap().port()));
    pair.target.refuses_with(
        r#"SELECT * FROM migrate_from('old', '{"connect_timeout": 1}')"#,
        "ERROR: could not connect to the source: timeout expired (SQLSTATE 08001)\nDETAIL: No connection within 1 s.",
    );
    assert_eq!(
        pair.preflight_with("connection", r#"{"connect_timeout": 1}"#),
        ["error | 127.0.0.1 | No connection within 1 s."]
    );
    reach(&pair, "ADD connect_timeout '2'");
    assert_eq!(pair.preflight("connection"), ["error | 127.0.0.1 | No connection within 2 s."]);
    reach(&pair, "SET connect_timeout 'two'");
    pair.target.refuses_with(
        "SELECT * FROM migrate_from('old')",
        "ERROR: invalid integer value \"two\" for connection option \"connect_timeout\" (SQLSTATE 22023)",
    );
}

fn no_server(edition: Edition) {
    let pair = Pair::plain("connect_no_server", edition);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut client, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    reach(&pair, &format!("SET port '{port}'"));
    let detail = format!(
        "connection to server at \"127.0.0.1\", port {port} failed: received invalid response to SSL negotiation: H"
    );
    cannot_connect(&pair, "old", &detail);
}

fn authentication(edition: Edition) {
    let pair = Pair::plain("connect_password", edition);
    let port = pair.source.cluster.port;
    let failed = |why: &str| format!("connection to server at \"127.0.0.1\", port {port} failed: {why}");
    pair.target.sql("ALTER USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (SET password 'notthatone')");
    cannot_connect(&pair, "old", &failed("FATAL:  password authentication failed for user \"postgres\""));
    let uri = format!("postgresql://postgres:notthatone@127.0.0.1:{port}/connect_password");
    cannot_connect(&pair, &uri, &failed("FATAL:  password authentication failed for user \"postgres\""));
    let (mut client, heard) = pair.target.connect_listening();
    let row = "SELECT concat_ws(' | ', status, subject, detail, hint) FROM migrate_preflight($1) WHERE subject = 'connection string'";
    let told = "holds a password, which the statement may have left in logs and in pg_stat_activity";
    let hint = "Use CREATE SERVER and CREATE USER MAPPING, a passfile or a service instead.";
    assert_eq!(client.query_one(row, &[&uri]).unwrap().get::<_, String>(0), format!("warning | connection string | {told} | {hint}"));
    client.query("SELECT * FROM migrate_plan($1)", &[&uri]).unwrap_err();
    assert_eq!(*heard.lock().unwrap(), [format!("WARNING: the connection string {told}")]);
    pair.target.sql("ALTER USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (SET user 'connect_nobody')");
    cannot_connect(&pair, "old", &failed("FATAL:  password authentication failed for user \"connect_nobody\""));
    pair.target.sql("ALTER USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (DROP password)");
    let row = failed("fe_sendauth: no password supplied")
        + " | Give the user mapping a password, or the mapping or the connection string a passfile.";
    assert_eq!(pair.preflight("connection"), [format!("error | 127.0.0.1 | {row}")]);
    pair.target.sql("DROP USER MAPPING FOR CURRENT_USER SERVER old");
    pair.target.refuses(
        "SELECT * FROM migrate_from('old')",
        &["no password supplied", "There is no user mapping", "CREATE USER MAPPING FOR CURRENT_USER SERVER"],
    );
    pair.source.sql("CREATE ROLE connect_group PASSWORD 'x'");
    pair.target.sql("CREATE USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (user 'connect_group', password 'x')");
    cannot_connect(&pair, "old", &failed("FATAL:  role \"connect_group\" is not permitted to log in"));
    pair.source.sql("DROP ROLE connect_group");
}

fn database(edition: Edition) {
    let pair = Pair::plain("connect_database", edition);
    let port = pair.source.cluster.port;
    let failed = |why: &str| format!("connection to server at \"127.0.0.1\", port {port} failed: FATAL:  {why}");
    reach(&pair, "SET dbname 'no such; database'");
    cannot_connect(&pair, "old", &failed("database \"no such; database\" does not exist"));
    // Many servers have a database by the user's name, which is the default; these have it too.
    reach(&pair, "SET dbname 'template0'");
    cannot_connect(&pair, "old", &failed("database \"template0\" is not currently accepting connections"));
    pair.source.sql("DROP ROLE IF EXISTS connect_nowhere; CREATE ROLE connect_nowhere LOGIN PASSWORD 'x'");
    pair.source.sql("REVOKE CONNECT ON DATABASE connect_database FROM PUBLIC");
    reach(&pair, "SET dbname 'connect_database'");
    pair.target.sql("ALTER USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (SET user 'connect_nowhere', SET password 'x')");
    let hint = "GRANT CONNECT ON DATABASE \"connect_database\" TO \"connect_nowhere\"; -- on the source";
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["does not have CONNECT privilege", hint]);
    assert!(pair.preflight("connection")[0].ends_with(hint), "{:?}", pair.preflight("connection"));
}

fn service(edition: Edition) {
    let pair = Pair::plain("connect_service", edition);
    cannot_connect(&pair, "service=connect_nothing", "definition of service \"connect_nothing\" not found");
}

/// The target's server reads it, and every session of a run has its password from there.
fn passfile(edition: Edition) {
    let pair = Pair::plain("connect_passfile", edition);
    pair.source.sql(
        "DROP ROLE IF EXISTS connect_passfile; CREATE ROLE connect_passfile SUPERUSER LOGIN PASSWORD 'only there';
         CREATE TABLE t (n int); INSERT INTO t VALUES (1)",
    );
    let data = pair.target.cluster.data();
    let (owner, file) = (data.metadata().unwrap(), data.join("connect_passfile"));
    std::fs::write(&file, "").unwrap();
    chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    pair.target.sql("ALTER USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (SET user 'connect_passfile', DROP password)");
    let refused = |hint: &str| pair.target.refuses("SELECT * FROM migrate_from('old')", &["no password supplied", hint]);
    refused("Give the user mapping a password");
    reach(&pair, &format!("ADD passfile '{}/nowhere'", data.display()));
    refused("nowhere cannot be read by this server: No such file or directory");
    reach(&pair, &format!("SET passfile '{}'", file.display()));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused("is ignored because users other than its owner have access to it");
    // As one that another user owns.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    refused("cannot be read by this server: Permission denied");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let line = "127.0.0.1:*:connect_passfile:connect_passfile:only there\n";
    std::fs::write(&file, line.replace("127.0.0.1", "elsewhere")).unwrap();
    refused("has no line for this host, port, database and user");
    std::fs::write(&file, line).unwrap();
    pair.migrate();
    assert_same(&pair);
    pair.source.sql("DROP ROLE connect_passfile");
}

fn clear_password(edition: Edition) {
    let source = Arc::new(of_edition(edition, &[]));
    let rules = source.data().join("pg_hba.conf");
    let before = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("host all all all password\n{before}")).unwrap();
    let pair = Pair::between("connect_clear", source, shared_target(edition));
    pair.source.sql("SELECT pg_reload_conf()");
    let refused = "SELECT status || ' ' || detail || ' ' || hint FROM migrate_preflight('old') WHERE topic = 'connection'";
    cluster::poll("the rule to be read", || pair.target.value(refused).contains("server requested a cleartext password"));
    assert!(pair.target.value(refused).contains("require_auth \"password\" the password is sent in clear"));
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["cleartext password", "scram-sha-256"]);
    reach(&pair, "ADD require_auth 'password'");
    pair.source.sql("CREATE TABLE t (n int)");
    pair.migrate();
    assert_same(&pair);
}

fn encryption(edition: Edition) {
    let pair = Pair::plain("connect_encryption", edition);
    let port = pair.source.cluster.port;
    reach(&pair, "ADD sslmode 'verify-full', ADD sslrootcert 'system'");
    let detail = format!(
        "connection to server at \"127.0.0.1\", port {port} failed: server does not support SSL, but SSL was required"
    );
    cannot_connect(&pair, "old", &detail);
    let string = format!("host=127.0.0.1 port={port} dbname=connect_encryption user=postgres sslmode=strict");
    cannot_connect(&pair, &string, "invalid sslmode value: \"strict\"");
    // Of a server, it is found before it is stored.
    pair.target.refuses_with(
        "ALTER SERVER old OPTIONS (SET sslmode 'strict')",
        "ERROR: invalid value for option \"sslmode\": \"strict\" (SQLSTATE 22023)\n\
         HINT: Expected one of disable, allow, prefer, require, verify-ca, verify-full.",
    );
}

/// All sessions of a run present it, that of pg_dump too.
fn client_key(edition: Edition) {
    let source = Arc::new(of_edition(edition, &[]));
    let data = source.data();
    let owner = data.metadata().unwrap();
    let key = |name: &str, password: &[&str]| {
        let [key, certificate] = ["key", "crt"].map(|kind| data.join(format!("{name}.{kind}")));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-subj", "/CN=postgres", "-days", "2", "-keyout"]).arg(&key);
        let made = openssl.arg("-out").arg(&certificate).args(password).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        for file in [&key, &certificate] {
            chown(file, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        (key, certificate)
    };
    let (server_key, server_certificate) = key("server", &["-nodes"]);
    let (key, certificate) = key("client", &["-passout", "pass:locked away"]);
    let pair = Pair::between("connect_key", source, shared_target(edition));
    pair.source.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    for (name, value) in [
        ("ssl_key_file", &server_key),
        ("ssl_cert_file", &server_certificate),
        ("ssl_ca_file", &certificate),
    ] {
        pair.source.sql(&format!("ALTER SYSTEM SET {name} = '{}'", value.display()));
    }
    pair.source.sql("ALTER SYSTEM SET ssl = on");
    let rules = data.join("pg_hba.conf");
    let before = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("hostssl all all all cert\n{before}")).unwrap();
    pair.source.sql("SELECT pg_reload_conf()");
    cluster::poll("encryption", || pair.source.is("SELECT current_setting('ssl')::boolean"));
    pair.target.sql(&format!(
        "ALTER SERVER old OPTIONS (ADD sslmode 'verify-ca', ADD sslrootcert '{}');
         ALTER USER MAPPING FOR CURRENT_USER SERVER old
             OPTIONS (ADD sslcert '{}', ADD sslkey '{}', ADD sslpassword 'locked away')",
        server_certificate.display(),
        certificate.display(),
        key.display()
    ));
    pair.migrate();
    assert_same(&pair);
}

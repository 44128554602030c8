//! The preflight compares the two servers and databases.

use cluster::suite::Test;
use cluster::{Db, Edition, Pair, Versions};

pub const TESTS: &[Test] = &[
    Test::postgres_15("PostgreSQL's versions", versions),
    Test::apache("encodings", encodings),
    Test::apache("the order of the database itself", database_order),
    Test::apache("TimescaleDB that is missing, elsewhere, or half restored", timescaledb),
    Test::between("a source with a newer TimescaleDB", &[Versions::new("2.29.2", "2.19.3")], newer),
    Test::between("a TimescaleDB that is too old on the target", &[Versions::new("2.17.2", "2.17.2")], old),
    Test::community("editions", editions),
    Test::apache("a session that cannot start a run", session),
];

/// A database of a kind that is not the server's default.
fn create(like: &Db, name: &str, how: &str) -> Db {
    let database = Db::create(like.cluster.clone(), name);
    let mut admin = like.cluster.config("postgres").connect(postgres::NoTls).unwrap();
    for statement in [format!("DROP DATABASE {name}"), format!("CREATE DATABASE {name} TEMPLATE template0 {how}")] {
        admin.batch_execute(&statement).unwrap();
    }
    database
}

/// Lets the target read another database of the same server.
fn from(pair: &Pair, database: &str) {
    pair.target.sql(&format!("ALTER SERVER old OPTIONS (SET dbname '{database}')"));
}

fn versions(_: Edition) {
    let pair = Pair::from_15("preflight_versions");
    let major = pair.target.value("SELECT current_setting('server_version_num')::int / 10000");
    assert_eq!(pair.preflight("version"), [format!("ok | PostgreSQL 15 | to PostgreSQL {major}")]);
    assert!(pair.preflight("connection")[0].starts_with("ok | preflight_versions | PostgreSQL 15."));
    assert_eq!(pair.preflight("timescaledb"), ["ok | source | has no TimescaleDB; tables arrive as ordinary tables unless the option hypertables names them"]);
}

fn encodings(edition: Edition) {
    let pair = Pair::plain("preflight_encodings", edition);
    let latin = create(&pair.source, "preflight_latin1", "ENCODING 'LATIN1' LOCALE 'C'");
    latin.sql("CREATE TABLE t (word text); INSERT INTO t VALUES (chr(228))");
    from(&pair, "preflight_latin1");
    assert_eq!(pair.preflight("encoding"), ["ok | LATIN1 | to UTF8"]);

    let none = create(&pair.source, "preflight_ascii", "ENCODING 'SQL_ASCII' LOCALE 'C'");
    from(&pair, "preflight_ascii");
    let (detail, hint) =
        ("the source's text has no declared encoding and may be in several", "Convert the source to UTF8 first.");
    assert_eq!(pair.preflight("encoding"), [format!("error | SQL_ASCII | {detail} | {hint}")]);
    let call = "SELECT * FROM migrate_from('old')";
    pair.target.refuses_with(
        call,
        &format!("ERROR: cannot migrate: encoding: SQL_ASCII: {detail} (SQLSTATE 0A000)\nHINT: {hint}"),
    );
    drop(none);

    let target = Pair::server(&pair.source, create(&pair.target, "preflight_latin1_target", "ENCODING 'LATIN1' LOCALE 'C'"));
    target.refuses_with(
        call,
        "ERROR: cannot migrate: encoding: LATIN1: this database must have the encoding UTF8 (SQLSTATE 0A000)\n\
         HINT: CREATE DATABASE \"preflight_latin1_target utf8\" ENCODING 'UTF8' TEMPLATE template0;",
    );
    from(&pair, "preflight_latin1");
    pair.migrate();
    assert_eq!(pair.target.value("SELECT word FROM t"), "\u{e4}");
}

fn database_order(edition: Edition) {
    let pair = Pair::plain("preflight_order", edition);
    assert_eq!(pair.preflight("collation"), ["ok | C.UTF-8 | the same on both sides"]);
    let how = "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'de' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C'";
    let german = create(&pair.source, "preflight_german", how);
    german.sql("CREATE TABLE t (word text PRIMARY KEY); INSERT INTO t VALUES ('b'), ('A')");
    let version = german.value("SELECT datcollversion FROM pg_database WHERE datname = current_database()");
    from(&pair, "preflight_german");
    let letters = "warning | database preflight_german | has LC_CTYPE C on the source and C.UTF-8 on the target: \
                   upper(), lower() and pattern matching may give other results";
    let order = format!(
        "warning | database preflight_german | is icu de ({version}) on the source and libc C.UTF-8 (code points) on the target: \
         text may sort differently"
    );
    assert_eq!(pair.preflight("collation"), [letters, &order]);
    german.sql("UPDATE pg_database SET datcollversion = '1' WHERE datname = current_database()");
    let old = "warning | database preflight_german | its version on the source has changed since indexes there were built; \
               unique indexes may contain duplicates | REINDEX DATABASE \"preflight_german\"; \
               ALTER DATABASE \"preflight_german\" REFRESH COLLATION VERSION; -- on the source, in this order";
    assert_eq!(pair.preflight("collation"), [letters, old, &order]);
    pair.migrate();
    assert!(pair.messages().contains("text may sort differently"), "{}", pair.messages());
    assert_eq!(pair.target.value("SELECT string_agg(word, ' ' ORDER BY word) FROM t"), "A b");
}

fn timescaledb(edition: Edition) {
    let pair = Pair::plain("preflight_timescaledb", edition);
    let call = "SELECT * FROM migrate_from('old')";
    pair.source.sql("CREATE SCHEMA ts");
    pair.source.sql("CREATE EXTENSION timescaledb SCHEMA ts");
    let version = pair.source.value("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'");
    pair.target.refuses_with(
        call,
        "ERROR: cannot migrate: timescaledb: public: TimescaleDB's functions are in schema ts on the source; definitions that \
         use them name this schema (SQLSTATE 0A000)\nHINT: DROP EXTENSION timescaledb; CREATE EXTENSION timescaledb SCHEMA \"ts\";",
    );
    pair.target.sql("DROP EXTENSION timescaledb");
    pair.target.refuses_with(
        call,
        &format!(
            "ERROR: cannot migrate: timescaledb: {version}: this database has no TimescaleDB (SQLSTATE 0A000)\n\
             HINT: CREATE EXTENSION timescaledb SCHEMA \"ts\";"
        ),
    );
    pair.target.sql("CREATE SCHEMA ts");
    pair.target.sql("CREATE EXTENSION timescaledb SCHEMA ts");
    assert_eq!(pair.preflight("timescaledb"), [format!("ok | {version} | to {version}")]);
    assert_eq!(pair.preflight("edition"), ["ok | Apache | to Apache"]);

    let restoring = |side: &Db| side.sql(&format!("ALTER DATABASE {} SET timescaledb.restoring = on", side.name));
    restoring(&pair.target);
    let row = "error | timescaledb.restoring | is on in this database | SELECT \"ts\".timescaledb_post_restore();";
    assert_eq!(pair.preflight("timescaledb"), [row]);
    pair.target.sql("SELECT ts.timescaledb_post_restore()");
    restoring(&pair.source);
    assert_eq!(
        pair.preflight("timescaledb"),
        ["error | timescaledb.restoring | is on in the source database, so an earlier restore there was not finished | \
          SELECT \"ts\".timescaledb_post_restore(); -- on the source"]
    );
}

fn newer(versions: Versions) {
    let newer = Pair::of("preflight_newer", versions);
    newer.source.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    let why = "the source's version is newer than the target's (2.19.3), which may not support all that it stores";
    let hint = "ALTER EXTENSION timescaledb UPDATE; -- on the target, in a new session, once version 2.29.2 or a newer one is installed";
    assert_eq!(newer.preflight("timescaledb"), [format!("error | 2.29.2 | {why} | {hint}")]);
    assert_eq!(newer.preflight("edition"), ["ok | Community | to Community"]);
    newer.target.refuses_with(
        "SELECT * FROM migrate_from('old')",
        &format!("ERROR: cannot migrate: timescaledb: 2.29.2: {why} (SQLSTATE 0A000)\nHINT: {hint}"),
    );
}

fn old(versions: Versions) {
    let old = Pair::of("preflight_old", versions);
    old.target.refuses_with(
        "SELECT * FROM migrate_from('old')",
        "ERROR: cannot migrate: timescaledb: 2.17.2: targets before TimescaleDB 2.19 are not supported (SQLSTATE 0A000)\n\
         HINT: ALTER EXTENSION timescaledb UPDATE;",
    );
}

fn editions(_: Edition) {
    let apache = Pair::across("preflight_editions", Edition::Community, Edition::Apache);
    assert_eq!(apache.preflight("edition"), ["ok | Community | to Apache"]);
}

fn session(edition: Edition) {
    let pair = Pair::plain("preflight_session", edition);
    // Of the source it is harmless.
    pair.source.sql("ALTER DATABASE preflight_session SET default_transaction_read_only = on");
    assert!(pair.preflight("verdict")[0].starts_with("ok | a run | may begin"));
    for (name, value, wanted) in
        [("default_transaction_read_only", "on", "off"), ("default_transaction_isolation", "serializable", "read committed")]
    {
        let set = format!("SET {name} = '{value}'");
        let statement = format!("SET {name} = '{wanted}';");
        let row = format!("error | {name} | is {value} in this session, so it cannot start a run | {statement}");
        let asked = "SELECT concat_ws(' | ', status, subject, detail, hint) FROM migrate_preflight('old') WHERE topic = 'target'";
        let mut client = pair.target.connect();
        client.batch_execute(&set).unwrap();
        assert_eq!(client.query_one(asked, &[]).unwrap().get::<_, String>(0), row);
        assert!(client.batch_execute("SELECT * FROM migrate_from('old')").is_err());
        client.batch_execute(&statement).unwrap();
        assert!(client.query_one(asked, &[]).unwrap().get::<_, String>(0).starts_with("ok | this database"));
    }
}

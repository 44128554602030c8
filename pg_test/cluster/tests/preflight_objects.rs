//! The preflight looks at what the source's database needs on the target, and at what would change on
//! the way.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, of_edition, shared_target};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::both("nothing to say", nothing),
    Test::apache("collations", collations),
    Test::apache("extensions", extensions),
    Test::apache("roles whose passwords cannot be read", passwords),
    Test::apache("foreign keys that are not valid", foreign_keys),
    Test::apache("event triggers", event_triggers),
    Test::apache("a source user's rights", rights),
    Test::apache("a role that may read all data", reads_all_data),
    Test::apache("what PostgreSQL has that is not carried", not_carried),
    Test::apache("partitions and chunks by a hash that differs on the target", hashes),
    Test::both("what chunks have of their own", chunks_of_their_own),
];

/// Each check says one thing, and each is made.
fn nothing(edition: Edition) {
    let pair = Pair::new("preflight_nothing", edition);
    pair.source.sql(
        "CREATE TABLE a (n int PRIMARY KEY); CREATE TABLE b (n int REFERENCES a, t text COLLATE \"C\");
         CREATE TABLE h (t timestamptz NOT NULL); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h VALUES ('2024-01-01 UTC')",
    );
    // How the jobs of the target fare is no matter of the source.
    let rows = pair.target.rows("SELECT topic, status FROM migrate_preflight('old') WHERE topic <> 'scheduler'");
    let rows: Vec<String> = rows.iter().map(|row| format!("{} {}", row.get(0).unwrap(), row.get(1).unwrap())).collect();
    assert_eq!(
        rows,
        [
            "connection", "version", "encoding", "timescaledb", "edition", "connections", "endpoint", "jobs", "collation",
            "overloads", "roles", "extensions", "tablespaces", "foreign_keys", "event_triggers", "target", "access", "disk", "locks", "wraparound",
            "workers", "rights", "objects", "schema", "verdict",
        ]
        .map(|check| format!("{check} ok"))
    );
}

fn collations(edition: Edition) {
    let pair = Pair::plain("preflight_collations", edition);
    // Collations of pg_catalog are in no dump: servers have them from the libraries they were set up with.
    pair.source.sql(
        "CREATE COLLATION pg_catalog.klingon (PROVIDER = icu, LOCALE = 'tlh');
         CREATE TABLE unused (t text); CREATE TABLE used (t text COLLATE \"de-x-icu\")",
    );
    assert_eq!(pair.preflight("collation"), ["ok | C.UTF-8 | the same on both sides"]);
    let version = |locale: &str| {
        pair.source.value(&format!("SELECT collversion FROM pg_collation WHERE collname = '{locale}-x-icu'"))
    };
    let (version, other) = (version("de"), version("sv"));

    // Another library under the same name.
    pair.source.sql("UPDATE pg_collation SET collversion = '1' WHERE collname = 'de-x-icu'");
    let column = if pair.target.major() < 17 { "colliculocale" } else { "colllocale" };
    pair.target.sql(&format!("UPDATE pg_collation SET {column} = 'sv' WHERE collname = 'de-x-icu'"));
    assert_eq!(
        pair.preflight("collation"),
        [
            "warning | collation pg_catalog.\"de-x-icu\" | its version on the source has changed since indexes there were built; \
             unique indexes may contain duplicates | REINDEX DATABASE \"preflight_collations\"; \
             ALTER COLLATION pg_catalog.\"de-x-icu\" REFRESH VERSION; -- on the source, in this order"
                .to_string(),
            format!(
                "warning | collation pg_catalog.\"de-x-icu\" | is icu de ({version}) on the source and icu sv ({other}) on the target: \
                 text may sort differently"
            ),
        ]
    );
    let hint = "SELECT pg_import_system_collations('pg_catalog'); -- once its locale is installed on the target";
    let missing = "collation pg_catalog.klingon";
    pair.source.sql("DROP TABLE used; CREATE TABLE speech (word text COLLATE klingon)");
    let detail = "does not exist on the target, and column word of table public.speech uses it";
    assert_eq!(pair.preflight("collation"), [format!("error | {missing} | {detail} | {hint}")]);
    pair.target.refuses_with(
        "SELECT * FROM migrate_from('old')",
        &format!("ERROR: cannot migrate: collation: {missing}: {detail} (SQLSTATE 42704)\nHINT: {hint}"),
    );
}

fn extensions(edition: Edition) {
    let pair = Pair::plain("preflight_extensions", edition);
    pair.source.sql("CREATE EXTENSION pg_trgm VERSION '1.3'");
    let default = pair.target.value("SELECT default_version FROM pg_available_extensions WHERE name = 'pg_trgm'");
    assert_eq!(pair.preflight("extensions"), [format!("warning | pg_trgm | version {default} on the target, 1.3 on the source")]);
    pair.target.sql("CREATE EXTENSION pg_trgm VERSION '1.4'");
    assert_eq!(pair.preflight("extensions"), ["warning | pg_trgm | version 1.4 on the target, 1.3 on the source"]);
    pair.source.sql("ALTER EXTENSION pg_trgm UPDATE TO '1.4'");
    assert_eq!(pair.preflight("extensions"), ["ok | all extensions | are available on the target"]);
    pair.target.sql("CREATE SCHEMA elsewhere; ALTER EXTENSION pg_trgm SET SCHEMA elsewhere; ALTER SCHEMA public OWNER TO postgres");
    let moved = "warning | pg_trgm | is in schema elsewhere on the target, and in public on the source: what names its objects there cannot be made | ";
    let found = pair.preflight("extensions");
    assert!(found.len() == 1 && found[0].starts_with(moved), "{found:?}");
    pair.target.sql(found[0].rsplit(" | ").next().unwrap());
    let owner = "warning | schema public | belongs to postgres on the target, and to pg_database_owner on the source | ALTER SCHEMA \"public\" OWNER TO \"pg_database_owner\"; -- before the run or after it";
    assert!(pair.preflight("roles").contains(&owner.to_string()), "{:?}", pair.preflight("roles"));
    assert_eq!(pair.preflight("extensions"), ["ok | all extensions | are available on the target"]);

    // No installation of the tests has an extension that another one lacks.
    pair.source.sql("UPDATE pg_extension SET extname = 'no_such_extension' WHERE extname = 'pg_trgm'");
    let detail = "version 1.4 is installed on the source, and no version is available on the target";
    let hint = "Install the extension's files on the target.";
    assert_eq!(pair.preflight("extensions"), [format!("error | no_such_extension | {detail} | {hint}")]);
    pair.target.refuses_with(
        "SELECT * FROM migrate_from('old')",
        &format!("ERROR: cannot migrate: extensions: no_such_extension: {detail} (SQLSTATE 42704)\nHINT: {hint}"),
    );
}

/// Lets the target reach the source as a role that is no superuser.
fn reach_as(pair: &Pair, role: &str) {
    pair.target.sql(&format!(
        "ALTER USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (SET user '{role}', SET password 'x')"
    ));
}

fn passwords(edition: Edition) {
    let pair = Pair::plain("preflight_passwords", edition);
    pair.source.sql(
        "CREATE ROLE preflight_reader LOGIN PASSWORD 'x'; CREATE ROLE preflight_group;
         CREATE TABLE t (n int); INSERT INTO t VALUES (1); GRANT SELECT ON t TO preflight_reader, preflight_group",
    );
    assert_eq!(pair.preflight("roles"), ["ok | preflight_group, preflight_reader | will be made"]);
    reach_as(&pair, "preflight_reader");
    assert_eq!(
        pair.preflight("roles"),
        [
            "warning | preflight_reader | will be made without a password: only a superuser may read passwords on the source | \
             Connect to the source as a superuser, or set it afterwards in psql: \\password \"preflight_reader\"",
            "ok | preflight_group, preflight_reader | will be made",
        ]
    );
    pair.migrate();
    assert_same(&pair);
    let password = "SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'preflight_reader'";
    assert_eq!((pair.source.is(password), pair.target.is(password)), (false, true));
    // Now that they exist, they might be somebody else's.
    let again = pair.preflight("roles");
    assert!(again.len() == 3 && again[0].starts_with("warning | preflight_group | exists on the target, and gets"), "{again:?}");
    assert!(again[2].starts_with("warning | preflight_reader | may log in, but has no password on the target"), "{again:?}");
    pair.target.sql("DROP OWNED BY preflight_reader, preflight_group; DROP ROLE preflight_reader, preflight_group");
}

fn foreign_keys(edition: Edition) {
    let pair = Pair::new("preflight_keys", edition);
    pair.source.sql(
        "CREATE TABLE parent (n int PRIMARY KEY); CREATE TABLE child (n int); INSERT INTO child VALUES (1);
         ALTER TABLE child ADD CONSTRAINT lax FOREIGN KEY (n) REFERENCES parent NOT VALID;
         ALTER TABLE child ADD CONSTRAINT late FOREIGN KEY (n) REFERENCES parent NOT VALID;
         CREATE TABLE h (t timestamptz NOT NULL, n int REFERENCES parent);
         SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO parent VALUES (1); INSERT INTO h VALUES ('2024-01-01 UTC', 1); ALTER TABLE child VALIDATE CONSTRAINT late",
    );
    let expected = "warning | lax on public.child | is NOT VALID on the source, and will be NOT VALID on the target | \
                    ALTER TABLE \"public\".\"child\" VALIDATE CONSTRAINT \"lax\"; -- on either side, once no row violates it";
    assert_eq!(pair.preflight("foreign_keys"), [expected]);
    pair.migrate();
    assert!(pair.messages().contains("lax on public.child: is NOT VALID"), "{}", pair.messages());
    assert_same(&pair);
}

fn event_triggers(edition: Edition) {
    let pair = Pair::new("preflight_event_triggers", edition);
    pair.source.sql(
        "CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
         CREATE EVENT TRIGGER there ON ddl_command_end EXECUTE FUNCTION seen();
         CREATE EVENT TRIGGER off ON sql_drop EXECUTE FUNCTION seen(); ALTER EVENT TRIGGER off DISABLE",
    );
    pair.target.sql(
        "CREATE FUNCTION here() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
         CREATE EVENT TRIGGER here ON ddl_command_start EXECUTE FUNCTION here()",
    );
    assert_eq!(
        pair.preflight("event_triggers"),
        [
            "warning | here | fires on ddl_command_start on the target, also for what the run makes | \
             ALTER EVENT TRIGGER \"here\" DISABLE; -- until the run has ended",
            "warning | there | is made on the target as one of the last objects, and then fires on ddl_command_end",
        ]
    );
    pair.target.sql("ALTER EVENT TRIGGER here DISABLE");
    assert_eq!(pair.preflight("event_triggers").len(), 1);
    pair.migrate();
    assert_eq!(
        pair.target.value("SELECT string_agg(evtname || evtenabled::text, ' ' ORDER BY evtname) FROM pg_event_trigger WHERE evtname !~ 'timescaledb'"),
        "hereD offD thereO"
    );
}

fn rights(edition: Edition) {
    let pair = Pair::new("preflight_rights", edition);
    pair.source.sql(
        "CREATE ROLE preflight_few LOGIN PASSWORD 'x'; CREATE SCHEMA shut; CREATE TABLE shut.t (n int);
         CREATE TABLE h (t timestamptz NOT NULL); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 day' FROM generate_series(1, 30) n;
         CREATE TABLE hidden (n int); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; GRANT SELECT ON hidden TO preflight_few;
         CREATE SEQUENCE s; SELECT lo_from_bytea(0, 'x');
         DO $$ BEGIN FOR i IN 10..29 LOOP EXECUTE format('CREATE SCHEMA shut_%1$s; CREATE TABLE shut_%1$s.t (n int)', i); END LOOP; END $$",
    );
    reach_as(&pair, "preflight_few");
    let rows = pair.preflight("rights");
    let hint = |statement: &str| format!("{statement}; -- on the source, or connect as another role");
    let grant = |on: &str| hint(&format!("GRANT {on} TO preflight_few"));
    assert_eq!(
        rows[..4],
        [
            format!("error | public.h | no SELECT | {}", grant("SELECT ON TABLE public.h")),
            format!("error | public.hidden | row security hides rows from this role | {}", hint("ALTER ROLE preflight_few BYPASSRLS")),
            format!("error | public.s | no SELECT | {}", grant("SELECT ON SEQUENCE public.s")),
            format!("error | shut.t | no USAGE on schema shut | {}", grant("USAGE ON SCHEMA shut")),
        ]
    );
    // One of each of the other schemas, all chunks in one, and the large object.
    assert_eq!(rows.len(), 4 + 20 + 1 + 1);
    assert_eq!(
        rows[24..],
        [
            format!("error | schema _timescaledb_internal | no SELECT: 30 tables | {}", grant("pg_read_all_data")),
            "error | large objects | 1 of them, and preflight_few may not read pg_largeobject | \
             GRANT pg_read_all_data TO \"preflight_few\"; -- on the source, since PostgreSQL 14; else connect to it as a superuser"
                .to_string(),
        ]
    );
    let error = pair.target.error("SELECT * FROM migrate_from('old')");
    assert_eq!(error.code().code(), "42501");
    assert_eq!(error.message(), "cannot migrate: 26 checks failed, the first is rights: public.h: no SELECT");
    let detail = error.detail().unwrap();
    assert_eq!(detail.lines().count(), 21);
    assert!(detail.ends_with("\n... and 6 more, which migrate_preflight lists"), "{detail}");
    assert_eq!(error.hint(), Some(grant("SELECT ON TABLE public.h").as_str()));

    pair.source.sql(
        "DO $$ BEGIN FOR i IN 10..29 LOOP EXECUTE format('DROP SCHEMA shut_%s CASCADE', i); END LOOP; END $$;
         GRANT USAGE ON SCHEMA shut TO preflight_few; GRANT SELECT ON shut.t, h TO preflight_few; GRANT SELECT ON SEQUENCE s TO preflight_few;
         ALTER TABLE hidden DISABLE ROW LEVEL SECURITY; GRANT SELECT ON pg_largeobject TO preflight_few",
    );
    assert_eq!(pair.preflight("rights"), ["ok | preflight_few | may read everything that is copied"]);
    pair.migrate_with(r#"'{"owners": "drop", "privileges": "drop"}'"#);
    assert_eq!(pair.target.value("SELECT count(*) FROM h"), "30");
}

/// It needs no grants; only rows that a policy hides it must be allowed to see besides.
fn reads_all_data(edition: Edition) {
    let pair = Pair::new("preflight_all_data", edition);
    pair.source.sql(
        "DROP ROLE IF EXISTS preflight_all_data; CREATE ROLE preflight_all_data LOGIN PASSWORD 'x' IN ROLE pg_read_all_data;
         CREATE SCHEMA shut; CREATE TABLE shut.t (n serial); INSERT INTO shut.t VALUES (DEFAULT), (DEFAULT);
         CREATE TABLE h (t timestamptz NOT NULL); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 day' FROM generate_series(1, 5) n;
         CREATE TABLE hidden (n int); INSERT INTO hidden VALUES (1); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
         SELECT lo_from_bytea(4714, 'x')",
    );
    reach_as(&pair, "preflight_all_data");
    assert_eq!(
        pair.preflight("rights"),
        ["error | public.hidden | row security hides rows from this role | ALTER ROLE preflight_all_data BYPASSRLS; -- on the source, or connect as another role"]
    );
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["public.hidden", "row security"]);
    pair.source.sql("ALTER ROLE preflight_all_data BYPASSRLS");
    assert_eq!(pair.preflight("rights"), ["ok | preflight_all_data | may read everything that is copied"]);
    pair.migrate();
    assert_same(&pair);
    pair.source.sql("DROP ROLE preflight_all_data");
}

fn not_carried(edition: Edition) {
    let settings = [("wal_level", "logical"), ("max_prepared_transactions", "5")];
    let source = Arc::new(of_edition(edition, &settings));
    let pair = Pair::between("preflight_not_carried", source, shared_target(edition));
    pair.source.each(&[
        "CREATE TABLE t (n int); INSERT INTO t VALUES (1); CREATE INDEX broken ON t (n)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass",
        "SELECT pg_create_logical_replication_slot('followed', 'pgoutput')",
        "CREATE SUBSCRIPTION follows CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false)",
        // No provider of labels comes with PostgreSQL.
        "INSERT INTO pg_shseclabel SELECT oid, 'pg_authid'::regclass, 'selinux', 'secret' FROM pg_roles WHERE rolname = 'postgres'",
    ]);
    pair.source.connect().batch_execute("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'open'").unwrap();
    let found = pair.preflight("objects");
    let expected = [
        "warning | invalid index public.broken | pg_dump leaves invalid indexes out, so the target will not have it.",
        "warning | prepared transaction open | It was prepared by postgres at",
        "warning | replication slot followed | A logical replication slot belongs to its server and is not migrated.",
        "warning | security label selinux on role postgres | Labels on roles and databases are not migrated.",
        "warning | subscription follows | The subscription is not migrated: two subscribers would share one slot on its publisher.",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
    // They are in nobody's way, and the run says the same.
    pair.migrate();
    for named in ["index public.broken", "transaction open", "slot followed", "label selinux", "subscription follows"] {
        assert!(pair.messages().contains(named), "{named}: {}", pair.messages());
    }
    assert_eq!(pair.target.value("SELECT count(*) FROM t"), "1");
    pair.source.sql("ROLLBACK PREPARED 'open'");
}

fn hashes(edition: Edition) {
    let pair = Pair::new("preflight_hashes", edition);
    pair.source.sql(
        "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE DOMAIN moods AS mood[];
         CREATE TABLE parted (m moods, t text) PARTITION BY HASH (t, m);
         CREATE TABLE fine (t text) PARTITION BY HASH (t); CREATE TABLE listed (m mood) PARTITION BY LIST (m);
         CREATE TABLE h (t timestamptz NOT NULL, m mood, d text); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         SELECT add_dimension('h', by_hash('m', 4)); SELECT add_dimension('h', by_hash('d', 4))",
    );
    let refused = |subject: &str, type_name: &str, hint: &str| {
        format!("error | {subject} | is partitioned by the hash of m, and hashes of type {type_name} differ between servers | {hint}")
    };
    let hint = "Partition it by something else on the source, for instance by the value's text.";
    let parted = refused("partitioned table public.parted", "public.moods", hint);
    // A hint is given once.
    let expected = [parted, refused("hypertable public.h", "public.mood", "as above")];
    assert_eq!(pair.preflight("objects"), expected);
    let verdict = pair.preflight("verdict");
    assert!(verdict.len() == 1 && verdict[0].starts_with("error | a run | is refused: 2 errors, "), "{verdict:?}");
    assert_eq!(pair.target.error("SELECT * FROM migrate_from('old')").code().code(), "0A000");
}

fn chunks_of_their_own(edition: Edition) {
    let pair = Pair::new("preflight_own", edition);
    let roles = ["preflight_own", edition.name()].join("_");
    pair.source.sql(&format!("DROP ROLE IF EXISTS {roles}; CREATE ROLE {roles}"));
    pair.source.sql(
        "CREATE TABLE h (t timestamptz NOT NULL, n int, v text); CREATE INDEX ON h (n, lower(v)); CREATE INDEX ON h (n DESC) WHERE n > 1;
         SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 day', n FROM generate_series(1, 3) n",
    );
    let chunks = pair.source.rows("SELECT c FROM show_chunks('h') c");
    let [first, second] = [0, 1].map(|n| chunks[n].get(0).unwrap());
    pair.source.sql(&format!(
        "GRANT SELECT ON {first}, {second} TO {roles}; CREATE INDEX ON {first} (v); CREATE STATISTICS own ON n, v FROM {first};
         CREATE PUBLICATION own FOR TABLE ONLY {second};
         ALTER DEFAULT PRIVILEGES IN SCHEMA _timescaledb_internal GRANT SELECT ON TABLES TO {roles}"
    ));
    let own = |count: u8, what: &str| {
        format!("warning | chunks of public.h | {count} of them have {what} of their own. Those that are made on the target have the hypertable's.")
    };
    let default = "warning | default privileges in schema _timescaledb_internal | They are not migrated: the schema belongs to TimescaleDB.";
    let expected =
        [own(1, "a place in a publication"), own(1, "an index"), own(1, "extended statistics"), own(2, "privileges"), default.into()];
    assert_eq!(pair.preflight("objects"), expected);
}

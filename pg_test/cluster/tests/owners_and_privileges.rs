//! Owners, privileges, default privileges and row security arrive; and so do the roles that
//! they name, unless the options say otherwise.

use crate::hypertables_option::AT_THE_END;
use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, differences, quote};

pub const TESTS: &[Test] = &[
    Test::both("kept, with the roles", kept),
    Test::apache("roles none: the missing ones are named", roles_none),
    Test::apache("dropped", dropped),
    Test::apache("existing roles are untouched", existing_roles),
    Test::apache("merged memberships go with a cleanup", merged_and_removed),
    Test::apache("a role of the same name becomes a member of nothing unasked", namesake),
    Test::apache("roles on both sides: every difference is a warning, whose hint makes up for it", existing_differ),
    Test::apache("roles of a rehearsal that have no password are named again", rehearsed_roles),
    Test::community("dropped owners: what would run with more rights is named, and paused", more_rights),
];

/// A source whose objects belong to roles with a prefix of the test's own: roles are the
/// servers' and thus all tests'.
fn fill(pair: &Pair, prefix: &str) {
    let script = "
        CREATE ROLE @_group NOLOGIN;
        CREATE ROLE @_owner LOGIN PASSWORD 'pa''ss' CREATEDB CONNECTION LIMIT 5 VALID UNTIL '2040-01-01 UTC' IN ROLE @_group;
        CREATE ROLE \"@_Rea der\" NOINHERIT;
        CREATE ROLE @_unused;
        ALTER ROLE @_owner SET work_mem = '8MB';
        CREATE ROLE @_member LOGIN IN ROLE @_group;
        CREATE SCHEMA app AUTHORIZATION @_owner;
        GRANT USAGE ON SCHEMA app TO \"@_Rea der\", @_group WITH GRANT OPTION;
        SET ROLE @_owner;
        CREATE TYPE app.kind AS ENUM ('a', 'b');
        CREATE TABLE app.plain (n int PRIMARY KEY, secret text);
        CREATE SEQUENCE app.numbers;
        CREATE VIEW app.v AS SELECT n FROM app.plain;
        CREATE FUNCTION app.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
        CREATE TABLE app.h (t timestamptz NOT NULL, who text);
        SELECT public.create_hypertable('app.h', public.by_range('t', INTERVAL '1 day'));
        INSERT INTO app.h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours', 'w' || n FROM generate_series(1, 9) n;
        INSERT INTO app.plain VALUES (1, 'x');
        GRANT SELECT ON app.h TO \"@_Rea der\"; GRANT SELECT (n), UPDATE (n) ON app.plain TO \"@_Rea der\";
        GRANT ALL ON app.plain TO @_group WITH GRANT OPTION; GRANT USAGE ON SEQUENCE app.numbers TO \"@_Rea der\";
        REVOKE EXECUTE ON FUNCTION app.f() FROM PUBLIC; REVOKE USAGE ON TYPE app.kind FROM PUBLIC;
        ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO \"@_Rea der\";
        ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
        ALTER TABLE app.plain ENABLE ROW LEVEL SECURITY; ALTER TABLE app.plain FORCE ROW LEVEL SECURITY;
        CREATE POLICY mine ON app.plain AS RESTRICTIVE FOR SELECT TO \"@_Rea der\" USING (secret = current_user);
        ALTER TABLE app.h ENABLE ROW LEVEL SECURITY;
        CREATE POLICY theirs ON app.h USING (who <> 'w3') WITH CHECK (who IS NOT NULL)";
    pair.source.sql(&script.replace('@', prefix));
    pair.source.sql(&format!("ALTER DATABASE {} OWNER TO {prefix}_owner", quote(&pair.source.name)));
}

/// The roles of a prefix with attributes, password, settings and memberships.
fn roles(db: &cluster::Db, prefix: &str) -> String {
    db.value(&format!(
        "SELECT string_agg(concat_ws(' ', to_jsonb(a) - 'oid', setconfig,
                   (SELECT string_agg(concat_ws(' ', roleid::regrole, to_jsonb(m) - 'oid' - 'roleid' - 'member' - 'grantor'), ',')
                    FROM pg_auth_members m WHERE member = a.oid)), E'\\n' ORDER BY rolname)
         FROM pg_authid a LEFT JOIN pg_db_role_setting ON setrole = a.oid AND setdatabase = 0
         WHERE rolname LIKE '{prefix}\\_%' AND rolname <> '{prefix}_unused'"
    ))
}

fn kept(edition: Edition) {
    let prefix = format!("kept_{}", edition.name());
    let pair = Pair::new(&prefix, edition);
    fill(&pair, &prefix);
    pair.migrate();
    assert_same(&pair);
    assert_eq!(roles(&pair.source, &prefix), roles(&pair.target, &prefix));
    let owner = |db: &cluster::Db| db.value("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()");
    assert_eq!(owner(&pair.target), format!("{prefix}_owner"));
    let unused = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{prefix}_unused'");
    assert_eq!(pair.target.value(&unused), "0");
    // Row security hides the same rows from the same role.
    for side in [&pair.source, &pair.target] {
        let seen = format!("SET ROLE \"{prefix}_Rea der\"; SELECT count(*) FROM app.h");
        assert_eq!(side.value(&seen), "8");
    }
}

fn roles_none(edition: Edition) {
    let pair = Pair::new("roles_none", edition);
    fill(&pair, "roles_none");
    let call = r#"SELECT * FROM migrate_from('old', '{"roles": "none"}')"#;
    pair.target.refuses(call, &["roles_none_owner", "roles_none_Rea der"]);
    let preflight = r#"SELECT string_agg(subject || detail, ' ') FROM migrate_preflight('old', '{"roles": "none"}') WHERE status = 'error'"#;
    assert!(pair.target.value(preflight).contains("roles_none_owner"));
    assert_eq!(pair.target.value("SELECT count(*) FROM pg_class WHERE relname = 'plain'"), "0");
}

fn dropped(edition: Edition) {
    let pair = Pair::new("dropped_owners", edition);
    fill(&pair, "dropped_owners");
    // A policy cannot do without its role, and that is known beforehand.
    let options = r#"'{"roles": "none", "owners": "drop", "privileges": "drop"}'"#;
    let error = pair.target.refuses(&format!("SELECT * FROM migrate_from('old', {options})"), &["dropped_owners_Rea der"]);
    assert!(!format!("{error:?}").contains("dropped_owners_owner"), "{error:?}");
    assert!(pair.target.is("SELECT to_regclass('app.plain') IS NULL"));
    pair.source.sql("DROP POLICY mine ON app.plain");
    pair.migrate_with(options);
    let wrong = differences(&pair).into_iter().find(|text| text.starts_with("rows"));
    // The policies' roles are absent; the rows are all the same to a superuser.
    assert_eq!(wrong, None);
    let others = "SELECT count(*) FROM pg_class
        WHERE relnamespace = 'app'::regnamespace AND (relowner <> 'postgres'::regrole OR relacl IS NOT NULL)";
    assert_eq!(pair.target.value(others), "0");
}

fn existing_roles(edition: Edition) {
    let pair = Pair::new("existing_roles", edition);
    fill(&pair, "existing_roles");
    pair.target.sql("CREATE ROLE existing_roles_owner NOLOGIN CONNECTION LIMIT 77");
    pair.migrate_with(r#"'{"roles": "merge"}'"#);
    // But for memberships in roles that did not exist.
    assert!(pair.target.is("SELECT pg_has_role('existing_roles_owner', 'existing_roles_group', 'MEMBER')"));
    let role = "SELECT rolcanlogin || ' ' || rolconnlimit FROM pg_roles WHERE rolname = 'existing_roles_owner'";
    assert_eq!(pair.target.value(role), "false 77");
    assert_same(&pair);
}

/// Those of roles that existed before, which stay.
fn merged_and_removed(edition: Edition) {
    let pair = Pair::plain("merged", edition);
    let drop = "DROP ROLE IF EXISTS \"merged me\", merged_new, merged_here, merged_other, merged_third, merged_boss";
    pair.source.sql(&format!(
        "{drop}; CREATE ROLE merged_new; CREATE ROLE merged_here; CREATE ROLE merged_other; CREATE ROLE merged_third;
         CREATE ROLE \"merged me\" IN ROLE merged_new, merged_here, merged_other, merged_third, pg_monitor;
         GRANT merged_other, merged_third TO \"merged me\" WITH ADMIN OPTION;
         CREATE TABLE t (n int CHECK (n > 0)); ALTER TABLE t OWNER TO \"merged me\"; INSERT INTO t VALUES (1);
         GRANT SELECT ON pg_catalog.pg_authid TO merged_new"
    ));
    pair.target.sql(&format!(
        "{drop}; CREATE ROLE merged_here; CREATE ROLE merged_other; CREATE ROLE \"merged me\" IN ROLE merged_other;
         CREATE ROLE merged_third; CREATE ROLE merged_boss; GRANT merged_third TO merged_boss WITH ADMIN OPTION;
         GRANT merged_third TO \"merged me\" GRANTED BY merged_boss; {AT_THE_END}"
    ));
    let memberships = || {
        let query = "SELECT string_agg(concat_ws(' ', roleid::regrole, admin_option, CASE WHEN grantor <> 10 THEN grantor::regrole END), ', '
                                      ORDER BY roleid::regrole::text, grantor)
            FROM pg_auth_members WHERE member = '\"merged me\"'::regrole";
        pair.target.value(query)
    };
    pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"roles": "merge"}')"#, &["not yet"]);
    assert_eq!(memberships(), "merged_here f, merged_new f, merged_other t, merged_third t, merged_third f merged_boss, pg_monitor f");
    pair.target.sql("DO $$ BEGIN PERFORM migrate_cleanup((SELECT max(id) FROM timescale_migrate.run)); END $$");
    assert_eq!(memberships(), "merged_other f, merged_third f merged_boss");
    assert!(pair.target.is("SELECT count(*) = 5 FROM pg_roles WHERE rolname ~ '^merged'"));
    pair.target.sql(&format!("DROP TRIGGER refuse ON timescale_migrate.run_log; {drop}"));
}

/// On the target there is somebody else by the name of a source's superuser's friend, and a group
/// that may more than the source's.
fn namesake(edition: Edition) {
    let pair = Pair::plain("namesake", edition);
    let drop = "DROP ROLE IF EXISTS namesake_alice, namesake_dba, namesake_bob, namesake_group, namesake_stranger";
    pair.source.sql(&format!(
        "{drop}; CREATE ROLE namesake_dba SUPERUSER; CREATE ROLE namesake_group; CREATE ROLE namesake_alice LOGIN IN ROLE namesake_dba;
         CREATE ROLE namesake_bob LOGIN IN ROLE namesake_group, pg_write_all_data;
         CREATE TABLE t (); ALTER TABLE t OWNER TO namesake_alice; CREATE TABLE u (); GRANT SELECT ON u TO namesake_bob"
    ));
    pair.target.sql(&format!("{drop}; CREATE ROLE namesake_alice LOGIN; CREATE ROLE namesake_group SUPERUSER; CREATE ROLE namesake_stranger IN ROLE namesake_alice"));
    let same = "ALTER ROLE \"namesake_alice\" RENAME TO \"namesake_alice_target\"; -- before the run, if it is not the same role";
    let merge = |role: &str, of: &str| {
        format!("GRANT \"{of}\" TO \"{role}\" WITH ADMIN false, INHERIT true, SET true; -- after the run, or the option \"roles\": \"merge\"")
    };
    let less = "-- before the run, if it is to have fewer rights";
    let alice = format!(
        "warning | namesake_alice | exists on the target, and gets what the role of that name owns on the source | {same}"
    );
    let rows = [
        "warning | namesake_alice | has members on the target that it does not have on the source: namesake_stranger | REVOKE \"namesake_alice\" FROM \"namesake_stranger\";".to_string(),
        alice.clone(),
        format!("warning | namesake_alice | does not become a member of namesake_dba, because one of the two roles exists on the target | {}", merge("namesake_alice", "namesake_dba")),
        format!("warning | namesake_bob | does not become a member of namesake_group, because one of the two roles exists on the target | {}", merge("namesake_bob", "namesake_group")),
        format!("warning | namesake_bob | is made with membership in pg_write_all_data, which reaches beyond this database | CREATE ROLE \"namesake_bob\" LOGIN; {less}"),
        format!("warning | namesake_dba | is made with SUPERUSER, which reaches beyond this database | CREATE ROLE \"namesake_dba\"; {less}"),
        "warning | namesake_group | has SUPERUSER on the target, and NOSUPERUSER on the source | ALTER ROLE \"namesake_group\" WITH NOSUPERUSER;".to_string(),
        "ok | namesake_bob, namesake_dba | will be made".to_string(),
    ];
    assert_eq!(pair.preflight("roles"), rows);
    let asked = pair.preflight_with("roles", r#"{"roles": "merge"}"#);
    assert!(asked[2].contains("namesake_alice | becomes a member of namesake_dba, and one of the two roles exists on the target"), "{asked:?}");
    // What it gets, the options say.
    pair.source.sql("CREATE POLICY p ON u TO namesake_alice");
    for (owners, privileges, gets) in [
        ("keep", "drop", "gets what the role of that name owns on the source"),
        ("drop", "keep", "row-level security policies or user mappings of the source name a role of that name"),
        ("drop", "drop", "row-level security policies or user mappings of the source name a role of that name"),
    ] {
        let found = pair.preflight_with("roles", &format!(r#"{{"owners": "{owners}", "privileges": "{privileges}"}}"#));
        assert!(found.contains(&format!("warning | namesake_alice | exists on the target, and {gets} | {same}")), "{found:?}");
    }
    pair.source.sql("GRANT SELECT ON u TO namesake_alice");
    for (owners, gets) in [("keep", "owns or is granted"), ("drop", "is granted")] {
        let found = pair.preflight_with("roles", &format!(r#"{{"owners": "{owners}"}}"#));
        let gets = format!("warning | namesake_alice | exists on the target, and gets what the role of that name {gets} on the source | {same}");
        assert!(found.contains(&gets), "{found:?}");
    }
    let plan = pair.target.value("SELECT string_agg(concat_ws(' ', object, method, note), E'\\n') FROM migrate_plan('old') WHERE object LIKE 'ROLE %'");
    assert!(plan.contains("ROLE namesake_alice  exists on the target, and gets"), "{plan}");
    assert!(plan.contains("ROLE namesake_dba CREATE ROLE missing on the target"), "{plan}");
    pair.migrate();
    let member = |role: &str, of: &str| pair.target.is(&format!("SELECT pg_has_role('{role}', '{of}', 'MEMBER')"));
    assert!(!member("namesake_alice", "namesake_dba") && !member("namesake_bob", "namesake_group"));
    assert!(member("namesake_bob", "pg_write_all_data"));
    assert!(pair.messages().contains("namesake_alice: does not become a member of namesake_dba"), "{}", pair.messages());
}

/// The differences of the roles with a prefix, as preflight and then a run name them: detail and hint.
fn told(pair: &Pair, prefix: &str) -> Vec<(String, String)> {
    let rows = pair.target.rows(&format!(
        "SELECT subject || ': ' || detail, hint FROM migrate_preflight('old') WHERE status = 'warning' AND subject LIKE '{prefix}%'"
    ));
    rows.iter().map(|row| (row.get(0).unwrap().to_owned(), row.get(1).unwrap_or_default().to_owned())).collect()
}

/// A reader who may read on the source by a group and cannot on the target, as the group exists there and the
/// membership is not; and roles that differ on the target.
fn existing_differ(edition: Edition) {
    let pair = Pair::plain("roles_differ", edition);
    pair.source.sql(
        "CREATE ROLE roles_differ_readers;
         CREATE ROLE roles_differ_reader LOGIN PASSWORD 'x' CONNECTION LIMIT 3 IN ROLE roles_differ_readers;
         CREATE ROLE roles_differ_owner LOGIN;
         ALTER ROLE roles_differ_reader SET statement_timeout = '5s'; ALTER ROLE roles_differ_reader SET app.token = 'secret';
         CREATE SCHEMA telemetry AUTHORIZATION roles_differ_owner;
         CREATE TABLE telemetry.t (n int); INSERT INTO telemetry.t VALUES (1); ALTER TABLE telemetry.t OWNER TO roles_differ_owner;
         GRANT USAGE ON SCHEMA telemetry TO roles_differ_readers; GRANT SELECT ON telemetry.t TO roles_differ_readers",
    );
    pair.target.sql(
        "CREATE ROLE roles_differ_readers; CREATE ROLE roles_differ_reader LOGIN PASSWORD 'y' IN ROLE pg_monitor;
         ALTER ROLE roles_differ_reader SET work_mem = '1MB'; COMMENT ON ROLE roles_differ_reader IS 'of here';
         CREATE ROLE roles_differ_owner SUPERUSER NOLOGIN",
    );
    pair.target.sql("ALTER ROLE roles_differ_reader IN DATABASE roles_differ SET search_path = nowhere");
    let found = told(&pair, "roles_differ");
    let lines: Vec<String> = found.iter().map(|(detail, hint)| format!("{detail} | {hint}")).collect();
    let same = "exists on the target, and gets what the role of that name is granted on the source | \
                ALTER ROLE \"roles_differ_readers\" RENAME TO \"roles_differ_readers_target\"; -- before the run, if it is not the same role";
    assert_eq!(
        lines,
        [
            "roles_differ_owner: has SUPERUSER NOLOGIN on the target, and NOSUPERUSER LOGIN on the source | \
             ALTER ROLE \"roles_differ_owner\" WITH NOSUPERUSER LOGIN;",
            "roles_differ_reader: has CONNECTION LIMIT -1 on the target, and CONNECTION LIMIT 3 on the source | \
             ALTER ROLE \"roles_differ_reader\" WITH CONNECTION LIMIT 3;",
            "roles_differ_reader: has a comment on the target, but none on the source | COMMENT ON ROLE \"roles_differ_reader\" IS NULL;",
            // Of a setting of no known meaning the value is not shown.
            "roles_differ_reader: the setting app.token is not set on the target | -- its value, which is not shown as it may be secret, is in pg_db_role_setting on the source: ALTER ROLE \"roles_differ_reader\" SET \"app\".\"token\" = ...;",
            "roles_differ_reader: the setting statement_timeout is not set on the target | \
             ALTER ROLE \"roles_differ_reader\" SET \"statement_timeout\" = '5s';",
            "roles_differ_reader: has the setting work_mem on the target, but not on the source | ALTER ROLE \"roles_differ_reader\" RESET work_mem;",
            "roles_differ_reader: is a member of pg_monitor on the target, but not on the source | REVOKE \"pg_monitor\" FROM \"roles_differ_reader\";",
            "roles_differ_reader: does not become a member of roles_differ_readers, because both roles exist on the target | \
             GRANT \"roles_differ_readers\" TO \"roles_differ_reader\" WITH ADMIN false, INHERIT true, SET true; -- or the option \"roles\": \"merge\"",
            "roles_differ_reader: keeps the password that it has on the target, which may be the same as the source's or not: SCRAM verifiers with different salts cannot be compared | \
             \\password \"roles_differ_reader\"",
            &format!("roles_differ_readers: {same}"),
            "roles_differ_reader: has the setting search_path in this database, but not on the source | \
             ALTER ROLE \"roles_differ_reader\" IN DATABASE \"roles_differ\" RESET search_path;",
        ]
    );
    pair.migrate();
    // The run says the same as the preflight, and leaves the roles as they are.
    let messages = pair.messages();
    found.iter().for_each(|(detail, _)| assert!(messages.contains(detail), "no \"{detail}\" in\n{messages}"));
    let read = "SET ROLE roles_differ_reader; SELECT count(*) FROM telemetry.t";
    pair.target.refuses(read, &["permission denied"]);
    // Each hint that is a statement is one that can be run as it is.
    for (_, hint) in found.iter().filter(|(_, hint)| hint.contains(';') && !hint.contains("<its value") && !hint.contains("RENAME")) {
        pair.target.sql(hint);
    }
    assert_eq!(pair.target.value(read), "1");
    let left: Vec<String> = told(&pair, "roles_differ").into_iter().map(|(detail, _)| detail).collect();
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(left.iter().all(|line| !line.contains("member") && !line.contains("LOGIN")), "{left:?}");
}

/// A trial run has made the roles; before the real one nobody has given them passwords.
fn rehearsed_roles(edition: Edition) {
    let pair = Pair::plain("rehearsal", edition);
    pair.source.sql(
        "CREATE ROLE rehearsal_migrator LOGIN PASSWORD 'x' IN ROLE pg_read_all_data; CREATE ROLE rehearsal_app LOGIN PASSWORD 'x';
         CREATE TABLE t (n int); INSERT INTO t VALUES (1); GRANT SELECT ON t TO rehearsal_app",
    );
    let reach = "ALTER USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (SET user 'rehearsal_migrator', SET password 'x')";
    pair.target.sql(reach);
    pair.migrate();
    let target = Pair::server(&pair.source, cluster::Db::create(pair.target.cluster.clone(), "rehearsal_real"));
    let real = Pair { source: cluster::Db { cluster: pair.source.cluster.clone(), name: pair.source.name.clone() }, target };
    real.target.sql(reach);
    let locked_out = "rehearsal_app: may log in, but has no password on the target";
    let lines: Vec<String> = told(&real, "rehearsal_app").into_iter().map(|(detail, _)| detail).collect();
    assert!(lines.iter().any(|line| line == locked_out), "{lines:?}");
    real.migrate();
    assert!(real.messages().contains(locked_out), "{}", real.messages());
    // What it is now nobody but the source knows.
    real.target.sql("ALTER ROLE rehearsal_app PASSWORD 'x'");
    let lines: Vec<String> = told(&real, "rehearsal_app").into_iter().map(|(detail, _)| detail).collect();
    assert!(lines.iter().any(|line| line.contains("only a superuser of the source could compare them")), "{lines:?}");
    // A superuser of the source does: another hash of the same password is another, the very same is none.
    let verifier = real.source.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'rehearsal_app'");
    real.target.sql(&format!("ALTER ROLE rehearsal_app PASSWORD '{verifier}'"));
    real.target.sql(&format!(
        "ALTER USER MAPPING FOR CURRENT_USER SERVER old OPTIONS (SET user 'postgres', SET password '{}')", cluster::PASSWORD.replace('\'', "''")
    ));
    let lines: Vec<String> = told(&real, "rehearsal_app").into_iter().map(|(detail, _)| detail).collect();
    assert!(lines.iter().all(|line| !line.contains("password")), "{lines:?}");
}

fn more_rights(edition: Edition) {
    let pair = Pair::new("more_rights", edition);
    pair.source.each(&[
        "DROP ROLE IF EXISTS more_rights_owner",
        "CREATE ROLE more_rights_owner LOGIN",
        "CREATE FUNCTION who() RETURNS name LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user'",
        "CREATE FUNCTION mine() RETURNS name LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user'",
        "ALTER FUNCTION who() OWNER TO more_rights_owner",
        "CREATE PROCEDURE act(job_id int, config jsonb) LANGUAGE sql AS 'SELECT 1'",
        "SELECT add_job('act', '1 day', initial_start => '2100-01-01 UTC')",
        "GRANT CREATE ON SCHEMA public TO more_rights_owner",
        "SET ROLE more_rights_owner; SELECT add_job('act', '2 days', initial_start => '2100-01-01 UTC')",
    ]);
    let options = r#"{"owners": "drop", "policies": "paused"}"#;
    let rows = pair.preflight_with("owners", options);
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(rows, pair.preflight_with("owners", r#"{"owners": "drop"}"#));
    let function = "warning | public.who() | is SECURITY DEFINER and owned by more_rights_owner on the source; on the target the caller owns it";
    assert!(rows[0].starts_with(function), "{rows:?}");
    assert!(rows[1].contains("is owned by more_rights_owner on the source; on the target it would run with the caller's rights, so it arrives paused"), "{rows:?}");
    pair.migrate_with(&format!("'{options}'"));
    pair.target.sql("SELECT * FROM migrate_start_jobs(1)");
    let scheduled = "SELECT string_agg(schedule_interval || ' ' || scheduled, ', ' ORDER BY schedule_interval)
        FROM _timescaledb_config.bgw_job WHERE proc_name = 'act'";
    assert_eq!(pair.target.value(scheduled), "1 day true, 2 days false");
}

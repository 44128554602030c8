//! Privileges of PUBLIC where privileges are dropped, those that the target has of its own, and who has granted memberships.

use cluster::suite::Test;
use cluster::{Cluster, Edition, Pair, quote};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::apache("dropped: PUBLIC may no more than on the source", dropped),
    Test::apache("those of the target alone are named, with the statement that takes them back", of_the_target),
    Test::apache("a membership keeps its grantor", grantors),
    Test::apache("owners and privileges dropped: memberships that both sides have are no difference", same_memberships),
    Test::apache("owners and privileges dropped: what needs roles that are not made is named", roles_not_made),
];

/// What PUBLIC may do on a side, of what the source has revoked.
const OF_PUBLIC: &str = "SELECT concat_ws(' ', has_function_privilege('public', 'run(int)', 'EXECUTE'),
        has_function_privilege('public', '\"O \"\"dd; FROM PUBLIC;\"()', 'EXECUTE'), has_type_privilege('public', 'kind', 'USAGE'),
        has_language_privilege('public', 'plpgsql', 'USAGE'), has_database_privilege('public', current_database(), 'CONNECT'),
        has_database_privilege('public', current_database(), 'TEMPORARY'), has_schema_privilege('public', 'public', 'USAGE'),
        has_function_privilege('public', 'pg_catalog.pg_sleep(float8)', 'EXECUTE'))";

fn dropped(edition: Edition) {
    for (name, owners) in [("privileges_dropped", "keep"), ("privileges_and_owners", "drop")] {
        let pair = Pair::plain(name, edition);
        pair.source.sql(&format!(
            "DROP ROLE IF EXISTS {name}_owner, {name}_user; CREATE ROLE {name}_owner; CREATE ROLE {name}_user;
             CREATE FUNCTION run(int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
             CREATE PROCEDURE \"O \"\"dd; FROM PUBLIC;\"() LANGUAGE sql AS 'SELECT 1'; CREATE TYPE kind AS ENUM ('a');
             REVOKE EXECUTE ON FUNCTION run FROM PUBLIC; REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep FROM PUBLIC;
             REVOKE EXECUTE ON PROCEDURE \"O \"\"dd; FROM PUBLIC;\" FROM PUBLIC; GRANT EXECUTE ON FUNCTION run TO {name}_user;
             REVOKE USAGE ON TYPE kind FROM PUBLIC; REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC; REVOKE USAGE ON SCHEMA public FROM PUBLIC;
             ALTER FUNCTION run OWNER TO {name}_owner; CREATE TABLE t (); GRANT SELECT ON t TO PUBLIC, {name}_user;
             ALTER DEFAULT PRIVILEGES FOR ROLE {name}_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
             ALTER DEFAULT PRIVILEGES FOR ROLE {name}_owner GRANT SELECT ON TABLES TO {name}_user;
             REVOKE CONNECT ON DATABASE {} FROM PUBLIC",
            quote(name)
        ));
        assert_eq!(pair.source.value(OF_PUBLIC), "f f f f f t f f");
        let options = format!(r#"{{"privileges": "drop", "owners": "{owners}"}}"#);
        // What PUBLIC has there besides its defaults makes pg_dump take these first.
        let more = Pair::plain(&format!("{name}_more"), edition);
        more.source.sql("GRANT CREATE ON SCHEMA public TO PUBLIC; CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
        more.migrate_with(&format!("'{options}'"));
        assert!(more.target.is("SELECT has_schema_privilege('public', 'public', 'USAGE') AND NOT has_schema_privilege('public', 'public', 'CREATE')"));
        let plan = format!("SELECT note FROM migrate_plan('old', '{options}') WHERE object = 'DATABASE'");
        assert!(pair.target.value(&plan).contains("what PUBLIC may not do"), "{}", pair.target.value(&plan));
        pair.migrate_with(&format!("'{options}'"));
        assert_eq!(pair.target.value(OF_PUBLIC), "f f f f f t f f");
        assert!(pair.target.is("SELECT relacl IS NULL FROM pg_class WHERE relname = 't'"));
        let executor = format!("SELECT count(*) FROM pg_proc, aclexplode(proacl) a WHERE proname = 'run' AND a.grantee = to_regrole('{name}_user')");
        assert_eq!(pair.target.value(&executor), "0");
        // Without the owners, no role is made whose default privileges these could be.
        let defaults = pair.target.value("SELECT concat_ws(' ', count(*), string_agg(defaclobjtype::text, '')) FROM pg_default_acl");
        assert_eq!(defaults, if owners == "keep" { "1 f" } else { "0" });
    }
}

fn of_the_target(edition: Edition) {
    // What is set for all roles would be seen by other tests.
    let server = || Arc::new(Cluster::start(&edition.bindir().unwrap(), &[]));
    let pair = Pair::between("privileges_of_target", server(), server());
    let (source, target) = (quote(&pair.source.name), quote(&pair.target.name));
    pair.source.sql(
        "DROP ROLE IF EXISTS \"of source\"; CREATE ROLE \"of source\"; CREATE TABLE t (n int); INSERT INTO t VALUES (1);
         CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO \"of source\"; ALTER ROLE ALL SET idle_session_timeout = '7h'",
    );
    pair.target.sql(&format!(
        "CREATE ROLE \"of target\"; GRANT CREATE, CONNECT ON DATABASE {target} TO \"of target\";
         REVOKE CONNECT ON DATABASE {target} FROM PUBLIC; GRANT CREATE ON SCHEMA public TO \"of target\", PUBLIC;
         REVOKE USAGE ON SCHEMA public FROM PUBLIC; ALTER DATABASE {target} CONNECTION LIMIT 33;
         CREATE SCHEMA app; GRANT CREATE ON SCHEMA app TO \"of target\" WITH GRANT OPTION; CREATE ROLE \"of them\"; SET ROLE \"of target\";
         GRANT CREATE ON SCHEMA app TO \"of them\"; RESET ROLE; REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
         ALTER DEFAULT PRIVILEGES GRANT INSERT, SELECT ON TABLES TO \"of target\"; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
         ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT USAGE ON SEQUENCES TO PUBLIC"
    ));
    let told = |pair: &Pair, options: &str| -> Vec<String> {
        let rows = pair.preflight_with("roles", options);
        rows.into_iter().filter(|row| row.starts_with("warning")).filter(|row| row.contains("PUBLIC") || row.contains("of target") || row.contains("of them") || row.contains("all roles") || row.contains("limit")).collect()
    };
    let rows = told(&pair, "{}");
    assert_eq!(
        rows,
        [
            format!("warning | the database | has the connection limit 33 on the target, and none on the source | ALTER DATABASE {target} CONNECTION LIMIT -1;"),
            "warning | all roles | the setting idle_session_timeout is not set on the target | ALTER ROLE ALL SET \"idle_session_timeout\" = '7h';".to_string(),
            "warning | PUBLIC | gets USAGE on sequences that the run makes in schema app, by the default privileges of postgres | ALTER DEFAULT PRIVILEGES IN SCHEMA \"app\" REVOKE USAGE ON SEQUENCES FROM PUBLIC; -- before the run".to_string(),
            "warning | PUBLIC | does not get EXECUTE on functions that the run makes, by the default privileges of postgres | ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC; -- before the run".to_string(),
            "warning | of target | gets INSERT, SELECT on tables that the run makes, by the default privileges of postgres | ALTER DEFAULT PRIVILEGES REVOKE INSERT, SELECT ON TABLES FROM \"of target\"; -- before the run".to_string(),
            format!("warning | of target | has CONNECT, CREATE on the database on the target, but not on the source | REVOKE CONNECT, CREATE ON DATABASE {target} FROM \"of target\";"),
            format!("warning | PUBLIC | has CONNECT on the database on the source, but not on the target | GRANT CONNECT ON DATABASE {target} TO PUBLIC;"),
            "warning | PUBLIC | has USAGE on language plpgsql on the source, but not on the target | GRANT USAGE ON LANGUAGE \"plpgsql\" TO PUBLIC;".into(),
            "warning | of them | has CREATE on schema app on the target, but not on the source | SET ROLE \"of target\"; REVOKE CREATE ON SCHEMA \"app\" FROM \"of them\"; RESET ROLE;".into(),
            "warning | of target | has CREATE on schema app on the target, but not on the source | REVOKE CREATE ON SCHEMA \"app\" FROM \"of target\";".into(),
            "warning | of target | has CREATE on schema public on the target, but not on the source | REVOKE CREATE ON SCHEMA \"public\" FROM \"of target\";".into(),
            "warning | PUBLIC | has CREATE on schema public on the target, but not on the source | REVOKE CREATE ON SCHEMA \"public\" FROM PUBLIC;".into(),
            "warning | PUBLIC | has USAGE on schema public on the source, but not on the target | GRANT USAGE ON SCHEMA \"public\" TO PUBLIC;".into(),
        ]
    );
    // Of what the options leave out nothing is said.
    assert_eq!(told(&pair, r#"{"privileges": "drop"}"#).len(), 5);
    assert_eq!(told(&pair, r#"{"include": ["public.t"]}"#).len(), 0);
    // Once the source's have been changed, the run gives what they are.
    pair.source.sql(&format!("GRANT CONNECT ON DATABASE {source} TO \"of source\""));
    assert!(!told(&pair, "{}").iter().any(|row| row.contains("PUBLIC | has CONNECT")));
    for row in rows.iter().filter(|row| !row.contains("GRANT CONNECT")) {
        pair.target.sql(row.rsplit(" | ").next().unwrap());
    }
    assert_eq!(told(&pair, "{}"), Vec::<String>::new());
    pair.migrate();
    let acl = |db: &cluster::Db| {
        db.value(
            "SELECT string_agg(a.acl::text, ' ' ORDER BY a.acl::text)
             FROM (SELECT unnest(datacl) FROM pg_database WHERE datname = current_database()
                   UNION ALL SELECT unnest(nspacl) FROM pg_namespace WHERE nspname = 'public') a(acl)",
        )
    };
    assert_eq!(acl(&pair.source), acl(&pair.target));
}

/// Only the roles that policies name are needed, but not only their memberships count.
fn same_memberships(edition: Edition) {
    let pair = Pair::plain("same_memberships", edition);
    pair.both(&[
        "DROP ROLE IF EXISTS same_reader, same_user; CREATE ROLE same_reader; CREATE ROLE same_user; GRANT same_reader TO same_user",
    ]);
    pair.source.sql(
        "CREATE TABLE t (n int); CREATE POLICY p ON t TO same_reader USING (true); GRANT SELECT ON t TO same_user, same_reader",
    );
    let told = || {
        let rows = pair.preflight_with("roles", r#"{"owners": "drop", "privileges": "drop"}"#);
        rows.into_iter().filter(|row| row.contains("same_")).collect::<Vec<_>>()
    };
    assert_eq!(told().iter().filter(|row| row.contains("member")).count(), 0, "{:#?}", told());
    pair.source.sql("REVOKE same_reader FROM same_user");
    let row = "warning | same_reader | has members on the target that it does not have on the source: same_user | REVOKE \"same_reader\" FROM \"same_user\";";
    assert!(told().iter().any(|told| told == row), "{:#?}", told());
}

/// A chain of grants, of which each needs the one before; and two by the same member.
fn grantors(edition: Edition) {
    let pair = Pair::plain("grantors", edition);
    let names = "\"grantors app\", grantors_alice, grantors_a_bob, grantors_carol, grantors_user";
    let drop = format!("DROP ROLE IF EXISTS {names}");
    let create = names.split(", ").map(|name| format!("CREATE ROLE {name}; ")).collect::<String>();
    pair.source.sql(&format!(
        "{drop}; {create}
         GRANT \"grantors app\" TO grantors_alice WITH ADMIN OPTION;
         GRANT \"grantors app\" TO grantors_a_bob WITH ADMIN OPTION GRANTED BY grantors_alice;
         GRANT \"grantors app\" TO grantors_user GRANTED BY grantors_a_bob;
         GRANT \"grantors app\" TO grantors_carol GRANTED BY grantors_alice; GRANT \"grantors app\" TO grantors_carol;
         CREATE TABLE t (n int CHECK (n > 0)); INSERT INTO t VALUES (1); GRANT SELECT ON t TO \"grantors app\""
    ));
    pair.target.sql(&drop);
    let memberships = |db: &cluster::Db| {
        db.value(
            "SELECT string_agg(concat_ws(' ', member::regrole, admin_option, grantor::regrole), ', ' ORDER BY member::regrole::text, grantor)
             FROM pg_auth_members WHERE roleid = '\"grantors app\"'::regrole",
        )
    };
    pair.migrate();
    assert_eq!(
        memberships(&pair.target),
        "grantors_a_bob t grantors_alice, grantors_alice t postgres, grantors_carol f postgres, grantors_user f grantors_a_bob"
    );
    assert_eq!(pair.warnings_of_run(), 0, "{}", pair.messages());
    // Who has granted it takes it back.
    pair.target.sql("SET ROLE grantors_a_bob; REVOKE \"grantors app\" FROM grantors_user");
    pair.target.sql("DROP TABLE t");
    pair.target.sql(&drop);
    // Where a membership does not arrive that a grantor needs, the caller's takes its place, and that is said.
    pair.target.sql("CREATE ROLE grantors_alice");
    pair.migrate();
    assert_eq!(memberships(&pair.target), "grantors_a_bob t postgres, grantors_carol f postgres, grantors_user f grantors_a_bob");
    let warning = "role grantors_a_bob is a member of grantors app by the caller's grant, not by grantors_alice's";
    assert!(pair.messages().contains(warning), "{}", pair.messages());
}

fn roles_not_made(edition: Edition) {
    let pair = Pair::plain("not_made", edition);
    let drop = "DROP ROLE IF EXISTS not_made_alice, not_made_group, not_made_bob, not_made_other";
    pair.source.sql(&format!(
        "{drop}; CREATE ROLE not_made_group; CREATE ROLE not_made_alice IN ROLE not_made_group; CREATE ROLE not_made_bob; CREATE ROLE not_made_other;
         CREATE TABLE t (n int); INSERT INTO t VALUES (1); CREATE POLICY p ON t TO not_made_alice;
         CREATE TABLE secret (n int); CREATE POLICY p ON secret TO not_made_other;
         ALTER ROLE not_made_bob IN DATABASE {name} SET work_mem = '8MB'; ALTER DATABASE {name} SET search_path = public, t",
        name = quote(&pair.source.name)
    ));
    pair.target.sql(drop);
    let options = r#"{"owners": "drop", "privileges": "drop", "exclude": ["public.secret"]}"#;
    assert_eq!(
        pair.preflight_with("roles", options),
        [
            "warning | not_made_alice | does not become a member of not_made_group, which is not made | CREATE ROLE \"not_made_group\"; -- before the run; after it: GRANT \"not_made_group\" TO \"not_made_alice\" WITH ADMIN false, INHERIT true, SET true;",
            "ok | not_made_alice | will be made",
            "warning | not_made_bob | is not made, so that its settings in the database are left out: work_mem",
        ]
    );
    let included = options.replace(r#""exclude": ["public.secret"]"#, r#""include": ["public.t"]"#);
    let made = |options: &str| {
        let query = format!("SELECT string_agg(object || ' ' || note, ', ') FROM migrate_plan('old', '{options}') WHERE method = 'CREATE ROLE'");
        pair.target.value(&query)
    };
    assert_eq!(made(options), "ROLE not_made_alice missing on the target");
    assert_eq!(made(&included), "ROLE not_made_alice missing on the target");
    let database = format!("SELECT note FROM migrate_plan('old', '{options}') WHERE object = 'DATABASE'");
    assert_eq!(pair.target.value(&database), "setting search_path");
    let all = r#"{"owners": "drop", "privileges": "drop"}"#;
    assert_eq!(made(all), "ROLE not_made_alice missing on the target, ROLE not_made_other missing on the target");
    pair.migrate_with(&format!("'{options}'"));
    assert!(!pair.messages().contains("was left out"), "{}", pair.messages());
    assert_eq!(pair.target.value("SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolname ~ '^not_made'"), "not_made_alice");
}

//! Hints that are statements can be run as they are, when they say so, and then what they were about is over. Names in
//! the plan are quoted where a statement would need it.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};

pub const TESTS: &[Test] = &[
    Test::apache("memberships on the target alone, granted by members", granted_further),
    Test::apache("a membership whose role the run makes is granted after the run", granted_later),
    Test::apache("an owner whom nobody makes gets nothing", no_owner),
    Test::apache("names in the plan", names),
];

/// What preflight says of the roles with a prefix: subject and detail, and the hint.
fn told(pair: &Pair, prefix: &str, options: &str) -> Vec<(String, String)> {
    let rows = pair.target.rows(&format!(
        "SELECT subject || ': ' || detail, coalesce(hint, '') FROM migrate_preflight('old', '{options}')
         WHERE topic = 'roles' AND status = 'warning' AND subject LIKE '{prefix}%'"
    ));
    rows.iter().map(|row| (row.get(0).unwrap().to_owned(), row.get(1).unwrap().to_owned())).collect()
}

fn granted_further(edition: Edition) {
    let pair = Pair::plain("hint_further", edition);
    pair.source.sql(
        "CREATE ROLE further_ro; CREATE ROLE further_kept IN ROLE further_ro; CREATE ROLE further_other IN ROLE further_ro;
         CREATE TABLE t (n int); GRANT SELECT ON t TO further_ro",
    );
    pair.target.sql(
        "CREATE ROLE further_ro; CREATE ROLE further_g; CREATE ROLE further_z; CREATE ROLE further_kept; CREATE ROLE further_other;
         GRANT further_ro TO further_g WITH ADMIN OPTION; GRANT further_ro TO further_z, further_kept GRANTED BY further_g;
         GRANT further_ro TO further_other; GRANT further_ro TO further_other WITH ADMIN OPTION GRANTED BY further_g",
    );
    let found = told(&pair, "further_", "{}");
    let details: Vec<&str> = found.iter().map(|(detail, _)| detail.as_str()).collect();
    assert_eq!(
        details,
        [
            "further_other: is a member of further_ro with other options than on the source",
            "further_ro: has members on the target that it does not have on the source: further_g, further_z",
            "further_ro: exists on the target, and gets what the role of that name is granted on the source",
        ]
    );
    for (_, hint) in &found[..2] {
        pair.target.sql(hint);
    }
    let left = told(&pair, "further_", "{}");
    assert_eq!(left, found[2..]);
    let members = "SELECT string_agg(concat(member::regrole, CASE WHEN admin_option THEN '*' END, ' ', CASE grantor WHEN 10 THEN '' ELSE 'by a member' END), ',' ORDER BY member::regrole::text)
        FROM pg_auth_members WHERE roleid = 'further_ro'::regrole";
    assert_eq!(pair.target.value(members), "further_kept ,further_other ");
    // It owns nothing.
    assert_eq!(told(&pair, "further_", r#"{"privileges": "drop"}"#), []);
}

fn granted_later(edition: Edition) {
    let pair = Pair::plain("hint_later", edition);
    pair.source.sql(
        "CREATE ROLE later_rw; CREATE ROLE later_bob LOGIN PASSWORD 'x' IN ROLE later_rw; CREATE TABLE t (n int); GRANT ALL ON t TO later_rw",
    );
    pair.target.sql("CREATE ROLE later_bob LOGIN PASSWORD 'y'");
    let found = told(&pair, "later_bob", "{}");
    let (detail, hint) = &found[0];
    assert_eq!(detail, "later_bob: does not become a member of later_rw, because one of the two roles exists on the target");
    let grant = "GRANT \"later_rw\" TO \"later_bob\" WITH ADMIN false, INHERIT true, SET true; --";
    assert_eq!(*hint, format!("{grant} after the run, or the option \"roles\": \"merge\""));
    let none = told(&pair, "later_bob", r#"{"roles": "none"}"#);
    assert!(none.iter().any(|(_, hint)| *hint == format!("{grant} when role later_rw exists")), "{none:?}");
    pair.migrate();
    pair.target.sql(hint);
    assert!(pair.target.is("SELECT pg_has_role('later_bob', 'later_rw', 'MEMBER')"));
}

fn no_owner(edition: Edition) {
    let pair = Pair::plain("hint_no_owner", edition);
    pair.source.sql(
        "CREATE ROLE no_owner_boss; CREATE FUNCTION sd() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'; ALTER FUNCTION sd() OWNER TO no_owner_boss",
    );
    let hint = |options: &str| {
        pair.target.value(&format!("SELECT hint FROM migrate_preflight('old', '{options}') WHERE topic = 'owners'"))
    };
    let revoke = "REVOKE EXECUTE ON ROUTINE public.sd() FROM PUBLIC;";
    let owner = format!("ALTER ROUTINE public.sd() OWNER TO \"no_owner_boss\"; -- after the run, or {revoke}");
    assert_eq!(hint(r#"{"owners": "drop"}"#), owner);
    let options = r#"{"owners": "drop", "privileges": "drop"}"#;
    let without = hint(options);
    assert_eq!(without, format!("{revoke} -- after the run, or give it to an owner with fewer rights"));
    pair.migrate_with(&format!("'{options}'"));
    pair.target.sql(&without);
    assert!(pair.target.is("SELECT NOT has_function_privilege('public', 'sd()', 'EXECUTE')"));
}

fn names(edition: Edition) {
    let pair = Pair::plain("hint_names", edition);
    pair.source.sql(
        "CREATE ROLE \"names Own er\"; CREATE SCHEMA \"Odd Schema\" AUTHORIZATION \"names Own er\";
         CREATE TABLE \"Odd Schema\".\"T \"\"x\"\"\" (id int CONSTRAINT \"p k\" PRIMARY KEY, plain int);
         CREATE FUNCTION \"Odd Schema\".\"F n\"(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE TABLE plain (n int REFERENCES \"Odd Schema\".\"T \"\"x\"\"\"); CREATE POLICY \"Po\" ON plain;
         CREATE PUBLICATION pub FOR TABLE plain;
         ALTER DEFAULT PRIVILEGES FOR ROLE \"names Own er\" IN SCHEMA \"Odd Schema\" GRANT SELECT ON TABLES TO PUBLIC",
    );
    let rows = pair.target.rows("SELECT object FROM migrate_plan('old') WHERE phase <> 'verify' AND object NOT LIKE '%hint_names%'");
    let found: Vec<&str> = rows.iter().map(|row| row.get(0).unwrap()).collect();
    for object in [
        "ROLE \"names Own er\"",
        "SCHEMA \"Odd Schema\"",
        "TABLE \"Odd Schema\".\"T \"\"x\"\"\"",
        "FUNCTION \"Odd Schema\".\"F n\"(integer)",
        "\"Odd Schema\".\"T \"\"x\"\"\"",
        "CONSTRAINT \"Odd Schema\".\"T \"\"x\"\"\" \"p k\"",
        "FK CONSTRAINT public.plain plain_n_fkey",
        "POLICY public.plain \"Po\"",
        "PUBLICATION TABLE pub public.plain",
        "DEFAULT ACL FOR ROLE \"names Own er\" IN SCHEMA \"Odd Schema\" FOR TABLES",
    ] {
        assert!(found.contains(&object), "no {object} in {found:#?}");
    }
    pair.migrate();
    assert_same(&pair);
}

//! Owners who, while a run writes to their table, give its name to another one.

use cluster::suite::Test;
use cluster::{Edition, Pair, poll};

pub const TESTS: &[Test] = &[
    Test::both("by the check of a domain, while rows come into a hypertable", by_a_domain),
    Test::apache("while the triggers of a table are to be switched off", beside_triggers),
];

/// A role with the schemas `n` and `other`, the second of which takes the place of the first.
fn prepare(pair: &Pair, role: &str) {
    for side in [&pair.source, &pair.target] {
        side.sql(&format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role}; GRANT CREATE ON DATABASE {} TO {role}", side.name));
    }
}

const SCHEMAS: [&str; 2] = ["CREATE SCHEMA n AUTHORIZATION", "CREATE SCHEMA other AUTHORIZATION"];
const SWAP: &str = "ALTER SCHEMA n RENAME TO former; ALTER SCHEMA other RENAME TO n;";

fn by_a_domain(edition: Edition) {
    let (pair, role) = (Pair::plain("hostile_by_domain", edition), "hostile_by_domain");
    prepare(&pair, role);
    pair.source.each(&SCHEMAS.map(|schema| format!("{schema} {role}")));
    pair.source.each(&[
        "CREATE TABLE other.h (t timestamptz NOT NULL, a int)".to_string(),
        format!(
            "SET ROLE {role};
             CREATE FUNCTION n.swap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
                 IF to_regnamespace('timescale_migrate') IS NOT NULL AND to_regnamespace('other') IS NOT NULL THEN
                     {SWAP}
                     -- Nor does it keep what the run makes meanwhile.
                     CREATE FUNCTION former.keep(pg_temp.timescale_migrate_hypertable) RETURNS int LANGUAGE sql AS 'SELECT 1';
                 END IF;
                 RETURN true;
             END $$;
             CREATE DOMAIN n.d AS int CHECK (n.swap());
             CREATE TABLE n.h (t timestamptz NOT NULL, a n.d);
             INSERT INTO n.h SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 day', i FROM generate_series(1, 20) i"
        ),
    ]);
    // So many chunks that TimescaleDB finds them.
    let run = pair.start(r#", options => '{"hypertables": {"n.h": {"time": "t", "chunk_interval": "1 day"}}}'"#);
    pair.wait_for_end(&run);
    let owner = "SELECT relowner::regrole FROM pg_class WHERE oid = 'n.h'::regclass";
    assert_eq!(pair.target.value(owner), "postgres", "{}", pair.messages());
    assert_eq!(pair.target.value("SELECT (SELECT count(*) FROM n.h) || ' ' || (SELECT count(*) FROM former.h)"), "0 20");
}

fn beside_triggers(edition: Edition) {
    let (pair, role) = (Pair::plain("hostile_triggers", edition), "hostile_triggers");
    prepare(&pair, role);
    for side in [&pair.source, &pair.target] {
        side.each(&SCHEMAS.map(|schema| format!("{schema} {role}")));
        side.each(&[format!("CREATE TABLE n.t (a int); ALTER TABLE n.t OWNER TO {role}")]);
    }
    pair.source.sql("INSERT INTO n.t VALUES (1)");
    pair.target.sql(
        "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.a := 7; RETURN NEW; END';
         CREATE TABLE other.t (a int)",
    );
    for schema in ["n", "other"] {
        pair.target.sql(&format!(
            "CREATE TRIGGER never BEFORE INSERT ON {schema}.t FOR EACH ROW EXECUTE FUNCTION change();
             ALTER TABLE {schema}.t ENABLE ALWAYS TRIGGER never"
        ));
    }
    let mut locker = pair.target.connect();
    locker.batch_execute("BEGIN; LOCK TABLE n.t IN ROW EXCLUSIVE MODE").unwrap();
    let run = pair.start(r#", options => '{"mode": "data"}', jobs => 1"#);
    poll("the worker to wait", || pair.target.is("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'n.t'::regclass)"));
    pair.target.sql(&format!("SET ROLE {role}; {SWAP}"));
    locker.batch_execute("COMMIT").unwrap();
    pair.wait_for_end(&run);
    // The second attempt begins with the other table.
    let said = format!("SELECT concat_ws(' | ', state, error) FROM timescale_migrate.run WHERE id = {run}");
    assert_eq!(pair.target.value(&said), format!("failed | relation n.t is not the one that run {run} made"));
    let fires = "SELECT string_agg(concat(tgrelid::regclass, ' ', tgenabled), ', ' ORDER BY tgrelid) FROM pg_trigger WHERE tgname = 'never'";
    assert_eq!(pair.target.value(fires), "former.t A, n.t A");
    // When the names are as before.
    pair.target.sql("ALTER SCHEMA n RENAME TO other; ALTER SCHEMA former RENAME TO n");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    assert_eq!(pair.target.value("SELECT (SELECT sum(a) FROM n.t) || ' ' || (SELECT count(*) FROM other.t)"), "1 0");
}

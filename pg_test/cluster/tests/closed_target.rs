//! While it is half made, a target lets nobody in but superusers; who could use or change what is
//! there has to wait until all is.

use crate::slow;
use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, describe, poll, quote};
use postgres::{Client, NoTls};

pub const TESTS: &[Test] = &[
    Test::both("ordinary roles get in once all is there", until_done),
    Test::apache("it stays closed until a run is resumed", until_resumed),
    Test::apache("it stays closed until a run is removed", until_removed),
    Test::apache("a later run knows how it was before", later_run),
    Test::apache("it is opened again when nothing was made", nothing_made),
    Test::apache("open on request, with functions that nobody else may execute", open),
];

/// Roles on both sides: `@_owner` has the database of the source, `@_landlord` that of the target.
fn fill(pair: &Pair) {
    slow::fill(pair);
    let (name, owner, landlord) = (&pair.source.name, role(pair, "owner"), role(pair, "landlord"));
    pair.source.sql(&format!("DROP ROLE IF EXISTS {owner}"));
    pair.target.sql(&format!("DROP ROLE IF EXISTS {owner}, {landlord}; CREATE ROLE {landlord} LOGIN"));
    pair.source.sql(&format!("CREATE ROLE {owner} LOGIN; ALTER DATABASE {name} OWNER TO {owner}"));
    pair.target.sql(&format!("ALTER DATABASE {name} OWNER TO {landlord}; ALTER DATABASE {name} CONNECTION LIMIT 77"));
}

fn role(pair: &Pair, which: &str) -> String {
    quote(&format!("{}_{which}", pair.source.name))
}

fn log_in(pair: &Pair, which: &str, database: &str) -> Result<Client, postgres::Error> {
    let mut config = pair.target.cluster.config(database);
    config.user(role(pair, which).trim_matches('"')).connect(NoTls)
}

/// Neither of the roles gets in, nor can let itself in.
#[track_caller]
fn assert_closed(pair: &Pair) {
    let name = &pair.target.name;
    for which in ["owner", "landlord"] {
        let Err(error) = log_in(pair, which, name) else { panic!("{which} is in") };
        assert_eq!(error.code().map(|code| code.code()), Some("53300"), "{}", describe(&error));
        let mut outside = log_in(pair, which, "postgres").unwrap();
        let error = outside.batch_execute(&format!("ALTER DATABASE {name} CONNECTION LIMIT -1")).unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{}", describe(&error));
    }
}

/// Owner and connection limit of the target.
fn door(pair: &Pair) -> String {
    let door = "SELECT pg_get_userbyid(datdba) || ' ' || datconnlimit FROM pg_database WHERE datname = current_database()";
    pair.target.value(door)
}

#[track_caller]
fn assert_open(pair: &Pair) {
    assert_eq!(door(pair), format!("{}_owner 77", pair.target.name));
    log_in(pair, "owner", &pair.target.name).unwrap();
}

/// A run that was given up in the middle; its number.
fn give_up(pair: &Pair) -> String {
    let run = pair.start(", jobs => 2");
    slow::wait_for_the_middle(pair);
    pair.target.sql(&format!("SELECT migrate_cancel({run}, 'immediate')"));
    pair.wait_for_state(&run, "cancelled");
    pair.wait_for_silence();
    run
}

fn until_done(edition: Edition) {
    let pair = Pair::new(&format!("closed_{}", edition.name()), edition);
    fill(&pair);
    assert_eq!(
        pair.preflight("access"),
        ["ok | this database | lets only superusers connect until the run is done or removed"]
    );
    let stays = log_in(&pair, "landlord", &pair.target.name).unwrap();
    let refused = format!("error | {}_landlord | is connected to this database (1), to which only superusers", pair.target.name);
    assert!(pair.preflight("access")[0].starts_with(&refused), "{:?}", pair.preflight("access"));
    let error = pair.target.refuses("SELECT * FROM migrate_from('old')", &["cannot migrate: access: "]);
    assert_eq!(error.code().code(), "55006");
    drop(stays);
    poll("the session to end", || pair.preflight("access")[0].starts_with("ok"));
    let run = pair.start(", jobs => 2");
    slow::wait_for_the_middle(&pair);
    assert_closed(&pair);
    slow::hurry(&pair);
    pair.wait_for_end(&run);
    pair.is_done(&run);
    assert_open(&pair);
    pair.target.sql(&format!("ALTER DATABASE {} CONNECTION LIMIT -1", pair.target.name));
    assert_same(&pair);
}

fn until_resumed(edition: Edition) {
    let pair = Pair::new("closed_resumed", edition);
    fill(&pair);
    let run = pair.start(", jobs => 2");
    slow::wait_for_the_middle(&pair);
    // As in a crash, nobody is there to open it.
    pair.target.sql("SELECT pg_terminate_backend(pid) FROM timescale_migrate.run WHERE state = 'running'");
    pair.wait_for_state(&run, "interrupted");
    pair.wait_for_silence();
    assert_closed(&pair);
    let message = format!("run {run} was interrupted. Call migrate_resume({run}) to continue it, or migrate_cleanup({run}) to remove what it made.");
    assert_eq!(pair.target.value("SELECT message FROM migrate_status()"), message);
    // Whoever waits or compares hears the same.
    let ways = format!("Call migrate_resume({run}) to continue it, or migrate_cleanup({run}) to remove what it made.");
    let error = pair.target.error(&format!("SELECT * FROM migrate_wait({run})"));
    assert_eq!(error.hint(), Some(&*format!("See the server log for details. {ways}")));
    let error = pair.target.error(&format!("SELECT * FROM migrate_verify({run})"));
    assert_eq!((error.message(), error.hint()), (&*format!("run {run} is not done"), Some(&*format!("Call migrate_resume({run}) to continue it."))));
    pair.target.refuses("SELECT * FROM migrate_verify('old', 'count')", &["source and target differ", &format!("AND NOT same; -- Run {run} is not finished. {ways}")]);
    slow::hurry(&pair);
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    assert_open(&pair);
}

fn until_removed(edition: Edition) {
    let pair = Pair::new("closed_removed", edition);
    fill(&pair);
    let before = door(&pair);
    let run = give_up(&pair);
    assert_closed(&pair);
    pair.target.sql(&format!("SELECT migrate_cleanup({run})"));
    assert_eq!(door(&pair), before);
    let message = format!("SELECT message FROM migrate_status({run})");
    assert_eq!(pair.target.value(&message), format!("run {run} was removed by migrate_cleanup"));
    pair.target.refuses(&format!("SELECT * FROM migrate_verify({run})"), &[&format!("run {run} was removed")]);
    log_in(&pair, "landlord", &pair.target.name).unwrap();
}

fn later_run(edition: Edition) {
    let pair = Pair::new("closed_twice", edition);
    fill(&pair);
    give_up(&pair);
    pair.target.sql("DROP TABLE slow; DROP TABLE slow_too; DROP FUNCTION slowly");
    pair.source.sql(slow::FAST);
    // Another owner stays where the options leave it.
    pair.migrate_with(r#"'{"owners": "drop"}'"#);
    assert_eq!(door(&pair), "closed_twice_landlord 77");
}

fn nothing_made(edition: Edition) {
    let pair = Pair::new("closed_bare", edition);
    fill(&pair);
    pair.source.sql(slow::FAST);
    pair.target.sql(
        "CREATE FUNCTION fail() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
         CREATE EVENT TRIGGER fail ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION fail()",
    );
    let before = door(&pair);
    let options = r#"{"roles": "none", "owners": "drop", "privileges": "drop"}"#;
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{options}')"), &["not now"]);
    pair.wait_for_silence();
    assert_eq!(door(&pair), before);
    log_in(&pair, "landlord", &pair.target.name).unwrap();
    pair.target.sql("DROP EVENT TRIGGER fail; DROP FUNCTION fail");
    pair.target.rows("SELECT * FROM migrate_resume(1)");
    pair.is_done("1");
}

fn open(edition: Edition) {
    let pair = Pair::new("closed_not", edition);
    fill(&pair);
    pair.source.sql(
        "CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO PUBLIC;
         CREATE FUNCTION app.who() RETURNS name LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user';
         REVOKE EXECUTE ON FUNCTION app.who() FROM PUBLIC",
    );
    let options = r#"{"connections": "allow"}"#;
    assert!(pair.preflight_with("access", options)[0].starts_with("ok | this database | lets ordinary roles connect during the run"));
    let run = pair.start(&format!(", jobs => 2, options => '{options}'"));
    slow::wait_for_the_middle(&pair);
    let mut guest = log_in(&pair, "owner", &pair.target.name).unwrap();
    let error = guest.batch_execute("SELECT app.who()").unwrap_err();
    assert_eq!(describe(&error).lines().next(), Some("ERROR: permission denied for function who (SQLSTATE 42501)"));
    slow::hurry(&pair);
    pair.wait_for_end(&run);
    pair.is_done(&run);
    assert_open(&pair);
}

//! What owners of tables have written, on the source, or on the target during a run, never runs with a superuser's rights.

use crate::slow;
use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, poll};

pub const TESTS: &[Test] = &[
    Test::apache("constraints, domains, generated columns, indexes and casts", expressions),
    Test::apache("a function with settings, or with its owner's rights, changes nothing of the session", settings),
    Test::apache("existing tables are examined without their owner's functions", standing),
    Test::both("a trigger's condition changes nothing of the session", trigger_condition),
    Test::community("hypertables and continuous aggregates", hypertables),
    Test::community("aggregates that are computed anew", recomputed),
    Test::apache("a constraint that is added during the run", added),
    Test::apache("a table that takes another's place", replaced),
    Test::apache("a view that takes a table's place is not compared", view_in_place),
    Test::apache("owners without privileges on their tables", without_privileges),
    Test::apache("functions that need more than the owner may do", needs_more),
    Test::community("functions that PUBLIC may not execute", revoked),
];

/// A schema `n` of an ordinary role on the source, with functions that would make the role superuser if they could, and log whom they
/// run as; the names of roles are the servers'.
fn prepare(pair: &Pair, role: &str) {
    prepare_in(&pair.source, role);
}

/// The same on one side.
fn prepare_in(db: &cluster::Db, role: &str) {
    db.sql(&format!(
        "CREATE ROLE {role}; CREATE SCHEMA n AUTHORIZATION {role}; GRANT CREATE ON SCHEMA public TO {role}; SET ROLE {role};
         CREATE FUNCTION n.strike(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
             RAISE LOG '% of {role} ran as %', what, current_user;
             IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN ALTER ROLE {role} SUPERUSER; END IF;
         END $$;
         CREATE FUNCTION n.evil(a int, what text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM n.strike(what); RETURN a; END $$"
    ));
}

fn as_role(db: &cluster::Db, role: &str, statements: &str) {
    db.sql(&format!("SET ROLE {role}; {statements}"));
}

/// All of these have run on the target, each as the role.
#[track_caller]
fn ran_as(pair: &Pair, log: &str, role: &str, kinds: &[&str]) {
    assert_eq!(pair.target.value(&format!("SELECT rolsuper FROM pg_roles WHERE rolname = '{role}'")), "f");
    let ran: Vec<&str> = log.lines().filter_map(|line| line.split_once("LOG:  ")).map(|(_, said)| said).collect();
    for kind in kinds {
        let said = format!("{kind} of {role} ran as {role}");
        assert!(ran.contains(&said.as_str()), "no \"{said}\"");
    }
    let wrong = ran.iter().find(|said| said.contains(&format!(" of {role} ran as ")) && !said.ends_with(&format!(" {role}")));
    assert_eq!(wrong, None);
}

fn expressions(edition: Edition) {
    let (pair, role) = (Pair::plain("hostile_expressions", edition), "hostile_expressions");
    prepare(&pair, role);
    as_role(
        &pair.source,
        role,
        "CREATE TABLE n.checked (a int CHECK (n.evil(a, 'check') > 0)); INSERT INTO n.checked VALUES (1), (2);
         CREATE DOMAIN n.positive AS int CHECK (n.evil(VALUE, 'domain') > 0);
         CREATE TABLE n.domained (a n.positive); INSERT INTO n.domained VALUES (1), (2);
         CREATE TABLE n.generated (a int, b int GENERATED ALWAYS AS (n.evil(a, 'generated')) STORED); INSERT INTO n.generated VALUES (1), (2);
         CREATE TABLE n.indexed (a int); INSERT INTO n.indexed VALUES (1), (2);
         CREATE INDEX ON n.indexed (n.evil(a, 'index')) WHERE n.evil(1, 'predicate') = 1;
         CREATE STATISTICS n.seen ON (n.evil(a, 'statistics')), a FROM n.indexed;
         CREATE TABLE n.parts (a int) PARTITION BY RANGE (n.evil(a, 'partition'));
         CREATE TABLE n.part PARTITION OF n.parts FOR VALUES FROM (0) TO (9); INSERT INTO n.parts VALUES (1), (2);
         CREATE MATERIALIZED VIEW n.counted AS SELECT n.evil(a, 'view') FROM n.indexed;
         CREATE TYPE n.number AS ENUM ('1', '2');
         CREATE FUNCTION n.as_int(n.number) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM n.strike('cast'); RETURN $1::text::int; END $$;
         CREATE CAST (n.number AS int) WITH FUNCTION n.as_int(n.number) AS IMPLICIT;
         CREATE TABLE n.parent (a int PRIMARY KEY); INSERT INTO n.parent VALUES (1), (2);
         CREATE TABLE n.child (a n.number REFERENCES n.parent); INSERT INTO n.child VALUES ('1'), ('2')",
    );
    let before = pair.target.cluster.log_length();
    pair.migrate();
    let log = pair.target.cluster.log_since(before);
    ran_as(&pair, &log, role, &["check", "domain", "generated", "index", "statistics", "partition", "view", "cast"]);
    assert_same(&pair);
}

/// Casts of foreign keys, each worker's first of which would leave a search_path behind, in which the run's own next statements
/// would find the role's functions.
fn settings(edition: Edition) {
    let (pair, role) = (Pair::plain("hostile_settings", edition), "hostile_settings");
    prepare(&pair, role);
    let leave = "BEGIN PERFORM n.strike('cast'); PERFORM set_config('search_path', 'n, pg_catalog', false);
        PERFORM set_config('standard_conforming_strings', 'off', false); RETURN $1::text::int; END";
    for (number, kind) in ["SECURITY DEFINER", "SET work_mem = '4MB'", "SECURITY DEFINER SET search_path = n", ""].iter().enumerate() {
        as_role(
            &pair.source,
            role,
            &format!(
                "CREATE TYPE n.number_{number} AS ENUM ('1', '2');
                 CREATE FUNCTION n.as_int(n.number_{number}) RETURNS int LANGUAGE plpgsql IMMUTABLE {kind} AS $$ {leave} $$;
                 CREATE CAST (n.number_{number} AS int) WITH FUNCTION n.as_int(n.number_{number}) AS IMPLICIT;
                 CREATE TABLE n.parent_{number} (a int PRIMARY KEY); INSERT INTO n.parent_{number} VALUES (1), (2);
                 DO $do$ BEGIN FOR i IN 1..4 LOOP
                     EXECUTE format('CREATE TABLE n.child_{number}_%s (a n.number_{number} REFERENCES n.parent_{number})', i);
                     EXECUTE format('INSERT INTO n.child_{number}_%s VALUES (''1''), (''2'')', i);
                 END LOOP; END $do$"
            ),
        );
    }
    let spy = "LANGUAGE plpgsql AS $$ BEGIN PERFORM n.strike('spy'); RETURN pg_catalog.to_json($1); END $$";
    as_role(
        &pair.source,
        role,
        &format!("CREATE FUNCTION n.to_json(text) RETURNS json {spy}; CREATE FUNCTION n.to_json(bigint) RETURNS json {spy}"),
    );
    let before = pair.target.cluster.log_length();
    pair.migrate_with("jobs => 1");
    let log = pair.target.cluster.log_since(before);
    ran_as(&pair, &log, role, &["cast"]);
    assert!(!log.contains("LOG:  spy of"), "{log}");
    assert_same(&pair);
}

const H: &str = "CREATE TABLE n.h (t timestamptz NOT NULL, a int); SELECT public.create_hypertable('n.h', public.by_range('t'))";

/// Preflight and plan look in the caller's own session, the run in its own.
fn standing(edition: Edition) {
    let (pair, role) = (Pair::new("hostile_standing", edition), "hostile_standing");
    prepare(&pair, role);
    as_role(&pair.source, role, &format!("CREATE TABLE n.t (a int); INSERT INTO n.t VALUES (1), (2); {H}; INSERT INTO n.h VALUES (now(), 1)"));
    prepare_in(&pair.target, role);
    let predicate = "WHERE n.evil(1, 'predicate') = 1";
    as_role(&pair.target, role, &format!("CREATE TABLE n.t (a int); CREATE INDEX ON n.t (a) {predicate}; {H}; CREATE INDEX ON n.h (a) {predicate}"));
    let before = pair.target.cluster.log_length();
    pair.target.sql("ALTER TABLE n.t OWNER TO postgres");
    pair.both(&["CREATE SEQUENCE n.s"]);
    as_role(&pair.source, role, "CREATE SEQUENCE n.own");
    pair.target.sql("CREATE SEQUENCE n.own");
    let owners = pair.preflight_with("objects", r#"{"mode": "data"}"#);
    assert_eq!(
        owners,
        ["tables of other owners | n.t", "sequences of other owners | n.own"].map(|of| format!("warning | {of} belong to other roles on the target than on the source."))
    );
    pair.target.sql(&format!("ALTER TABLE n.t OWNER TO {role}; ALTER SEQUENCE n.own OWNER TO {role}"));
    assert!(pair.preflight_with("verdict", r#"{"mode": "data"}"#)[0].starts_with("ok"));
    pair.target.rows(r#"SELECT * FROM migrate_plan('old', '{"mode": "data"}')"#);
    ran_as(&pair, &pair.target.cluster.log_since(before), role, &[]);
    pair.migrate_with(r#"'{"mode": "data"}'"#);
    assert!(pair.preflight_with("verdict", r#"{"mode": "data"}"#)[0].contains("2 errors"));
    pair.target.rows("SELECT * FROM migrate_verify(1)");
    ran_as(&pair, &pair.target.cluster.log_since(before), role, &["predicate"]);
    assert!(pair.target.is("SELECT (SELECT count(*) FROM n.t) = 2 AND (SELECT count(*) FROM n.h) = 1"));
}

/// TimescaleDB reads the conditions of triggers anew for each chunk, as the owner of the hypertable.
fn trigger_condition(edition: Edition) {
    let (pair, role) = (Pair::new("hostile_condition", edition), "hostile_condition");
    prepare(&pair, role);
    as_role(&pair.source, role, &format!("{H}; INSERT INTO n.h VALUES (now(), 1)"));
    prepare_in(&pair.target, role);
    pair.target.sql(&format!(
        "SET ROLE {role}; {H};
         CREATE DOMAIN n.d AS int CHECK (set_config('search_path', 'n, pg_catalog', false) IS NOT NULL);
         CREATE FUNCTION n.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER f BEFORE INSERT ON n.h FOR EACH ROW WHEN (NEW.a = ANY ('{{1}}'::n.d[])) EXECUTE FUNCTION n.f()"
    ));
    let error = pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"mode": "data"}')"#, &["set_config"]);
    assert_eq!(error.code().code(), "42501");
}

/// A hypertable, a part of whose chunks is compressed, and an aggregate upon it.
fn aggregate(pair: &Pair, role: &str) {
    prepare(pair, role);
    pair.source.each(&[
        format!(
            "SET ROLE {role};
             CREATE FUNCTION n.width() RETURNS interval LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM n.strike('width'); RETURN '1 day'; END $$;
             CREATE FUNCTION n.place(anyelement) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM n.strike('place'); RETURN 1; END $$;
             CREATE TABLE n.m (t timestamptz NOT NULL, d text NOT NULL, a int CHECK (n.evil(a, 'check') > 0));
             SELECT public.create_hypertable('n.m', 't');
             SELECT public.add_dimension('n.m', 'd', 2, partitioning_func => 'n.place');
             CREATE INDEX ON n.m ((a + n.evil(1, 'constant')), n.evil(a, 'index'));
             INSERT INTO n.m SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 day', i::text, i FROM generate_series(1, 20) i;
             ALTER TABLE n.m SET (timescaledb.compress, timescaledb.compress_orderby = 't')"
        ),
        format!("SET ROLE {role}; SELECT public.compress_chunk(c) FROM public.show_chunks('n.m') c LIMIT 1"),
        format!(
            "SET ROLE {role};
             CREATE MATERIALIZED VIEW n.c WITH (timescaledb.continuous) AS
             SELECT public.time_bucket(n.width(), t) AS b, sum(n.evil(a, 'query')) AS s FROM n.m GROUP BY 1 WITH NO DATA"
        ),
        format!("SET ROLE {role}"),
        "CALL public.refresh_continuous_aggregate('n.c', NULL, NULL)".into(),
    ]);
}

fn hypertables(edition: Edition) {
    let (pair, role) = (Pair::new("hostile_hypertables", edition), "hostile_hypertables");
    aggregate(&pair, role);
    let before = pair.target.cluster.log_length();
    pair.migrate();
    let log = pair.target.cluster.log_since(before);
    ran_as(&pair, &log, role, &["check", "constant", "index", "width"]);
    assert_same(&pair);
}

fn recomputed(edition: Edition) {
    let (pair, role) = (Pair::new("hostile_recomputed", edition), "hostile_recomputed");
    aggregate(&pair, role);
    let before = pair.target.cluster.log_length();
    pair.migrate_with(r#"'{"caggs": "recompute"}', jobs => 2"#);
    let log = pair.target.cluster.log_since(before);
    ran_as(&pair, &log, role, &["check", "width", "query"]);
    let rows = "SELECT string_agg(c::text, ' ' ORDER BY b) FROM n.c";
    assert_eq!(pair.target.value(rows), pair.source.value(rows));
}

/// Starts a run that copies a table which takes a while, and after that `n.t` of the role; returns when that copy has begun.
fn in_the_middle(pair: &Pair, role: &str) -> String {
    prepare(pair, role);
    slow::make_plain(pair);
    as_role(&pair.source, role, "CREATE TABLE n.t (a int); INSERT INTO n.t VALUES (1), (2)");
    let run = pair.start(", jobs => 1");
    poll("the first table to be copied", || {
        assert_eq!(pair.state(&run), "running", "{}", pair.messages());
        pair.target.is("SELECT count(*) > 0 FROM timescale_migrate.task WHERE state = 'running'")
    });
    run
}

fn added(edition: Edition) {
    let (pair, role) = (Pair::plain("hostile_added", edition), "hostile_added");
    let run = in_the_middle(&pair, role);
    let before = pair.target.cluster.log_length();
    as_role(&pair.target, role, "ALTER TABLE n.t ADD CHECK (n.evil(a, 'check') > 0)");
    slow::hurry(&pair);
    pair.wait_for_end(&run);
    pair.is_done(&run);
    ran_as(&pair, &pair.target.cluster.log_since(before), role, &["check"]);
}

fn replaced(edition: Edition) {
    let (pair, role) = (Pair::plain("hostile_replaced", edition), "hostile_replaced");
    let run = in_the_middle(&pair, role);
    as_role(&pair.target, role, "ALTER TABLE n.t RENAME TO first; CREATE TABLE n.t (a int)");
    slow::hurry(&pair);
    pair.wait_for_end(&run);
    assert_eq!(
        pair.target.value(&format!("SELECT concat_ws(' | ', state, error, detail, hint) FROM timescale_migrate.run WHERE id = {run}")),
        format!(
            "failed | relation n.t is not the one that run {run} made | Another relation has taken its name. | \
             Rename the other relation. If the run's own is gone, call migrate_cleanup({run}), then migrate_from."
        )
    );
    assert_eq!(pair.target.value("SELECT count(*) FROM n.t"), "0");
    pair.target.sql("DROP TABLE n.t; ALTER TABLE n.first RENAME TO t");
    pair.target.rows(&format!("SELECT * FROM migrate_resume({run})"));
    pair.is_done(&run);
    assert_same(&pair);
}

fn view_in_place(edition: Edition) {
    let (pair, role) = (Pair::plain("hostile_compared", edition), "hostile_compared");
    prepare(&pair, role);
    pair.source.sql("CREATE TABLE large (n int); INSERT INTO large SELECT generate_series(1, 10000)");
    as_role(&pair.source, role, "CREATE TABLE n.t (a int); INSERT INTO n.t VALUES (1), (2)");
    pair.migrate();
    let mut holder = pair.target.connect();
    holder.batch_execute("BEGIN; LOCK TABLE large").unwrap();
    let before = pair.target.cluster.log_length();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| pair.target.error("SELECT * FROM migrate_verify('old', jobs => 1)"));
        poll("the comparison to wait", || {
            pair.target.is("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'large'::regclass)")
        });
        as_role(&pair.target, role, "ALTER TABLE n.t RENAME TO first; CREATE VIEW n.t AS SELECT n.evil(1, 'view') AS a");
        drop(holder);
        let error = call.join().unwrap();
        assert_eq!(error.message(), "n.t: access to non-system view \"t\" is restricted");
    });
    ran_as(&pair, &pair.target.cluster.log_since(before), role, &[]);
    assert!(!pair.target.cluster.log_since(before).contains("LOG:  view of"));
}

/// Copying asks for no privilege and no policy, also where they exist on the target.
fn without_privileges(edition: Edition) {
    let (pair, role) = (Pair::plain("hostile_without", edition), "hostile_without");
    prepare(&pair, role);
    as_role(
        &pair.source,
        role,
        "CREATE TABLE n.t (a int CHECK (n.evil(a, 'check') > 0)); INSERT INTO n.t VALUES (1), (2);
         ALTER TABLE n.t ENABLE ROW LEVEL SECURITY; ALTER TABLE n.t FORCE ROW LEVEL SECURITY;
         CREATE POLICY nothing ON n.t USING (false);
         REVOKE ALL ON n.t FROM CURRENT_USER",
    );
    pair.source.sql("CREATE TABLE twice (a int); INSERT INTO twice VALUES (1), (1); CREATE TABLE later (a int); INSERT INTO later VALUES (1)");
    // The run fails when all privileges have arrived.
    pair.target.sql(
        "CREATE FUNCTION fail() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
             IF EXISTS (SELECT FROM pg_policy) THEN RAISE EXCEPTION 'enough'; END IF; END $$;
         CREATE EVENT TRIGGER fail ON ddl_command_end WHEN TAG IN ('GRANT', 'REVOKE') EXECUTE FUNCTION fail()",
    );
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["enough"]);
    pair.target.sql("DROP EVENT TRIGGER fail; DROP FUNCTION fail");
    as_role(&pair.target, role, "REVOKE ALL ON n.t FROM CURRENT_USER");
    pair.source.sql("INSERT INTO n.t VALUES (3)");
    pair.target.rows("SELECT * FROM migrate_resume(1)");
    pair.is_done("1");
    assert_same(&pair);
}

fn needs_more(edition: Edition) {
    let (pair, role) = (Pair::plain("hostile_needs", edition), "hostile_needs");
    prepare(&pair, role);
    pair.source.sql(
        "CREATE SCHEMA other; CREATE FUNCTION other.helper() RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE SCHEMA granted; CREATE FUNCTION granted.helper() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    );
    pair.source.sql(&format!("GRANT USAGE ON SCHEMA granted TO {role}; GRANT USAGE ON SCHEMA other TO {role}"));
    as_role(
        &pair.source,
        role,
        "CREATE FUNCTION n.helped() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN granted.helper() AND other.helper(); END';
         CREATE TABLE n.t (a int CHECK (n.helped())); INSERT INTO n.t VALUES (1)",
    );
    pair.source.sql(&format!("REVOKE USAGE ON SCHEMA other FROM {role}"));
    let error = pair.target.refuses("SELECT * FROM migrate_from('old')", &["permission denied for schema other", "with the rights of the table's owner when rows are written"]);
    assert_eq!(error.code().code(), "42501");
    pair.target.sql(&format!("GRANT USAGE ON SCHEMA other TO {role}"));
    pair.target.rows("SELECT * FROM migrate_resume(1)");
    pair.is_done("1");
    pair.target.sql(&format!("REVOKE USAGE ON SCHEMA other FROM {role}"));
    assert_same(&pair);
}

/// At no time may PUBLIC execute what it may not on the source: neither what owners wrote while their rows are copied nor a
/// job of an ordinary role that existed before, which no connection limit keeps out.
fn revoked(edition: Edition) {
    let pair = Pair::new("hostile_revoked", edition);
    let (owner, hired) = ("hostile_revoked_owner", "hostile_revoked_hired");
    let attempt = |role: &str| format!("BEGIN PERFORM app.promote('{role}'); EXCEPTION WHEN others THEN NULL; END;");
    pair.source.sql(&format!(
        "CREATE ROLE {owner}; CREATE SCHEMA n AUTHORIZATION {owner}; CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO PUBLIC;
         CREATE FUNCTION app.promote(role text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
             $$ BEGIN EXECUTE format('ALTER ROLE %I SUPERUSER', role); END $$;
         REVOKE EXECUTE ON FUNCTION app.promote FROM PUBLIC; SET ROLE {owner};
         CREATE FUNCTION n.waits() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN {} RETURN true; END $$;
         CREATE TABLE n.t (a int CHECK (n.waits())); INSERT INTO n.t VALUES (1);
         CREATE OR REPLACE FUNCTION n.waits() RETURNS boolean LANGUAGE plpgsql AS
             $$ BEGIN {} PERFORM pg_advisory_xact_lock_shared(4711); RETURN true; END $$",
        attempt(owner),
        attempt(owner)
    ));
    pair.target.each(&[
        format!("DROP ROLE IF EXISTS {owner}, {hired}; CREATE ROLE {hired} LOGIN; CREATE SCHEMA h AUTHORIZATION {hired}"),
        format!(
            "SET ROLE {hired}; CREATE TABLE h.acted (n int);
             CREATE PROCEDURE h.act(int, jsonb) LANGUAGE plpgsql AS $$ BEGIN {} INSERT INTO h.acted VALUES (1); END $$",
            attempt(hired)
        ),
    ]);
    let mut gate = pair.target.connect();
    gate.batch_execute("SELECT pg_advisory_lock(4711)").unwrap();
    let run = pair.start("");
    let copying = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid <> pg_backend_pid())";
    poll("the table to be copied", || pair.target.is(copying));
    // In place of one whose time has come.
    pair.target.sql(&format!("SET ROLE {hired}; SELECT public.add_job('h.act', '1 day')"));
    poll("the job to run", || pair.target.is("SELECT count(*) > 0 FROM h.acted"));
    drop(gate);
    pair.wait_for_state(&run, "done");
    for role in [owner, hired] {
        assert_eq!(pair.target.value(&format!("SELECT rolsuper FROM pg_roles WHERE rolname = '{role}'")), "f", "{role}");
    }
}

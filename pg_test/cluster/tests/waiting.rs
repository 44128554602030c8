//! A call that does not wait refuses like one that does, and whoever waits afterwards is answered like a caller.

use crate::slow;
use cluster::suite::Test;
use cluster::{Edition, Pair, describe};

pub const TESTS: &[Test] = &[
    Test::apache("a call that does not wait is refused by the preflight, and leaves no run", refused),
    Test::apache("migrate_wait returns and tells what the run does", waited_for),
    Test::apache("migrate_wait fails as the run fails", failed),
    Test::apache("preflight beside a run names it, and not what it makes", beside),
    Test::apache("whoever waits for a lock on the source says so", locked),
];

/// Neither a run nor a word of one is to be seen.
#[track_caller]
fn no_run(pair: &Pair) {
    for query in ["timescale_migrate.run", "timescale_migrate.message", "timescale_migrate.progress", "migrate_status()"] {
        assert_eq!(pair.target.value(&format!("SELECT count(*) FROM {query}")), "0", "{query}");
    }
}

fn refused(edition: Edition) {
    let pair = Pair::plain("waiting_refused", edition);
    pair.both(&["CREATE TABLE t (n int)"]);
    let text = |call: &str| {
        let error = pair.target.error(&format!("SELECT * FROM migrate_from('old'{call})"));
        no_run(&pair);
        (error.code().code().to_owned(), error.message().to_owned(), error.hint().map(str::to_owned))
    };
    let waiting = text("");
    assert_eq!(waiting.0, "42710");
    assert_eq!(text(", wait => false"), waiting);
    assert_eq!(text(", '{\"wait\": false}'"), waiting);
    pair.target.refuses("SELECT * FROM migrate_wait(1)", &["run 1 does not exist"]);
    // Nor one that finds no source.
    pair.target.sql("ALTER SERVER old OPTIONS (SET port '1')");
    let waiting = text("");
    assert_eq!((waiting.0.as_str(), text(", wait => false")), ("08001", waiting.clone()));
    pair.target.refuses("SELECT * FROM migrate_verify('old')", &["connect"]);
    no_run(&pair);
}

fn waited_for(edition: Edition) {
    let pair = Pair::plain("waiting_done", edition);
    slow::make_plain(&pair);
    // What there is to be told comes at the end.
    pair.source.sql(
        "CREATE FUNCTION at_home() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
             IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescale_migrate') THEN RAISE 'not at home'; END IF; RETURN 1; END $$;
         CREATE MATERIALIZED VIEW m AS SELECT public.at_home() AS n",
    );
    let run = pair.start("");
    let (mut client, heard) = pair.target.connect_listening();
    let waits = std::thread::scope(|scope| {
        let wait = format!("SELECT concat_ws(' ', run, state, rows) FROM migrate_wait({run})");
        let waiter = scope.spawn(move || client.query_one(&wait, &[]).map(|row| row.get::<_, String>(0)));
        cluster::poll("somebody to wait", || {
            pair.target.is("SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%migrate_wait(%' AND wait_event_type = 'Extension'")
                && pair.target.is("SELECT count(*) > 0 FROM timescale_migrate.task WHERE state = 'running'")
        });
        slow::hurry(&pair);
        waiter.join().unwrap()
    });
    let waits = waits.unwrap_or_else(|error| panic!("{}", describe(&error)));
    assert_eq!(waits, format!("{run} done 1000"));
    let heard = heard.lock().unwrap().join("\n");
    assert!(heard.contains("materialized view public.m could not be refreshed"), "{heard}");
    // Nothing of the run is at work any more, and a second wait is over at once.
    pair.target.rows("SELECT * FROM migrate_verify('old')");
    assert_eq!(pair.target.value(&format!("SELECT state FROM migrate_wait({run})")), "done");
}

fn failed(edition: Edition) {
    let pair = Pair::plain("waiting_failed", edition);
    slow::make_plain(&pair);
    let run = pair.start("");
    assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, 'immediate')")));
    let wait = format!("SELECT * FROM migrate_wait({run})");
    let error = pair.target.error(&wait);
    assert_eq!((error.code().code(), error.message()), ("57014", format!("run {run} was cancelled").as_str()));
    assert!(error.hint().is_some_and(|hint| hint.contains(&format!("migrate_resume({run})"))), "{error:?}");
    pair.target.refuses("SELECT * FROM migrate_wait(NULL)", &["run must not be null"]);
    // A wait that is cancelled leaves the run alone.
    let again = pair.target.value(&format!("SELECT run FROM migrate_resume({run}, wait => false)"));
    let mut client = pair.target.connect();
    client.batch_execute("SET statement_timeout = '300ms'").unwrap();
    let error = client.batch_execute(&wait).unwrap_err();
    assert!(describe(&error).contains("statement timeout"), "{error:?}");
    assert_eq!(pair.state(&again), "running");
    slow::hurry(&pair);
    pair.target.rows(&wait);
    pair.target.rows(&format!("SELECT migrate_start_jobs({run})"));
    pair.target.refuses("SELECT migrate_start_jobs(99)", &["run 99 does not exist"]);
    cluster::assert_same(&pair);
}

fn beside(edition: Edition) {
    let pair = Pair::plain("waiting_beside", edition);
    slow::make_plain(&pair);
    let run = pair.start("");
    cluster::poll("something to be copied", || {
        pair.target.is("SELECT count(*) > 0 FROM timescale_migrate.task WHERE state = 'running'")
    });
    let errors = "SELECT string_agg(concat_ws(' | ', topic, subject, detail, hint), E'\\n')
        FROM migrate_preflight('old') WHERE status = 'error' AND topic <> 'verdict'";
    assert_eq!(
        pair.target.value(errors),
        format!(
            "target | run {run} | is running in this database, which can have only one run at a time | \
             Call migrate_wait({run}) to wait for its end, or migrate_cancel({run}) to stop it."
        )
    );
    // Whoever is refused beside it is no run, and the one at work is the one that is shown.
    pair.target.refuses("SELECT * FROM migrate_verify('old')", &[&format!("run {run} is running in this database")]);
    assert_eq!(pair.target.value("SELECT run FROM migrate_status()"), run);
    assert_eq!(pair.target.value("SELECT count(*) FROM timescale_migrate.run"), "1");
    pair.target.refuses(&format!("SELECT migrate_start_jobs({run})"), &["is not done yet"]);
    slow::hurry(&pair);
    pair.target.rows(&format!("SELECT * FROM migrate_wait({run})"));
}

fn locked(edition: Edition) {
    let pair = Pair::plain("waiting_locked", edition);
    slow::make_plain(&pair);
    pair.source.sql("CREATE TABLE busy (n int); INSERT INTO busy VALUES (1); ANALYZE busy");
    let mut holder = pair.source.connect();
    let pid: i32 = holder.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let told = |doing: &str| format!("waiting for a lock on the source: public.busy is locked by process {pid} (postgres, {doing})");
    // A statement may hold a password.
    let mut lock = || holder.batch_execute("BEGIN; LOCK TABLE busy; SELECT 'bWVsdGVk'").unwrap();
    lock();
    let notice = format!("NOTICE: {}", told("idle in transaction"));
    for call in ["migrate_preflight('old')", "migrate_plan('old')", "migrate_from('old', jobs => 1)"] {
        let (mut client, heard) = pair.target.connect_listening();
        let said = || heard.lock().unwrap().iter().filter(|line| **line == notice).count();
        let cancel = client.cancel_token();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(move || client.batch_execute(&format!("SELECT * FROM {call}")));
            cluster::poll(call, || said() > 0);
            cancel.cancel_query(postgres::NoTls).unwrap();
            assert!(describe(&waiter.join().unwrap().unwrap_err()).contains("cancel"), "{call}");
        });
        assert_eq!(said(), 1, "{call}");
    }
    drop(holder);

    // A worker, too.
    let run = pair.start(", jobs => 1");
    cluster::poll("the copy to be at work", || {
        pair.target.is("SELECT count(*) > 0 FROM timescale_migrate.task WHERE object = 'public.slow' AND state = 'running'")
    });
    let mut holder = pair.source.connect();
    holder.batch_execute("BEGIN; LOCK TABLE busy").unwrap();
    slow::hurry(&pair);
    let notices = format!("SELECT count(*) FROM timescale_migrate.message WHERE run = {run} AND message LIKE '%for a lock on the source: public.busy is locked by%'");
    cluster::poll("the worker to say so", || pair.target.value(&notices) == "1");
    drop(holder);
    pair.target.rows(&format!("SELECT * FROM migrate_wait({run})"));
    assert!(!pair.messages().contains("bWVsdGVk"), "{}", pair.messages());
    cluster::assert_same(&pair);
}

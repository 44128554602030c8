//! What ordinary users of the target do while a run is under way neither stops it nor makes them more than they are.

use crate::slow;
use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};

pub const TESTS: &[Test] = &[Test::apache("whoever has all advisory locks has none of a run's", advisory_locks)];

fn advisory_locks(edition: Edition) {
    let pair = Pair::plain("hostile_locks", edition);
    slow::make_plain(&pair);
    // Nor does a function that a run calls release them.
    pair.source.sql(
        "CREATE OR REPLACE FUNCTION slowly(n int) RETURNS boolean LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_advisory_unlock_all(); PERFORM pg_sleep(0.01); RETURN true; END'",
    );
    let mut user = pair.target.connect();
    user.batch_execute(
        "CREATE ROLE hostile_locks; SET SESSION AUTHORIZATION hostile_locks;
         SELECT pg_advisory_lock(class, id)
         FROM generate_series(0, 50) id, unnest('{0,1,2,3,4,1414353490,1414353491,1414353492,1414353493}'::int[]) class;
         SELECT pg_advisory_lock(class::bigint << 32 | id)
         FROM generate_series(0, 50) id, unnest('{0,1,2,3,4,1414353490,1414353491,1414353492,1414353493}'::int[]) class",
    )
    .unwrap();
    let run = pair.start("");
    cluster::poll("a task to be worked on", || {
        assert_eq!(pair.state(&run), "running");
        pair.target.is("SELECT count(*) > 0 FROM timescale_migrate.task WHERE state = 'running'")
    });
    // Each is known by the process that has it.
    for (view, kind) in [("run", "coordinator"), ("task", "worker")] {
        let column = if view == "run" { "pid" } else { "worker" };
        let process = format!(
            "SELECT string_agg(DISTINCT a.backend_type, ', ') FROM timescale_migrate.{view} v
             JOIN pg_stat_activity a ON a.pid = v.{column} WHERE v.state = 'running'"
        );
        assert_eq!(pair.target.value(&process), format!("timescale_migrate {kind}"));
    }
    pair.target.refuses("SELECT * FROM migrate_from('old')", &[&format!("run {run} is running in this database")]);
    assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, 'immediate')")));
    pair.wait_for_state(&run, "cancelled");
    slow::hurry(&pair);
    pair.target.rows(&format!("SELECT * FROM migrate_resume({run})"));
    pair.is_done(&run);
    assert_same(&pair);
    user.batch_execute("SELECT pg_advisory_unlock_all()").unwrap();
}

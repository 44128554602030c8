//! Policies, user-defined actions and changed jobs of TimescaleDB's own arrive with every field, and none runs before its time.

use cluster::suite::Test;
use cluster::{Db, Pair, Versions, assert_same_but, poll};

pub const TESTS: &[Test] = &[
    Test::versions("every field", every_field),
    Test::between("nothing runs before the end", &Versions::TARGETS, nothing_runs_before),
    Test::between("paused, skipped", &Versions::TARGETS, paused_and_skipped),
    Test::between("a number that is taken on the target", &[Versions::new("2.19.3", "2.19.3")], taken),
];

/// A policy of each kind, on hypertables whose time is an integer: what they do is the same
/// whenever they are run. None is due in this century. The rest is there for its fields.
fn make(pair: &Pair) {
    // Roles are the servers': each test has its own.
    let [owner, other] = ["owner", "other"].map(|role| format!("{}_{role}", pair.source.name.replace(' ', "_")));
    for side in [&pair.source, &pair.target] {
        side.sql(&format!("DROP ROLE IF EXISTS {owner}, {other}"));
    }
    let source = &pair.source;
    source.sql(&format!("CREATE ROLE {owner} LOGIN; CREATE ROLE {other} LOGIN; CREATE SCHEMA \"Job Schema\"; GRANT USAGE ON SCHEMA \"Job Schema\" TO {owner}, {other}"));
    source.sql(
        "CREATE TABLE tick (at bigint NOT NULL, v int); SELECT create_hypertable('tick', 'at', chunk_time_interval => 1000);
         CREATE FUNCTION now_tick() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT bigint ''10000''';
         SELECT set_integer_now_func('tick', 'now_tick');
         ALTER TABLE tick SET (timescaledb.compress, timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 'at');
         CREATE INDEX tick_v ON tick (v);
         CREATE TABLE \"Kept\" (at bigint NOT NULL, v int); SELECT create_hypertable('\"Kept\"', 'at', chunk_time_interval => 1000); SELECT set_integer_now_func('\"Kept\"', 'now_tick');
         CREATE INDEX \"Kept v\" ON \"Kept\" (v);
         CREATE TABLE metric (t timestamptz NOT NULL, v int); SELECT create_hypertable('metric', 't', chunk_time_interval => INTERVAL '1 day');
         INSERT INTO tick SELECT i, i % 100 FROM generate_series(0, 9999, 7) i; INSERT INTO \"Kept\" SELECT * FROM tick;
         INSERT INTO metric SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '3 hours', i FROM generate_series(0, 99) i",
    );
    source.sql("CREATE MATERIALIZED VIEW hundreds WITH (timescaledb.continuous) AS SELECT time_bucket(100, at) AS bucket, sum(v) AS v FROM tick GROUP BY 1 WITH NO DATA");
    source.sql("CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', t) AS bucket, sum(v) AS v FROM metric GROUP BY 1 WITH NO DATA");
    source.sql("CALL refresh_continuous_aggregate('hundreds', 0, 4000)");
    source.sql(
        "SELECT add_continuous_aggregate_policy('hundreds', 8000, 500, '1 hour', initial_start => '2100-01-01 UTC', timezone => 'Europe/Berlin');
         SELECT add_compression_policy('tick', compress_after => 3000, initial_start => '2100-01-02 UTC');
         SELECT add_retention_policy('\"Kept\"', drop_after => 5000, initial_start => '2100-01-03 UTC');
         SELECT add_reorder_policy('\"Kept\"', 'Kept v', initial_start => '2100-01-04 UTC');
         SELECT add_retention_policy('hundreds', drop_after => 9500, initial_start => '2100-01-05 UTC');
         SELECT add_continuous_aggregate_policy('daily', NULL, INTERVAL '1 month', INTERVAL '2 months', initial_start => '2100-01-06 UTC')",
    );
    // One is paused, one has no field as it comes.
    source.sql("SELECT alter_job(id, scheduled => false) FROM _timescaledb_config.bgw_job WHERE proc_name = 'policy_compression'");
    source.sql(
        "SELECT alter_job(j.id, schedule_interval => '2 days 04:05:06', max_runtime => '07:00:00', max_retries => 8, retry_period => '00:09:10', next_start => '2100-02-03 UTC')
         FROM _timescaledb_config.bgw_job j WHERE j.schedule_interval = '2 months'",
    );
    // As alter_job sets them too, since 2.12.
    source.sql(
        "UPDATE _timescaledb_config.bgw_job SET fixed_schedule = true, initial_start = '2100-02-01 11:12:13 UTC', timezone = 'Asia/Kathmandu'
         WHERE schedule_interval = '2 days 04:05:06'",
    );
    source.sql(&format!(
        "CREATE TABLE \"Job Schema\".done (what text, who name DEFAULT current_user); GRANT ALL ON \"Job Schema\".done TO {owner}, {other};
         CREATE PROCEDURE \"Job Schema\".\"Act\"(job_id int, config jsonb) LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO \"Job Schema\".done (what) VALUES ('act ' || (config->>'x')); END $$;
         CREATE FUNCTION \"Job Schema\".act_too(job_id int, config jsonb) RETURNS void LANGUAGE sql AS
             $$ INSERT INTO \"Job Schema\".done (what) VALUES ('too') $$;
         CREATE FUNCTION \"Job Schema\".\"Check\"(config jsonb) RETURNS void LANGUAGE plpgsql AS
             $$ BEGIN IF NOT config ? 'x' THEN RAISE 'no x'; END IF; END $$;
         SET ROLE {owner};
         SELECT add_job('\"Job Schema\".\"Act\"', '5 hours', config => '{{\"x\": \"it''s\", \"hypertable_id\": 1, \"list\": [1, null, 1.10, 12345678901234567890.5, 1e400]}}', initial_start => '2100-03-01 UTC',
                        scheduled => true, check_config => '\"Job Schema\".\"Check\"'::regproc, fixed_schedule => true, timezone => 'America/New_York');
         SET ROLE {other};
         SELECT add_job('\"Job Schema\".act_too', '1 month', initial_start => '2100-03-02 UTC', fixed_schedule => false);
         RESET ROLE;
         SELECT alter_job(id, max_runtime => '02:03:04', schedule_interval => '11 days') FROM _timescaledb_config.bgw_job WHERE id = 3;
         SELECT alter_job(1, scheduled => false)"
    ));
}

/// All but the rows that a job on the target has written itself, the space that compression has
/// saved, and what each version notes in its own way.
fn assert_same_jobs(pair: &Pair, versions: Versions) {
    let mut left_out = vec!["rows of public.probed", "rows seen in public.probed", "job Probe", "compressed "];
    if !versions.same() {
        left_out.extend(["sparse indexes of ", "invalidations of ", "threshold of ", "batches of "]);
    }
    assert_same_but(pair, &left_out);
}

fn every_field(versions: Versions) {
    let pair = Pair::of("jobs", versions);
    make(&pair);
    pair.migrate();
    assert_same_jobs(&pair, versions);
    let next = "SELECT string_agg(s.next_start::text, ' ' ORDER BY s.next_start) FROM _timescaledb_internal.bgw_job_stat s WHERE s.job_id >= 1000";
    assert_eq!(pair.source.value(next), pair.target.value(next));
    // The third is new in 2.15.
    let own = format!(
        "SELECT string_agg(concat_ws(' ', id, max_runtime, CASE id WHEN 3 THEN schedule_interval END, scheduled), ', ' ORDER BY id)
         FROM _timescaledb_config.bgw_job WHERE id IN (1, {})", if versions.source >= "2.15" { 3 } else { 1 }
    );
    assert_eq!(pair.source.value(&own), pair.target.value(&own));
    // Each is the job that it was: altered and checked alike, and it does the same.
    for side in [&pair.source, &pair.target] {
        let act = side.value("SELECT id FROM _timescaledb_config.bgw_job WHERE proc_name = 'Act'");
        assert!(side.error(&format!("SELECT alter_job({act}, config => '{{}}')")).message().contains("no x"));
        run_all(side);
    }
    assert_same_jobs(&pair, versions);
    for (query, what) in [
        ("SELECT count(*) > 0 AND min(at) >= 5000 - 1000 FROM \"Kept\"", "retention"),
        ("SELECT count(*) > 3 FROM timescaledb_information.chunks WHERE hypertable_name = 'tick' AND is_compressed", "compression"),
        ("SELECT max(bucket) > 8000 FROM hundreds", "refresh"),
        ("SELECT count(*) = 2 FROM \"Job Schema\".done", "actions"),
    ] {
        assert!(pair.target.is(query), "{what}");
    }
    // The next job gets a number of its own.
    pair.target.sql("SELECT add_job('\"Job Schema\".act_too', '1 day', initial_start => '2100-01-01 UTC')");
    pair.target.sql("SELECT remove_retention_policy('hundreds'); SELECT remove_compression_policy('tick'); SELECT remove_reorder_policy('\"Kept\"')");
    pair.target.each(&["DROP MATERIALIZED VIEW hundreds", "DROP TABLE tick", "DROP TABLE \"Kept\""]);
    assert_eq!(pair.target.value("SELECT count(*) FROM _timescaledb_config.bgw_job WHERE id >= 1000"), "4");
}

/// Runs each job once, in an order that does not depend on their numbers.
fn run_all(side: &Db) {
    let jobs = "SELECT id FROM _timescaledb_config.bgw_job WHERE id >= 1000 ORDER BY initial_start";
    for job in side.rows(jobs) {
        side.sql(&format!("CALL run_job({})", job.get(0).unwrap()));
    }
}

fn nothing_runs_before(versions: Versions) {
    let pair = Pair::of("jobs_before", versions);
    make(&pair);
    // Due as soon as there is a scheduler that knows it; it tells in which phase it has run.
    pair.source.sql(
        "CREATE TABLE probed (phase text, at timestamptz DEFAULT clock_timestamp());
         CREATE PROCEDURE probe(job_id int, config jsonb) LANGUAGE plpgsql AS
             'BEGIN INSERT INTO public.probed SELECT phase FROM timescale_migrate.run ORDER BY id DESC LIMIT 1; END';
         SELECT add_job('probe', '1 day', fixed_schedule => false)",
    );
    pair.source.sql("UPDATE _timescaledb_config.bgw_job SET application_name = 'Probe' WHERE proc_name = 'probe'");
    // The indexes and statistics take their time, in which a scheduler would have found the jobs.
    pair.source.sql(
        "CREATE FUNCTION slowly(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(0.01); RETURN $1; END';
         CREATE TABLE slow (n int); INSERT INTO slow SELECT generate_series(1, 150); CREATE INDEX ON slow (slowly(n))",
    );
    pair.migrate_with(r#"'{"verify": "checksum"}', jobs => 2"#);
    poll("the job that is due to run", || pair.target.value("SELECT count(*) FROM probed") != "0");
    assert_eq!(pair.target.value("SELECT count(*) FROM probed WHERE phase NOT IN ('jobs', 'done')"), "0");
    assert!(pair.target.is("SELECT min(at) > (SELECT max(ended_at) FROM timescale_migrate.task) FROM probed"));
    let ran = "SELECT count(*) FROM timescaledb_information.job_stats s JOIN _timescaledb_config.bgw_job j ON j.id = s.job_id
        WHERE j.id >= 1000 AND j.proc_name <> 'probe' AND s.total_runs > 0";
    assert_eq!(pair.target.value(ran), "0");
    assert_same_jobs(&pair, versions);
}

fn paused_and_skipped(versions: Versions) {
    let pair = Pair::of("jobs_paused", versions);
    make(&pair);
    let planned = "SELECT string_agg(note, E'\\n') FROM migrate_plan('old', '{\"policies\": \"paused\"}') WHERE object LIKE 'JOB %'";
    let planned = pair.target.value(planned);
    for note in ["runs \"Job Schema\".act_too every 1 mon; paused", " on public.\"Kept\" every "] {
        assert!(planned.contains(note), "{planned}");
    }
    pair.migrate_with(r#"'{"policies": "paused"}', jobs => 2"#);
    assert!(pair.target.is("SELECT count(*) = 8 AND every(NOT scheduled) FROM _timescaledb_config.bgw_job WHERE id >= 1000"));
    let fields = "SELECT string_agg((to_jsonb(j) - '{id,application_name,hypertable_id,config,owner,scheduled,proc_schema,check_schema}'::text[])::text, ' ' ORDER BY j.initial_start)
        FROM _timescaledb_config.bgw_job j WHERE j.id >= 1000";
    assert_eq!(pair.source.value(fields), pair.target.value(fields));
    let run = pair.target.value("SELECT max(run) FROM migrate_status()");
    let told = format!("run {run}: 7 jobs of run {run} are still paused; call migrate_start_jobs({run}) to start them");
    let tells = "SELECT count(*) FROM timescale_migrate.message WHERE level = 'notice' AND message";
    assert_eq!(pair.target.value(&format!("{tells} = '{told}'")), "1");
    let started = pair.target.rows(&format!("SELECT * FROM migrate_start_jobs({run})"));
    assert_eq!(started.len(), 7);
    let scheduled = "SELECT string_agg(concat_ws(' ', proc_name, scheduled, timezone, initial_start), ', ' ORDER BY initial_start) FROM _timescaledb_config.bgw_job WHERE id >= 1000";
    assert_eq!(pair.source.value(scheduled), pair.target.value(scheduled));
    // Each is started once: what is paused later is the user's affair.
    pair.target.sql("SELECT alter_job(id, scheduled => false) FROM _timescaledb_config.bgw_job WHERE proc_name = 'act_too'");
    assert_eq!(pair.target.rows(&format!("SELECT * FROM migrate_start_jobs({run})")).len(), 0);
    assert!(pair.target.is("SELECT NOT scheduled FROM _timescaledb_config.bgw_job WHERE proc_name = 'act_too'"));

    let skipped = Db::create(pair.target.cluster.clone(), &format!("jobs_skipped {}", versions.suffix()));
    skipped.sql(&format!("CREATE EXTENSION timescaledb VERSION '{}'", versions.target));
    let skipped = Pair::server(&pair.source, skipped);
    skipped.sql("SELECT * FROM migrate_from('old', '{\"policies\": \"skip\"}', jobs => 2)");
    assert_eq!(skipped.value("SELECT count(*) FROM _timescaledb_config.bgw_job WHERE id >= 1000"), "0");
    assert!(skipped.is("SELECT scheduled AND max_runtime <> '02:03:04' FROM _timescaledb_config.bgw_job WHERE id = 3"));
    assert!(skipped.is("SELECT count(*) > 0 FROM hundreds"));
    pair.target.refuses("SELECT * FROM migrate_plan('old', '{\"policies\": \"some\"}')", &["some", "copy", "paused", "skip"]);
}

/// It is said before and after which job gets another.
fn taken(versions: Versions) {
    let pair = Pair::of("jobs_taken", versions);
    for side in [&pair.source, &pair.target] {
        side.sql(
            "CREATE PROCEDURE act(job_id int, config jsonb) LANGUAGE sql AS 'SELECT 1';
             SELECT add_job('act', '1 day', initial_start => '2100-01-01 UTC')",
        );
    }
    pair.source.sql("SELECT add_job('act', '2 days', initial_start => '2100-01-01 UTC')");
    pair.target.sql("ALTER PROCEDURE act RENAME TO mine");
    let jobs = pair.preflight("jobs");
    let hint = "Call delete_job(1000) on the target before the run if the source's job is to keep its number.";
    let warning = format!("warning | User-Defined Action [1000] | gets another number, because another job of the target has the number 1000 | {hint}");
    assert!(jobs.contains(&warning), "{jobs:?}");
    assert!(!jobs.iter().any(|row| row.contains("1001")), "{jobs:?}");
    pair.migrate();
    let told = "jobs have other numbers on the target, because theirs were taken: 1000 is 1002";
    assert!(pair.messages().contains(told), "{}", pair.messages());
    let names = "SELECT string_agg(concat_ws(' ', id, proc_name, application_name), ', ' ORDER BY id) FROM _timescaledb_config.bgw_job WHERE id >= 1000";
    assert_eq!(
        pair.target.value(names),
        "1000 mine User-Defined Action [1000], 1001 act User-Defined Action [1001], 1002 act User-Defined Action [1002]"
    );
}

//! A source that goes on during a run: its jobs compress, move and drop chunks, its users write and
//! alter tables. Neither side stops the other, and what arrives is right.

use cluster::suite::Test;
use cluster::{Edition, Pair, Stopped, Versions, poll};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const VERSIONS: [Versions; 2] = [Versions::new("2.19.3", "2.29.2"), Versions::new("2.29.2", "2.29.2")];

pub const TESTS: &[Test] = &[
    Test::between("chunks are compressed and decompressed", &VERSIONS, compressing),
    Test::between("tables and chunks are altered, truncated, rewritten and dropped", &VERSIONS, altering),
    Test::between("a continuous aggregate is refreshed and its chunks compressed", &VERSIONS, refreshing),
    Test::apache("a table is dropped while the schema is read", dropped),
    Test::apache("two columns exchange their names", renamed),
    Test::between("chunks are merged", &[Versions::new("2.29.2", "2.29.2")], merging),
    Test::between("no task of a new round is taken before it begins", &[Versions::new("2.29.2", "2.29.2")], between_rounds),
    Test::between("values are compared of what is rewritten after its copy", &VERSIONS, after_its_copy),
];

/// The longest that any statement of the source may wait for the run.
const LONGEST: Duration = Duration::from_secs(5);

/// Statements that are run one after the other, again and again, each by a session of its own, while a migration is at
/// work. None takes longer than [`LONGEST`].
struct Load<'a> {
    pair: &'a Pair,
    stop: AtomicBool,
    longest: AtomicU64,
    rounds: AtomicU64,
}

impl<'a> Load<'a> {
    fn new(pair: &'a Pair) -> Load<'a> {
        Load { pair, stop: AtomicBool::new(false), longest: AtomicU64::new(0), rounds: AtomicU64::new(0) }
    }

    fn repeat(&self, statements: &[String]) {
        let mut client = self.pair.source.connect();
        while !self.stop.load(Ordering::Relaxed) {
            for statement in statements {
                let begun = Instant::now();
                client.batch_execute(statement).unwrap_or_else(|e| panic!("{statement}: {}", cluster::describe(&e)));
                self.longest.fetch_max(begun.elapsed().as_millis() as u64, Ordering::Relaxed);
            }
            self.rounds.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Migrates while each of the lists is repeated, until all have been run several times; returns the run.
    fn migrate(&self, arguments: &str, lists: &[Vec<String>]) -> String {
        let run = thread::scope(|scope| {
            let sessions: Vec<_> = lists.iter().map(|list| scope.spawn(|| self.repeat(list))).collect();
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                poll("the source to be at work", || self.rounds.load(Ordering::Relaxed) >= 2);
                let run = self.pair.start(arguments);
                self.pair.wait_for_end(&run);
                run
            }));
            self.stop.store(true, Ordering::Relaxed);
            for session in sessions {
                session.join().unwrap_or_else(|e| std::panic::resume_unwind(e));
            }
            outcome.unwrap_or_else(|e| std::panic::resume_unwind(e))
        });
        self.pair.is_done(&run);
        let longest = Duration::from_millis(self.longest.load(Ordering::Relaxed));
        assert!(longest < LONGEST, "a statement of the source took {longest:?}\n{}", self.pair.messages());
        self.pair.wait_for_silence();
        run
    }
}

/// A hypertable of chunks that take a while to copy, with a key.
fn fill(pair: &Pair, chunks: u32, rows: u32) {
    pair.source.sql(&format!(
        "CREATE TABLE busy (t timestamptz NOT NULL, device int NOT NULL, v text, UNIQUE (device, t));
         SELECT create_hypertable('busy', 't', chunk_time_interval => INTERVAL '1 day');
         INSERT INTO busy SELECT timestamptz '2024-01-01 UTC' + c * INTERVAL '1 day' + n * INTERVAL '1 second', n % 10, md5(n::text)
         FROM generate_series(0, {chunks} - 1) c, generate_series(1, {rows}) n;
         ALTER TABLE busy SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't')"
    ));
}

/// The sessions of this database that wait for an advisory lock.
fn waits_at(gate: u32) -> String {
    format!(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {gate} AND NOT granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
}

fn chunks(pair: &Pair, table: &str) -> Vec<String> {
    pair.source.rows(&format!("SELECT c FROM show_chunks('{table}') c ORDER BY c")).iter().map(|row| row.get(0).unwrap().to_owned()).collect()
}

/// The rows are those that no statement of the load has changed.
fn assert_rows(pair: &Pair, query: &str) {
    assert_eq!(pair.target.value(query), pair.source.value(query), "{query}\n{}", pair.messages());
}

fn compressing(versions: Versions) {
    let pair = Pair::of("living_compressing", versions);
    fill(&pair, 12, 20000);
    let chunks = chunks(&pair, "busy");
    let over = |what: &str| chunks.iter().map(|chunk| what.replace('$', chunk)).collect::<Vec<_>>();
    let back = |mut all: Vec<String>| {
        all.reverse();
        all
    };
    let (forth, back) = (
        [over("SELECT compress_chunk('$', if_not_compressed => true)"), over("SELECT decompress_chunk('$', if_compressed => true)")].concat(),
        back([over("SELECT count(*) FROM $"), over("SELECT count(*) FROM busy WHERE t < '2024-01-05'")].concat()),
    );
    let write = vec!["INSERT INTO busy VALUES ('2024-03-01 UTC', 1, 'x') ON CONFLICT DO NOTHING; DELETE FROM busy WHERE t >= '2024-03-01 UTC'".to_owned()];
    Load::new(&pair).migrate(", jobs => 2, options => '{\"verify\": \"checksum\"}'", &[forth, back, write]);
    assert_rows(&pair, "SELECT concat_ws(' ', count(*), count(DISTINCT (t, device)), min(v), max(v), min(t), max(t)) FROM busy WHERE t < '2024-02-01 UTC'");
}

fn altering(versions: Versions) {
    let pair = Pair::of("living_altering", versions);
    fill(&pair, 6, 20000);
    let plain: Vec<String> = (1..=10).map(|number| format!("plain_{number}")).collect();
    for table in &plain {
        pair.source.sql(&format!(
            "CREATE TABLE {table} (n int PRIMARY KEY, v text); INSERT INTO {table} SELECT n, repeat('x', 100) FROM generate_series(1, 20000) n"
        ));
    }
    pair.source.sql("CREATE SEQUENCE numbers");
    let mut alter = Vec::new();
    for table in &plain {
        alter.extend([
            format!("ALTER TABLE {table} ALTER v SET STATISTICS 50"),
            format!("VACUUM FULL {table}"),
            format!("BEGIN; TRUNCATE {table}; INSERT INTO {table} SELECT n, 'again' FROM generate_series(1, 20000) n; COMMIT"),
        ]);
    }
    for chunk in chunks(&pair, "busy") {
        alter.push(format!("SELECT reorder_chunk('{chunk}', 'busy_device_t_key')"));
    }
    alter.extend(["ALTER TABLE busy SET (autovacuum_enabled = false)".to_owned(), "ALTER SEQUENCE numbers INCREMENT BY 2".to_owned()]);
    let drop = vec![
        "INSERT INTO busy VALUES ('2023-01-01 UTC', 1, 'x'); SELECT drop_chunks('busy', timestamptz '2023-06-01 UTC')".to_owned(),
        "SELECT count(*) FROM plain_1; SELECT nextval('numbers')".to_owned(),
    ];
    Load::new(&pair).migrate(", jobs => 2", &[alter, drop]);
    for table in plain {
        assert_rows(&pair, &format!("SELECT concat_ws(' ', count(*), count(DISTINCT n), count(DISTINCT v)) FROM {table}"));
    }
    assert_rows(&pair, "SELECT concat_ws(' ', count(*), count(DISTINCT (t, device))) FROM busy WHERE t > '2023-06-01 UTC'");
}

fn refreshing(versions: Versions) {
    let pair = Pair::of("living_refreshing", versions);
    fill(&pair, 6, 20000);
    pair.source.sql(
        "CREATE MATERIALIZED VIEW per_hour WITH (timescaledb.continuous) AS
             SELECT time_bucket('1 hour', t) AS h, device, count(*) AS n, max(v) AS v FROM busy GROUP BY 1, 2 WITH NO DATA",
    );
    pair.source.sql("CALL refresh_continuous_aggregate('per_hour', NULL, NULL)");
    let mut work: Vec<String> = chunks(&pair, "busy")
        .iter()
        .enumerate()
        .flat_map(|(day, chunk)| {
            [
                format!("INSERT INTO busy VALUES (timestamptz '2024-01-0{} 12:00:00.5 UTC' + random() * INTERVAL '1 hour', 77, 'new')", day + 1),
                "CALL refresh_continuous_aggregate('per_hour', NULL, NULL)".to_owned(),
                format!("SELECT compress_chunk('{chunk}', if_not_compressed => true)"),
                format!("SELECT decompress_chunk('{chunk}', if_compressed => true)"),
            ]
        })
        .collect();
    work.push("SELECT count(*) FROM per_hour".to_owned());
    Load::new(&pair).migrate(", jobs => 2", &[work]);
    // After a refresh the aggregate is what its rows give, wherever these were read later than it.
    pair.target.sql("CALL refresh_continuous_aggregate('per_hour', NULL, NULL)");
    let stale = "SELECT count(*) FROM (SELECT time_bucket('1 hour', t) AS h, device, count(*) AS n, max(v) AS v FROM busy GROUP BY 1, 2) raw
                 FULL JOIN per_hour c USING (h, device) WHERE (raw.n, raw.v) IS DISTINCT FROM (c.n, c.v) AND raw.n > coalesce(c.n, 0)";
    assert_eq!(pair.target.value(stale), "0", "{}", pair.messages());
}

fn merging(versions: Versions) {
    let pair = Pair::of("living_merging", versions);
    fill(&pair, 12, 2000);
    let chunks = chunks(&pair, "busy");
    // The copy waits in the middle.
    pair.source.sql(
        "CREATE FUNCTION passes(t timestamptz) RETURNS boolean LANGUAGE plpgsql AS
             'BEGIN IF t > ''2024-01-07 UTC'' THEN PERFORM pg_advisory_xact_lock_shared(4711); END IF; RETURN true; END';
         ALTER TABLE busy ADD CHECK (public.passes(t))",
    );
    let mut gate = pair.target.connect();
    gate.batch_execute("SELECT pg_advisory_lock(4711)").unwrap();
    let run = pair.start(", jobs => 1");
    poll("the copy to wait", || {
        !pair.target.rows(&waits_at(4711)).is_empty()
    });
    for pair_of_chunks in chunks.chunks(2) {
        pair.source.sql(&format!("CALL merge_chunks('{}'::regclass, '{}'::regclass)", pair_of_chunks[0], pair_of_chunks[1]));
    }
    drop(gate);
    pair.wait_for_end(&run);
    pair.is_done(&run);
    pair.wait_for_silence();
    assert!(pair.messages().contains("copied under a later one"), "{}", pair.messages());
    assert_rows(&pair, "SELECT concat_ws(' ', count(*), count(DISTINCT (t, device))) FROM busy");
    // Six were copied before.
    assert_eq!(pair.target.value("SELECT count(*) FROM show_chunks('busy')"), "9");
}

/// A worker that has seen the old round at work, and stands still until the new one is planned.
fn between_rounds(versions: Versions) {
    let pair = Pair::of("living_rounds", versions);
    fill(&pair, 3, 1);
    pair.source.each(&[
        "INSERT INTO busy SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '20 seconds', 0, repeat('x', 100) FROM generate_series(1, 10000) n
         WHERE n < 4000 OR n BETWEEN 4320 AND 7000 OR n BETWEEN 8640 AND 9000",
        "ANALYZE busy",
        // The copies of the first two days wait, each at a gate of its own.
        "CREATE FUNCTION passes(t timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
         DECLARE day int := extract(day FROM t AT TIME ZONE 'UTC');
         BEGIN IF day < 3 THEN PERFORM pg_advisory_xact_lock_shared(4711, day); END IF; RETURN true; END $$",
        "ALTER TABLE busy ADD CHECK (public.passes(t))",
    ]);
    let gate = |day: u32| {
        let mut session = pair.target.connect();
        session.batch_execute(&format!("SELECT pg_advisory_lock(4711, {day})")).unwrap();
        session
    };
    let (first, second) = (gate(1), gate(2));
    let run = pair.start(", jobs => 2");
    poll("two copies to wait", || [1, 2].iter().all(|day| !pair.target.rows(&waits_at(*day)).is_empty()));
    let worker = pair.target.value(&waits_at(2));

    // The third day's copy has to wait for a new round, in which a chunk is found that nothing fills.
    pair.source.sql(&format!("SELECT compress_chunk('{}')", chunks(&pair, "busy")[2]));
    pair.target.each(&["INSERT INTO busy VALUES ('2030-01-04 UTC', 1, 'x')", "DELETE FROM busy WHERE t > '2030-01-01 UTC'"]);
    let unused = pair.target.value("SELECT show_chunks('busy', newer_than => timestamptz '2029-01-01 UTC')");
    let mut holder = pair.target.connect();
    holder.batch_execute(&format!("BEGIN; LOCK TABLE {unused} IN ACCESS SHARE MODE")).unwrap();
    let waits_for = |who: &str, relation: &str| {
        pair.target.is(&format!("SELECT EXISTS (SELECT FROM pg_locks WHERE {who} AND relation = '{relation}'::regclass AND NOT granted)"))
    };
    drop(second);
    poll("a copy to be postponed", || pair.target.is("SELECT EXISTS (SELECT FROM timescale_migrate.task_log WHERE state = 'postponed')"));
    let mut tasks = pair.target.connect();
    tasks.batch_execute("BEGIN; LOCK TABLE timescale_migrate.task_log IN ACCESS EXCLUSIVE MODE").unwrap();
    poll("the worker to look for a task", || waits_for(&format!("pid = {worker}"), "timescale_migrate.task_log"));
    let stopped = Stopped::process(&worker);
    tasks.batch_execute("COMMIT").unwrap();
    let newest = pair.target.value("SELECT max(id) FROM timescale_migrate.task_log");
    drop(first);
    poll("the new round to be planned", || waits_for("true", &unused));
    drop(stopped);
    poll("the worker to have looked", || {
        pair.target.is(&format!("SELECT wait_event = 'MigrateTask' FROM pg_stat_activity WHERE pid = {worker}"))
    });
    let taken = format!("SELECT count(*) FROM timescale_migrate.task_log WHERE id > {newest} AND started_at IS NOT NULL");
    assert_eq!(pair.target.value(&taken), "0", "{}", pair.messages());
    holder.batch_execute("COMMIT").unwrap();
    pair.wait_for_end(&run);
    pair.is_done(&run);
    assert_eq!(pair.target.value("SELECT count(*) FROM show_chunks('busy')"), "3");
    assert_rows(&pair, "SELECT concat_ws(' ', count(*), count(DISTINCT (t, device))) FROM busy");
}

/// The source is asked for the checksum of what was copied while it can still be read.
fn after_its_copy(versions: Versions) {
    let pair = Pair::of("living_after", versions);
    fill(&pair, 2, 500);
    let days = chunks(&pair, "busy");
    pair.source.each(&[
        &format!("SELECT compress_chunk('{}')", days[0]),
        "CREATE TABLE parts AS SELECT n, repeat('x', 100) AS v, 1 AS one FROM generate_series(1, 20000) n",
        "ALTER TABLE parts DROP one; ALTER TABLE parts ADD twice int GENERATED ALWAYS AS (n * 2) STORED; ANALYZE parts",
        "CREATE TABLE other AS SELECT n, 'the source''s' AS v FROM generate_series(1, 10000) n",
        // Its copy, which is the last, waits.
        "CREATE FUNCTION passes(n int) RETURNS boolean LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN true; END'",
        "CREATE TABLE last (n int CHECK (public.passes(n))); INSERT INTO last VALUES (1)",
    ]);
    let mut gate = pair.target.connect();
    gate.batch_execute("SELECT pg_advisory_lock(4711)").unwrap();
    let run = pair.start(r#", jobs => 1, options => '{"verify": "checksum", "split_bytes": 1000000}'"#);
    poll("the last copy to wait", || {
        !pair.target.rows(&waits_at(4711)).is_empty()
    });
    pair.source.each(&[
        "VACUUM FULL parts",
        "VACUUM FULL other",
        &format!("SELECT decompress_chunk('{}')", days[0]),
        &format!("SELECT compress_chunk('{}')", days[1]),
    ]);
    pair.target.sql("UPDATE other SET v = 'another' WHERE n = 4711");
    drop(gate);
    pair.wait_for_state(&run, "failed");
    assert_eq!(pair.target.value(&format!("SELECT sqlstate FROM timescale_migrate.run WHERE id = {run}")), "XX001", "{}", pair.messages());
    let named = pair.target.value("SELECT string_agg(object, ' ') FROM timescale_migrate.verification WHERE NOT same");
    assert_eq!(named, "public.other", "{}", pair.messages());
    assert!(pair.target.is("SELECT count(*) = 5 AND every(source_checksum IS NOT NULL) FROM timescale_migrate.verification"));
    assert!(pair.target.is("SELECT count(*) > 2 FROM timescale_migrate.task WHERE object LIKE '%parts%' AND phase = 'copy'"));
    assert!(!pair.messages().contains("not compared"), "{}", pair.messages());
    // Nothing is left to ask the source for.
    pair.wait_for_silence();
    pair.target.sql("UPDATE other SET v = 'the source''s' WHERE n = 4711");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run}, wait => true)"));
}

/// The snapshot shows a table that can be locked no more.
fn dropped(edition: Edition) {
    let pair = Pair::plain("living_dropped", edition);
    pair.source.sql("CREATE TABLE gone (n int) PARTITION BY LIST (n); CREATE TABLE stays (n int); INSERT INTO stays SELECT generate_series(1, 10)");
    let mut other = pair.source.connect();
    other.batch_execute("BEGIN; DROP TABLE gone").unwrap();
    let run = pair.start("");
    let waits = "SELECT count(*) > 0 FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE NOT granted AND application_name LIKE 'timescale_migrate schema %'";
    poll("the schema's reader to wait", || pair.source.is(waits));
    other.batch_execute("COMMIT").unwrap();
    pair.wait_for_end(&run);
    pair.is_done(&run);
    assert!(pair.messages().contains("a table was dropped on the source while its schema was read"), "{}", pair.messages());
    assert!(pair.target.is("SELECT to_regclass('gone') IS NULL AND count(*) = 10 FROM stays"));
}

/// Rows are asked for by the names of columns, which under an older snapshot would be those of others.
fn renamed(edition: Edition) {
    let pair = Pair::plain("living_renamed", edition);
    crate::slow::make_plain(&pair);
    pair.source.sql("CREATE TABLE later (old int, new int); INSERT INTO later SELECT 1, 2 FROM generate_series(1, 10)");
    let run = pair.start(", jobs => 1");
    poll("the first table to be copied", || {
        assert_eq!(pair.state(&run), "running", "{}", pair.messages());
        pair.target.is("SELECT count(*) > 0 FROM timescale_migrate.task WHERE state = 'running'")
    });
    pair.source.sql(
        "BEGIN; ALTER TABLE later RENAME old TO first; ALTER TABLE later RENAME new TO old; ALTER TABLE later RENAME first TO new; COMMIT",
    );
    crate::slow::hurry(&pair);
    pair.wait_for_end(&run);
    assert_eq!(
        pair.target.value(&format!("SELECT concat_ws(' | ', state, error) FROM timescale_migrate.run WHERE id = {run}")),
        "failed | the columns of public.later have changed on the source since the run began: they are in another order"
    );
    assert_eq!(pair.target.value("SELECT count(*) FROM later"), "0");
}

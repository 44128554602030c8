//! Faults at random moments of a run. It is resumed until it is done; the target then holds the
//! source, and nothing is left running on either side.
//!
//! With CHAOS_LIVING the rounds are shared among pairs of versions, and in every other round the source
//! goes on meanwhile, until the last start of the run: `make chaos` asks for it.
//!
//! CHAOS_ROUNDS says how many runs are made, CHAOS_SEED repeats the choices of an earlier time.

mod faults;
mod living;

// The extension's own list. The extension cannot be a dependency: it is a library for a server.
#[path = "../../../src/core/plan/phase.rs"]
#[allow(dead_code, unused_imports)]
mod phase;

use cluster::proxy::Proxy;
use cluster::suite::Test;
use cluster::{Db, Edition, Pair, Versions, differences, of_edition, of_edition_on_small_disk, poll};
use faults::{FAULTS, FUTURE, Now, Under};
use phase::{PHASES, Phase};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub const TESTS: &[Test] = &[Test::richest("faults at random moments", faults_at_random)];

/// What the rounds with CHAOS_LIVING are shared among.
const PAIRS: [Versions; 3] = [
    Versions { from: Edition::Previous, ..Versions::new("2.15.3", "2.29.2") },
    Versions::new("2.19.3", "2.29.2"),
    Versions::new("2.29.2", "2.29.2"),
];

/// Of one round.
const MOST_FAULTS: u64 = 6;

/// Where a phase stands in a migration; none for one that is in no order, like that of stopping.
fn place(phase: &str) -> Option<Phase> {
    Phase::parse(phase).filter(|phase| *phase < Phase::Stopping)
}

/// The choices of a test, all from one seed.
pub struct Random(u64);

impl Random {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// When a fault strikes.
#[derive(Debug)]
enum Moment {
    After(Duration),
    /// This phase or a later one is reached.
    Phase(Phase),
    /// So many tasks are done.
    Tasks(u64),
}

impl Moment {
    fn random(random: &mut Random) -> Moment {
        match random.below(3) {
            0 => Moment::After(Duration::from_millis(random.below(1500))),
            1 => Moment::Phase(random.of(&PHASES[..Phase::Stopping as usize]).0),
            _ => Moment::Tasks(random.below(120)),
        }
    }

    /// Waits for it; false if the run ends before it comes.
    fn comes(&self, under: &mut Under) -> bool {
        let start = Instant::now();
        // A source that changes all the time may take a run many rounds, each of which moves it.
        let (mut last, mut moved) = (Now::default(), start);
        loop {
            let ended = under.caller_ended();
            let now = under.observe();
            let here = match self {
                Moment::After(delay) => start.elapsed() >= *delay,
                Moment::Phase(phase) => place(&now.phase) >= Some(*phase),
                Moment::Tasks(done) => now.tasks_done >= *done,
            };
            if now.state == "running" && here {
                return true;
            }
            if now.state != "running" && !now.state.is_empty() && ended {
                return false;
            }
            assert!(moved.elapsed() < Duration::from_secs(120), "the run neither goes on nor ends: {now:?}");
            if now != last {
                (last, moved) = (now, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

fn setting<T: FromStr>(name: &str, default: T) -> T
where
    T::Err: Debug,
{
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|e| panic!("{name}: {e:?}")))
}

#[derive(Default)]
struct Tally {
    faults: BTreeMap<&'static str, usize>,
    resumes: usize,
    /// Rounds that ended before a living source came to rest, and so cannot be compared.
    unlike: usize,
    differences: Vec<String>,
}

fn faults_at_random(edition: Edition) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = setting("CHAOS_SEED", now % 1_000_000);
    let rounds = setting("CHAOS_ROUNDS", 20u64);
    println!("chaos: CHAOS_SEED={seed}");
    let living = std::env::var_os("CHAOS_LIVING").is_some() && edition == Edition::Community;
    if !living {
        return between(edition, edition, ["", ""], seed, 1..=rounds, false);
    }
    for (place, versions) in PAIRS.iter().enumerate() {
        assert_eq!(versions.lacks(), None, "{versions:?}");
        let (share, place) = (rounds.div_ceil(PAIRS.len() as u64), place as u64);
        let extension = [versions.source, versions.target].map(|version| format!(" VERSION '{version}'"));
        println!("chaos: {} to {}", versions.source, versions.target);
        between(versions.from, versions.to, extension.each_ref().map(String::as_str), seed, place * share + 1..=(place + 1) * share, true);
    }
}

/// Those rounds, between servers of these editions. `versions` ends each side's CREATE EXTENSION.
fn between(from: Edition, to: Edition, versions: [&str; 2], seed: u64, rounds: RangeInclusive<u64>, living: bool) {
    let source = Arc::new(of_edition(from, &[]));
    let target = Arc::new(of_edition_on_small_disk(to, 1500, &[("max_wal_size", "128MB")]));
    let proxy = Proxy::new(source.port);
    // By its name its pg_dump processes are told from those of others.
    let source = Db::create(source, &format!("chaos_{}", std::process::id()));
    source.sql(&format!("CREATE EXTENSION timescaledb{}", versions[0]));
    fill(&source, from);
    // A crash moves sequences on to the values that were logged ahead, once: not after they were carried.
    source.cluster.stop_immediately();
    source.cluster.start_again();
    let empty = |source: &Db, number: u64| {
        let db = Db::create(target.clone(), &format!("chaos_{number}"));
        db.sql(&format!("CREATE EXTENSION timescaledb{}", versions[1]));
        Pair::server_at(source, db, proxy.port)
    };
    let (first, count) = (*rounds.start(), rounds.clone().count());
    let mut pair = Pair { target: empty(&source, first), source };
    let mut tally = Tally::default();
    for number in rounds {
        let start = Instant::now();
        // Each round has choices of its own, whatever the moments of the one before were.
        let mut random = Random(seed.wrapping_add(number << 32));
        let found = match living && number % 2 == 0 {
            true => round_with_living_source(&pair, &proxy, &mut random, &mut tally),
            false => round(&pair, &proxy, &mut random, &mut tally, None),
        };
        match found.is_empty() {
            true => println!("chaos: round {number} ended in {} s", start.elapsed().as_secs()),
            false => println!("chaos: round {number}: {}", found.join("\n")),
        }
        tally.differences.extend(found.iter().map(|text| format!("round {number}: {text}")));
        pair.target = empty(&pair.source, number + 1);
    }
    let faults: usize = tally.faults.values().sum();
    let kinds: Vec<_> = tally.faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    println!(
        "chaos: {count} rounds, {faults} faults ({}), {} resumes, {} not compared, {} differences",
        kinds.join(", "),
        tally.resumes,
        tally.unlike,
        tally.differences.len()
    );
    assert!(tally.differences.is_empty(), "CHAOS_SEED={seed}\n{}", tally.differences.join("\n"));
    assert!(faults >= count, "CHAOS_SEED={seed}: hardly any fault struck");
}

fn round_with_living_source(pair: &Pair, proxy: &Proxy, random: &mut Random, tally: &mut Tally) -> Vec<String> {
    let (stop, own) = (AtomicBool::new(false), Random(random.next()));
    thread::scope(|scope| {
        let work = scope.spawn(|| living::work(&pair.source, own, &stop));
        let rest = || {
            stop.store(true, Ordering::Relaxed);
            poll("the source to be at rest", || work.is_finished());
        };
        // The work ends whatever becomes of the round; scope would wait for it for ever.
        let found = catch_unwind(AssertUnwindSafe(|| round(pair, proxy, random, tally, Some(&rest))));
        stop.store(true, Ordering::Relaxed);
        found.unwrap_or_else(|e| resume_unwind(e))
    })
}

/// One migration from its start to its end; what is wrong after it. `rest` lets a living source
/// come to rest: before the last start of the run, which all faults have struck before.
fn round(
    pair: &Pair,
    proxy: &Proxy,
    random: &mut Random,
    tally: &mut Tally,
    rest: Option<&dyn Fn()>,
) -> Vec<String> {
    // More often few than many: the end has to be reached from everywhere.
    let most = 1 + random.below(MOST_FAULTS).min(random.below(MOST_FAULTS));
    let retries = random.of(&[0, 2, 10]);
    let (mut struck, mut living) = (0, rest.is_some());
    let mut history = Vec::new();
    loop {
        let before = struck;
        let jobs = 1 + random.below(3);
        // Those of one round are those of its first start.
        let mut under = Under::begin(pair, proxy, jobs, retries);
        while struck < most {
            let (moment, (kind, strike)) = (Moment::random(random), random.of(FAULTS));
            if !moment.comes(&mut under) {
                break;
            }
            if strike(&mut under) {
                struck += 1;
                *tally.faults.entry(kind).or_default() += 1;
                history.push(format!("{kind} at {moment:?}"));
            }
        }
        let resting = living && struck >= most;
        if let (Some(rest), true) = (rest, resting) {
            under.cancel("immediate");
            rest();
        }
        let end = under.wait_for_end();
        if let (Some(rest), true, "done") = (rest, living, end.as_str()) {
            // What it holds is of a moment that is gone.
            rest();
            pair.wait_for_silence();
            tally.unlike += 1;
            return Vec::new();
        }
        living &= !resting;
        if living { pair.wait_for_workers() } else { pair.wait_for_silence() }
        match end.as_str() {
            "done" => break,
            // The source itself got in its way, and the run makes no further attempt.
            _ if living && retries == 0 && (end.contains("72000") || end.contains("40P01")) => tally.resumes += 1,
            // No fault, no failure: it has to come to its end by itself.
            _ if struck == before && !resting => {
                let error = under.error_of_caller();
                return vec![format!("{end} without a fault, after {history:?}: {error}")];
            }
            _ if end.contains("XX000") => return vec![format!("an internal error: {end}, after {history:?}")],
            _ => tally.resumes += 1,
        }
    }
    let version = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'";
    let same = pair.source.value(version) == pair.target.value(version);
    let mut wrong = differences(pair);
    wrong.retain(|text| same || !text.starts_with("sparse indexes of "));
    // They have another form, and are looked at by themselves.
    wrong.retain(|text| !text.lines().next().is_some_and(|key| key.contains("future")));
    wrong.extend(FUTURE.iter().flat_map(|table| of_hypertable(pair, table)));
    wrong.extend(left_over(pair, same));
    if !wrong.is_empty() {
        wrong.push(format!("after {history:?}"));
    }
    wrong
}

/// What differs between a table and the hypertable that it has become.
fn of_hypertable(pair: &Pair, table: &str) -> Vec<String> {
    let rows = format!("SELECT count(*) || ' ' || md5(string_agg(r::text, ',' ORDER BY r::text)) FROM {table} r");
    let buckets = format!("SELECT count(DISTINCT floor(extract(epoch FROM t) / 432000)) FROM {table}");
    [
        (format!("rows of {table}"), pair.source.value(&rows), pair.target.value(&rows)),
        (format!("chunks of {table}"), pair.source.value(&buckets), pair.target.value(&format!("SELECT count(*) FROM show_chunks('{table}')"))),
    ]
    .into_iter()
    .filter(|(_, source, target)| source != target)
    .map(|(what, source, target)| format!("{what}: \"{target}\" instead of \"{source}\""))
    .collect()
}

/// What a run ought to have taken with it. `same`: both sides have the same version of TimescaleDB;
/// others differ in the relations that they make for themselves.
fn left_over(pair: &Pair, same: bool) -> Vec<String> {
    let mut found = Vec::new();
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 21581";
    // The relations of chunks, of compressed ones as well.
    let internal = "SELECT count(*) FROM pg_class c WHERE relnamespace = '_timescaledb_internal'::regnamespace AND relkind IN ('r', 'v')
        AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid AND inhparent IN ('future.metric'::regclass, 'future.parted'::regclass, 'future.divided'::regclass))
        AND NOT EXISTS (
            SELECT FROM _timescaledb_catalog.chunk k JOIN _timescaledb_catalog.hypertable h ON h.id = k.hypertable_id AND h.table_name = 'divided'
            JOIN _timescaledb_catalog.chunk packed ON packed.id::text = to_jsonb(k)->>'compressed_chunk_id'
            WHERE to_jsonb(packed)->>'table_name' = c.relname)
        AND NOT EXISTS (
            SELECT FROM _timescaledb_catalog.compression_settings s
            WHERE to_jsonb(s)->>'compress_relid' = c.oid::regclass::text AND s.relid IN (SELECT show_chunks('future.divided')))";
    let unfinished = "SELECT count(*) FROM timescale_migrate.task WHERE state <> 'done'";
    for (what, source, target) in [
        ("locks of runs", "0".into(), pair.target.value(locks)),
        ("internal relations", pair.source.value(internal), pair.target.value(internal)),
        ("unfinished tasks", "0".into(), pair.target.value(unfinished)),
        ("snapshots of the source", "0".into(), pair.source.value("SELECT count(*) FROM pg_ls_dir('pg_snapshots')")),
        ("pg_dump processes", String::new(), faults::dumps_of(&pair.source.name).join("; ")),
    ] {
        if source != target && (same || what != "internal relations") {
            found.push(format!("{what}: \"{target}\" instead of \"{source}\""));
        }
    }
    found
}

fn fill(source: &Db, edition: Edition) {
    source.sql(include_str!("sql/chaos.sql"));
    if edition != Edition::Apache {
        source.sql(include_str!("sql/chaos_community.sql"));
        for statement in [
            "CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
             SELECT time_bucket('1 hour', t) AS hour, device, sum(n) AS n FROM reading GROUP BY 1, 2 WITH NO DATA",
            "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS
             SELECT time_bucket('1 day', hour) AS day, sum(n) AS n FROM hourly GROUP BY 1 WITH NO DATA",
            "CREATE MATERIALIZED VIEW hundreds WITH (timescaledb.continuous) AS
             SELECT time_bucket(100, at) AS bucket, sum(v) AS v FROM tick GROUP BY 1 WITH NO DATA",
            "CALL refresh_continuous_aggregate('hourly', NULL, '2024-01-25 UTC')",
            "CALL refresh_continuous_aggregate('daily', NULL, '2024-01-20 UTC')",
            "CALL refresh_continuous_aggregate('hundreds', 0, 4000)",
            "INSERT INTO reading VALUES ('2024-01-05 00:00:30 UTC', 1, 1, 1)",
            // None is due in this century.
            "SELECT add_retention_policy('reading', INTERVAL '100 years', initial_start => '2100-01-01 UTC')",
            "SELECT add_compression_policy('packed', INTERVAL '90 years', initial_start => '2100-01-02 UTC')",
            "SELECT add_continuous_aggregate_policy('hundreds', 8000, 500, '1 hour', initial_start => '2100-01-03 UTC')",
            "CREATE PROCEDURE act(job_id int, config jsonb) LANGUAGE sql AS 'SELECT 1'",
            "SELECT add_job('act', '1 day', config => '{\"a\": [1, null]}', initial_start => '2100-01-04 UTC')",
        ] {
            source.sql(statement);
        }
    }
    poll("the source to be at rest", || source.is("SELECT count(*) = 0 FROM pg_stat_progress_create_index"));
}

//! Runs the tests, one trial for each edition of each, and stops the servers after the last.

use crate::cluster::logged_deadlocks;
use crate::edition::{Edition, Versions, postgres_15};
use crate::shared::{shared_servers, stop_shared};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What a test needs to run.
#[derive(Clone, Copy, PartialEq)]
enum On {
    Both,
    Apache,
    Community,
    Postgres15,
    Next,
    Previous,
    Since18,
    Richest,
}

#[derive(Clone, Copy)]
enum Run {
    Edition(On, fn(Edition)),
    Versions(&'static [Versions], fn(Versions)),
}

pub struct Test {
    name: &'static str,
    run: Run,
}

impl Test {
    /// Runs on each edition there is.
    pub const fn both(name: &'static str, run: fn(Edition)) -> Test {
        Test { name, run: Run::Edition(On::Both, run) }
    }

    /// Does not depend on the edition.
    pub const fn apache(name: &'static str, run: fn(Edition)) -> Test {
        Test { name, run: Run::Edition(On::Apache, run) }
    }

    /// Needs what only the Community edition has.
    pub const fn community(name: &'static str, run: fn(Edition)) -> Test {
        Test { name, run: Run::Edition(On::Community, run) }
    }

    /// Runs once, on the edition that can do most.
    pub const fn richest(name: &'static str, run: fn(Edition)) -> Test {
        Test { name, run: Run::Edition(On::Richest, run) }
    }

    /// Needs a PostgreSQL 15 beside the target.
    pub const fn postgres_15(name: &'static str, run: fn(Edition)) -> Test {
        Test { name, run: Run::Edition(On::Postgres15, run) }
    }

    /// Needs a newer PostgreSQL beside PG_CONFIG's.
    pub const fn next(name: &'static str, run: fn(Edition)) -> Test {
        Test { name, run: Run::Edition(On::Next, run) }
    }

    /// Needs an older PostgreSQL beside PG_CONFIG's.
    pub const fn previous(name: &'static str, run: fn(Edition)) -> Test {
        Test { name, run: Run::Edition(On::Previous, run) }
    }

    /// Needs PostgreSQL 18 or newer with the Community edition on both sides.
    pub const fn since_18(name: &'static str, run: fn(Edition)) -> Test {
        Test { name, run: Run::Edition(On::Since18, run) }
    }

    /// Runs between all pairs of versions of the Community edition.
    pub const fn versions(name: &'static str, run: fn(Versions)) -> Test {
        Test { name, run: Run::Versions(&Versions::ALL, run) }
    }

    /// Runs between these, for what not every version has.
    pub const fn between(name: &'static str, versions: &'static [Versions], run: fn(Versions)) -> Test {
        Test { name, run: Run::Versions(versions, run) }
    }

    fn trials(&'static self, module: &str) -> Vec<Trial> {
        let name = format!("{module}: {}", self.name);
        match self.run {
            Run::Edition(on, run) => {
                let editions: &[Edition] = match on {
                    On::Both => &[Edition::Apache, Edition::Community],
                    On::Apache | On::Postgres15 => &[Edition::Apache],
                    On::Community => &[Edition::Community],
                    On::Next => &[Edition::Next],
                    On::Previous => &[Edition::Previous],
                    On::Since18 => &[Edition::since_18().unwrap_or(Edition::Next)],
                    On::Richest if Edition::Community.bindir().is_some() => &[Edition::Community],
                    On::Richest => &[Edition::Apache],
                };
                let trial = |edition: &Edition| {
                    let edition = *edition;
                    let lack = match on {
                        On::Postgres15 => postgres_15().is_none().then_some("no PostgreSQL 15 found"),
                        On::Since18 if Edition::since_18().is_none() => {
                            Some("no PostgreSQL 18 with TimescaleDB's Community edition found")
                        }
                        _ => edition.lacks(),
                    };
                    measured(name.clone(), edition, move || run(edition)).with_ignored_flag(lack.is_some_and(count))
                };
                editions.iter().map(trial).collect()
            }
            Run::Versions(versions, run) => {
                let trial = |versions: &Versions| {
                    let versions = *versions;
                    let older = if versions.from == Edition::Previous { " on an older PostgreSQL" } else { "" };
                    let newer = if versions.to == Edition::Next { " on a newer PostgreSQL" } else { "" };
                    let name = format!("{name}, {}{older} to {}{newer}", versions.source, versions.target);
                    measured(name, versions.to, move || run(versions))
                        .with_ignored_flag(versions.lacks().is_some_and(count))
                };
                versions.iter().map(trial).collect()
            }
        }
    }
}

fn measured(name: String, edition: Edition, test: impl Fn() + Send + Sync + 'static) -> Trial {
    let told = name.clone();
    let run = move || {
        let began = Instant::now();
        let end = guarded(&test);
        TIMES.lock().unwrap().push((began.elapsed(), told.clone()));
        end.or_else(|failure| put_off(told, edition, Box::new(test), failure))
    };
    Trial::ignorable_test(name, run).with_kind(edition.name())
}

/// A test that failed beside others. It runs once more, alone and on new servers: what a busy machine
/// did to its timing is told apart from a fault, and named either way.
struct PutOff {
    name: String,
    edition: Edition,
    test: Box<dyn Fn() + Send>,
    failure: Failed,
}

static PUT_OFF: Mutex<Vec<PutOff>> = Mutex::new(Vec::new());

/// So many may be put off; where more fail, it is not the timing.
const MOST_PUT_OFF: usize = 3;

fn put_off(name: String, edition: Edition, test: Box<dyn Fn() + Send>, failure: Failed) -> Result<Completion, Failed> {
    let mut others = PUT_OFF.lock().unwrap();
    // What the one of that name finds, it finds by chance: a second time proves nothing.
    if others.len() == MOST_PUT_OFF || name.starts_with("chaos: ") {
        return Err(failure);
    }
    others.push(PutOff { name, edition, test, failure });
    Ok(Completion::ignored_with("failed, runs again alone"))
}

/// Runs what was put off; whether all of it passed.
fn run_put_off(arguments: &Arguments) -> bool {
    let put_off = std::mem::take(&mut *PUT_OFF.lock().unwrap());
    if put_off.is_empty() {
        return true;
    }
    println!("failed beside others, run again alone: {}", put_off.len());
    let again = |PutOff { name, edition, test, failure }: PutOff| {
        println!("\n{name}\n{}", failure.message().unwrap_or_default());
        Trial::ignorable_test(name, move || guarded(test)).with_kind(edition.name())
    };
    let trials = put_off.into_iter().map(again).collect();
    let passed = !libtest_mimic::run(&Arguments { test_threads: Some(1), ..arguments.clone() }, trials).has_failed();
    stop_shared();
    passed
}

/// How long each test took.
static TIMES: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

fn print_slowest() {
    let mut times = TIMES.lock().unwrap();
    times.sort();
    println!("the slowest of {} tests:", times.len());
    for (time, name) in times.iter().rev().take(20) {
        println!("{:5.1} s  {name}", time.as_secs_f64());
    }
}

/// How many tests this machine cannot run, by what they lack.
static LEFT_OUT: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// Counts a test that has to be left out.
fn count(lack: &str) -> bool {
    *LEFT_OUT.lock().unwrap().entry(lack.to_owned()).or_default() += 1;
    true
}

/// What a test unwinds with that finds it cannot run here.
struct Lack(String);

/// Ends the current test as one that is left out: what it needs is missing here, which only a running
/// server tells.
pub fn leave_out(lack: impl Into<String>) -> ! {
    resume_unwind(Box::new(Lack(lack.into())))
}

/// Runs a test; a failure carries what the servers logged meanwhile about errors.
fn guarded(test: impl FnOnce()) -> Result<Completion, Failed> {
    let before: Vec<_> = shared_servers().into_iter().map(|s| (s.log_length(), s)).collect();
    let Err(panic) = catch_unwind(AssertUnwindSafe(test)) else { return Ok(Completion::Completed) };
    if let Some(Lack(lack)) = panic.downcast_ref() {
        count(lack);
        return Ok(Completion::ignored_with(lack));
    }
    let mut text = format!("{}: {}", PLACE.take(), message_of(panic.as_ref()));
    for (position, server) in before {
        let log = server.log_since(position);
        let worth: Vec<_> = log.lines().filter(|line| tells(line)).collect();
        if !worth.is_empty() {
            let tail = &worth[worth.len().saturating_sub(30)..];
            text += &format!("\n-- log of {}:\n{}", server.dir.display(), tail.join("\n"));
        }
    }
    Err(text.into())
}

/// Whether a line of a server's log says what went wrong; the statements are in the test.
fn tells(line: &str) -> bool {
    let kinds = ["WARNING: ", "ERROR: ", "FATAL: ", "PANIC: "];
    // TimescaleDB's workers end with their database, and its telemetry needs the other edition.
    let noise = ["Background Worker Scheduler", "\"apache\" license", "Timescale Cloud"];
    kinds.iter().any(|kind| line.contains(kind)) && !noise.iter().any(|noise| line.contains(noise))
}

thread_local! {
    /// Where this thread panicked.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (_, Some(text)) => (*text).to_owned(),
        _ => "panicked".to_owned(),
    }
}

/// The whole of the test program: modules with their tests.
pub fn main(modules: &[(&str, &'static [Test])]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Much of a test is waiting.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(cores + 1);
    let mut trials = Vec::new();
    for (module, tests) in modules {
        for test in *tests {
            trials.extend(test.trials(module));
        }
    }
    // A failure is told once, with the summary.
    std::panic::set_hook(Box::new(|panic| {
        PLACE.set(panic.location().map(ToString::to_string).unwrap_or_default());
    }));
    let conclusion = libtest_mimic::run(&arguments, trials);
    stop_shared();
    let passed = run_put_off(&arguments) && !conclusion.has_failed();
    print_slowest();
    for (lack, count) in &*LEFT_OUT.lock().unwrap() {
        println!("{count} tests left out: {lack}");
    }
    // A run's workers take their locks in one order; that a deadlock is tried again is for those with others.
    let deadlocks = logged_deadlocks();
    if deadlocks.is_empty() {
        return if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    println!("{} deadlocks in the servers' logs:\n{}", deadlocks.len(), deadlocks.join("\n"));
    ExitCode::FAILURE
}

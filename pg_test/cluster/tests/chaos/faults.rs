//! What can happen to a run, and a run that it happens to.

use cluster::proxy::{Mode, Proxy};
use cluster::{Cluster, Pair, poll, signal};
use postgres::{Client, NoTls, SimpleQueryMessage};
use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Each with its name; false if there was nothing to strike.
pub type Fault = (&'static str, fn(&mut Under) -> bool);

pub const FAULTS: &[Fault] = &[
    ("kill -9 of a worker", |under| under.kill("worker")),
    ("kill -9 of the coordinator", |under| under.kill("coordinator")),
    ("end of a worker", |under| under.end_here("backend_type = 'timescale_migrate worker'")),
    ("end of the coordinator", |under| under.end_here("backend_type = 'timescale_migrate coordinator'")),
    ("end of the caller's backend", |under| under.end_here("application_name = 'chaos caller'")),
    ("end of the reader's session", |under| under.end_there("application_name LIKE 'timescale_migrate run % reader'")),
    ("end of the keeper's session", |under| under.end_there("application_name LIKE 'timescale_migrate run % keeper'")),
    ("end of a worker's session", |under| under.end_there("application_name ~ '^timescale_migrate run .* (worker|task)'")),
    ("end of pg_dump's session", |under| under.end_there("application_name LIKE 'timescale_migrate schema %'")),
    ("restart of the source", |under| restart(&under.pair.source.cluster)),
    ("restart of the target", |under| restart(&under.pair.target.cluster)),
    ("graceful cancel", |under| under.cancel("graceful")),
    ("immediate cancel", |under| under.cancel("immediate")),
    ("cancel of the caller", |under| under.signal_caller("INT")),
    ("loss of the caller", |under| under.signal_caller("KILL")),
    ("reset of the connections", |under| under.network(Mode::Reset, Duration::from_millis(100))),
    ("stall of the network", |under| under.network(Mode::Stall, SOURCE_TIMEOUT * 3)),
    ("trickle of the network", |under| under.network(Mode::Trickle(50_000), Duration::from_secs(1))),
    ("time-outs of the source", |under| under.time_outs()),
    ("full disk of the target", |under| under.pair.target.cluster.fill_disk(Duration::from_secs(1))),
];

/// The tables, one of them a hypertable, that become hypertables with chunks of five days by their column `t`.
pub const FUTURE: [&str; 3] = ["future.metric", "future.parted", "future.divided"];

/// The option of that name.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(2);

/// What is seen of the run.
#[derive(Debug, Default, PartialEq)]
pub struct Now {
    /// Empty while nothing can be seen.
    pub state: String,
    pub phase: String,
    pub tasks_done: u64,
}

/// A run, begun or resumed by a psql that waits for it.
pub struct Under<'a> {
    pair: &'a Pair,
    proxy: &'a Proxy,
    caller: Child,
    observer: Option<Client>,
}

impl Under<'_> {
    pub fn begin<'a>(pair: &'a Pair, proxy: &'a Proxy, jobs: u64, retries: u64) -> Under<'a> {
        let run = pair.target.value("SELECT coalesce(max(id)::text, '') FROM timescale_migrate.run");
        let call = match run.as_str() {
            "" => {
                let seconds = SOURCE_TIMEOUT.as_secs();
                let entries = FUTURE.map(|name| format!(r#""{name}": {{"time": "t", "chunk_interval": "5 days"}}"#));
                let hypertables = format!(r#""hypertables": {{{}}}"#, entries.join(", "));
                let options = format!(r#"{hypertables}, "verify": "checksum", "split_bytes": 150000, "connect_timeout": 2"#);
                format!(r#"migrate_from('old', '{{{options}, "source_timeout": {seconds}, "retries": {retries}}}', "#)
            }
            run => format!("migrate_resume({run}, "),
        };
        let mut psql = pair.target.cluster.program("psql");
        psql.args(["--no-psqlrc", "--dbname", &pair.target.name]);
        psql.args(["--command", &format!("SELECT * FROM {call} jobs => {jobs}, wait => true)")]);
        // Errors alone, so that the pipe that nobody reads meanwhile is large enough.
        psql.env("PGAPPNAME", "chaos caller").env("PGOPTIONS", "-c client_min_messages=error");
        psql.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Under { pair, proxy, caller: psql.spawn().expect("cannot run psql"), observer: None }
    }

    pub fn caller_ended(&mut self) -> bool {
        self.caller.try_wait().unwrap().is_some()
    }

    /// What the call failed with, after its end.
    pub fn error_of_caller(&mut self) -> String {
        let mut text = String::new();
        self.caller.stderr.take().map(|mut pipe| pipe.read_to_string(&mut text));
        text
    }

    pub fn observe(&mut self) -> Now {
        let query = "SELECT state, phase, (SELECT count(*) FROM timescale_migrate.task_log WHERE state = 'done'), sqlstate, error
            FROM timescale_migrate.run ORDER BY id DESC LIMIT 1";
        if self.observer.is_none() {
            self.observer = self.pair.target.cluster.config(&self.pair.target.name).connect(NoTls).ok();
        }
        let Some(Ok(answer)) = self.observer.as_mut().map(|client| client.simple_query(query)) else {
            self.observer = None;
            return Now::default();
        };
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        // A caller that was lost early enough has begun no run.
        let Some(row) = row else { return Now { state: "absent".into(), ..Now::default() } };
        let field = |i: usize| row.get(i).unwrap_or_default().to_owned();
        let mut state = field(0);
        if state == "failed" || state == "cancelled" {
            state = format!("{state} {} {}", field(3), field(4));
        }
        Now { state, phase: field(1), tasks_done: field(2).parse().unwrap() }
    }

    /// Waits until neither the run nor its caller goes on; the run's state.
    pub fn wait_for_end(&mut self) -> String {
        let mut state = String::new();
        poll("the run to end", || {
            let ended = self.caller_ended();
            state = self.observe().state;
            ended && !state.is_empty() && state != "running"
        });
        state
    }

    /// kill -9, after which the server starts anew.
    fn kill(&self, kind: &str) -> bool {
        let pid = format!("SELECT pid FROM pg_stat_activity WHERE backend_type = 'timescale_migrate {kind}' LIMIT 1");
        let cluster = &self.pair.target.cluster;
        let Ok(pid) = self.pair.target.try_value(&pid) else { return false };
        let before = cluster.log_length();
        if pid.is_empty() || !signal("KILL", &pid) {
            return false;
        }
        // It may have been at its end anyway.
        let start = Instant::now();
        while !cluster.log_since(before).contains("was terminated by signal 9") {
            if start.elapsed() > Duration::from_secs(2) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        poll("the server to start anew", || {
            cluster.log_since(before).contains("database system is ready to accept connections")
        });
        true
    }

    fn end_here(&self, which: &str) -> bool {
        end(&self.pair.target, which)
    }

    fn end_there(&self, which: &str) -> bool {
        end(&self.pair.source, which)
    }

    pub fn cancel(&self, mode: &str) -> bool {
        let cancel = format!("SELECT migrate_cancel(max(id), '{mode}') FROM timescale_migrate.run");
        self.pair.target.try_value(&cancel).is_ok_and(|answer| answer == "t")
    }

    /// The source is reached another way for a while.
    fn network(&self, mode: Mode, pause: Duration) -> bool {
        self.proxy.set(mode);
        std::thread::sleep(pause);
        self.proxy.set(Mode::Pass);
        true
    }

    /// Whatever the source's settings say for sessions that have not said otherwise.
    fn time_outs(&self) -> bool {
        let source = &self.pair.source;
        let names = ["statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "lock_timeout"];
        let each = |what: &dyn Fn(&str) -> String| {
            source.each(&names.map(what));
            source.sql("SELECT pg_reload_conf()");
        };
        each(&|name| format!("ALTER SYSTEM SET {name} = '2ms'"));
        std::thread::sleep(Duration::from_secs(1));
        each(&|name| format!("ALTER SYSTEM RESET {name}"));
        true
    }

    fn signal_caller(&mut self, name: &str) -> bool {
        !self.caller_ended() && signal(name, &self.caller.id().to_string())
    }
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        let _ = self.caller.kill();
        let _ = self.caller.wait();
    }
}

fn end(side: &cluster::Db, which: &str) -> bool {
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which} ORDER BY pid LIMIT 1"
    );
    // Some are there for moments only.
    (0..60).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        side.try_value(&end).is_ok_and(|answer| answer == "t")
    })
}

fn restart(cluster: &Cluster) -> bool {
    cluster.stop_immediately();
    cluster.start_again();
    true
}

/// The pg_dump processes that read a database of this name, each with its state and its parent.
pub fn dumps_of(database: &str) -> Vec<String> {
    let of = format!("dbname='{database}'");
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |file| String::from_utf8_lossy(&std::fs::read(process.path().join(file)).unwrap_or_default()).into_owned();
        let title = read("cmdline");
        if title.split('\0').next().is_some_and(|program| program.ends_with("pg_dump")) && title.contains(&of) {
            let status = read("status");
            let lines = status.lines().filter(|line| ["Pid", "PPid", "State"].iter().any(|name| line.starts_with(name)));
            found.push(lines.collect::<Vec<_>>().join(", "));
        }
    }
    found
}

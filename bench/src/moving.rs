//! A source and a fresh target, and the programs that the ways to move one into the other need.

use crate::data::Data;
use cluster::{Db, PASSWORD};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// One way on its way.
pub struct Moving<'a> {
    pub data: &'a Data,
    pub source: &'a Db,
    /// Where the source is reached, by TCP.
    pub port: u16,
    /// Empty but for TimescaleDB.
    pub target: Db,
    /// For files.
    pub directory: PathBuf,
}

/// Why it cannot be measured, as the program that failed told.
pub type Result<T> = std::result::Result<T, String>;

impl<'a> Moving<'a> {
    pub fn new(data: &'a Data, source: &'a Db, port: u16, target: Db, scratch: &Path) -> Moving<'a> {
        target.sql("CREATE EXTENSION timescaledb");
        let directory = scratch.join("files");
        std::fs::create_dir(&directory).expect("the directory for temporary files can be written to");
        Moving { data, source, port, target, directory }
    }

    /// One of PostgreSQL's client programs, connecting to the source.
    pub fn on_source(&self, name: &str, arguments: &[&str]) -> Command {
        let mut program = self.source.cluster.program(name);
        program.env("PGHOST", "127.0.0.1").env("PGPORT", self.port.to_string());
        program.env("PGPASSWORD", PASSWORD).env("PGDATABASE", &self.source.name);
        program.args(arguments).current_dir(&self.directory);
        program
    }

    /// The same, connecting to the target.
    pub fn on_target(&self, name: &str, arguments: &[&str]) -> Command {
        let mut program = self.target.cluster.program(name);
        program.env("PGDATABASE", &self.target.name).env("PGOPTIONS", "-c client_min_messages=error");
        program.args(arguments).current_dir(&self.directory);
        program
    }

    /// Statements by psql, each in a transaction of its own.
    pub fn psql(&self, statements: &[&str]) -> Result<()> {
        let mut psql = self.on_target("psql", &["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
        psql.args(statements.iter().flat_map(|statement| ["--command", statement]));
        run(&mut psql)
    }

    /// Between TimescaleDB's two functions for a restore.
    pub fn restored(&self, restore: impl FnOnce() -> Result<()>) -> Result<()> {
        self.psql(&["SELECT timescaledb_pre_restore()"])?;
        restore()?;
        self.psql(&["SELECT timescaledb_post_restore()"])
    }

    /// The relations that hold rows on the source, the largest first, but those of extensions' own
    /// catalogs: tables, chunks, and the tables of compressed rows.
    pub fn relations(&self) -> Vec<String> {
        let relations = self.source.rows(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                               AND d.deptype = 'e')
               AND pg_relation_size(c.oid) > 0
             ORDER BY pg_relation_size(c.oid) DESC",
        );
        relations.iter().map(|row| row.get(0).expect("a name").to_owned()).collect()
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Runs a program to its end; what it told if it fails.
pub fn run(program: &mut Command) -> Result<()> {
    let output = program.stdin(Stdio::null()).output().map_err(|error| format!("{program:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(told(program, output.status.code(), &output.stderr)),
    }
}

/// Runs two programs at the same time, the one's output being the other's input.
pub fn pipe(from: &mut Command, to: &mut Command) -> Result<()> {
    let start = |program: &mut Command| program.spawn().map_err(|error| format!("{program:?}: {error}"));
    let mut first = start(from.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()))?;
    let output = first.stdout.take().expect("its output is a pipe");
    let second = start(to.stdin(output).stdout(Stdio::null()).stderr(Stdio::piped()))?;
    let second = second.wait_with_output().map_err(|error| error.to_string())?;
    let first = first.wait().map_err(|error| error.to_string())?;
    match (first.success(), second.status.success()) {
        (true, true) => Ok(()),
        (false, _) => Err(told(from, first.code(), &[])),
        (_, false) => Err(told(to, second.status.code(), &second.stderr)),
    }
}

fn told(program: &Command, status: Option<i32>, stderr: &[u8]) -> String {
    let name = Path::new(program.get_program()).file_name().unwrap_or_default().to_string_lossy();
    let text = String::from_utf8_lossy(stderr);
    let first = text.lines().find(|line| line.contains("rror")).unwrap_or_default();
    let status = status.map_or("a signal".to_string(), |status| format!("status {status}"));
    format!("{name} ended with {status}: {first}").trim_end_matches(": ").to_string()
}

/// Calls a function with each of the items, by two threads; the first error.
pub fn two_at_a_time<T: Sync>(items: &[T], call: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        while let Some(item) = items.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            call(item)?;
        }
        Ok(())
    };
    std::thread::scope(|threads| {
        let other = threads.spawn(work);
        let own = work();
        other.join().expect("the thread does not panic").and(own)
    })
}

/// How long something takes.
pub fn timed(what: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    what().map(|()| start.elapsed())
}

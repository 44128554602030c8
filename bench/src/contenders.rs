//! The ways to move a database.

use crate::data::{Data, Kind};
use crate::moving::{Moving, Result, pipe, run, timed, two_at_a_time};
use std::process::Command;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// With so many jobs.
    MigrateFrom(u32),
    /// Two psql pipes of COPY into relations that exist, then what is made after the rows, and statistics.
    Floor,
    /// Two psql pipes of COPY into a hypertable that exists, then compression by two sessions, and statistics.
    Pipes,
    Pgcopydb,
    /// As text into psql.
    Dump,
    /// A file, and pg_restore.
    DumpFile,
    /// Schema, then CSV files, then what is made after the rows, by hand.
    Csv,
}

use Contender::{Csv, Dump, DumpFile, Floor, MigrateFrom, Pgcopydb, Pipes};

impl Contender {
    /// Who moves this database over this distance; migrate_from first, the others are compared with it.
    pub fn of(data: &Data, round_trip: Duration) -> &'static [Contender] {
        match data.kind() {
            Kind::Chunks => &[MigrateFrom(4), Dump],
            _ if !round_trip.is_zero() => &[MigrateFrom(2), Dump],
            Kind::Standard => &[MigrateFrom(2), MigrateFrom(1), MigrateFrom(4), Floor, Pgcopydb, Dump, DumpFile, Csv],
            Kind::Table | Kind::PackedTable => &[MigrateFrom(2), Pipes],
            Kind::Wide => &[MigrateFrom(2), Floor, Pgcopydb, Dump, DumpFile],
        }
    }

    pub fn name(self) -> String {
        match self {
            MigrateFrom(1) => "migrate_from, 1 job".into(),
            MigrateFrom(jobs) => format!("migrate_from, {jobs} jobs"),
            Floor => "two COPY pipes, then indexes".into(),
            Pipes => "two COPY pipes into a hypertable".into(),
            Pgcopydb => "pgcopydb, 2 jobs".into(),
            Dump => "pg_dump and psql".into(),
            DumpFile => "pg_dump -Fc and pg_restore".into(),
            Csv => "CSV files by hand".into(),
        }
    }

    pub fn is_ours(self) -> bool {
        matches!(self, MigrateFrom(_))
    }

    /// Why it cannot take part here.
    pub fn lacks(self) -> Option<&'static str> {
        let is_here = |program: &str| Command::new(program).arg("--version").output().is_ok();
        (self == Pgcopydb && !is_here("pgcopydb")).then_some("pgcopydb is not installed")
    }

    /// Whether it leaves the source's tables, hypertables and aggregates, and not only their rows.
    pub fn leaves_a_database(self) -> bool {
        self != Floor
    }

    /// How long it takes, without what is made beforehand.
    pub fn run(self, moving: &Moving) -> Result<Duration> {
        match self {
            MigrateFrom(jobs) => migrate_from(moving, jobs),
            Floor => floor(moving),
            Pipes => pipes(moving),
            Pgcopydb => pgcopydb(moving),
            Dump => timed(|| moving.restored(|| dump(moving))),
            DumpFile => timed(|| moving.restored(|| dump_file(moving))),
            Csv => timed(|| csv(moving)),
        }
    }
}

/// From the call to the summary row.
fn migrate_from(moving: &Moving, jobs: u32) -> Result<Duration> {
    cluster::Pair::prepare(moving.source, &moving.target, moving.port);
    let options = moving.data.conversion.as_ref().map_or("{}", |conversion| conversion.options);
    let call = format!("SELECT * FROM migrate_from('old', '{options}', jobs => {jobs})");
    timed(|| moving.psql(&[&call]))
}

fn dump(moving: &Moving) -> Result<()> {
    pipe(&mut moving.on_source("pg_dump", &[]), &mut moving.on_target("psql", &["--no-psqlrc", "--quiet"]))
}

fn dump_file(moving: &Moving) -> Result<()> {
    run(&mut moving.on_source("pg_dump", &["--format=custom", "--file=dump"]))?;
    restore(moving, &["dump"])
}

/// It counts errors that it passes over, for instance where an object exists already. What arrives is
/// compared anyway.
fn restore(moving: &Moving, arguments: &[&str]) -> Result<()> {
    let mut restore = moving.on_target("pg_restore", &["--dbname", &moving.target.name]);
    match run(restore.args(arguments)) {
        Err(told) if told.contains("status 1") => Ok(()),
        result => result,
    }
}

/// What it leaves are tables of the rows, but no hypertables, so that they are counted table by table.
fn floor(moving: &Moving) -> Result<Duration> {
    run(&mut moving.on_source("pg_dump", &["--format=custom", "--schema-only", "--file=schema"]))?;
    moving.psql(&["SELECT timescaledb_pre_restore()"])?;
    restore(moving, &["--section=pre-data", "schema"])?;
    let relations = moving.relations();
    let duration = timed(|| {
        two_at_a_time(&relations, |relation| copy(moving, relation))?;
        restore(moving, &["--section=post-data", "--jobs=2", "schema"])?;
        let vacuumdb = ["--analyze-only", "--jobs=2", "--quiet"];
        run(&mut moving.on_target("vacuumdb", &vacuumdb))
    })?;
    let count = |(number, relation): (usize, &String)| format!("SELECT {number}, count(*) FROM ONLY {relation}");
    let counts = relations.iter().enumerate().map(count).collect::<Vec<_>>().join(" UNION ALL ") + " ORDER BY 1";
    let [source, target] = [moving.source, &moving.target]
        .map(|side| side.rows(&counts).iter().map(|row| row.get(1).map(str::to_owned)).collect::<Vec<_>>());
    if source == target { Ok(duration) } else { Err("a wrong result".into()) }
}

fn copy(moving: &Moving, relation: &str) -> Result<()> {
    let [from, to] = ["TO STDOUT", "FROM STDIN"].map(|way| format!("COPY {relation} {way} (FORMAT binary)"));
    let psql = ["--no-psqlrc", "--quiet", "--command"];
    pipe(moving.on_source("psql", &psql).arg(from), moving.on_target("psql", &psql).arg(to))
}

fn pipes(moving: &Moving) -> Result<Duration> {
    let Some(conversion) = &moving.data.conversion else { return Err("no table becomes a hypertable".into()) };
    moving.psql(conversion.hypertable)?;
    timed(|| {
        two_at_a_time(&conversion.halves, |half| {
            let rows = format!("COPY (SELECT * FROM metric WHERE {half}) TO STDOUT (FORMAT binary)");
            let psql = ["--no-psqlrc", "--quiet", "--command"];
            let into = "COPY metric FROM STDIN (FORMAT binary)";
            pipe(moving.on_source("psql", &psql).arg(rows), moving.on_target("psql", &psql).arg(into))
        })?;
        if conversion.packed {
            let chunks = moving.target.rows("SELECT show_chunks('metric')");
            let chunks: Vec<&str> = chunks.iter().filter_map(|row| row.get(0)).collect();
            two_at_a_time(&chunks, |chunk| moving.psql(&[&format!("SELECT compress_chunk('{chunk}')")]))?;
        }
        moving.psql(&["ANALYZE metric"])
    })
}

fn pgcopydb(moving: &Moving) -> Result<Duration> {
    let at = |host: &str, port: u16, name: &str| format!("host={host} port={port} user=postgres dbname={name}");
    let (source, target) = (at("127.0.0.1", moving.port, &moving.source.name), &moving.target);
    let target = at(&target.cluster.dir.to_string_lossy(), target.cluster.port, &target.name);
    let mut clone = Command::new("pgcopydb");
    clone.args(["clone", "--table-jobs=2", "--index-jobs=2", "--skip-extensions", "--dir=state"]);
    clone.args(["--source", &source, "--target", &target]);
    clone.env("PGPASSWORD", cluster::PASSWORD).current_dir(&moving.directory);
    timed(|| moving.restored(|| run(&mut clone)))
}

/// As TimescaleDB's documentation describes for large databases, on one machine.
fn csv(moving: &Moving) -> Result<()> {
    let Some(by_hand) = &moving.data.by_hand else { return Err("nobody does it by hand".into()) };
    let schema = ["--format=custom", "--schema-only", "--exclude-schema=_timescaledb*", "--file=schema"];
    let aggregate = format!("--exclude-table={}", by_hand.aggregate);
    run(moving.on_source("pg_dump", &schema).arg(aggregate))?;
    restore(moving, &["--section=pre-data", "schema"])?;
    moving.psql(by_hand.hypertables)?;
    for table in by_hand.tables {
        let file = format!("{table}.csv");
        let psql = |way: &str, what: &str| format!("\\copy {what} {way} '{file}' (FORMAT csv)");
        let out = psql("TO", &format!("(SELECT * FROM {table})"));
        run(moving.on_source("psql", &["--no-psqlrc", "--quiet", "--command"]).arg(out))?;
        moving.psql(&[&psql("FROM", table)])?;
    }
    restore(moving, &["--section=post-data", "schema"])?;
    moving.psql(by_hand.after)?;
    moving.psql(&["ANALYZE"])
}

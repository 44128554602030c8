//! A source and a target database for one test.

use crate::cluster::PASSWORD;
use crate::db::rows;
use crate::shared::{shared_postgres_15, shared_source, shared_target};
use crate::{Cluster, Db, Edition, Versions, poll};
use postgres::SimpleQueryRow;
use std::sync::Arc;

/// The target has the extension and reaches the source as foreign server `old`, by TCP and
/// with a password.
pub struct Pair {
    pub source: Db,
    pub target: Db,
}

impl Pair {
    /// Both with TimescaleDB, on the shared servers of an edition.
    pub fn new(name: &str, edition: Edition) -> Pair {
        Pair::across(name, edition, edition)
    }

    /// Both with TimescaleDB, of different editions: the Apache edition's version, which no source may be newer than.
    pub fn across(name: &str, source: Edition, target: Edition) -> Pair {
        let pair = Pair::between(name, shared_source(source), shared_target(target));
        let version = pair.target.value("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'");
        match (source, target) {
            (Edition::Community, Edition::Apache) => {
                pair.source.sql(&format!("CREATE EXTENSION timescaledb VERSION '{version}'"))
            }
            _ => pair.source.sql("CREATE EXTENSION timescaledb"),
        }
        pair
    }

    /// The source is plain PostgreSQL of the target's version.
    pub fn plain(name: &str, edition: Edition) -> Pair {
        Pair::between(name, shared_source(edition), shared_target(edition))
    }

    /// The source is plain PostgreSQL 15.
    pub fn from_15(name: &str) -> Pair {
        Pair::between(name, shared_postgres_15(), shared_target(Edition::Apache))
    }

    /// Both with the Community edition, of these versions. No job runs on the source by itself.
    pub fn of(name: &str, versions: Versions) -> Pair {
        let name = format!("{name} {}", versions.suffix());
        let source = Db::create(shared_source(versions.from), &name);
        let target = Db::create(shared_target(versions.to), &name);
        for (side, version) in [(&source, versions.source), (&target, versions.target)] {
            side.sql(&format!("CREATE EXTENSION timescaledb VERSION '{version}'"));
        }
        source.sql(&format!("SELECT {}.stop_background_workers()", source.functions()));
        let target = Pair::server(&source, target);
        Pair { source, target }
    }

    /// Runs the same statements on both sides, each in a transaction of its own.
    #[track_caller]
    pub fn both<S: AsRef<str>>(&self, statements: &[S]) {
        for side in [&self.source, &self.target] {
            side.each(statements);
        }
    }

    pub fn between(name: &str, source: Arc<Cluster>, target: Arc<Cluster>) -> Pair {
        let (source, target) = (Db::create(source, name), Db::create(target, name));
        target.sql("CREATE EXTENSION timescaledb");
        let target = Pair::server(&source, target);
        Pair { source, target }
    }

    /// Makes a database a target: the extension, and server `old` with the superuser's mapping.
    pub fn server(source: &Db, target: Db) -> Db {
        Pair::server_at(source, target, source.cluster.port)
    }

    /// The same where the source is reached at another port than its own, through a proxy.
    pub fn server_at(source: &Db, target: Db, port: u16) -> Db {
        Pair::prepare(source, &target, port);
        target
    }

    /// Gives a database the extension, and server `old`, which is reached at this port.
    pub fn prepare(source: &Db, target: &Db, port: u16) {
        target.sql("CREATE EXTENSION timescale_migrate");
        target.sql(&format!(
            "CREATE SERVER old FOREIGN DATA WRAPPER timescale_migrate
                 OPTIONS (host '127.0.0.1', port '{}', dbname '{}');
             CREATE USER MAPPING FOR CURRENT_USER SERVER old
                 OPTIONS (user 'postgres', password '{}')",
            port,
            source.name.replace('\'', "''"),
            PASSWORD.replace('\'', "''"),
        ));
    }

    /// Migrates; the summary row.
    #[track_caller]
    pub fn migrate(&self) -> SimpleQueryRow {
        self.migrate_with("jobs => 2")
    }

    /// Migrates with arguments besides the source's name.
    #[track_caller]
    pub fn migrate_with(&self, arguments: &str) -> SimpleQueryRow {
        let mut summary = self.target.rows(&format!("SELECT * FROM migrate_from('old', {arguments})"));
        assert_eq!(summary.len(), 1, "one summary row");
        summary.remove(0)
    }

    /// What the preflight says on a check: status, subject, detail and hint.
    #[track_caller]
    pub fn preflight(&self, check: &str) -> Vec<String> {
        self.preflight_with(check, "{}")
    }

    /// The same under options.
    #[track_caller]
    pub fn preflight_with(&self, check: &str, options: &str) -> Vec<String> {
        let rows = self.target.rows(&format!(
            "SELECT concat_ws(' | ', status, subject, detail, hint) FROM migrate_preflight('old', '{options}')
             WHERE topic = '{check}'"
        ));
        rows.iter().map(|row| row.get(0).unwrap_or_default().to_owned()).collect()
    }

    /// The same with every hint in full, also one that the row before has given.
    #[track_caller]
    pub fn preflight_in_full(&self, check: &str, options: &str) -> Vec<String> {
        let mut hint = String::new();
        let in_full = |row: String| match row.strip_suffix(" | as above") {
            Some(start) => format!("{start} | {hint}"),
            None => {
                hint = row.rsplit(" | ").next().unwrap_or_default().to_owned();
                row
            }
        };
        self.preflight_with(check, options).into_iter().map(in_full).collect()
    }

    /// Starts a migration without waiting for it, nor for its preflight; the run's number.
    #[track_caller]
    pub fn start(&self, arguments: &str) -> String {
        let newest = || self.target.value("SELECT max(id) FROM timescale_migrate.run_log");
        let before = newest();
        let mut client = self.target.connect();
        let call = format!("SELECT * FROM migrate_from('old', wait => false{arguments})");
        let caller = std::thread::spawn(move || client.simple_query(&call).map(drop));
        poll("the run to begin", || caller.is_finished() || newest() != before);
        let run = newest();
        assert_ne!(run, before, "{:?}", caller.join());
        run
    }

    pub fn state(&self, run: &str) -> String {
        self.target.value(&format!("SELECT state FROM migrate_status({run})"))
    }

    /// Waits for the run to reach a state.
    #[track_caller]
    pub fn wait_for_state(&self, run: &str, state: &str) {
        poll(&format!("run {run} to be {state}"), || self.state(run) == state);
    }

    /// Waits for the run to end, however it does.
    #[track_caller]
    pub fn wait_for_end(&self, run: &str) {
        poll(&format!("run {run} to end"), || self.state(run) != "running");
    }

    /// The run ended well.
    #[track_caller]
    pub fn is_done(&self, run: &str) {
        let end = self.target.value(&format!(
            "SELECT concat_ws(' | ', state, phase, object, sqlstate, error, detail, hint, context) FROM timescale_migrate.run WHERE id = {run}"
        ));
        assert_eq!(end, "done | done", "{}", self.messages());
    }

    /// Waits until no transaction is open on the source's server that began before now, in any
    /// database: rows that are younger than such a one count as written since a copy.
    #[track_caller]
    pub fn wait_for_older_transactions(&self) {
        let now = self.source.value("SELECT pg_current_xact_id()");
        let over = format!("SELECT pg_snapshot_xmin(pg_current_snapshot()) > '{now}'::xid8");
        poll("the source's transactions to end", || self.source.is(&over));
    }

    /// Waits until nothing of any run is left on either side: no connection and no lock on the
    /// source, no worker on the target.
    #[track_caller]
    pub fn wait_for_silence(&self) {
        poll("the source to be left alone", || {
            self.source.is("SELECT NOT EXISTS (SELECT FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()
                       AND backend_type IN ('client backend', 'parallel worker'))
                    AND NOT EXISTS (SELECT FROM pg_locks
                     WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
                       AND pid <> pg_backend_pid() AND locktype = 'relation')")
        });
        self.wait_for_workers();
    }

    /// Waits until no process of a run is left on the target.
    #[track_caller]
    pub fn wait_for_workers(&self) {
        poll("the target's workers to be gone", || {
            self.target.is("SELECT NOT EXISTS (SELECT FROM pg_stat_activity
                     WHERE datname = current_database() AND backend_type LIKE '%migrate%')")
        });
    }

    /// How many warnings runs have drawn after preflight, which also tells of the target's own jobs.
    pub fn warnings_of_run(&self) -> u32 {
        let warnings =
            "SELECT count(*) FROM timescale_migrate.message WHERE level = 'warning' AND phase <> 'preflight'";
        self.target.value(warnings).parse().unwrap()
    }

    /// The messages of the runs in this target, one line each.
    pub fn messages(&self) -> String {
        let found = rows(&mut self.target.connect(), "SELECT m::text FROM timescale_migrate.message AS m");
        let lines = found.unwrap_or_default();
        lines.iter().filter_map(|row| row.get(0)).collect::<Vec<_>>().join("\n")
    }
}

//! What the processes of a run have in common: their settings, and a worker's session on the source.

use super::messages;
use super::spec::RunSpec;
use crate::core::inventory::SourceRelation;
use crate::core::plan::SnapshotId;
use crate::core::settings::set_known;
use crate::error::{Error, Result};
use crate::libpq::Connection;
use crate::pg::{catch, session, spi};
use crate::source::guard::{self, Hold, Reads};
use crate::source::session as source_session;
use std::collections::HashMap;
use std::time::Duration;

/// Settings of every process of a run besides the text forms of values, each with its reason.
const SETTINGS: [(&str, &str); 16] = [
    ("search_path", "pg_catalog, pg_temp"),
    // What COPY takes its input for, which the source is asked to send.
    ("client_encoding", "UTF8"),
    ("array_nulls", "on"),
    // Nothing may cut a long copy off.
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    // What the database has for its users, the writes of a run are not meant by.
    ("default_transaction_read_only", "off"),
    ("default_transaction_deferrable", "off"),
    ("default_transaction_isolation", "read committed"),
    // What fails is recorded, by the session that it failed in.
    ("exit_on_error", "off"),
    // Functions may name what is made only later, as in pg_restore.
    ("check_function_bodies", "off"),
    // A task's data and its state are in one transaction: both are lost, or neither. The
    // run's last commit is synchronous again.
    ("synchronous_commit", "off"),
    ("row_security", "off"),
    // Each process would compile its few statements anew, for longer than they run.
    ("jit", "off"),
    // In parallel workers nothing guards the functions that users wrote; see pg/rights.
    ("max_parallel_workers_per_gather", "0"),
    // What pg_dump writes its definitions for.
    ("standard_conforming_strings", "on"),
    ("xmloption", "content"),
];

/// A view that has taken a table's name is not read for the rest of the transaction.
pub fn restrict() -> Result<()> {
    spi::execute(&source_session::restrict("view, foreign-table", true), &[]).map(drop)
}

/// The same while a query is made, and no longer.
pub fn restricted<R>(query: impl FnOnce() -> Result<R>) -> Result<R> {
    restrict()?;
    let result = query()?;
    spi::execute(&source_session::restrict("", true), &[])?;
    Ok(result)
}

/// Applies them to this session.
pub fn settings() -> Result<()> {
    catch::transaction(|| {
        SETTINGS.iter().chain(&source_session::TEXT_FORMS).try_for_each(|(name, value)| spi::set(name, value))?;
        let newer = [&source_session::ALL_ROWS[..], &[("transaction_timeout", "0")]].concat();
        spi::execute(&set_known(&newer, false), &[]).map(drop)
    })
}

/// What a worker has while it works: its orders, and its session on the source.
pub struct Context {
    pub spec: RunSpec,
    source: Option<Connection>,
    /// Those that are not the spec's, by what `SET TRANSACTION SNAPSHOT` takes.
    snapshots: HashMap<SnapshotId, String>,
}

impl Context {
    /// Connects to nothing yet.
    pub fn new(spec: RunSpec) -> Context {
        Context { spec, source: None, snapshots: HashMap::new() }
    }

    /// The connection to the source, made when first wanted. A task that fails drops it.
    pub fn source(&mut self) -> Result<&mut Connection> {
        let connection = match self.source.take() {
            Some(connection) => connection,
            None => {
                let RunSpec { params, options, run, .. } = &self.spec;
                let name = format!("timescale_migrate run {run} worker");
                let mut opened = source_session::open(params, &name, options)?;
                opened.teller = Some(messages::teller(Some(*run)));
                opened
            }
        };
        Ok(self.source.insert(connection))
    }

    /// Connects before the first task, which will tell the error if that fails.
    pub fn connect(&mut self) {
        self.source().is_err().then(|| self.drop_source());
    }

    /// How long the source takes to answer at least; nothing if there is no connection.
    pub fn round_trip(&self) -> Duration {
        self.source.as_ref().map_or(Duration::ZERO, |source| source.round_trip)
    }

    /// The next task makes a new connection.
    pub fn drop_source(&mut self) {
        self.source = None;
    }

    /// The same if this one has had to do with so large a row that it keeps much memory.
    pub fn drop_swollen_source(&mut self) {
        self.source.take_if(|source| source.is_swollen());
    }

    /// Begins a transaction on the connection to the source that reads the snapshot, has locks on
    /// `guards` and bears the task's number in its `application_name`. There is none if the
    /// relations are not as the snapshot shows them.
    pub fn begin(&mut self, task: i32, snapshot: SnapshotId, reads: Reads, guards: &[SourceRelation]) -> Result<Hold> {
        let name = self.name(task);
        let snapshot = self.snapshot(snapshot)?;
        let lock_timeout = self.spec.options.lock_timeout;
        guard::begin(self.source()?, &snapshot, &name, reads, guards, lock_timeout)
    }

    /// The same for several tasks that read under one snapshot, as a part of a script.
    pub fn opening(&mut self, task: i32, snapshot: SnapshotId, guards: &[SourceRelation]) -> Result<String> {
        Ok(guard::opening(&self.snapshot(snapshot)?, &self.name(task), guards))
    }

    /// A session's name while it works on a task.
    fn name(&self, task: i32) -> String {
        format!("timescale_migrate run {} task {task}", self.spec.run)
    }

    fn snapshot(&mut self, id: SnapshotId) -> Result<String> {
        if id == 0 {
            return Ok(self.spec.snapshot.clone());
        }
        if let Some(known) = self.snapshots.get(&id) {
            return Ok(known.clone());
        }
        // Chunks were dropped between two rounds, and TimescaleDB may remember them by their range.
        session::forget_relations()?;
        let sql = "SELECT snapshot FROM timescale_migrate.snapshot_log WHERE id = $1";
        let found = catch::transaction(|| spi::value::<String>(sql, &[id.into()]))?;
        let found = found.ok_or_else(|| Error::internal("a snapshot is not known"))?;
        Ok(self.snapshots.entry(id).or_insert(found).clone())
    }
}

//! The coordinator: one background worker that makes a run from beginning to end.

use super::launch::{Block, Kind};
use super::{cleanup, migrate, state, verify};
use crate::core::retry::Pauses;
use crate::error::{Result, SqlState};
use crate::pg::wait::{self, Event};
use crate::pg::{catch, report, session, shared::Segment, spi, worker};
use std::time::{Duration, Instant};

/// Settings of every process of a run, each with its reason.
const SETTINGS: [(&str, &str); 21] = [
    ("search_path", "pg_catalog, pg_temp"),
    // The same text forms as on the source's side.
    ("datestyle", "ISO"),
    ("intervalstyle", "postgres"),
    ("timezone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    // What COPY takes its input for, which the source is asked to send.
    ("client_encoding", "UTF8"),
    ("array_nulls", "on"),
    ("lc_monetary", "C"),
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
    // What pg_dump writes its definitions for.
    ("standard_conforming_strings", "on"),
    ("xmloption", "content"),
];

/// The same since PostgreSQL 17.
const NEWER_SETTINGS: &[(&str, &str)] =
    if pgrx::pg_sys::PG_VERSION_NUM >= 170_000 { &[("transaction_timeout", "0")] } else { &[] };

pub fn settings() -> Result<()> {
    catch::transaction(|| SETTINGS.iter().chain(NEWER_SETTINGS).try_for_each(|(name, value)| spi::set(name, value)))
}

/// The main function of the coordinator's process; the caller's block is wiped once read.
pub fn main(handle: u32) {
    let block = match Segment::read(handle, true).and_then(|bytes| Block::from_bytes(&bytes)) {
        Ok(block) => block,
        Err(error) => return report::log(&error),
    };
    session::connect(block.database.into(), block.user.into());
    // The one place where everything is caught, an interrupted wait included.
    let result = catch::everything(|| work(&block));
    session::ignore_interrupts();
    worker::await_dependants();
    let ended = result.as_ref().map_or_else(|error| state::fail(block.run, error), |()| Ok(()));
    for error in [result.err(), ended.err()].into_iter().flatten() {
        report::log(&error.within(format!("timescale_migrate run {}", block.run)));
    }
}

/// The run, whose last transaction writes that it is done. Nothing if another coordinator has it:
/// its state is then not ours to write.
fn work(block: &Block) -> Result<()> {
    settings()?;
    let kind = match block.kind {
        Kind::Migrate => "migrate",
        Kind::Verify(_) => "verify",
        Kind::Cleanup(_) => "cleanup",
    };
    match block.resume {
        false => state::begin(block.run, kind, &block.source, &block.options)?,
        true if state::begin_again(block.run, &block.options)? => {}
        true => return Ok(()),
    }
    attempts(block)
}

/// The run, begun again under a new snapshot after errors that may pass. Each finished task is
/// a sign that it comes on, and starts the count of attempts anew. Before it has had a
/// snapshot, a connection that cannot be made is more likely a wrong address.
fn attempts(block: &Block) -> Result<()> {
    let limit = block.options.retries;
    let (mut pauses, mut before) = (Pauses::new(limit), state::progress(block.run)?.1);
    loop {
        let result = match block.kind {
            Kind::Migrate => migrate::run(block),
            Kind::Verify(level) => verify::run(block, level),
            Kind::Cleanup(of) => cleanup::run(block.run, of),
        };
        // Nobody may hold a task or a snapshot of this attempt in the next.
        worker::await_dependants();
        let Err(error) = result else { return Ok(()) };
        let (begun, done) = state::progress(block.run)?;
        if !error.is_transient() || (error.code == SqlState::CANNOT_CONNECT && !begun) {
            return Err(error);
        }
        if done > before {
            (pauses, before) = (Pauses::new(limit), done);
        }
        let Some((pause, attempt)) = pauses.next() else { return Err(error) };
        state::say_again(block.run, &format!("run {}", block.run), &error, pause, attempt, limit)?;
        let until = Instant::now() + pause;
        while Instant::now() < until {
            wait::on_latch(Duration::from_millis(200).min(pause), Event::Retry);
            state::checkpoint(block.run)?;
        }
    }
}

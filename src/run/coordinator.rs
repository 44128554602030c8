//! The coordinator: one background worker that makes a run from beginning to end.

use super::retry::Retry;
use super::spec::{Kind, RunSpec};
use super::{cleanup, compare, migrate, process, state};
use crate::error::{Result, SqlState};
use crate::pg::{catch, report, session, shared::Segment, worker};
use crate::target::made;

/// The main function of the coordinator's process; the caller's spec is wiped once read.
pub fn main(handle: u32) {
    let spec = match Segment::read(handle, true).and_then(|bytes| RunSpec::from_bytes(&bytes)) {
        Ok(spec) => spec,
        Err(error) => return report::log(&error),
    };
    session::connect(spec.database.into(), spec.user.into());
    // The one place where everything is caught, an interrupted wait included.
    let result = catch::everything(|| work(&spec));
    session::ignore_interrupts();
    worker::await_dependants();
    let ended = result.as_ref().map_or_else(|error| state::fail(spec.run, error), |()| Ok(()));
    let opened = if result.is_err() { made::reopen(spec.run) } else { Ok(()) };
    for error in [result.err(), ended.err(), opened.err()].into_iter().flatten() {
        report::log(&error.within(format!("timescale_migrate run {}", spec.run)));
    }
}

/// The run, whose last transaction writes that it is done. Nothing if another coordinator has it:
/// its state is then not ours to write.
fn work(spec: &RunSpec) -> Result<()> {
    process::settings()?;
    let kind = match spec.kind {
        Kind::Migrate => "migrate",
        Kind::Verify(_) => "verify",
        Kind::Cleanup(_) => "cleanup",
    };
    match spec.resume {
        false => state::begin(spec.run, kind, &spec.source, &spec.options)?,
        true if state::begin_again(spec.run, &spec.options)? => {}
        true => return Ok(()),
    }
    attempts(spec)
}

/// The run, begun again under a new snapshot after errors that may pass. Each finished task is
/// a sign that it comes on, and starts the count of attempts anew. Before it has had a
/// snapshot, a connection that cannot be made is more likely a wrong address.
fn attempts(spec: &RunSpec) -> Result<()> {
    let (run, name) = (spec.run, format!("run {}", spec.run));
    let (mut retry, mut before) = (Retry::new(run, &name, spec.options.retries), state::progress(run)?.1);
    loop {
        let result = match spec.kind {
            Kind::Migrate => migrate::run(spec),
            Kind::Verify(level) => compare::run(spec, level),
            Kind::Cleanup(of) => cleanup::run(run, of),
        };
        // Nobody may hold a task or a snapshot of this attempt in the next.
        worker::await_dependants();
        let Err(error) = result else { return Ok(()) };
        let (begun, done) = state::progress(run)?;
        if error.code == SqlState::CANNOT_CONNECT && !begun {
            return Err(error);
        }
        if done > before {
            retry.restart();
            before = done;
        }
        retry.after(error, || state::checkpoint(run).map(|()| false))?;
    }
}

//! A background worker's session, and facts on the calling session.

use super::catch::transaction;
use super::rights;
use crate::error::{Error, Result, SqlState};
use pgrx::pg_sys;
use std::ffi::CStr;
use std::path::PathBuf;

#[cfg(not(feature = "pg18"))]
use pg_sys::pqsignal;
#[cfg(feature = "pg18")]
use pg_sys::pqsignal_be as pqsignal;

mod handlers {
    #![allow(improper_ctypes)]
    unsafe extern "C-unwind" {
        /// The server's own SIGTERM handler. pgrx's only sets a flag, which would make a long
        /// COPY unkillable; and its binding of `die` is a guarded wrapper, not a handler.
        pub fn die(signal: std::ffi::c_int);
    }
}

/// A role that the caller has become by SET ROLE may be none that can log in.
#[cfg(any(feature = "pg17", feature = "pg18"))]
const FLAGS: u32 = pg_sys::BGWORKER_BYPASS_ROLELOGINCHECK;
#[cfg(not(any(feature = "pg17", feature = "pg18")))]
const FLAGS: u32 = 0;

/// Connects this worker to a database as a role: SIGTERM ends it as it ends any backend,
/// SIGINT cancels what it does.
pub fn connect(database: pg_sys::Oid, role: pg_sys::Oid) {
    // SAFETY: called once, first thing in a background worker's main function.
    unsafe {
        pqsignal(libc::SIGTERM, Some(handlers::die));
        pg_sys::BackgroundWorkerUnblockSignals();
        pg_sys::BackgroundWorkerInitializeConnectionByOid(database, role, FLAGS);
    }
    rights::guard_functions();
}

/// The process of this server with that id, if there still is one: by now the system may have
/// given the id to a process of somebody else.
fn process(pid: i32) -> Option<*mut pg_sys::PGPROC> {
    // SAFETY: reads shared memory under its lock; finds nothing by the id 0.
    let process = unsafe { pg_sys::BackendPidGetProc(pid) };
    (!process.is_null()).then_some(process)
}

/// Wakes another process of this server by its latch.
pub fn wake(pid: i32) {
    if let Some(process) = process(pid) {
        // SAFETY: its place in shared memory stays, whoever has it next; everybody may set a latch.
        unsafe { pg_sys::SetLatch(&raw mut (*process).procLatch) };
    }
}

/// Cancels what another process of this server does, as `pg_cancel_backend` does.
pub fn interrupt(pid: i32) {
    if process(pid).is_some() {
        // SAFETY: a signal to a process of this server; SIGINT cancels its current command.
        unsafe { libc::kill(pid, libc::SIGINT) };
    }
}

/// Lets go of what this process remembers of relations, outside any transaction. PostgreSQL keeps
/// it as long as they do not change, and of ten thousand it is a hundred megabytes.
pub fn forget_relations() -> Result<()> {
    transaction(|| {
        // SAFETY: in a transaction, as reading a catalog again may need; what is in use stays.
        unsafe { pg_sys::InvalidateSystemCaches() };
        Ok(())
    })
}

/// What is left to do takes no time, and is done whatever is asked: a cancel has been heard.
pub fn ignore_interrupts() {
    // SAFETY: a plain change of a signal's disposition, and of this process's own flag.
    unsafe {
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        std::ptr::addr_of_mut!(pg_sys::QueryCancelPending).write_volatile(0);
    }
}

/// Makes every process of this database look at a relation anew once the current transaction is
/// over.
pub fn invalidate(relation: pg_sys::Oid) {
    // SAFETY: in a transaction, of a relation that there is.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(relation) };
}

/// Whether this process is in a transaction.
pub fn is_in_transaction() -> bool {
    // SAFETY: a plain read of this process's state.
    unsafe { pg_sys::IsTransactionState() }
}

/// Of this process.
pub fn pid() -> i32 {
    // SAFETY: set once at process start.
    unsafe { pg_sys::MyProcPid }
}

/// A number that nobody can guess.
pub fn random() -> Result<u128> {
    let mut bytes = [0u8; 16];
    // SAFETY: fills as many bytes as it is told.
    match unsafe { pg_sys::pg_strong_random((&raw mut bytes).cast(), bytes.len()) } {
        true => Ok(u128::from_ne_bytes(bytes)),
        false => Err(Error::internal("could not get random bytes")),
    }
}

/// That setting, in bytes.
pub fn maintenance_work_mem() -> usize {
    // SAFETY: a plain read of a setting of this process, in kB.
    unsafe { pg_sys::maintenance_work_mem as usize * 1024 }
}

/// The database, and the role whose rights count, of the calling session.
pub fn identity() -> (pg_sys::Oid, pg_sys::Oid) {
    // SAFETY: plain reads of this process's state.
    unsafe { (pg_sys::MyDatabaseId, pg_sys::GetUserId()) }
}

/// Everything that starts or reads a run is for superusers: it writes as one.
pub fn require_superuser() -> Result<()> {
    // SAFETY: reads this session's role.
    if unsafe { pg_sys::superuser() } {
        return Ok(());
    }
    Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, "must be superuser to use timescale_migrate"))
}

/// Even what changes nothing takes a transaction id here.
pub fn require_primary(function: &str) -> Result<()> {
    // SAFETY: reads shared state.
    if unsafe { pg_sys::RecoveryInProgress() } {
        return Err(Error::new(SqlState::READ_ONLY_TRANSACTION, format!("{function} cannot run on a standby"))
            .hint("Run it on the primary."));
    }
    Ok(())
}

/// Refuses a session in which a run cannot be started or watched.
pub fn require_startable(function: &str) -> Result<()> {
    require_primary(function)?;
    // SAFETY: plain reads of transaction state.
    let (read_only, block, isolation) = unsafe {
        (pg_sys::XactReadOnly, pg_sys::IsTransactionBlock() || pg_sys::IsSubTransaction(), pg_sys::XactIsoLevel)
    };
    if read_only {
        return Err(Error::new(
            SqlState::READ_ONLY_TRANSACTION,
            format!("{function} cannot run in a read-only transaction"),
        ));
    }
    if block {
        return Err(Error::new(
            SqlState::ACTIVE_TRANSACTION,
            format!("{function} cannot run inside a transaction block"),
        )
        .detail("It works in background workers whose transactions commit on their own.")
        .hint("Call it outside BEGIN and COMMIT, with psql's AUTOCOMMIT on."));
    }
    if isolation > pg_sys::XACT_READ_COMMITTED as i32 {
        return Err(Error::new(
            SqlState::ACTIVE_TRANSACTION,
            format!("{function} needs the isolation level READ COMMITTED"),
        )
        .detail("It reports what the workers commit while it waits.")
        .hint("SET default_transaction_isolation = 'read committed';"));
    }
    Ok(())
}

/// A client program of this very server, for instance `pg_dump`.
pub fn program(name: &str) -> Result<PathBuf> {
    // SAFETY: `my_exec_path` is a NUL-terminated buffer, filled at the postmaster's start.
    let server = unsafe { CStr::from_ptr((&raw const pg_sys::my_exec_path).cast()) };
    let path = PathBuf::from(server.to_string_lossy().into_owned()).with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::new(SqlState::UNDEFINED_OBJECT, format!("program \"{}\" does not exist", path.display()))
        .hint("Install PostgreSQL's client programs of the server's own version beside it."))
}

/// This database's encoding, by its PostgreSQL name.
pub fn encoding() -> String {
    // SAFETY: returns a constant string.
    unsafe { CStr::from_ptr(pg_sys::GetDatabaseEncodingName()) }.to_string_lossy().into_owned()
}

//! Waiting: on the process latch and a socket at once, never blocking otherwise, so that a
//! cancel, a shutdown or the postmaster's death is answered at once.

use pgrx::pg_sys;
use std::os::fd::RawFd;
use std::time::Duration;

/// What a process waits for; shown as `wait_event` in `pg_stat_activity` (type Extension)
/// on PostgreSQL 17 and later.
#[derive(Clone, Copy)]
pub enum Event {
    SourceConnect,
    SourceQuery,
    SourceCopy,
    SourceLock,
    Workers,
    Task,
    Run,
    SchemaDump,
    Retry,
}

#[cfg(any(feature = "pg17", feature = "pg18"))]
fn info(event: Event) -> u32 {
    use std::cell::Cell;
    const NAMES: [&std::ffi::CStr; 9] = [
        c"MigrateSourceConnect",
        c"MigrateSourceQuery",
        c"MigrateSourceCopy",
        c"MigrateSourceLock",
        c"MigrateWorkers",
        c"MigrateTask",
        c"MigrateRun",
        c"MigrateSchemaDump",
        c"MigrateRetry",
    ];
    thread_local! { static KNOWN: [Cell<u32>; 9] = const { [const { Cell::new(0) }; 9] }; }
    KNOWN.with(|known| {
        let slot = &known[event as usize];
        if slot.get() == 0 {
            // SAFETY: the name is a constant; the server copies it.
            slot.set(unsafe { pg_sys::WaitEventExtensionNew(NAMES[event as usize].as_ptr()) });
        }
        slot.get()
    })
}

#[cfg(not(any(feature = "pg17", feature = "pg18")))]
fn info(_: Event) -> u32 {
    pg_sys::PG_WAIT_EXTENSION
}

/// What a socket is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    Read,
    Write,
}

/// Waits until the descriptor is ready, the latch is set or the time is over; answers
/// interrupts first and last. True if the descriptor is ready.
pub fn on_socket(fd: RawFd, interest: Interest, timeout: Duration, event: Event) -> bool {
    let socket_event = match interest {
        Interest::Read => pg_sys::WL_SOCKET_READABLE,
        Interest::Write => pg_sys::WL_SOCKET_WRITEABLE,
    };
    wait(fd, socket_event, timeout, event) & socket_event != 0
}

/// Waits until the latch is set or the time is over.
pub fn on_latch(timeout: Duration, event: Event) {
    wait(pg_sys::PGINVALID_SOCKET, 0, timeout, event);
}

fn wait(fd: RawFd, socket_event: u32, timeout: Duration, event: Event) -> u32 {
    pgrx::check_for_interrupts!();
    let wake = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH | socket_event;
    // SAFETY: MyLatch is this process's own latch; the descriptor is open while its owner,
    // who called us, lives.
    let woken = unsafe {
        let woken = pg_sys::WaitLatchOrSocket(
            pg_sys::MyLatch,
            wake as i32,
            fd,
            timeout.as_millis() as std::ffi::c_long,
            info(event),
        ) as u32;
        if woken & pg_sys::WL_LATCH_SET != 0 {
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
        woken
    };
    pgrx::check_for_interrupts!();
    woken
}

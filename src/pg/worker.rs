//! Registering background workers, and ending them.

use pgrx::{pg_guard, pg_sys};
use std::cell::RefCell;
use std::ffi::c_char;

/// A worker that this process registered.
#[derive(Clone, Copy)]
pub struct Worker {
    handle: *mut pg_sys::BackgroundWorkerHandle,
}

/// Where a background worker is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    Starting,
    Running(i32),
    Ended,
}

fn put(field: &mut [c_char], text: &str) {
    let room = field.len() - 1;
    for (slot, byte) in field.iter_mut().zip(text.bytes().take(room)) {
        *slot = byte as c_char;
    }
}

impl Worker {
    /// Registers a worker that runs `function` of this library with `argument`; `None` when
    /// every slot of `max_worker_processes` is taken. `name` is its process title.
    pub fn start(name: &str, kind: &str, function: &str, argument: u32) -> Option<Worker> {
        let mut worker = pg_sys::BackgroundWorker {
            bgw_flags: (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION) as i32,
            bgw_start_time: pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished,
            bgw_restart_time: pg_sys::BGW_NEVER_RESTART,
            bgw_main_arg: pg_sys::Datum::from(argument),
            // SAFETY: this process's id.
            bgw_notify_pid: unsafe { pg_sys::MyProcPid },
            ..Default::default()
        };
        put(&mut worker.bgw_name, name);
        put(&mut worker.bgw_type, kind);
        put(&mut worker.bgw_library_name, "timescale_migrate");
        put(&mut worker.bgw_function_name, function);
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle is palloc'd in the current context; it has to outlive the
        // transaction it may be registered in.
        unsafe {
            let previous = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let registered = pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle);
            pg_sys::MemoryContextSwitchTo(previous);
            registered.then_some(Worker { handle })
        }
    }

    /// As the postmaster has it now.
    pub fn life(&self) -> Life {
        let mut pid = 0;
        // SAFETY: the handle came from RegisterDynamicBackgroundWorker.
        match unsafe { pg_sys::GetBackgroundWorkerPid(self.handle, &mut pid) } {
            pg_sys::BgwHandleStatus::BGWH_STARTED => Life::Running(pid),
            pg_sys::BgwHandleStatus::BGWH_NOT_YET_STARTED => Life::Starting,
            _ => Life::Ended,
        }
    }

    /// Ends the worker by SIGTERM; harmless when it has ended.
    pub fn terminate(&self) {
        // SAFETY: as above.
        unsafe { pg_sys::TerminateBackgroundWorker(self.handle) };
    }
}

thread_local! {
    static DEPENDANTS: RefCell<Vec<Worker>> = const { RefCell::new(Vec::new()) };
}

#[pg_guard]
unsafe extern "C-unwind" fn end_dependants(_code: std::ffi::c_int, _arg: pg_sys::Datum) {
    DEPENDANTS.with_borrow(|workers| workers.iter().for_each(Worker::terminate));
}

/// From now on these workers end with this process, however it ends: a coordinator that is
/// terminated runs no destructors, but it does run this.
pub fn end_with_me(workers: &[Worker]) {
    DEPENDANTS.with_borrow_mut(|known| {
        if known.is_empty() {
            // SAFETY: registered once; the callback only touches shared memory.
            unsafe { pg_sys::before_shmem_exit(Some(end_dependants), pg_sys::Datum::from(0)) };
        }
        known.extend_from_slice(workers);
    });
}

/// Ends the workers that end with this process, and waits until they have.
pub fn await_dependants() {
    let workers = DEPENDANTS.with_borrow(Clone::clone);
    workers.iter().for_each(Worker::terminate);
    while workers.iter().any(|worker| worker.life() != Life::Ended) {
        super::wait::on_latch(std::time::Duration::from_millis(100), super::wait::Event::Workers);
    }
}

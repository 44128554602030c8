//! The functions that background workers start in, by the names they are registered with.
#![allow(unsafe_code)]

use crate::run::{coordinator, worker};
use pgrx::{pg_guard, pg_sys};

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn timescale_migrate_coordinator(argument: pg_sys::Datum) {
    coordinator::main(argument.value() as u32);
}

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn timescale_migrate_worker(argument: pg_sys::Datum) {
    worker::main(argument.value() as u32);
}

//! The only user of raw `pg_sys`: errors caught and raised, transactions, waits, workers,
//! shared memory, locks, the in-process COPY and statements that commit. All `unsafe` of the server's side lives here.
#![allow(unsafe_code)]

pub mod catch;
mod check;
pub mod child;
pub mod copy;
pub mod deletion;
pub mod disk;
mod extension;
mod index;
pub mod lock;
pub mod progress;
pub mod report;
pub mod rights;
pub mod rows;
pub mod secret;
pub mod session;
pub mod shared;
pub mod spi;
pub mod top_level;
mod value;
pub mod wait;
pub mod worker;

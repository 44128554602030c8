//! A run: the processes that make it and the state they share.

mod attach;
mod batches;
mod cleanup;
pub mod coordinator;
pub mod copy;
pub mod crew;
mod keys;
pub mod launch;
pub mod migrate;
mod pieces;
pub mod preflight;
pub mod preview;
mod recompute;
mod resume;
mod rounds;
mod routed;
pub mod scope;
pub mod state;
mod tasks;
pub mod verify;
pub mod worker;

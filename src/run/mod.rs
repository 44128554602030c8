//! A run: the processes that make it, the state they share, and its phases.

mod adoption;
mod cleanup;
mod compare;
pub mod coordinator;
mod crew;
pub mod launch;
mod messages;
mod migrate;
mod migration;
mod phases;
mod pieces;
pub mod preflight;
pub mod prepare;
pub mod preview;
mod process;
pub mod request;
mod resume;
mod retry;
mod rounds;
pub mod scope;
pub mod spec;
pub mod standing;
pub mod state;
pub mod suggest;
mod tasks;
mod undo;
pub mod worker;

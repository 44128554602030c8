//! What is asked of the source during a run: where it is, its snapshot, its schema, its locks.

pub mod address;
pub mod dump;
pub mod guard;
mod relay;
pub mod session;
pub mod snapshot;
pub mod validator;
pub mod watch;

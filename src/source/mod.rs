//! What is asked of the source: where it is, its snapshot, what it holds, its schema.

pub mod address;
pub mod guard;
pub mod inventory;
mod relay;
pub mod schema;
pub mod session;
pub mod snapshot;
pub mod validator;
pub mod watch;

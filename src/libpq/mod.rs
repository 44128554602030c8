//! The only user of libpq: connection parameters, connections, results and COPY OUT, each an
//! owning type. Non-blocking throughout; waits go through [`crate::pg::wait`].
#![allow(unsafe_code)]

mod ahead;
mod connection;
mod copy_out;
mod ffi;
mod limit;
mod params;
mod password;
mod result;
mod silence;
mod teller;
mod wire;

pub use connection::{Connection, Patience};
pub use copy_out::Script;
pub use params::{Keyword, Params, keywords, parse_conninfo};
pub use result::Rows;
pub use teller::{ALL, LONG, Teller};

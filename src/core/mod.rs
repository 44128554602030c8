//! What needs no server: names, options, the inventory's types, the plan, the archive's
//! table of contents, checksum queries. Never imports pgrx; unit-tested on its own.

pub mod archive;
pub mod arrival;
pub mod cagg_state;
pub mod capabilities;
pub mod checksum;
pub mod conversion;
pub mod digest;
pub mod feed;
pub mod inventory;
pub mod name;
pub mod options;
pub mod pattern;
pub mod pauses;
pub mod plan;
pub mod progress;
pub mod scan;
pub mod scope;
pub mod selection;
pub mod settings;
pub mod suggest;
#[cfg(test)]
mod tests;
pub mod times;

//! What is made on the target, a file for each kind of thing.

pub mod caggs;
pub mod chunks;
pub mod compression;
pub mod context;
pub mod copy;
pub mod database;
pub mod hypertables;
pub mod jobs;
pub mod large_objects;
pub mod made;
pub mod overloads;
pub mod privileges;
pub mod roles;
pub mod schema;

//! What is built here.

pub mod database;
pub mod large_objects;
pub mod roles;
pub mod schema;
pub mod sequences;

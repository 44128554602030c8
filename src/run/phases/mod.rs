//! The work of the phases, most of it in a file with the phase's name.

pub mod analyze;
pub mod compression;
pub mod copy;
pub mod foreign_key;
pub mod index;
pub mod jobs;
pub mod key_check;
pub mod large_objects;
pub mod recheck;
pub mod recompute;
pub mod refresh;
pub mod rest;
pub mod schema;
pub mod sequences;
pub mod spread;
pub mod tiered;
pub mod verify;

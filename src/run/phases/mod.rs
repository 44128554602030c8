//! The work of a run, a file for each phase, called as users see it.

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

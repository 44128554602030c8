//! What a process of a run is told when it is started.

use crate::core::options::{Level, Options};
use crate::error::{Error, Result};
use crate::libpq::Params;
use serde::{Deserialize, Serialize};

/// Which process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    Coordinator,
    Worker,
}

/// What the run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Migrate,
    /// A comparison, at this level.
    Verify(Level),
    /// The removal of what that run has made.
    Cleanup(i64),
}

/// What a background worker of a run needs to know; passed through shared memory, because the
/// parameters may hold a password.
#[derive(Clone, Serialize, Deserialize)]
pub struct RunSpec {
    pub role: Role,
    pub kind: Kind,
    pub run: i64,
    /// The run has begun before.
    pub resume: bool,
    pub database: u32,
    pub user: u32,
    /// As the user named it, without secrets.
    pub source: String,
    pub params: Params,
    pub options: Options,
    /// What a worker wakes when it has ended a task.
    pub coordinator: i32,
    pub snapshot: String,
    /// How many small tasks a worker may take at once.
    pub together: usize,
}

/// How many small relations one transaction can work on with so many locks.
pub fn together(locks: i64) -> usize {
    /// A small relation's: its own, those of its TOAST and its indexes, of which it seldom has more,
    /// and of what holds its compressed rows.
    const LOCKS: i64 = 16;
    const MOST: i64 = 64;
    (locks / LOCKS).clamp(1, MOST) as usize
}

impl RunSpec {
    /// The same for workers, of which each may take so many locks on either side.
    pub fn for_workers(&self, snapshot: &str, locks: i64) -> RunSpec {
        RunSpec { snapshot: snapshot.to_string(), together: together(locks), ..self.clone() }
    }

    /// For shared memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::internal(format!("run spec: {e}")))
    }

    /// From shared memory.
    pub fn from_bytes(bytes: &[u8]) -> Result<RunSpec> {
        serde_json::from_slice(bytes).map_err(|e| Error::internal(format!("run spec: {e}")))
    }
}

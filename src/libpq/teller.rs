//! What is told of long waits for locks on the source.

use crate::error::Result;
use std::time::Duration;

/// So long a wait for a lock is told of.
pub const LONG: Duration = Duration::from_secs(3);

/// The tables and the like of the database.
pub const ALL: &str = "SELECT oid FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'S', 'm')";

type Tell = dyn Fn(&str) -> Result<()>;

/// Passes on what a session of the source waits for, each time once.
pub struct Teller {
    tell: Box<Tell>,
    told: Vec<String>,
    /// How long the present wait is to last until the next look.
    pub(super) next: Duration,
}

impl Teller {
    /// `tell` passes on one message.
    pub fn new(tell: impl Fn(&str) -> Result<()> + 'static) -> Teller {
        Teller { tell: Box::new(tell), told: Vec::new(), next: LONG }
    }

    pub(super) fn tell(&mut self, locks: Vec<String>) -> Result<()> {
        for lock in locks {
            if !self.told.contains(&lock) {
                (self.tell)(&format!("waiting for a lock on the source: {lock}"))?;
                self.told.push(lock);
            }
        }
        Ok(())
    }
}

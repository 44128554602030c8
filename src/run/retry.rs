//! Trying again what an error has ended that may pass: a task, or the run as a whole.

use super::messages;
use crate::core::pauses::Pauses;
use crate::error::{Error, Result};
use crate::pg::wait::{self, Event};
use std::time::{Duration, Instant};

/// How often it is looked whether there is still a reason to wait.
const LOOK: Duration = Duration::from_millis(200);

/// The further attempts at one thing.
pub struct Retry<'a> {
    run: i64,
    what: &'a str,
    limit: u16,
    pauses: Pauses,
}

impl<'a> Retry<'a> {
    /// `what` is named in messages; `limit` is the option `retries`.
    pub fn new(run: i64, what: &'a str, limit: u16) -> Retry<'a> {
        Retry { run, what, limit, pauses: Pauses::new(limit) }
    }

    /// Counts the attempts anew.
    pub fn restart(&mut self) {
        self.pauses = Pauses::new(self.limit);
    }

    /// Waits before the next attempt. The error itself if it does not pass, if there is no attempt
    /// left, or if `is_over` says so meanwhile.
    pub fn after(&mut self, error: Error, mut is_over: impl FnMut() -> Result<bool>) -> Result<()> {
        if !error.is_transient() {
            return Err(error);
        }
        let Some((pause, attempt)) = self.pauses.next() else { return Err(error) };
        let why = match &error.detail {
            Some(detail) => format!("{error} ({detail})"),
            None => error.to_string(),
        };
        let (what, seconds, limit) = (self.what, pause.as_secs(), self.limit);
        let message = format!("{what}: {why}; trying again in {seconds} s ({attempt} of {limit})");
        messages::warn(self.run, &message)?;
        let until = Instant::now() + pause;
        while Instant::now() < until {
            wait::on_latch(LOOK.min(pause), Event::Retry);
            if is_over()? {
                return Err(error);
            }
        }
        Ok(())
    }
}

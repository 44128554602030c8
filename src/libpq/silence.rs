//! What is done about a source that stays silent: a host that is gone is noticed by TCP, but a
//! stopped process or a stalled proxy keeps its side of the connection open for ever.

use super::connection::Connection;
use crate::error::{Error, Result, Side, SqlState};
use crate::pg::wait::Event;

impl Connection {
    /// Called when an answer has not brought a byte for as long as the run is patient. A COPY
    /// that sends nothing for that long is given up. A query may well work for longer before
    /// its first row: it is given up only if its session does not work on it.
    pub(super) fn look_after(&mut self, event: Event) -> Result<()> {
        let silent = |detail: &str| {
            let seconds = self.patience.silence.as_secs();
            Error::new(SqlState::CONNECTION_FAILURE, format!("the source has sent nothing for {seconds} s"))
                .detail(detail.to_string())
                .hint("Raise the option source_timeout if the source just needs more time.")
                .on(Side::Source)
        };
        if self.is_probe || matches!(event, Event::SourceCopy) {
            return Err(silent("The statement was abandoned."));
        }
        match self.works() {
            Ok(true) => Ok(()),
            Ok(false) => Err(silent("The session on the source is not executing anything.")),
            Err(error) => Err(silent(&format!("A second connection failed: {error}"))),
        }
    }

    /// Whether the session on the source executes something and does not wait for this side.
    fn works(&self) -> Result<bool> {
        let mut probe = Connection::open(&self.params, self.patience)?;
        probe.patience.silence = self.patience.connect;
        probe.is_probe = true;
        // SAFETY: an open connection.
        let pid = unsafe { libpq_sys::PQbackendPID(self.raw) };
        let rows = probe.query(&format!(
            "SELECT 1 FROM pg_catalog.pg_stat_activity
             WHERE pid = {pid} AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'"
        ))?;
        Ok(!rows.0.is_empty())
    }
}

//! What is done about a source that stays silent. A host that is gone is noticed by TCP, but a
//! stopped process or a stalled proxy keeps its side of the connection open for ever; and a session
//! that waits for a lock is to be told of.

use super::connection::Connection;
use super::teller::LONG;
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
        let pid = self.backend_pid();
        let rows = self.beside()?.query(&format!(
            "SELECT 1 FROM pg_catalog.pg_stat_activity
             WHERE pid = {pid} AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'"
        ))?;
        Ok(!rows.0.is_empty())
    }

    /// A second connection, which may ask about this one.
    fn beside(&self) -> Result<Connection> {
        let mut probe = Connection::open(&self.params, self.patience)?;
        probe.patience.silence = self.patience.connect;
        probe.is_probe = true;
        Ok(probe)
    }

    /// Called again and again while nothing comes: tells which lock the session on the source waits for.
    pub(super) fn tell_of_lock(&mut self) -> Result<()> {
        let (quiet, pid) = (self.quiet, self.backend_pid());
        let Some(teller) = &mut self.teller else { return Ok(()) };
        if quiet < LONG {
            teller.next = LONG;
        }
        if quiet < teller.next {
            return Ok(());
        }
        teller.next = quiet * 2;
        let awaited = format!("SELECT relation FROM pg_catalog.pg_locks WHERE pid = {pid} AND NOT granted");
        // The source may have no session free for this.
        let found = self.beside().and_then(|mut probe| probe.blockers(&awaited)).unwrap_or_default();
        self.teller.as_mut().map_or(Ok(()), |teller| teller.tell(found))
    }

    /// Tells which of these relations are locked, where each attempt to read them is too short to be told of.
    pub fn tell_of_locks(&mut self, relations: &str) -> Result<()> {
        if self.teller.is_none() {
            return Ok(());
        }
        let found = self.blockers(relations)?;
        self.teller.as_mut().map_or(Ok(()), |teller| teller.tell(found))
    }

    /// Which of these relations, the OIDs that a query gives, are locked against reading, and by whom.
    pub fn blockers(&mut self, relations: &str) -> Result<Vec<String>> {
        let query = include_str!("../../sql/source/blockers.sql");
        let rows = self.query(&query.replace("(:relations)", &format!("({relations})")))?;
        (0..rows.0.len()).map(|row| rows.text(row, 0).map(str::to_string)).collect()
    }
}

//! Letting the source go on: whoever waits for a lock that a session of the run holds gets it
//! soon. The session's statement is cancelled, and the task it was part of is tried again.

use super::session;
use super::snapshot::{self, Position};
use crate::catalog::Catalog;
use crate::core::name::literal;
use crate::core::options::Options;
use crate::error::Result;
use crate::libpq::{Connection, Params};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);
/// For how long others may wait. With the time between two looks this is the most that a
/// statement of the source waits for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A process that waits, and the run's process that it waits for.
type Pair = (i32, i32);

/// A session that looks who on the source waits for the run.
pub struct Watch {
    params: Params,
    options: Options,
    run: i64,
    /// Patterns of the `application_name` of the run's sessions.
    names: String,
    connection: Option<Connection>,
    looked: Instant,
    waiting: HashMap<Pair, Instant>,
}

impl Watch {
    /// `process` is the one that dumps the schema.
    pub fn new(params: &Params, options: &Options, run: i64, process: i32) -> Watch {
        let names = [format!("timescale\\_migrate run {run} %"), format!("timescale\\_migrate schema {process}")];
        let names = names.map(|name| literal(&name)).join(", ");
        Watch {
            params: params.clone(),
            options: options.clone(),
            run,
            names: format!("ARRAY[{names}]"),
            connection: None,
            looked: Instant::now(),
            waiting: HashMap::new(),
        }
    }

    /// Looks, if it is time to; returns what was done, and where the source is in its history. An
    /// error costs this look alone: the source may have no session free for it.
    pub fn look(&mut self) -> Option<(Vec<String>, Position)> {
        if self.looked.elapsed() < LOOK {
            return None;
        }
        let found = self.try_to_look();
        if found.is_err() {
            self.connection = None;
        }
        self.looked = Instant::now();
        found.ok()
    }

    fn try_to_look(&mut self) -> Result<(Vec<String>, Position)> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let name = format!("timescale_migrate run {} watch", self.run);
                none.insert(session::open(&self.params, &name, &self.options)?)
            }
        };
        let sql =
            include_str!("../../sql/source/waiting.sql").replace("ANY (:names)", &format!("ANY ({})", self.names));
        let found: Vec<(i32, i32, String)> = connection.ask(&sql)?;
        let before = std::mem::take(&mut self.waiting);
        let mut messages = Vec::new();
        for (waits, holds, relation) in found {
            let since = before.get(&(waits, holds)).copied().unwrap_or_else(Instant::now);
            self.waiting.insert((waits, holds), since);
            if since.elapsed() >= PATIENCE {
                // Only a statement can be cancelled.
                connection.query(&format!(
                    "SELECT CASE a.state WHEN 'active' THEN pg_catalog.pg_cancel_backend(a.pid)
                                 ELSE pg_catalog.pg_terminate_backend(a.pid) END
                     FROM pg_catalog.pg_stat_activity a
                     WHERE a.pid = {holds} AND a.application_name LIKE ANY ({})",
                    self.names
                ))?;
                messages.push(format!(
                    "process {waits} of the source waited for {relation}: the run let go of it, and reads it again later"
                ));
            }
        }
        let position = snapshot::position(connection)?;
        Ok((messages, position))
    }
}

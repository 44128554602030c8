//! Letting the source go on: whoever waits for a lock that a session of the run holds gets it
//! soon. The session's statement is cancelled, and the task it was part of is tried again.

use super::session;
use super::snapshot::{self, Position};
use crate::catalog::Catalog;
use crate::core::name::literal;
use crate::core::options::Options;
use crate::error::{Error, Result};
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
    /// When it last asked.
    asked: Instant,
    /// The answer is to be taken.
    is_asked: bool,
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
            asked: Instant::now(),
            is_asked: false,
            waiting: HashMap::new(),
        }
    }

    /// Asks the source, if it is time to, and takes its answer when that has come: over a long link there is other
    /// work to do meanwhile. Returns what was done, and where the source is in its history. An error
    /// costs this look alone: the source may have no session free for it.
    pub fn look(&mut self) -> Option<(Vec<String>, Position)> {
        let found = match self.is_asked {
            true => self.answer(),
            false if self.asked.elapsed() < LOOK => return None,
            false => self.ask().map(|()| None),
        };
        if found.is_err() {
            (self.connection, self.is_asked) = (None, false);
        }
        found.ok().flatten()
    }

    fn ask(&mut self) -> Result<()> {
        self.asked = Instant::now();
        let queries = vec![self.query(), snapshot::POSITION.to_owned()];
        self.connection()?.announce(queries)?;
        (self.asked, self.is_asked) = (Instant::now(), true);
        Ok(())
    }

    /// None if it has not come yet.
    fn answer(&mut self) -> Result<Option<(Vec<String>, Position)>> {
        let (query, asked) = (self.query(), self.asked);
        if !self.connection()?.is_answered()? {
            let patience = Duration::from_secs(self.options.source_timeout.into());
            return if asked.elapsed() < patience {
                Ok(None)
            } else {
                Err(Error::protocol("the source does not answer"))
            };
        }
        self.is_asked = false;
        let found: Vec<(i32, i32, String)> = self.connection()?.ask(&query)?;
        let position = snapshot::position(self.connection()?)?;
        let before = std::mem::take(&mut self.waiting);
        let mut messages = Vec::new();
        for (waits, holds, relation) in found {
            let since = before.get(&(waits, holds)).copied().unwrap_or_else(Instant::now);
            self.waiting.insert((waits, holds), since);
            if since.elapsed() >= PATIENCE {
                self.release(holds)?;
                messages.push(format!(
                    "process {waits} of the source waited for {relation}: the run released its lock on it, and will read it again later"
                ));
            }
        }
        Ok(Some((messages, position)))
    }

    /// Ends what a process of the run does.
    fn release(&mut self, process: i32) -> Result<()> {
        let sql = include_str!("../../sql/source/release.sql").replace(":process", &process.to_string());
        let sql = self.naming(&sql);
        self.connection()?.query(&sql).map(drop)
    }

    fn query(&self) -> String {
        self.naming(include_str!("../../sql/source/waiting.sql"))
    }

    /// A query with the names of the run's sessions in their place.
    fn naming(&self, sql: &str) -> String {
        sql.replace("ANY (:names)", &format!("ANY ({})", self.names))
    }

    fn connection(&mut self) -> Result<&mut Connection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let name = format!("timescale_migrate run {} watch", self.run);
                session::open(&self.params, &name, &self.options)?
            }
        };
        Ok(self.connection.insert(connection))
    }
}

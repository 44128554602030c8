//! The start of a run, of a preflight, of a plan and of a comparison: a session on the source, what
//! that server is, what of its database arrives on the target, and its schema.

use super::preflight::{self, Report};
use super::{adoption, messages, scope, state};
use crate::catalog::{self, Catalog};
use crate::core::archive::Archive;
use crate::core::inventory::{Inventory, Server};
use crate::core::options::{Mode, Options};
use crate::core::scope::Scope;
use crate::error::{Result, SqlState};
use crate::libpq::{Connection, Params};
use crate::source::snapshot::{self, Keeper};
use crate::source::{address, dump, session};

/// A source that has described itself.
pub struct Source<'a> {
    params: &'a Params,
    options: &'a Options,
    pub connection: Connection,
    /// Whose messages tell what is waited for; none if the caller's session is told.
    run: Option<i64>,
    /// One that is open besides, for whatever needs a session next.
    second: Option<Connection>,
    pub server: Server,
}

impl<'a> Source<'a> {
    /// Connects; `name` is the session's `application_name`.
    pub fn open(params: &'a Params, options: &'a Options, name: &str) -> Result<Source<'a>> {
        Source::told(params, options, name, None)
    }

    fn told(params: &'a Params, options: &'a Options, name: &str, run: Option<i64>) -> Result<Source<'a>> {
        let mut connection = session::open(params, name, options)?;
        connection.teller = Some(messages::teller(run));
        let server = catalog::server(&mut connection)?;
        Ok(Source { params, options, connection, run, second: None, server })
    }

    /// The reading session of a run.
    pub fn of_run(params: &'a Params, options: &'a Options, run: i64) -> Result<Source<'a>> {
        Source::told(params, options, &snapshot::reader_name(run), Some(run))
    }

    /// What has to be right before the catalog is read.
    pub fn check(&mut self, report: &mut Report) -> Result<()> {
        let checked = preflight::check_servers(report, &mut self.connection, self.params, &self.server, self.options);
        self.second = Some(checked?);
        Ok(())
    }

    /// What the database holds now.
    pub fn read(&mut self) -> Result<Inventory> {
        let inventory = snapshot::read(&mut self.connection, self.server.clone())?;
        self.with_partitioned(inventory)
    }

    /// The option hypertables may name partitioned tables.
    fn with_partitioned(&mut self, mut inventory: Inventory) -> Result<Inventory> {
        if !self.options.hypertables.is_empty() {
            inventory.partitioned = self.connection.ask(catalog::queries::PARTITIONED)?;
        }
        Ok(inventory)
    }

    /// Takes a snapshot; this session reads under it from now on.
    pub fn hold(&mut self, run: i64) -> Result<(Keeper, Inventory)> {
        let keeper = match self.second.take() {
            Some(connection) => connection,
            None => session::open(self.params, "timescale_migrate keeper", self.options)?,
        };
        let (keeper, inventory) = snapshot::hold(&mut self.connection, keeper, run, &self.server)?;
        Ok((keeper, self.with_partitioned(inventory)?))
    }

    /// What of an inventory arrives on the target.
    pub fn scope(&mut self, inventory: Inventory) -> Result<Scope> {
        scope::of(&mut self.connection, inventory, self.options)
    }

    /// The schema as it is now.
    pub fn dump(&mut self) -> Result<Archive> {
        let teller = messages::teller(self.run);
        dump::dump(self.params, &self.server, None, self.options, self.second.take(), teller, || Ok(()))
    }

    /// The reading session, when nothing more is read with it; none if it is not worth keeping: a server keeps
    /// some 40 kB in a session's memory for each table that it was asked for.
    pub fn release(self, inventory: &Inventory) -> Option<Connection> {
        const FEW: usize = 1000;
        (inventory.relations.len() + inventory.chunks.len() <= FEW).then_some(self.connection)
    }
}

/// Every check of a migration, as `migrate_preflight` returns them; false if there was no sense in making all. A
/// source that does not answer, or that cannot be read for locks, is a row, too.
pub fn preflight(source: &str, options: &Options, report: &mut Report) -> Result<bool> {
    let params = &address::resolve(source)?;
    if address::holds_password(source)? {
        preflight::password(report);
    }
    let mut source = match Source::open(params, options, "timescale_migrate preflight") {
        Err(error) if error.code == SqlState::CANNOT_CONNECT => {
            preflight::unreachable(report, params, error);
            return Ok(false);
        }
        opened => opened?,
    };
    source.check(report)?;
    if let Some(run) = state::at_work()? {
        preflight::beside(report, run);
    }
    if report.has_errors() {
        return Ok(false);
    }
    let inventory = match source.read() {
        Err(error) if error.code == SqlState::LOCK_NOT_AVAILABLE => {
            preflight::locked(report, error);
            return Ok(false);
        }
        read => read?,
    };
    let mut scope = source.scope(inventory)?;
    adoption::adapt(&mut scope, options, None)?;
    preflight::check(report, &mut source.connection, &scope, options, true)?;
    // pg_dump may stumble over the same.
    if report.has_errors() {
        return Ok(false);
    }
    if options.mode == Mode::Data {
        return Ok(true);
    }
    let archive = source.dump()?;
    preflight::check_schema(report, &mut scope, &archive);
    Ok(true)
}

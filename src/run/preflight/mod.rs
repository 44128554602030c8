//! What has to be right before a run: each check with its status, and for an error what to do.
//! Changes nothing anywhere.

mod access;
mod collations;
mod collisions;
mod disk_space;
mod endpoint;
mod jobs;
mod limits;
mod objects;
mod queries;
mod servers;

use crate::catalog::{self, Catalog, Local};
use crate::core::archive::{Archive, Contents, Why};
use crate::core::inventory::Server;
use crate::core::name::quoted;
use crate::core::options::{Keep, Mode, Options};
use crate::core::progress::counted;
use crate::core::scope::{Left, Scope};
use crate::core::settings;
use crate::error::{Error, Result, SqlState};
use crate::libpq::{Connection, Params};
use crate::run::request::PASSWORD;
use crate::run::state;
use crate::target::{self, database, privileges, schema};

/// Of a refusal's detail.
const MOST_LINES: usize = 20;

/// Of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    Warning,
    Error,
}

impl Status {
    /// As in the column `status`.
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Error => "error",
        }
    }
}

/// A row of `migrate_preflight`.
#[derive(Clone, Debug)]
pub struct Check {
    pub topic: &'static str,
    pub status: Status,
    pub subject: String,
    pub detail: String,
    pub hint: String,
    /// The number of the hypertable that it is about; only of policies.
    hypertable: Option<i32>,
}

/// Collects checks; one `ok` row stands for a check that found nothing.
#[derive(Default)]
pub struct Report(pub Vec<Check>);

impl Report {
    fn add(
        &mut self,
        topic: &'static str,
        status: Status,
        subject: impl Into<String>,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let (subject, detail, hint) = (subject.into(), detail.into(), hint.into());
        self.0.push(Check { topic, status, subject, detail, hint, hypertable: None });
    }

    fn settle(&mut self, topic: &'static str, subject: impl Into<String>, detail: impl Into<String>) {
        if !self.0.iter().any(|c| c.topic == topic) {
            self.add(topic, Status::Ok, subject, detail, "");
        }
    }

    /// Objects of the source that cannot be migrated. An object that an earlier reading has reported is not repeated.
    pub fn objects(&mut self, scope: &Scope, fresh: bool) {
        // A table that this option named was dropped on the source since the run began, or renamed, which is refused elsewhere.
        // A pattern of another option might then let more come, or less, than was asked for.
        let refused = |left: &Left| left.refused && (fresh || !left.is_unused("hypertables"));
        let left = scope.left.iter().map(|left| Left { refused: refused(left), ..left.clone() });
        self.left("objects", &left.collect::<Vec<_>>());
    }

    fn left(&mut self, topic: &'static str, left: &[Left]) {
        for left in left {
            let status = if left.refused { Status::Error } else { Status::Warning };
            if self.0.iter().any(|c| c.subject == left.subject && c.detail == left.detail) {
                continue;
            }
            self.add(topic, status, left.subject.clone(), left.detail.clone(), left.hint.clone());
        }
    }

    /// What the run repeats as warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Check> {
        self.0.iter().filter(|c| c.status == Status::Warning)
    }

    /// Whether a run would be refused.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|c| c.status == Status::Error)
    }

    /// What comes of all checks, as the last row; `partly` if errors kept some from being made.
    pub fn conclude(&mut self, partly: bool) {
        let count = |status| self.0.iter().filter(|c| c.status == status).count();
        let (errors, warnings) = (count(Status::Error), count(Status::Warning));
        let found = format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"));
        let (status, answer) = if errors > 0 { (Status::Error, "is refused") } else { (Status::Ok, "may begin") };
        let hint = if partly {
            "Some checks could not be made because of the errors: correct them and call migrate_preflight again."
        } else {
            ""
        };
        self.add("verdict", status, "a run", format!("{answer}: {found}"), hint);
    }

    /// The rows for people: a hint that was just given is not given again.
    pub fn rows(self) -> impl Iterator<Item = (&'static str, Status, String, String, Option<String>)> {
        let mut last = ("", String::new());
        self.0.into_iter().map(move |c| {
            let key = (c.topic, c.hint);
            let hint = match () {
                _ if key.1.is_empty() => None,
                _ if key == last => Some("as above".to_string()),
                _ => Some(key.1.clone()),
            };
            last = key;
            (c.topic, c.status, c.subject, c.detail, hint)
        })
    }

    /// The errors found, as the one error that refuses the run; all of them are listed.
    pub fn refuse(&self) -> Result<()> {
        let errors: Vec<&Check> = self.0.iter().filter(|c| c.status == Status::Error).collect();
        let Some(first) = errors.first() else { return Ok(()) };
        let code = match first.topic {
            "target" => SqlState::DUPLICATE_OBJECT,
            "overloads" => SqlState::DUPLICATE_FUNCTION,
            "rights" => SqlState::INSUFFICIENT_PRIVILEGE,
            "roles" | "extensions" | "collation" => SqlState::UNDEFINED_OBJECT,
            "source" | "endpoint" => SqlState::INVALID_PARAMETER,
            "workers" | "locks" => SqlState::INSUFFICIENT_RESOURCES,
            "connections" => SqlState::TOO_MANY_CONNECTIONS,
            "access" => SqlState::OBJECT_IN_USE,
            "disk" => SqlState::DISK_FULL,
            "wraparound" => SqlState::NOT_IN_PREREQUISITE_STATE,
            _ => SqlState::FEATURE_NOT_SUPPORTED,
        };
        let line = |c: &&Check| format!("{}: {}: {}", c.topic, c.subject, c.detail);
        let message = match errors.len() {
            1 => format!("cannot migrate: {}", line(first)),
            n => format!("cannot migrate: {n} checks failed, the first is {}", line(first)),
        };
        let mut error = Error::new(code, message);
        if errors.len() > 1 {
            let mut lines: Vec<String> = errors.iter().take(MOST_LINES).map(line).collect();
            if errors.len() > MOST_LINES {
                lines.push(format!("... and {} more, which migrate_preflight lists", errors.len() - MOST_LINES));
            }
            error = error.detail(lines.join("\n"));
        }
        Err(if first.hint.is_empty() { error } else { error.hint(first.hint.clone()) })
    }
}

/// Whether there is sense in reading more of the source; pg_dump refuses a newer one.
pub fn versions(source: &Server) -> Result<Report> {
    let mut report = Report::default();
    servers::versions(&mut report, source, &catalog::server(&mut Local)?);
    Ok(report)
}

/// The report on a source that does not answer.
pub fn unreachable(report: &mut Report, params: &Params, error: Error) {
    let detail = error.detail.unwrap_or(error.message);
    let subject = ["host", "hostaddr", "service"].iter().find_map(|name| params.get(name)).unwrap_or("local socket");
    report.add("connection", Status::Error, subject, detail, error.hint.unwrap_or_default());
}

/// The row for a source that is a connection string with a password.
pub fn password(report: &mut Report) {
    let [detail, hint] = PASSWORD;
    report.add("connection", Status::Warning, "connection string", detail, hint);
}

/// The row for a run that is running: what it makes is in the way of a second run only.
pub fn beside(report: &mut Report, run: i64) {
    let detail = "is running in this database, which can have only one run at a time";
    report.add("target", Status::Error, format!("run {run}"), detail, state::beside(run));
}

/// What has to be right before the source's catalog is read, and what may get in the way of that.
/// The connection is in no transaction. Returns a second one.
pub fn check_servers(
    report: &mut Report,
    source: &mut Connection,
    params: &Params,
    server: &Server,
    options: &Options,
) -> Result<Connection> {
    let target = catalog::server(&mut Local)?;
    let known = server.timescaledb.as_ref().filter(|t| t.is_known_source());
    source.announce(queries::of_servers(known.is_some()))?;
    servers::servers(report, server, &target);
    servers::session(report)?;
    servers::timescaledb(report, server, &target);
    endpoint::connections(report, source, options)?;
    let policies = known.map(|_| source.ask(queries::POLICIES)).transpose()?;
    let second = endpoint::endpoint(report, source, params, options)?;
    if let (Some(timescaledb), Some(policies)) = (known, policies) {
        jobs::policies(report, policies, timescaledb);
    }
    // In the other edition none can run.
    if target.community() {
        jobs::failed(report)?;
    }
    Ok(second)
}

/// The row for a table that could not be read because somebody else has locked it.
pub fn locked(report: &mut Report, error: Error) {
    let detail = error.detail.unwrap_or(error.message);
    report.add("locks", Status::Error, "tables and chunks of the source", detail, error.hint.unwrap_or_default());
}

/// Every other check that needs no dump of the schema.
///
/// `fresh`: nothing of the run is on the target yet, so that anything by the name of what is to be made
/// is in its way.
pub fn check(
    report: &mut Report,
    source: &mut Connection,
    scope: &Scope,
    options: &Options,
    fresh: bool,
) -> Result<()> {
    let inventory = &scope.inventory;
    source.announce(queries::all(scope, options, fresh))?;
    let target = catalog::server(&mut Local)?;
    jobs::only_arriving(report, inventory);
    collations::collations(report, source, &inventory.server, &target)?;
    objects::rights(report, source, &inventory.server)?;
    objects::not_carried(report, source, inventory)?;
    objects::hashes(report, source, inventory)?;
    report.objects(scope, fresh);
    objects::overloads(report, source)?;
    let makes = options.mode != Mode::Data;
    let made = if makes { objects::needed_roles(report, source, inventory, options)? } else { Vec::new() };
    let roles = target::roles::known(made)?;
    if makes {
        objects::change_hands(report, source, inventory, &target, options, &roles)?;
        if fresh && target.community() {
            jobs::numbers(report, inventory)?;
        }
        objects::extensions(report, source, inventory)?;
    }
    let mut database = database::read(source)?;
    if inventory.selection.has_large_objects() && database.large_objects.count > 0 && !database.large_objects.readable {
        report.add(
            "rights",
            Status::Error,
            "large objects",
            format!(
                "{} of them, and {} may not read pg_largeobject",
                database.large_objects.count, inventory.server.user
            ),
            format!(
                "GRANT pg_read_all_data TO {}; -- on the source, since PostgreSQL 14; else connect to it as a superuser",
                quoted(&inventory.server.user)
            ),
        );
    }
    let whole = makes && inventory.selection.only.is_none();
    if whole {
        for name in database::refusing_writes(&database) {
            let detail = "is left out: it would refuse writes on the target";
            report.add("objects", Status::Warning, format!("setting {name} of the database"), detail, "");
        }
    }
    if whole {
        for group in database.leave_out(&roles) {
            let names: Vec<&str> = group.settings.iter().map(|setting| settings::name(setting)).collect();
            let detail =
                format!("is not made, so that its settings in the database are left out: {}", names.join(", "));
            report.add("roles", Status::Warning, group.role.unwrap_or_default(), detail, "");
        }
    }
    if whole && fresh {
        let mut differences = database::different_settings(&database, &database::read(&mut Local)?)?;
        differences.extend(privileges::differences(source, options)?);
        for (subject, detail, hint) in differences {
            report.add("roles", Status::Warning, subject, detail, hint);
        }
        if options.privileges == Keep::Keep {
            objects::privileges(report, source)?;
        }
    }
    if makes {
        objects::tablespaces(report, &database, options)?;
        objects::foreign_keys(report, inventory);
        objects::event_triggers(report, source, inventory)?;
    }
    if fresh {
        collisions::collisions(report, source, inventory, makes)?;
    }
    access::access(report, options)?;
    disk_space::disk(report, source, inventory, options, fresh)?;
    limits::locks(report, inventory, &target, options);
    limits::wraparound(report, source)?;
    servers::workers(report, &target, options)?;
    report.settle("rights", inventory.server.user.clone(), "may read everything that is copied");
    report.settle("objects", "all objects", "can be migrated");
    Ok(())
}

/// What the schema's dump adds: objects that need something which is left out.
pub fn check_schema<'a>(report: &mut Report, scope: &mut Scope, archive: &'a Archive) -> Contents<'a> {
    let known = scope.left.len();
    let contents = schema::settled(archive, scope);
    report.left("schema", &scope.left[known..]);
    for excluded in contents.excluded.iter().filter(|e| e.why == Why::Schema && !e.entry.is_annotation()) {
        report.add(
            "schema",
            Status::Error,
            excluded.entry.object(),
            "is in a schema that belongs to this extension",
            "Move it to another schema on the source.",
        );
    }
    report.settle("schema", "schema", "can be created on the target");
    contents
}

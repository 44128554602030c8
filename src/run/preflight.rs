//! What has to be right before a run: each check with its status, and for an error what to do.
//! Changes nothing anywhere.

use crate::core::archive::{Plan, Why};
use crate::core::inventory::{Inventory, Server};
use crate::core::options::{Keep, Options, Roles};
use crate::error::{Error, Result, SqlState};
use crate::libpq::Connection;
use crate::pg::spi;
use crate::source::inventory::{self, Ask, Here};
use crate::target::{database, roles};
use serde::Deserialize;
use std::collections::HashSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    Warning,
    Error,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Error => "error",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Check {
    pub check: &'static str,
    pub status: Status,
    pub subject: String,
    pub detail: String,
    pub hint: String,
}

/// Collects checks; one `ok` row stands for a check that found nothing.
#[derive(Default)]
pub struct Report(pub Vec<Check>);

impl Report {
    fn add(
        &mut self,
        check: &'static str,
        status: Status,
        subject: impl Into<String>,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.0.push(Check { check, status, subject: subject.into(), detail: detail.into(), hint: hint.into() });
    }

    fn settle(&mut self, check: &'static str, subject: impl Into<String>, detail: impl Into<String>) {
        if !self.0.iter().any(|c| c.check == check) {
            self.add(check, Status::Ok, subject, detail, "");
        }
    }

    pub fn warnings(&self) -> impl Iterator<Item = &Check> {
        self.0.iter().filter(|c| c.status == Status::Warning)
    }

    /// The errors found, as the one error that refuses the run; all of them are listed.
    pub fn refuse(&self) -> Result<()> {
        let errors: Vec<&Check> = self.0.iter().filter(|c| c.status == Status::Error).collect();
        let Some(first) = errors.first() else { return Ok(()) };
        let code = match first.check {
            "target" => SqlState::DUPLICATE_OBJECT,
            "rights" => SqlState::INSUFFICIENT_PRIVILEGE,
            "roles" | "extensions" => SqlState::UNDEFINED_OBJECT,
            "source" => SqlState::INVALID_PARAMETER,
            "workers" | "locks" => SqlState::INSUFFICIENT_RESOURCES,
            _ => SqlState::FEATURE_NOT_SUPPORTED,
        };
        let line = |c: &&Check| format!("{}: {}: {}", c.check, c.subject, c.detail);
        let message = match errors.len() {
            1 => format!("cannot migrate: {}", line(first)),
            n => format!("cannot migrate: {n} checks failed, the first is {}", line(first)),
        };
        let mut error = Error::new(code, message);
        if errors.len() > 1 {
            error = error.detail(errors.iter().map(line).collect::<Vec<_>>().join("\n"));
        }
        Err(if first.hint.is_empty() { error } else { error.hint(first.hint.clone()) })
    }
}

/// `unsupported*.sql`
#[derive(Deserialize)]
struct Finding {
    kind: String,
    severity: String,
    /// What of TimescaleDB's Community edition it needs, where that is carried.
    #[serde(default)]
    feature: Option<String>,
    subject: String,
    detail: String,
}

/// `extensions.sql`
#[derive(Deserialize)]
struct Extension {
    name: String,
    version: String,
}

/// `objects.sql`
#[derive(Deserialize)]
struct Object {
    kind: String,
    identity: String,
    #[serde(rename = "type")]
    type_name: String,
    oid: u32,
    table_oid: Option<u32>,
}

/// Every check that needs no dump of the schema.
///
/// `fresh`: nothing of the run is here yet, so that anything by the name of what is to be made
/// is in its way.
pub fn check(source: &mut Connection, inventory: &Inventory, options: &Options, fresh: bool) -> Result<Report> {
    let mut report = Report::default();
    let target = inventory::server(&mut Here)?;
    servers(&mut report, &inventory.server, &target);
    timescaledb(&mut report, &inventory.server, &target);
    rights(&mut report, source, &inventory.server)?;
    unsupported(&mut report, source, &inventory.server, &target)?;
    caggs(&mut report, inventory);
    needed_roles(&mut report, source, options)?;
    extensions(&mut report, source)?;
    let database = database::read(source)?;
    if database.large_objects.count > 0 && !inventory.server.superuser {
        report.add(
            "rights",
            Status::Error,
            "large objects",
            format!("{} of them, and only a superuser may read pg_largeobject", database.large_objects.count),
            "Connect to the source as a superuser.",
        );
    }
    tablespaces(&mut report, &database, options)?;
    if fresh {
        collisions(&mut report, source, inventory)?;
    }
    locks(&mut report, inventory);
    workers(&mut report, &target, options)?;
    report.settle("rights", inventory.server.user.clone(), "may read everything that is copied");
    report.settle("objects", "all objects", "can travel");
    Ok(report)
}

/// What the schema's dump adds: objects that need something which is left out.
pub fn check_schema(report: &mut Report, plan: &Plan) {
    for stranded in plan.stranded.iter().filter(|s| s.part_of.is_none()) {
        report.add(
            "schema",
            Status::Error,
            stranded.entry.object(),
            format!("depends on {}, which TimescaleDB owns and names by itself", stranded.lacks.object()),
            "Drop it on the source, or rewrite it to use the hypertable.",
        );
    }
    for excluded in plan.excluded.iter().filter(|e| e.why == Why::Schema && !e.entry.is_annotation()) {
        report.add(
            "schema",
            Status::Error,
            excluded.entry.object(),
            "is in a schema that belongs to this extension",
            "Move it to another schema on the source.",
        );
    }
    report.settle("schema", "schema dump", "can be made here");
}

fn servers(report: &mut Report, source: &Server, target: &Server) {
    report.add(
        "connection",
        Status::Ok,
        source.database.clone(),
        format!("PostgreSQL {}, as {}", source.version, source.user),
        "",
    );
    if source.system_identifier.is_some()
        && source.system_identifier == target.system_identifier
        && source.database_oid == target.database_oid
    {
        report.add(
            "source",
            Status::Error,
            source.database.clone(),
            "the source is this very database",
            "Name another database as the source.",
        );
    }
    let (from, to) = (source.major(), target.major());
    if from > to {
        report.add(
            "version",
            Status::Error,
            format!("PostgreSQL {from}"),
            format!("the source is newer than this server ({to})"),
            "Migrate to a server of at least the source's major version.",
        );
    }
    if from < 13 {
        report.add(
            "version",
            Status::Error,
            format!("PostgreSQL {from}"),
            "sources before PostgreSQL 13 are not supported",
            "",
        );
    }
    report.settle("version", format!("PostgreSQL {from}"), format!("to PostgreSQL {to}"));
    if target.encoding != "UTF8" {
        report.add(
            "encoding",
            Status::Error,
            target.encoding.clone(),
            "this database must have the encoding UTF8",
            "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
        );
    }
    if source.encoding == "SQL_ASCII" {
        report.add(
            "encoding",
            Status::Error,
            "SQL_ASCII",
            "the source's text has no declared encoding and may be of several",
            "Convert the source to UTF8 first.",
        );
    }
    report.settle("encoding", source.encoding.clone(), format!("to {}", target.encoding));
    let locale = |s: &Server| (s.locale_provider.clone(), s.locale.clone(), s.collate.clone(), s.ctype.clone());
    if locale(source) != locale(target) {
        report.add(
            "collation",
            Status::Warning,
            source.collate.clone(),
            format!("this database sorts by {}; text sorts and compares in another order here", target.collate),
            "",
        );
    }
    report.settle("collation", source.collate.clone(), "the same on both sides");
}

fn timescaledb(report: &mut Report, source: &Server, target: &Server) {
    let Some(from) = &source.timescaledb else {
        report.add("timescaledb", Status::Ok, "no TimescaleDB", "on the source; tables stay plain tables", "");
        return;
    };
    let version = |text: &str| -> (u32, u32) {
        let mut parts = text.split(['.', '-']).map(|p| p.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    };
    if from.restoring {
        report.add(
            "timescaledb",
            Status::Error,
            "timescaledb.restoring",
            "is on in the source, so an earlier restore there was not finished",
            "Run timescaledb_post_restore() on the source.",
        );
    }
    if version(&from.version) < (2, 11) {
        report.add(
            "timescaledb",
            Status::Error,
            from.version.clone(),
            "sources before TimescaleDB 2.11 are not supported",
            "Update TimescaleDB on the source first.",
        );
    }
    match &target.timescaledb {
        None => report.add(
            "timescaledb",
            Status::Error,
            from.version.clone(),
            "this database has no TimescaleDB",
            "CREATE EXTENSION timescaledb;",
        ),
        Some(to) => {
            if version(&to.version) < (2, 19) {
                report.add(
                    "timescaledb",
                    Status::Error,
                    to.version.clone(),
                    "targets before TimescaleDB 2.19 are not supported",
                    "ALTER EXTENSION timescaledb UPDATE;",
                );
            }
            if to.schema != from.schema {
                report.add(
                    "timescaledb",
                    Status::Error,
                    to.schema.clone(),
                    format!(
                        "TimescaleDB's functions are in schema {} on the source; definitions that use them name it",
                        from.schema
                    ),
                    format!("DROP EXTENSION timescaledb; CREATE EXTENSION timescaledb SCHEMA {};", from.schema),
                );
            }
            if to.restoring {
                report.add(
                    "timescaledb",
                    Status::Error,
                    "timescaledb.restoring",
                    "is on in this database",
                    "Run timescaledb_post_restore().",
                );
            }
        }
    }
    let to = target.timescaledb.as_ref().map_or("none", |t| t.version.as_str()).to_string();
    report.settle("timescaledb", from.version.clone(), format!("to {to}"));
}

fn rights(report: &mut Report, source: &mut Connection, server: &Server) -> Result<()> {
    if server.superuser {
        return Ok(());
    }
    let rows = source.query(include_str!("../../sql/inventory/unreadable.sql"))?;
    for (subject, detail) in rows.json::<(String, String)>()? {
        report.add(
            "rights",
            Status::Error,
            subject,
            detail,
            format!("Grant it to {} or connect as another role.", server.user),
        );
    }
    Ok(())
}

fn unsupported(report: &mut Report, source: &mut Connection, server: &Server, target: &Server) -> Result<()> {
    let mut texts = vec![include_str!("../../sql/inventory/unsupported.sql")];
    if server.timescaledb.is_some() {
        texts.push(include_str!("../../sql/inventory/unsupported_timescaledb.sql"));
    }
    let community = target.timescaledb.as_ref().is_some_and(|t| t.tsl);
    for text in texts {
        for finding in source.ask::<Finding>(text)? {
            let hint = match (&finding.feature, community) {
                (Some(_), true) => continue,
                (Some(_), false) => "Install TimescaleDB's Community edition here, from its vendor's packages.",
                (None, _) => "",
            };
            let status = if finding.severity == "error" { Status::Error } else { Status::Warning };
            report.add("objects", status, format!("{} {}", finding.kind, finding.subject), finding.detail, hint);
        }
    }
    Ok(())
}

/// Continuous aggregates that cannot be made here as they are.
fn caggs(report: &mut Report, inventory: &Inventory) {
    for cagg in &inventory.caggs {
        if !cagg.finalized {
            report.add(
                "objects",
                Status::Error,
                format!("continuous aggregate {}", cagg.qualified().shown()),
                "has the format from before TimescaleDB 2.7",
                "CALL cagg_migrate(...) on the source.",
            );
        }
        if !cagg.constraints.is_empty() {
            report.add(
                "objects",
                Status::Error,
                format!("continuous aggregate {}", cagg.qualified().shown()),
                "leaves columns out of GROUP BY that a primary key determines",
                "Name them in GROUP BY on the source.",
            );
        }
    }
}

fn needed_roles(report: &mut Report, source: &mut Connection, options: &Options) -> Result<()> {
    let missing: Vec<String> = roles::missing(source, options)?.into_iter().map(|r| r.name).collect();
    match options.roles {
        Roles::Used if !missing.is_empty() => report.add("roles", Status::Ok, missing.join(", "), "will be made", ""),
        Roles::None => {
            for role in missing {
                report.add(
                    "roles",
                    Status::Error,
                    role,
                    "does not exist here",
                    "Create it, or use the option roles => 'used'.",
                );
            }
        }
        Roles::Used => {}
    }
    report.settle("roles", "all roles", "exist here or are not needed");
    Ok(())
}

fn extensions(report: &mut Report, source: &mut Connection) -> Result<()> {
    let available: HashSet<String> =
        spi::json_rows::<String>("SELECT to_json(name)::text FROM pg_catalog.pg_available_extensions", &[])?
            .into_iter()
            .collect();
    let here: Vec<Extension> = Here.ask(include_str!("../../sql/inventory/extensions.sql"))?;
    for extension in source.ask::<Extension>(include_str!("../../sql/inventory/extensions.sql"))? {
        if !available.contains(&extension.name) && extension.name != "timescale_migrate" {
            report.add(
                "extensions",
                Status::Error,
                extension.name.clone(),
                format!("version {} is installed on the source and none is available here", extension.version),
                "Install the extension's files on this server.",
            );
        } else if let Some(other) = here.iter().find(|e| e.name == extension.name && e.version != extension.version)
            && extension.name != "timescaledb"
        {
            report.add(
                "extensions",
                Status::Warning,
                extension.name.clone(),
                format!("version {} here, {} on the source", other.version, extension.version),
                "",
            );
        }
    }
    report.settle("extensions", "all extensions", "are available here");
    Ok(())
}

fn tablespaces(report: &mut Report, database: &database::Database, options: &Options) -> Result<()> {
    if options.tablespaces == Keep::Keep {
        let here: Vec<String> = spi::json_rows("SELECT to_json(spcname)::text FROM pg_catalog.pg_tablespace", &[])?;
        for tablespace in database.tablespaces.iter().filter(|t| !here.contains(&t.name)) {
            report.add(
                "tablespaces",
                Status::Warning,
                tablespace.name.clone(),
                "does not exist here; its objects go to the default",
                "",
            );
        }
    }
    report.settle("tablespaces", "all tablespaces", "exist here or are not kept");
    Ok(())
}

/// What the target already has under a name that is to be made.
fn collisions(report: &mut Report, source: &mut Connection, inventory: &Inventory) -> Result<()> {
    let text = include_str!("../../sql/inventory/objects.sql");
    let here: HashSet<(String, String)> = Here.ask::<Object>(text)?.into_iter().map(|o| (o.kind, o.identity)).collect();
    let excluded: HashSet<u32> = inventory.excluded.iter().map(|e| e.oid).collect();
    for object in source.ask::<Object>(text)? {
        let left_out = excluded.contains(&object.oid) || object.table_oid.is_some_and(|t| excluded.contains(&t));
        // A schema that is here already is used as it is.
        if !left_out && object.kind != "schema" && here.contains(&(object.kind, object.identity.clone())) {
            report.add(
                "target",
                Status::Error,
                format!("{} {}", object.type_name, object.identity),
                "already exists here",
                "Drop it, or migrate into an empty database.",
            );
        }
    }
    if !inventory.hypertables.is_empty() {
        let everything = "SELECT to_json(pubname)::text FROM pg_catalog.pg_publication WHERE puballtables";
        for publication in spi::json_rows::<String>(everything, &[])? {
            report.add(
                "target",
                Status::Error,
                format!("publication {publication}"),
                "is FOR ALL TABLES, and a table in a publication cannot become a hypertable",
                "Drop it here and make it again after the migration.",
            );
        }
    }
    report.settle("target", "this database", "has none of the objects to be made");
    Ok(())
}

fn locks(report: &mut Report, inventory: &Inventory) {
    let needed = (inventory.relations.len() + inventory.chunks.len()) as i64;
    let capacity = inventory.server.lock_capacity();
    if needed > capacity {
        report.add(
            "locks",
            Status::Error,
            format!("{needed} tables and chunks"),
            format!("the source's lock table holds {capacity} locks"),
            "Raise max_locks_per_transaction on the source.",
        );
    }
    report.settle(
        "locks",
        format!("{needed} tables and chunks"),
        format!("the source's lock table holds {capacity} locks"),
    );
}

fn workers(report: &mut Report, target: &Server, options: &Options) -> Result<()> {
    // Parallel workers and others come and go: this is how it looks now.
    let taken = spi::value::<i64>(
        "SELECT count(*) FROM pg_catalog.pg_stat_activity
         WHERE backend_type NOT IN ('client backend', 'autovacuum launcher', 'autovacuum worker', 'background writer', 'checkpointer',
             'walwriter', 'walsender', 'walreceiver', 'walsummarizer', 'archiver', 'startup', 'slotsync worker', 'io worker')
           AND backend_type NOT LIKE 'timescale_migrate%'",
        &[],
    )?
    .unwrap_or(0);
    let free = target.max_worker_processes - taken;
    let wanted = i64::from(options.jobs) + 1;
    if free < 2 {
        report.add(
            "workers",
            Status::Error,
            format!("max_worker_processes = {}", target.max_worker_processes),
            format!("{free} free slots, at least 2 are needed"),
            "Raise max_worker_processes, which needs a restart of the server.",
        );
    } else if free < wanted {
        report.add(
            "workers",
            Status::Warning,
            format!("max_worker_processes = {}", target.max_worker_processes),
            format!("{free} free slots for a coordinator and {} workers", options.jobs),
            "Raise max_worker_processes for more.",
        );
    }
    report.settle("workers", format!("{} workers", options.jobs), format!("{free} free slots"));
    Ok(())
}

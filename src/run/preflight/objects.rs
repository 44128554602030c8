//! Checks of what is to be carried: whether it can be read, made here, and named as it is.

use super::{Report, Status};
use crate::catalog::{self, Catalog, Local};
use crate::core::inventory::{Inventory, OSM, PG_CONSTRAINT, Server};
use crate::core::name::{literal, quoted};
use crate::core::options::{Keep, Options, Policies, Roles};
use crate::error::Result;
use crate::libpq::Connection;
use crate::pg::spi;
use crate::target::{database, jobs, roles};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

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

impl Object {
    /// The statement that drops it, as a hint.
    fn drop(&self) -> String {
        let kind = match self.type_name.as_str() {
            "composite type" => "TYPE".to_string(),
            "statistics object" => "STATISTICS".to_string(),
            "foreign-data wrapper" => "FOREIGN DATA WRAPPER".to_string(),
            "large object" => {
                return format!("SELECT lo_unlink({}); -- or migrate into an empty database", self.identity);
            }
            // Its statement has other words than its name.
            "transform" => return "Drop it, or migrate into an empty database.".to_string(),
            other => other.to_uppercase(),
        };
        format!("DROP {kind} {}; -- or migrate into an empty database", self.identity)
    }
}

pub(super) fn rights(report: &mut Report, source: &mut Connection, server: &Server) -> Result<()> {
    if server.superuser {
        return Ok(());
    }
    let text = include_str!("../../../sql/preflight/unreadable.sql");
    for (subject, detail, statement) in source.ask::<(String, String, String)>(text)? {
        let hint = format!("{statement}; -- on the source, or connect as another role");
        report.add("rights", Status::Error, subject, detail, hint);
    }
    Ok(())
}

/// What of PostgreSQL stays behind.
pub(super) fn not_carried(report: &mut Report, source: &mut Connection, server: &Server) -> Result<()> {
    let mut found: Vec<(String, String, String)> =
        source.ask(include_str!("../../../sql/preflight/unsupported.sql"))?;
    if let Some(timescaledb) = &server.timescaledb {
        let text =
            format!("{}{}", catalog::settings(timescaledb), include_str!("../../../sql/preflight/of_chunks.sql"));
        found.extend(source.ask::<(String, String, String)>(&text)?);
    }
    for (kind, subject, detail) in found {
        report.add("objects", Status::Warning, format!("{kind} {subject}"), detail, "");
    }
    Ok(())
}

/// Rows that would belong to another partition or chunk here, because a value's hash differs.
pub(super) fn hashes(report: &mut Report, source: &mut Connection, server: &Server) -> Result<()> {
    let head = include_str!("../../../sql/preflight/hashed_types.sql");
    let mut queries = vec![include_str!("../../../sql/preflight/hash_partitions.sql")];
    if server.timescaledb.is_some() {
        queries.push(include_str!("../../../sql/preflight/hash_dimensions.sql"));
    }
    for query in queries {
        for (subject, column, type_name) in source.ask::<(String, String, String)>(&format!("{head}{query}"))? {
            report.add(
                "objects",
                Status::Error,
                subject,
                format!("is partitioned by the hash of {column}, which for type {type_name} differs between servers"),
                "Partition it by something else on the source, for instance by the value's text.",
            );
        }
    }
    Ok(())
}

/// Functions of either side that would be run here in place of an extension's.
pub(super) fn overloads(report: &mut Report, source: &mut Connection) -> Result<()> {
    for (found, place) in [(catalog::overloads(source)?, "on the source"), (catalog::overloads(&mut Local)?, "here")] {
        for function in found {
            let hint = format!("DROP ROUTINE {function}; -- {place}, or rename it");
            let detail = format!("has the name of an extension's function {place}, which a run calls as a superuser");
            report.add("overloads", Status::Error, function, detail, hint);
        }
    }
    report.settle("overloads", "no function", "could be called in place of an extension's");
    Ok(())
}

pub(super) fn needed_roles(
    report: &mut Report,
    source: &mut Connection,
    inventory: &Inventory,
    options: &Options,
) -> Result<()> {
    let server = &inventory.server;
    let mut missing = roles::needed(source, &inventory.jobs, options)?;
    let there = roles::passwords(source, server.superuser)?;
    let there = server.superuser.then_some(&there);
    let here = roles::passwords_here()?;
    for role in &missing {
        let password = role.logs_in.then(|| roles::password(&role.name, there, &here)).flatten();
        for notice in role.notices(options).into_iter().chain(password) {
            report.add("roles", Status::Warning, role.name.clone(), notice.detail, notice.hint);
        }
    }
    missing.retain(|role| !role.here);
    let unknown = missing.iter().filter(|role| role.login() && !server.superuser);
    let unknown: Vec<&str> = unknown.map(|role| role.name.as_str()).collect();
    if options.roles != Roles::None && !unknown.is_empty() {
        let commands: Vec<String> = unknown.iter().map(|role| format!("\\password {}", quoted(role))).collect();
        report.add(
            "roles",
            Status::Warning,
            unknown.join(", "),
            "will be made without a password: only a superuser of the source may read it",
            format!("Connect to the source as a superuser, or afterwards in psql: {}", commands.join(" ")),
        );
    }
    if options.roles == Roles::None {
        for role in missing {
            let hint = format!("{}; -- or the option \"roles\": \"used\"", role.create(None));
            report.add("roles", Status::Error, role.name, "does not exist here", hint);
        }
    } else if !missing.is_empty() {
        let names: Vec<String> = missing.into_iter().map(|role| role.name).collect();
        report.add("roles", Status::Ok, names.join(", "), "will be made", "");
    }
    report.settle("roles", "all roles", "exist here or are not needed");
    Ok(())
}

/// What without its owner runs with the caller's rights.
pub(super) fn change_hands(
    report: &mut Report,
    source: &mut Connection,
    inventory: &Inventory,
    options: &Options,
) -> Result<()> {
    if options.owners == Keep::Keep {
        return Ok(());
    }
    for (function, owner) in source.ask::<(String, String)>(include_str!("../../../sql/preflight/definers.sql"))? {
        let detail = format!(
            "is SECURITY DEFINER and {owner}'s: here it runs with the caller's rights, for whoever may execute it"
        );
        let hint = format!(
            "ALTER ROUTINE {function} OWNER TO {}; -- after the run, or REVOKE EXECUTE on it FROM PUBLIC",
            quoted(&owner)
        );
        report.add("owners", Status::Warning, function, detail, hint);
    }
    let copied = options.policies == Policies::Copy;
    for job in inventory.jobs.iter().filter(|job| copied && job["scheduled"] == true && jobs::changes_hands(job)) {
        let name = job["application_name"].as_str().unwrap_or_default();
        let owner = job["owner"].as_str().unwrap_or_default();
        let detail = format!("is {owner}'s: here it would run with the caller's rights, and arrives paused");
        let hint = format!(
            "SELECT alter_job(id, scheduled => true, timezone => timezone) FROM _timescaledb_config.bgw_job WHERE application_name = {}; -- after the run",
            literal(name)
        );
        report.add("owners", Status::Warning, format!("job {name}"), detail, hint);
    }
    report.settle("owners", "the caller", "owns all, and runs nothing for others by it");
    Ok(())
}

pub(super) fn extensions(report: &mut Report, source: &mut Connection) -> Result<()> {
    let available: HashMap<String, String> = spi::json_rows(
        "SELECT json_build_array(name, default_version)::text FROM pg_catalog.pg_available_extensions",
        &[],
    )?
    .into_iter()
    .collect();
    let here: Vec<Extension> = Local.ask(include_str!("../../../sql/preflight/extensions.sql"))?;
    for extension in source.ask::<Extension>(include_str!("../../../sql/preflight/extensions.sql"))? {
        // Its own checks are of more than versions.
        if extension.name == "timescaledb" {
            continue;
        }
        if extension.name == OSM {
            let detail = "tiered storage is not set up here; rows in it arrive in ordinary chunks";
            report.add("extensions", Status::Warning, OSM, detail, "");
            continue;
        }
        let installed = here.iter().find(|e| e.name == extension.name).map(|e| &e.version);
        let Some(version) = installed.or(available.get(&extension.name)) else {
            report.add(
                "extensions",
                Status::Error,
                extension.name.clone(),
                format!("version {} is installed on the source and none is available here", extension.version),
                "Install the extension's files on this server.",
            );
            continue;
        };
        if *version != extension.version {
            report.add(
                "extensions",
                Status::Warning,
                extension.name.clone(),
                format!("version {version} here, {} on the source", extension.version),
                "",
            );
        }
    }
    report.settle("extensions", "all extensions", "are available here");
    Ok(())
}

pub(super) fn tablespaces(report: &mut Report, database: &database::Database, options: &Options) -> Result<()> {
    if options.tablespaces == Keep::Keep {
        let here: Vec<String> = spi::json_rows("SELECT to_json(spcname)::text FROM pg_catalog.pg_tablespace", &[])?;
        for tablespace in database.tablespaces.iter().filter(|t| !here.contains(t)) {
            report.add(
                "tablespaces",
                Status::Warning,
                tablespace.clone(),
                "does not exist here; its objects go to the default",
                "",
            );
        }
    }
    report.settle("tablespaces", "all tablespaces", "exist here or are not kept");
    Ok(())
}

/// What the target already has under a name that is to be made.
pub(super) fn collisions(report: &mut Report, source: &mut Connection, inventory: &Inventory) -> Result<()> {
    let text = include_str!("../../../sql/preflight/objects.sql");
    let here: HashSet<(String, String)> =
        Local.ask::<Object>(text)?.into_iter().map(|o| (o.kind, o.identity)).collect();
    let unfinished = spi::value::<i64>(
        "SELECT max(id) FROM timescale_migrate.run r WHERE kind = 'migrate' AND state IN ('failed', 'cancelled', 'interrupted')
             AND EXISTS (SELECT FROM timescale_migrate.made_log m WHERE m.run = r.id)",
        &[],
    )?;
    let unfinished = unfinished.map(|run| {
        format!("Run {run} was not finished: SELECT * FROM migrate_resume({run}); continues it, SELECT migrate_cleanup({run}); removes what it made.")
    });
    let excluded: HashSet<u32> = inventory.excluded.iter().map(|e| e.oid).collect();
    for object in source.ask::<Object>(text)? {
        let left_out = excluded.contains(&object.oid) || object.table_oid.is_some_and(|t| excluded.contains(&t));
        // A schema may be here already.
        if !left_out && object.kind != "schema" && here.contains(&(object.kind.clone(), object.identity.clone())) {
            report.add(
                "target",
                Status::Error,
                format!("{} {}", object.type_name, object.identity),
                "already exists here",
                unfinished.clone().unwrap_or_else(|| object.drop()),
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
                format!("DROP PUBLICATION {}; -- and make it again after the migration", quoted(&publication)),
            );
        }
    }
    report.settle("target", "this database", "has none of the objects to be made");
    Ok(())
}

pub(super) fn foreign_keys(report: &mut Report, inventory: &Inventory) {
    let of_chunks: HashSet<u32> =
        inventory.excluded.iter().filter(|e| e.class_oid == PG_CONSTRAINT).map(|e| e.oid).collect();
    for key in inventory.foreign_keys.iter().filter(|key| !key.validated && !of_chunks.contains(&key.oid)) {
        report.add(
            "foreign_keys",
            Status::Warning,
            format!("{} on {}", key.name, key.table.shown()),
            "is NOT VALID on the source and will be here",
            format!(
                "ALTER TABLE {} VALIDATE CONSTRAINT {}; -- on either side, once no row violates it",
                key.table,
                quoted(&key.name)
            ),
        );
    }
    report.settle("foreign_keys", "all foreign keys", "are validated on the source");
}

pub(super) fn event_triggers(report: &mut Report, source: &mut Connection) -> Result<()> {
    let text = include_str!("../../../sql/preflight/event_triggers.sql");
    for (name, event) in Local.ask::<(String, String)>(text)? {
        let hint = format!("ALTER EVENT TRIGGER {} DISABLE; -- until the run has ended", quoted(&name));
        let detail = format!("fires here on {event}, also for what the run makes");
        report.add("event_triggers", Status::Warning, name, detail, hint);
    }
    for (name, event) in source.ask::<(String, String)>(text)? {
        report.add(
            "event_triggers",
            Status::Warning,
            name,
            format!("is made here too, as one of the last objects, and then fires on {event}"),
            "",
        );
    }
    report.settle("event_triggers", "no event trigger", "fires on either side");
    Ok(())
}

//! Checks of what is to be carried: whether it can be read, made on the target, and named as it is.

use super::{Report, Status, queries};
use crate::catalog::{self, Catalog, Local};
use crate::core::inventory::{Inventory, OSM, PG_CLASS, PG_CONSTRAINT, PG_EXTENSION, PG_PROC, Server};
use crate::core::name::{Name, literal, quoted};
use crate::core::options::{Keep, Options, Roles};
use crate::error::Result;
use crate::libpq::Connection;
use crate::pg::spi;
use crate::run::scope::{self, Need};
use crate::target::{database, jobs, roles};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// `extensions.sql`
#[derive(Deserialize)]
struct Extension {
    oid: u32,
    name: String,
    version: String,
    schema: String,
}

pub(super) fn rights(report: &mut Report, source: &mut Connection, server: &Server) -> Result<()> {
    if server.superuser {
        return Ok(());
    }
    let text = queries::UNREADABLE;
    for (subject, detail, statement) in source.ask::<(String, String, String)>(text)? {
        let hint = format!("{statement}; -- on the source, or connect as another role");
        report.add("rights", Status::Error, subject, detail, hint);
    }
    Ok(())
}

/// What of PostgreSQL stays behind.
pub(super) fn not_carried(report: &mut Report, source: &mut Connection, inventory: &Inventory) -> Result<()> {
    /// Kind, subject, detail, and the object that it is about, if that need not arrive.
    type Found = (String, String, String, Option<(u32, u32)>);
    let mut found: Vec<Found> = source.ask(queries::UNSUPPORTED)?;
    if let Some(timescaledb) = &inventory.server.timescaledb {
        found.extend(source.ask::<Found>(&queries::of_chunks(timescaledb))?);
    }
    found.retain(|(.., about)| about.is_none_or(|(class_oid, oid)| inventory.lets_arrive(class_oid, oid)));
    for (kind, subject, detail, _) in found {
        report.add("objects", Status::Warning, format!("{kind} {subject}"), detail, "");
    }
    Ok(())
}

/// Rows that would belong to another partition or chunk on the target, because a value's hash differs.
pub(super) fn hashes(report: &mut Report, source: &mut Connection, inventory: &Inventory) -> Result<()> {
    for query in queries::hashes(&inventory.server) {
        let mut found = source.ask::<(String, String, String, u32)>(&query)?;
        found.retain(|(.., table)| inventory.lets_arrive(PG_CLASS, *table));
        for (subject, column, type_name, _) in found {
            report.add(
                "objects",
                Status::Error,
                subject,
                format!(
                    "is partitioned by the hash of {column}, and hashes of type {type_name} differ between servers"
                ),
                "Partition it by something else on the source, for instance by the value's text.",
            );
        }
    }
    Ok(())
}

/// Functions of either side that would be run on the target in place of an extension's.
pub(super) fn overloads(report: &mut Report, source: &mut Connection) -> Result<()> {
    for (found, place) in
        [(catalog::overloads(source)?, "on the source"), (catalog::overloads(&mut Local)?, "on the target")]
    {
        for function in found {
            let hint = format!("DROP ROUTINE {function}; -- {place}, or rename it");
            let detail = format!("has the name of an extension's function {place}, which a run calls as a superuser");
            report.add("overloads", Status::Error, function, detail, hint);
        }
    }
    report.settle("overloads", "no function", "could be called in place of an extension's");
    Ok(())
}

/// Privileges on what the target's versions of PostgreSQL and of its extensions do not have.
pub(super) fn privileges(report: &mut Report, source: &mut Connection) -> Result<()> {
    let changed: Vec<(Need, Option<String>)> = source.ask(queries::CHANGED_PRIVILEGES)?;
    let here: Vec<String> = Local.ask("SELECT to_json(extname)::text FROM pg_catalog.pg_extension")?;
    // What the run makes of the others is not known yet.
    let is_known = |extension: &Option<String>| extension.as_ref().is_none_or(|name| here.contains(name));
    let changed = changed.into_iter().filter(|(_, extension)| is_known(extension)).map(|(object, _)| object);
    let changed: Vec<Need> = changed.collect();
    let missing = scope::missing(changed.iter())?;
    for object in changed.iter().filter(|object| missing.contains(object)) {
        let subject = format!("privileges on {}", object.shown());
        report.add("objects", Status::Warning, subject, "do not arrive: it does not exist on the target", "");
    }
    Ok(())
}

/// Returns the roles that are missing, and will be made or have to be.
pub(super) fn needed_roles(
    report: &mut Report,
    source: &mut Connection,
    inventory: &Inventory,
    options: &Options,
) -> Result<Vec<String>> {
    let server = &inventory.server;
    let mut missing = roles::needed(source, inventory, options)?;
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
            "will be made without a password: only a superuser may read passwords on the source",
            format!("Connect to the source as a superuser, or set it afterwards in psql: {}", commands.join(" ")),
        );
    }
    let made: Vec<String> = missing.iter().map(|role| role.name.clone()).collect();
    if options.roles == Roles::None {
        for role in missing {
            let hint = format!("{}; -- or the option \"roles\": \"used\"", role.create(None));
            report.add("roles", Status::Error, role.name, "does not exist on the target", hint);
        }
    } else if !made.is_empty() {
        report.add("roles", Status::Ok, made.join(", "), "will be made", "");
    }
    report.settle("roles", "all roles", "exist on the target or are not needed");
    Ok(made)
}

/// What without its owner runs with the caller's rights. `roles`: those that exist on the target or will be made.
pub(super) fn change_hands(
    report: &mut Report,
    source: &mut Connection,
    inventory: &Inventory,
    target: &Server,
    options: &Options,
    roles: &HashSet<String>,
) -> Result<()> {
    if options.owners == Keep::Keep {
        return Ok(());
    }
    let mut definers = source.ask::<(String, String, u32)>(queries::DEFINERS)?;
    definers.retain(|(.., oid)| inventory.lets_arrive(PG_PROC, *oid));
    for (function, owner, _) in definers {
        let detail = format!(
            "is SECURITY DEFINER and owned by {owner} on the source; on the target the caller owns it, and it runs with the caller's rights for everyone who may execute it"
        );
        let revoke = format!("REVOKE EXECUTE ON ROUTINE {function} FROM PUBLIC;");
        let hint = match roles.contains(&owner) {
            true => format!("ALTER ROUTINE {function} OWNER TO {}; -- after the run, or {revoke}", quoted(&owner)),
            false => format!("{revoke} -- after the run, or give it to an owner with fewer rights"),
        };
        report.add("owners", Status::Warning, function, detail, hint);
    }
    let schema = target.timescaledb.as_ref().map_or("public", |timescaledb| timescaledb.schema.as_str());
    // If all arrive paused, `migrate_start_jobs` leaves these so.
    for job in inventory.jobs.iter().filter(|job| job["scheduled"] == true && jobs::changes_hands(job)) {
        let name = job["application_name"].as_str().unwrap_or_default();
        let owner = job["owner"].as_str().unwrap_or_default();
        let detail = format!(
            "is owned by {owner} on the source; on the target it would run with the caller's rights, so it arrives paused"
        );
        let hint = format!(
            "SELECT {}.alter_job(id, scheduled => true, timezone => timezone) FROM _timescaledb_config.bgw_job WHERE application_name = {}; -- after the run",
            quoted(schema),
            literal(name)
        );
        report.add("owners", Status::Warning, format!("job {name}"), detail, hint);
    }
    report.settle(
        "owners",
        "the caller",
        "will own all objects; none of them runs with the caller's rights for other roles",
    );
    Ok(())
}

pub(super) fn extensions(report: &mut Report, source: &mut Connection, inventory: &Inventory) -> Result<()> {
    let available: HashMap<String, String> = spi::json_rows(
        "SELECT json_build_array(name, default_version)::text FROM pg_catalog.pg_available_extensions",
        &[],
    )?
    .into_iter()
    .collect();
    let here: Vec<Extension> = Local.ask(queries::EXTENSIONS)?;
    for extension in source.ask::<Extension>(queries::EXTENSIONS)? {
        // TimescaleDB's own checks are of more than versions.
        if extension.name == "timescaledb" || !inventory.selection.arrives(PG_EXTENSION, extension.oid) {
            continue;
        }
        if extension.name == OSM {
            let detail = "tiered storage is not set up on the target; rows in it arrive in ordinary chunks";
            report.add("extensions", Status::Warning, OSM, detail, "");
            continue;
        }
        let installed = here.iter().find(|e| e.name == extension.name);
        if let Some(other) = installed.filter(|installed| installed.schema != extension.schema) {
            let detail = format!(
                "is in schema {} on the target, and in {} on the source: what names its objects there cannot be made",
                other.schema, extension.schema
            );
            let hint = format!(
                "ALTER EXTENSION {} SET SCHEMA {}; -- on the target, or DROP EXTENSION, before the run",
                quoted(&extension.name),
                quoted(&extension.schema)
            );
            report.add("extensions", Status::Warning, extension.name.clone(), detail, hint);
        }
        let Some(version) = installed.map(|e| &e.version).or(available.get(&extension.name)) else {
            report.add(
                "extensions",
                Status::Error,
                extension.name.clone(),
                format!(
                    "version {} is installed on the source, and no version is available on the target",
                    extension.version
                ),
                "Install the extension's files on the target.",
            );
            continue;
        };
        if *version != extension.version {
            report.add(
                "extensions",
                Status::Warning,
                extension.name.clone(),
                format!("version {version} on the target, {} on the source", extension.version),
                "",
            );
        }
    }
    report.settle("extensions", "all extensions", "are available on the target");
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
                "does not exist on the target; its objects go to the default tablespace",
                "",
            );
        }
    }
    report.settle("tablespaces", "all tablespaces", "exist on the target or are not kept");
    Ok(())
}

pub(super) fn foreign_keys(report: &mut Report, inventory: &Inventory) {
    let of_chunks: HashSet<u32> =
        inventory.excluded.iter().filter(|e| e.class_oid == PG_CONSTRAINT).map(|e| e.oid).collect();
    let tables: HashSet<Name> = inventory.relations.iter().map(|table| table.qualified()).collect();
    let keys = inventory.foreign_keys.iter().filter(|key| !key.validated && !of_chunks.contains(&key.oid));
    let unwanted = &inventory.selection.unwanted;
    for key in keys.filter(|key| tables.contains(&key.table) && !unwanted.contains(&(PG_CONSTRAINT, key.oid))) {
        report.add(
            "foreign_keys",
            Status::Warning,
            format!("{} on {}", key.name, key.table.shown()),
            "is NOT VALID on the source, and will be NOT VALID on the target",
            format!(
                "ALTER TABLE {} VALIDATE CONSTRAINT {}; -- on either side, once no row violates it",
                key.table,
                quoted(&key.name)
            ),
        );
    }
    report.settle("foreign_keys", "all foreign keys", "are validated on the source");
}

pub(super) fn event_triggers(report: &mut Report, source: &mut Connection, inventory: &Inventory) -> Result<()> {
    let text = queries::EVENT_TRIGGERS;
    for (name, event, ..) in Local.ask::<(String, String, u32, u32)>(text)? {
        let hint = format!("ALTER EVENT TRIGGER {} DISABLE; -- until the run has ended", quoted(&name));
        let detail = format!("fires on {event} on the target, also for what the run makes");
        report.add("event_triggers", Status::Warning, name, detail, hint);
    }
    let mut found = source.ask::<(String, String, u32, u32)>(text)?;
    found.retain(|(.., class_oid, oid)| inventory.lets_arrive(*class_oid, *oid));
    for (name, event, ..) in found {
        report.add(
            "event_triggers",
            Status::Warning,
            name,
            format!("is made on the target as one of the last objects, and then fires on {event}"),
            "",
        );
    }
    report.settle("event_triggers", "no event trigger", "fires on either side");
    Ok(())
}

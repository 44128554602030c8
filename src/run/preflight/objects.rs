//! Checks of what is to be carried: whether it can be read, made on the target, and named as it is.

use super::{Report, Status, queries};
use crate::catalog::{self, Catalog, Local};
use crate::core::inventory::{Inventory, OSM, PG_CLASS, PG_CONSTRAINT, PG_EXTENSION, PG_PROC, Server};
use crate::core::name::{Name, literal, quoted};
use crate::core::options::{Keep, Options, Roles};
use crate::error::Result;
use crate::libpq::Connection;
use crate::pg::spi;
use crate::run::standing;
use crate::target::{database, jobs, roles};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// `extensions.sql`
#[derive(Deserialize)]
struct Extension {
    oid: u32,
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
    class_oid: u32,
    oid: u32,
    table_oid: Option<u32>,
}

impl Object {
    /// The statement that drops it, as a hint.
    fn drop(&self, is_cagg: bool) -> String {
        let kind = match self.type_name.as_str() {
            "view" if is_cagg => "MATERIALIZED VIEW".to_string(),
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

/// Returns the names of those that exist on the target or are made.
pub(super) fn needed_roles(
    report: &mut Report,
    source: &mut Connection,
    inventory: &Inventory,
    options: &Options,
) -> Result<HashSet<String>> {
    let server = &inventory.server;
    let mut missing = roles::needed(source, inventory, options)?;
    let known = roles::known(&missing)?;
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
    if options.roles == Roles::None {
        for role in missing {
            let hint = format!("{}; -- or the option \"roles\": \"used\"", role.create(None));
            report.add("roles", Status::Error, role.name, "does not exist on the target", hint);
        }
    } else if !missing.is_empty() {
        let names: Vec<String> = missing.into_iter().map(|role| role.name).collect();
        report.add("roles", Status::Ok, names.join(", "), "will be made", "");
    }
    report.settle("roles", "all roles", "exist on the target or are not needed");
    Ok(known)
}

/// What without its owner runs with the caller's rights.
pub(super) fn change_hands(
    report: &mut Report,
    source: &mut Connection,
    inventory: &Inventory,
    target: &Server,
    options: &Options,
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
        let hint = format!(
            "ALTER ROUTINE {function} OWNER TO {}; -- after the run, or REVOKE EXECUTE on it FROM PUBLIC",
            quoted(&owner)
        );
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
        let installed = here.iter().find(|e| e.name == extension.name).map(|e| &e.version);
        let Some(version) = installed.or(available.get(&extension.name)) else {
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

/// How to continue after the newest migration of which something is on the target, if it did not reach its end.
fn unfinished() -> Result<Option<String>> {
    let newest = include_str!("../../../sql/run/unfinished_run.sql");
    Ok(spi::json_rows::<(i64, bool)>(newest, &[])?.pop().map(|(run, is_removed)| match is_removed {
        true => format!("Run {run} was removed in part. Call migrate_cleanup({run}) to remove the rest."),
        false => format!("Run {run} is not finished. {}", standing::ways(run)),
    }))
}

/// What finished runs made on the target, and which.
fn made_here() -> Result<HashMap<(u32, u32), i64>> {
    let text = "SELECT json_build_array(m.classid::int8, m.objid::int8, m.run)::text
         FROM timescale_migrate.made_log m JOIN timescale_migrate.run r ON r.id = m.run AND r.state = 'done'";
    let made = spi::json_rows::<(u32, u32, i64)>(text, &[])?;
    Ok(made.into_iter().map(|(class_oid, oid, run)| ((class_oid, oid), run)).collect())
}

/// What the target already has under a name that is to be made; if no schema is made, only large objects are.
pub(super) fn collisions(
    report: &mut Report,
    source: &mut Connection,
    inventory: &Inventory,
    makes: bool,
) -> Result<()> {
    let text = queries::OBJECTS;
    let here: HashMap<(String, String), (u32, u32)> =
        Local.ask::<Object>(text)?.into_iter().map(|o| ((o.kind, o.identity), (o.class_oid, o.oid))).collect();
    let excluded: HashSet<u32> = inventory.excluded.iter().map(|e| e.oid).collect();
    let arrives = |object: &Object| {
        let selection = &inventory.selection;
        let left_out = |oid: &u32| excluded.contains(oid);
        (makes || object.type_name == "large object")
            && !left_out(&object.oid)
            && match &object.table_oid {
                Some(table) => selection.arrives(PG_CLASS, *table) && !left_out(table),
                None => selection.arrives(object.class_oid, object.oid),
            }
    };
    let mut taken: Vec<(Object, (u32, u32))> = Vec::new();
    for object in source.ask::<Object>(text)? {
        let name = (object.kind.clone(), object.identity.clone());
        // A schema may exist already.
        if let Some(local) = here.get(&name).filter(|_| object.kind != "schema" && arrives(&object)) {
            taken.push((object, *local));
        }
    }
    // An index, or an identity column's sequence, goes with its table.
    let tables: HashSet<u32> = taken.iter().map(|(object, _)| object.oid).collect();
    taken.retain(|(object, _)| object.table_oid.is_none_or(|table| !tables.contains(&table)));
    let made_here = if taken.is_empty() { HashMap::new() } else { made_here()? };
    let unfinished = unfinished()?;
    let caggs: HashSet<u32> = inventory.caggs.iter().map(|cagg| cagg.oid).collect();
    for (object, local) in taken {
        let hint = match (&unfinished, made_here.get(&local)) {
            (Some(unfinished), _) => unfinished.clone(),
            (None, Some(run)) => {
                format!("Run {run} made it. Leave it out with the option exclude, or migrate into another database.")
            }
            (None, None) => object.drop(caggs.contains(&object.oid)),
        };
        let subject = format!("{} {}", object.type_name, object.identity);
        report.add("target", Status::Error, subject, "already exists on the target", hint);
    }
    if makes && !inventory.hypertables.is_empty() {
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

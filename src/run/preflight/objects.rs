//! Checks of what is to be carried: whether it can be read, made here, and named as it is.

use super::{Report, Status};
use crate::core::inventory::{Inventory, OSM, Server};
use crate::core::options::{Keep, Options, Roles};
use crate::error::Result;
use crate::libpq::Connection;
use crate::pg::spi;
use crate::source::inventory::{Ask, Here};
use crate::target::{database, roles};
use serde::Deserialize;
use std::collections::HashSet;

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

pub(super) fn rights(report: &mut Report, source: &mut Connection, server: &Server) -> Result<()> {
    if server.superuser {
        return Ok(());
    }
    let rows = source.query(include_str!("../../../sql/inventory/unreadable.sql"))?;
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

/// What of PostgreSQL stays behind.
pub(super) fn not_carried(report: &mut Report, source: &mut Connection) -> Result<()> {
    for (kind, subject, detail) in
        source.ask::<(String, String, String)>(include_str!("../../../sql/inventory/unsupported.sql"))?
    {
        report.add("objects", Status::Warning, format!("{kind} {subject}"), detail, "");
    }
    Ok(())
}

pub(super) fn needed_roles(report: &mut Report, source: &mut Connection, options: &Options) -> Result<()> {
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

pub(super) fn extensions(report: &mut Report, source: &mut Connection) -> Result<()> {
    let available: HashSet<String> =
        spi::json_rows::<String>("SELECT to_json(name)::text FROM pg_catalog.pg_available_extensions", &[])?
            .into_iter()
            .collect();
    let here: Vec<Extension> = Here.ask(include_str!("../../../sql/inventory/extensions.sql"))?;
    for extension in source.ask::<Extension>(include_str!("../../../sql/inventory/extensions.sql"))? {
        if extension.name == OSM {
            let detail = "tiered storage is not set up here; rows in it arrive in ordinary chunks";
            report.add("extensions", Status::Warning, OSM, detail, "");
        } else if !available.contains(&extension.name) && extension.name != "timescale_migrate" {
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

pub(super) fn tablespaces(report: &mut Report, database: &database::Database, options: &Options) -> Result<()> {
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
pub(super) fn collisions(report: &mut Report, source: &mut Connection, inventory: &Inventory) -> Result<()> {
    let text = include_str!("../../../sql/inventory/objects.sql");
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

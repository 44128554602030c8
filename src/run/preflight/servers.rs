//! Checks of the two servers against each other.

use super::{Report, Status};
use crate::core::inventory::Server;
use crate::core::name::quoted;
use crate::core::options::Options;
use crate::core::progress::counted;
use crate::error::Result;
use crate::pg::spi;

pub(super) fn servers(report: &mut Report, source: &Server, target: &Server) {
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
            "the source is this database itself",
            "Name another database as the source.",
        );
    }
    versions(report, source, target);
    if target.encoding != "UTF8" {
        report.add(
            "encoding",
            Status::Error,
            target.encoding.clone(),
            "this database must have the encoding UTF8",
            format!(
                "CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0;",
                quoted(&format!("{} utf8", target.database))
            ),
        );
    }
    if source.encoding == "SQL_ASCII" {
        report.add(
            "encoding",
            Status::Error,
            "SQL_ASCII",
            "the source's text has no declared encoding and may be in several",
            "Convert the source to UTF8 first.",
        );
    }
    report.settle("encoding", source.encoding.clone(), format!("to {}", target.encoding));
}

/// What a session has to be like that starts a run; those of the run itself are.
pub(super) fn session(report: &mut Report) -> Result<()> {
    let wrong = "SELECT json_build_array(name, setting, boot_val)::text FROM pg_catalog.pg_settings
         WHERE name = 'default_transaction_read_only' AND setting = 'on'
            OR name = 'default_transaction_isolation' AND setting NOT LIKE 'read %'";
    for (name, value, wanted) in spi::json_rows::<(String, String, String)>(wrong, &[])? {
        let detail = format!("is {value} in this session, so it cannot start a run");
        report.add("target", Status::Error, name.clone(), detail, format!("SET {name} = '{wanted}';"));
    }
    Ok(())
}

pub(super) fn versions(report: &mut Report, source: &Server, target: &Server) {
    let (from, to) = (source.major(), target.major());
    if source.is_newer_than(target) {
        report.add(
            "version",
            Status::Error,
            format!("PostgreSQL {from}"),
            format!("the source is newer than the target ({to})"),
            "Migrate to a server of at least the source's major version.",
        );
    }
    if !source.is_known_source() {
        report.add(
            "version",
            Status::Error,
            format!("PostgreSQL {from}"),
            "sources before PostgreSQL 13 are not supported",
            "",
        );
    }
    report.settle("version", format!("PostgreSQL {from}"), format!("to PostgreSQL {to}"));
}

pub(super) fn timescaledb(report: &mut Report, source: &Server, target: &Server) {
    let Some(from) = &source.timescaledb else {
        const NONE: &str =
            "has no TimescaleDB; tables arrive as ordinary tables unless the option hypertables names them";
        report.add("timescaledb", Status::Ok, "source", NONE, "");
        return;
    };
    if from.restoring {
        report.add(
            "timescaledb",
            Status::Error,
            "timescaledb.restoring",
            "is on in the source database, so an earlier restore there was not finished",
            format!("SELECT {}.timescaledb_post_restore(); -- on the source", quoted(&from.schema)),
        );
    }
    if !from.is_known_source() {
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
            match from.schema.as_str() {
                "public" => "CREATE EXTENSION timescaledb;".to_string(),
                schema => format!("CREATE EXTENSION timescaledb SCHEMA {};", quoted(schema)),
            },
        ),
        Some(to) => {
            if from.is_newer_than(to) {
                report.add(
                    "timescaledb",
                    Status::Error,
                    from.version.clone(),
                    format!("the source's version is newer than the target's ({}), which may not support all that it stores", to.version),
                    format!(
                        "ALTER EXTENSION timescaledb UPDATE; -- on the target, in a new session, once version {} or a newer one is installed", from.release()
                    ),
                );
            }
            if !to.is_known_target() {
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
                        "TimescaleDB's functions are in schema {} on the source; definitions that use them name this schema",
                        from.schema
                    ),
                    format!(
                        "DROP EXTENSION timescaledb; CREATE EXTENSION timescaledb SCHEMA {};",
                        quoted(&from.schema)
                    ),
                );
            }
            if to.restoring {
                report.add(
                    "timescaledb",
                    Status::Error,
                    "timescaledb.restoring",
                    "is on in this database",
                    format!("SELECT {}.timescaledb_post_restore();", quoted(&to.schema)),
                );
            }
        }
    }
    let Some(to) = &target.timescaledb else { return };
    report.settle("timescaledb", from.version.clone(), format!("to {}", to.version));
    // What an edition has no place for is found object by object.
    report.add("edition", Status::Ok, from.edition(), format!("to {}", to.edition()), "");
}

pub(super) fn workers(report: &mut Report, target: &Server, options: &Options) -> Result<()> {
    // Parallel workers and others come and go: this is how it looks now.
    let taken = spi::value::<i64>(include_str!("../../../sql/preflight/background_workers.sql"), &[])?.unwrap_or(0);
    let free = i64::from(target.max_worker_processes) - taken;
    let wanted = i64::from(options.jobs) + 1;
    let raise = |more: i64| {
        let enough = i64::from(target.max_worker_processes) + more;
        format!("ALTER SYSTEM SET max_worker_processes = {enough}; -- and restart the target")
    };
    if free < 2 {
        report.add(
            "workers",
            Status::Error,
            format!("max_worker_processes = {}", target.max_worker_processes),
            format!("{} free, at least 2 are needed", counted(free.max(0) as usize, "slot")),
            raise(wanted - free),
        );
    } else if free < wanted {
        report.add(
            "workers",
            Status::Warning,
            format!("max_worker_processes = {}", target.max_worker_processes),
            format!(
                "{} free for a coordinator and {}",
                counted(free as usize, "slot"),
                counted(options.jobs.into(), "worker")
            ),
            raise(wanted - free),
        );
    }
    report.settle("workers", counted(options.jobs.into(), "worker"), format!("{free} slots are free"));
    Ok(())
}

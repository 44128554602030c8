//! Checks of the jobs of both sides: what they do to a run, and how they fare on the target.

use super::{Report, Status};
use crate::catalog::{Catalog, Local};
use crate::core::inventory::{Inventory, Timescaledb};
use crate::error::Result;
use crate::pg::spi;
use crate::target::jobs;
use serde_json::Value;
use std::collections::HashSet;

/// A policy, what it is on, and when it is due unless it runs.
pub(super) type Policy = (String, String, Option<String>, i32);

/// Policies that may change chunks between the snapshot and their copy.
pub(super) fn policies(report: &mut Report, found: Vec<Policy>, timescaledb: &Timescaledb) {
    let schema = &timescaledb.functions_schema;
    for (name, relation, due, hypertable) in found {
        let when = due.map_or("is running".to_string(), |due| format!("is due at {due}"));
        report.add(
            "jobs",
            Status::Warning,
            name,
            format!("on {relation} {when}; chunks that it changes during the run are read under a later snapshot"),
            format!(
                "SELECT {schema}.stop_background_workers(); -- on the source, as a superuser, and start_background_workers() after the run"
            ),
        );
        report.0.iter_mut().last().into_iter().for_each(|check| check.hypertable = Some(hypertable));
    }
    settle(report);
}

fn settle(report: &mut Report) {
    report.settle("jobs", "policies of the source", "none runs or is due within the hour");
}

/// Leaves out the policies on hypertables of which no rows arrive.
pub(super) fn only_arriving(report: &mut Report, inventory: &Inventory) {
    let arriving = inventory.hypertables.iter().filter(|h| !inventory.selection.is_empty(h.oid));
    let arriving: HashSet<i32> = arriving.map(|hypertable| hypertable.id).collect();
    report.0.retain(|check| check.hypertable.is_none_or(|hypertable| arriving.contains(&hypertable)));
    if inventory.server.timescaledb.is_some() {
        settle(report);
    }
}

/// Jobs of this database whose newest run failed: what ends them may end every job that arrives.
pub(super) fn failed(report: &mut Report) -> Result<()> {
    for (name, at, error) in
        Local.ask::<(String, String, String)>(include_str!("../../../sql/preflight/failed_jobs.sql"))?
    {
        report.add(
            "scheduler",
            Status::Warning,
            name,
            format!("failed on the target at {at}: {error}"),
            "Jobs that arrive may fail in the same way. The view timescaledb_information.job_errors shows every failure.",
        );
    }
    report.settle("scheduler", "jobs of this database", "none has failed in its latest run");
    Ok(())
}

/// Jobs whose numbers other jobs of the target have, and those that know hypertables by their numbers.
pub(super) fn numbers(report: &mut Report, inventory: &Inventory) -> Result<()> {
    let names_one = |job: &&Value| {
        let config = job["config"].as_str().and_then(|config| serde_json::from_str::<Value>(config).ok());
        let fields = ["hypertable_id", "mat_hypertable_id"];
        job["kind"] == "action" && config.is_some_and(|config| fields.iter().any(|field| config[field].is_number()))
    };
    for job in inventory.jobs.iter().filter(names_one) {
        report.add(
            "jobs",
            Status::Warning,
            job["application_name"].as_str().unwrap_or_default(),
            "names a hypertable by its number, which is that of another one on the target",
            "SELECT alter_job(job_id, config => '...'); -- on the target, after the run",
        );
    }
    let here = jobs::numbers()?;
    let migrating: Vec<i64> = spi::json_rows("SELECT id::text FROM timescale_migrate.migrating_jobs()", &[])?;
    let taken = inventory.jobs.iter().filter(|job| job["id"].as_i64().is_some_and(|id| here.contains(&id)));
    for job in taken {
        // This run may be its work.
        let (other, hint) = match job["id"].as_i64().is_some_and(|id| migrating.contains(&id)) {
            true => ("the job that migrates", "Change it by its name or its table, not by its number.".to_string()),
            false => {
                let what = "on the target before the run if the source's job is to keep its number.";
                ("another job of the target", format!("Call delete_job({}) {what}", job["id"]))
            }
        };
        report.add(
            "jobs",
            Status::Warning,
            job["application_name"].as_str().unwrap_or_default(),
            format!("gets another number, because {other} has the number {}", job["id"]),
            hint,
        );
    }
    Ok(())
}

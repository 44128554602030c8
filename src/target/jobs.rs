//! Policies and user-defined actions.

use super::context::making;
use super::schema::Maker;
use crate::core::inventory::Inventory;
use crate::core::options::{Options, Policies};
use crate::error::Result;
use crate::pg::catch::subtransaction;
use crate::pg::{session, spi};

/// Whether a job runs code of an ordinary role's, which without its owner would be a superuser's.
pub fn changes_hands(job: &serde_json::Value) -> bool {
    job["kind"] == "action" && job["of_superuser"] == false
}

/// The numbers that jobs of this database have, but for TimescaleDB's own.
pub fn numbers() -> Result<Vec<i64>> {
    spi::json_rows("SELECT id::text FROM _timescaledb_config.bgw_job WHERE id >= 1000", &[])
}

/// Makes the jobs and lets the scheduler see them; nothing of them runs before the commit. One that
/// needs something that the target lacks is left out, with a warning: no reason to end the run. Of
/// what is inserted into the catalog it hears nothing; TimescaleDB's own functions tell it by this
/// invalidation. Restarting it would end the jobs that are running, as one that waits for this run.
pub fn make(run: i64, inventory: &Inventory, maker: &Maker, pauses: bool) -> Result<Vec<String>> {
    let (mut warnings, mut renumbered) = (Vec::new(), Vec::new());
    if inventory.jobs.is_empty() {
        return Ok(warnings);
    }
    // Those that get other numbers come last, or they would take the numbers of the others.
    let here = numbers()?;
    let (taken, free): (Vec<_>, Vec<_>) =
        inventory.jobs.iter().partition(|job| job["id"].as_i64().is_none_or(|id| here.contains(&id)));
    for job in free.into_iter().chain(taken) {
        let mut spec = job.clone();
        if let Some(fields) = spec.as_object_mut().filter(|_| !maker.owners) {
            fields.remove("owner");
        }
        let name = job["application_name"].as_str().unwrap_or_default();
        let held_back = !maker.owners && changes_hands(job);
        let paused = pauses || held_back;
        let starts_later = paused && !held_back && job["scheduled"] == true && job["kind"] != "system";
        let arguments = [spi::json(&spec)?, paused.into()];
        let make = || {
            let id = spi::value::<i32>("SELECT timescale_migrate.create_job($1, $2)", &arguments)?;
            renumbered.extend(
                id.filter(|id| job["id"].is_i64() && job["id"] != *id).map(|id| format!("{} is {id}", job["id"])),
            );
            let enter = "INSERT INTO timescale_migrate.paused_log (run, job) VALUES ($1, $2)";
            id.filter(|_| starts_later).map_or(Ok(()), |id| spi::execute(enter, &[run.into(), id.into()]).map(drop))
        };
        making(&format!("job {name}"), Some("create_job"), || match subtransaction(make) {
            Err(error) if matches!(&error.code.0, b"42883" | b"42704" | b"42P01") => {
                warnings.push(format!("job {name} was left out: {error}"));
                Ok(())
            }
            made => made,
        })?;
    }
    if !renumbered.is_empty() {
        warnings.push(format!(
            "jobs have other numbers on the target, because theirs were taken: {}",
            renumbered.join(", ")
        ));
    }
    tell_scheduler()?;
    Ok(warnings)
}

/// Lets the jobs run that a run left paused although the source's are not; each once.
pub fn start(run: i64) -> Result<Vec<(i32, String)>> {
    let any = "SELECT EXISTS (SELECT FROM timescale_migrate.paused_log WHERE run = $1)";
    if spi::value::<bool>(any, &[run.into()])? != Some(true) {
        return Ok(Vec::new());
    }
    let started = spi::json_rows(include_str!("../../sql/run/start_jobs.sql"), &[run.into()])?;
    if !started.is_empty() {
        tell_scheduler()?;
    }
    Ok(started)
}

/// The runs that left jobs paused which nobody has started since, with the names of these jobs.
pub fn paused() -> Result<Vec<(i64, Vec<String>)>> {
    Ok(paused_by()?.into_iter().map(|(run, _, jobs)| (run, jobs)).collect())
}

/// The same with whether the run brought a schema alone.
fn paused_by() -> Result<Vec<(i64, bool, Vec<String>)>> {
    if spi::value::<bool>("SELECT EXISTS (SELECT FROM timescale_migrate.paused_log)", &[])? != Some(true) {
        return Ok(Vec::new());
    }
    spi::json_rows(include_str!("../../sql/run/paused_jobs.sql"), &[])
}

/// Whether rows that come into a schema let jobs run which came with it. Other parts may be still to come.
pub fn starts_schema(options: &Options) -> bool {
    options.policies == Policies::Copy && options.is_whole()
}

/// The names of these jobs.
pub fn paused_with_schema() -> Result<Vec<String>> {
    let with_schema = paused_by()?.into_iter().filter(|(_, with_schema, _)| *with_schema);
    Ok(with_schema.flat_map(|(.., jobs)| jobs).collect())
}

/// Lets them run.
pub fn start_of_schema() -> Result<()> {
    let runs = "SELECT DISTINCT p.run::text FROM timescale_migrate.paused_log p
        JOIN timescale_migrate.run_log r ON r.id = p.run WHERE r.state = 'done' AND r.options->>'mode' = 'schema'";
    for run in spi::json_rows::<i64>(runs, &[])? {
        start(run)?;
    }
    Ok(())
}

fn tell_scheduler() -> Result<()> {
    session::invalidate(spi::relation_oid("_timescaledb_cache.cache_inval_bgw_job")?);
    Ok(())
}

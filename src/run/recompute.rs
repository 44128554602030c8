//! Continuous aggregates that are made anew: refreshed over their whole range, when all that
//! they read is there.

use super::crew::Crew;
use super::state;
use super::tasks::{self, Claim, Outcome};
use crate::core::plan::{self, Recompute, Task};
use crate::error::{Error, Result};
use crate::pg::{catch::transaction, spi, top_level};
use crate::target::schema;

/// Works level by level. On a resume, what was refreshed before anything was copied again is
/// refreshed again.
pub fn all(run: i64, crew: &mut Crew, levels: &[Vec<Task>]) -> Result<()> {
    transaction(|| spi::execute(include_str!("../../sql/target/recompute_again.sql"), &[run.into()]).map(drop))?;
    for (number, tasks) in levels.iter().enumerate() {
        transaction(|| {
            let known: Vec<String> = spi::json_rows(
                "SELECT to_json(object)::text FROM timescale_migrate.task_log WHERE run = $1 AND stage = 'recompute'",
                &[run.into()],
            )?;
            let new: Vec<Task> = tasks.iter().filter(|task| !known.contains(&task.object)).cloned().collect();
            tasks::add(run, &new)
        })?;
        crew.work("recompute")?;
        // With on_error => 'continue': what reads one that failed has to wait for it.
        if tasks::standing(run, "recompute")?.1.iter().any(|failure| failure.stage == "recompute") {
            break;
        }
        state::say(run, "notice", &format!("continuous aggregates of level {} are refreshed", number + 1))?;
    }
    Ok(())
}

/// A refresh commits on its way; one that was interrupted begins anew.
pub fn perform(claim: &Claim, work: &Recompute) -> Result<()> {
    let (schema, name) = (work.cagg.schema.clone(), work.cagg.name.clone());
    let call = transaction(|| {
        spi::value::<String>("SELECT timescale_migrate.begin_refresh($1, $2)", &[schema.into(), name.into()])
    })?;
    let call = call.ok_or_else(|| Error::internal("no statement to refresh with"))?;
    schema::making(&claim.object, Some(&call), || top_level::run(&call, schema::refuse_overloads))
        .map_err(schema::describe)?;
    transaction(|| {
        let name = format!("SELECT {}::pg_catalog.text", plan::hypertable(&work.cagg, true));
        if let Some(materialized) = spi::value::<String>(&name, &[])? {
            spi::execute(&format!("ANALYZE {materialized}"), &[])?;
        }
        tasks::done(claim.id, &Outcome::default())
    })
}

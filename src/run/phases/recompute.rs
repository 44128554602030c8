//! Continuous aggregates that are made anew: refreshed over their whole range, when all that
//! they read is there.

use crate::core::plan::{self, Phase, Recompute, Task};
use crate::error::{Error, Result};
use crate::pg::rights::{self, Author};
use crate::pg::{catch::transaction, spi, top_level};
use crate::run::crew::Crew;
use crate::run::messages;
use crate::run::tasks::{self, Claim, Outcome};
use crate::target::{context, overloads};
use pgrx::pg_sys::Oid;

/// Works level by level. On a resume, what was refreshed before anything was copied again is
/// refreshed again.
pub fn all(run: i64, crew: &mut Crew, levels: &[Vec<Task>]) -> Result<()> {
    transaction(|| spi::execute(include_str!("../../../sql/run/forget_refreshes.sql"), &[run.into()]).map(drop))?;
    for (number, tasks) in levels.iter().enumerate() {
        transaction(|| {
            let known: Vec<String> = spi::json_rows(
                "SELECT to_json(object)::text FROM timescale_migrate.task_log WHERE run = $1 AND phase = 'recompute'",
                &[run.into()],
            )?;
            let new: Vec<Task> = tasks.iter().filter(|task| !known.contains(&task.object)).cloned().collect();
            tasks::add(run, &new)
        })?;
        crew.work(Phase::Recompute)?;
        // With on_error => 'continue': what reads one that failed has to wait for it.
        if tasks::standing(run, Phase::Recompute)?.1.iter().any(|failure| failure.phase == Phase::Recompute) {
            break;
        }
        messages::notice(run, &format!("continuous aggregates of level {} are refreshed", number + 1))?;
    }
    Ok(())
}

/// A refresh commits on its way; one that was interrupted begins anew.
pub fn perform(claim: &Claim, work: &Recompute) -> Result<()> {
    let (schema, name) = (work.cagg.schema.clone(), work.cagg.name.clone());
    let call = transaction(|| {
        spi::value::<String>("SELECT timescale_migrate.begin_refresh($1, $2)", &[schema.into(), name.into()])
    })?;
    let owner = "SELECT relowner FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)";
    let author = transaction(|| Ok(spi::value::<Oid>(owner, &[work.cagg.to_string().into()])?.and_then(Author::of)))?;
    let call = call.ok_or_else(|| Error::internal("no statement to refresh with"))?;
    // TimescaleDB runs the aggregate's query with the caller's rights.
    let own = || rights::written_by(None, overloads::refuse_overloads);
    let refresh = || rights::written_by(author, || top_level::run(&call, own));
    context::making(&claim.object, Some(&call), refresh).map_err(context::describe)?;
    transaction(|| {
        let name = format!("SELECT {}::pg_catalog.text", plan::hypertable(&work.cagg, true));
        if let Some(materialized) = spi::value::<String>(&name, &[])? {
            spi::execute(&format!("ANALYZE {materialized}"), &[])?;
        }
        tasks::done(claim.id, Outcome::default())
    })
}

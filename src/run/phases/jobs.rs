//! The end of a migration: the database's own settings, policies, jobs and event triggers.

use crate::core::archive::Group;
use crate::core::options::{Connections, Mode};
use crate::core::plan::Phase;
use crate::core::progress::counted;
use crate::error::Result;
use crate::pg::catch::transaction;
use crate::run::migration::Migration;
use crate::run::{messages, state};
use crate::target::database::{self, Database};
use crate::target::{compression, context, jobs, made};

/// The last transaction: from its commit on this database lives by itself, and the run is done.
pub fn finish(migration: &Migration, database: &Database) -> Result<()> {
    let (run, options) = (migration.run(), migration.options());
    state::enter(run, Phase::Jobs)?;
    transaction(|| {
        let before = made::database_before(run)?.filter(|_| options.connections == Connections::Refuse);
        if migration.inventory.selection.only.is_some() || migration.adoption.is_some() {
            // A part of a database changes nothing about the database that it comes into.
            before.as_ref().map_or(Ok(()), database::open)?;
        } else {
            for warning in database::make(database.clone(), before.as_ref(), options)? {
                messages::warn_here(run, &warning)?;
            }
        }
        if let Some(notice) = database::hidden_functions()? {
            messages::notice_here(run, &format!("run {run}: {notice}"))?;
        }
        compression::enable_late(&migration.inventory)?;
        for warning in jobs::make(run, &migration.inventory, &migration.maker, options.pauses())? {
            messages::warn_here(run, &warning)?;
        }
        if migration.adoption.is_some() && jobs::starts_schema(options) {
            jobs::start_of_schema()?;
        }
        // Without rows, none is to run yet.
        if options.mode != Mode::Schema {
            for (of, jobs) in jobs::paused()? {
                let (are, them) = if jobs.len() == 1 { ("is", "it") } else { ("are", "them") };
                let jobs = counted(jobs.len(), "job");
                let message = format!(
                    "run {run}: {jobs} of run {of} {are} still paused; call migrate_start_jobs({of}) to start {them}"
                );
                messages::notice_here(run, &message)?;
            }
        }
        for entry in migration.contents.group(Group::Last) {
            if let Some(warning) = migration.maker.make(entry, &migration.contents)? {
                messages::warn_here(run, &warning)?;
            }
        }
        migration.count_chunks()?;
        state::finish(run)
    })
    .map_err(context::describe)
}

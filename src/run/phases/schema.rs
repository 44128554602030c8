//! Everything that has to be there before the rows.

use crate::core::archive::Group;
use crate::core::name::Name;
use crate::core::options::{Connections, Options, Roles};
use crate::core::plan::Phase;
use crate::error::Result;
use crate::pg::catch::transaction;
use crate::run::migration::Migration;
use crate::run::pieces::{self, Piece};
use crate::run::{adoption, messages, state};
use crate::source::snapshot::Keeper;
use crate::target::database::{self, Database};
use crate::target::{caggs, compression, hypertables, made, roles};
use std::collections::HashSet;

/// Roles, then everything that has to be there before the rows. Returns what the source's
/// database itself is, for the run's end.
pub fn make(migration: &Migration, keeper: &mut Keeper, early: &HashSet<Name>) -> Result<Database> {
    let (id, options) = (migration.run(), migration.options());
    close(id, options)?;
    let database = database::read(&mut keeper.connection)?;
    if let Some(adoption) = &migration.adoption {
        // Also what is new on the source since an earlier start.
        transaction(|| adoption::adopt(id, &adoption.arrivals))?;
        state::step(id, Phase::Schema.name(), || Ok(()))?;
        return Ok(database);
    }
    let mut all = Vec::new();
    if options.roles != Roles::None {
        let roles = transaction(|| roles::needed(&mut keeper.connection, &migration.inventory, options))?;
        let passwords = roles::passwords(&mut keeper.connection, migration.inventory.server.superuser)?;
        let make = move || roles::make(id, &roles, &passwords, options);
        match state::step_done(id, Phase::Schema.name())? {
            // New on the source since then, even if nothing else is.
            true => {
                transaction(|| made::entering(id, make)?.iter().try_for_each(|text| messages::warn_here(id, text)))?
            }
            false => all.push(Piece::new(None, make)),
        }
    }
    all.extend(migration.entries(Group::PreData));
    for root in migration.inventory.hypertables.iter().filter(|h| h.cagg.is_none()) {
        all.push(Piece::new(root.made_as(), || hypertables::make(root, &migration.maker).map(|()| Vec::new())));
    }
    for cagg in &migration.inventory.caggs {
        all.push(Piece::new(cagg.made_as(), || caggs::make(cagg, &migration.maker).map(|()| Vec::new())));
    }
    all.extend(migration.entries(Group::OnProvided));
    all.push(Piece::new(None, move || {
        compression::enable(&migration.inventory, |name| early.contains(name))?;
        hypertables::enable_chunk_skipping(&migration.inventory)?;
        Ok(Vec::new())
    }));
    migration.make_pieces(Phase::Schema.name(), all, || pieces::settle(id, &migration.digests))?;
    Ok(database)
}

/// From here on only superusers see what is made, unless the options say otherwise.
fn close(id: i64, options: &Options) -> Result<()> {
    state::enter(id, Phase::Schema)?;
    // By itself: what else is made in the same transaction could not be cancelled meanwhile.
    transaction(|| {
        made::keep_database(id)?;
        if options.connections == Connections::Allow {
            return Ok(());
        }
        let until = "only superusers may connect to this database until the run is done or removed";
        messages::notice_here(id, &format!("run {id}: {until}"))?;
        database::close()
    })?;
    if options.connections == Connections::Refuse {
        transaction(database::refuse_sessions)?;
    }
    Ok(())
}

//! Large objects.

use crate::core::plan::Phase;
use crate::error::{Error, Result};
use crate::pg::catch::transaction;
use crate::run::migration::Migration;
use crate::run::state;
use crate::source::snapshot::Keeper;
use crate::target::{large_objects, made};

/// All of them, in place of those that an earlier start has brought: whether the source has
/// written to one since, nothing tells.
pub fn carry(migration: &Migration, keeper: &mut Keeper) -> Result<()> {
    if !migration.inventory.selection.has_large_objects() {
        return Ok(());
    }
    let (run, source) = (migration.run(), &mut keeper.connection);
    state::enter(run, Phase::LargeObjects)?;
    while transaction(|| large_objects::remove(run, migration.locks))? > 0 {
        state::checkpoint(run)?;
    }
    let objects = large_objects::read(source)?;
    if objects.is_empty() {
        return Ok(());
    }
    let about = |error: Error| error.about("large objects");
    transaction(|| made::entering(run, || large_objects::make(&objects))).map_err(about)?;
    for batch in objects.chunks(migration.locks as usize) {
        state::checkpoint(run)?;
        transaction(|| large_objects::fill(source, batch, migration.options())).map_err(about)?;
    }
    Ok(())
}

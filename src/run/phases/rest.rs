//! What of the schema follows the rows, and what users have put on materialization hypertables.

use crate::core::archive::Group;
use crate::core::plan::Phase;
use crate::error::Result;
use crate::run::migration::Migration;
use crate::run::pieces::Piece;
use crate::target::caggs;

/// Both, in this order.
pub fn make(migration: &Migration) -> Result<()> {
    migration.make(Phase::Rest, Group::Rest)?;
    let own = |cagg| Piece::new(None, move || Ok(caggs::set_own(cagg)?.into_iter().collect()));
    let caggs = &migration.inventory.caggs;
    let own = caggs.iter().filter(|cagg| cagg.spec["own"].as_object().is_some_and(|own| !own.is_empty())).map(own);
    migration.make_pieces("materialization hypertables", own.collect(), || Ok(()))
}

//! What of the schema follows the rows, and what users have put on materialization hypertables and, as
//! triggers and valid CHECK constraints, on chunks.

use crate::core::archive::Group;
use crate::core::plan::Phase;
use crate::error::Result;
use crate::pg::{catch::transaction, spi};
use crate::run::messages;
use crate::run::migration::Migration;
use crate::run::pieces::Piece;
use crate::target::{caggs, context, hypertables};

/// All, in this order.
pub fn make(migration: &Migration) -> Result<()> {
    migration.make(Phase::Rest, Group::Rest)?;
    let own = |cagg| Piece::new(None, move || Ok(caggs::set_own(cagg)?.into_iter().collect()));
    let caggs = &migration.inventory.caggs;
    let own = caggs.iter().filter(|cagg| cagg.spec["own"].as_object().is_some_and(|own| !own.is_empty())).map(own);
    migration.make_pieces("materialization hypertables", own.collect(), || Ok(()))?;
    chunks(migration.spec.run)
}

/// What chunks have that is not their hypertable's and follows the rows: triggers and valid CHECKs, each
/// chunk's in a transaction of its own; again where a chunk was copied again.
fn chunks(run: i64) -> Result<()> {
    let chunks: Vec<(u32, String, Option<serde_json::Value>)> =
        transaction(|| spi::json_rows(include_str!("../../../sql/run/chunk_triggers.sql"), &[run.into()]))?;
    for (chunk, name, triggers) in chunks {
        transaction(|| match hypertables::set_chunk_triggers(chunk.into(), &name, triggers.as_ref())? {
            Some(lost) => messages::warn_here(run, &lost),
            None => Ok(()),
        })
        .map_err(context::describe)?;
    }
    let checks: Vec<(u32, String, String)> =
        transaction(|| spi::json_rows(include_str!("../../../sql/run/valid_checks.sql"), &[run.into()]))?;
    for (chunk, name, check) in checks {
        transaction(|| hypertables::validate_check(chunk.into(), &name, &check)).map_err(context::describe)?;
    }
    Ok(())
}

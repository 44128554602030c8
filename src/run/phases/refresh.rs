//! PostgreSQL's own materialized views.

use crate::core::name::literal;
use crate::core::plan::Phase;
use crate::error::{Result, SqlState};
use crate::pg::{catch::transaction, spi};
use crate::run::migration::Migration;
use crate::run::{messages, state};
use crate::target::{roles, schema};

/// Refreshes those that hold data on the source, one after the other. One that fails is a warning:
/// it may read what only its users reach, such as another server.
pub fn all(migration: &Migration) -> Result<()> {
    let is_here = migration.adoption.is_some();
    let refreshes = schema::refreshes(&migration.contents, &migration.inventory, is_here);
    if !refreshes.is_empty() {
        state::enter(migration.run(), Phase::Refresh)?;
    }
    for (name, statement) in refreshes {
        state::checkpoint(migration.run())?;
        let mut warnings = Vec::new();
        let refreshed = transaction(|| {
            let defaults = &migration.inventory.server.defaults;
            // Not every server has the names of all.
            let zone = format!("SET LOCAL timezone = {}", literal(&defaults.timezone));
            roles::attempt(&zone, &mut warnings, "materialized views are refreshed in UTC")?;
            spi::set_local("datestyle", &defaults.datestyle)?;
            spi::set_local("intervalstyle", &defaults.intervalstyle)?;
            spi::execute(&statement, &[]).map(drop)
        });
        for warning in warnings {
            messages::warn(migration.run(), &warning)?;
        }
        match refreshed {
            Err(error) if error.is_transient() || error.code == SqlState::QUERY_CANCELED => {
                return Err(error.about(format!("materialized view {}", name.shown())));
            }
            // It may read what only its users reach, as another server: no reason to end here.
            Err(error) => {
                let message = format!("materialized view {} could not be refreshed: {error}", name.shown());
                messages::warn(migration.run(), &message)?;
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

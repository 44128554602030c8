//! Checks of what servers have a limited number of: locks and transaction ids.

use super::{Report, Status, queries};
use crate::catalog::{Catalog, Local};
use crate::core::inventory::{Inventory, Server};
use crate::core::options::Options;
use crate::core::plan::analyze;
use crate::error::Result;
use crate::libpq::Connection;

/// The distance from 2^31 at which the server itself begins to warn (varsup.c).
const IDS_LEFT: i64 = 40_000_000;

/// On the source pg_dump locks all tables that are no chunks at once, and all else is locked one by
/// one. On the target no more than one hypertable at once is locked, for its statistics.
pub(super) fn locks(report: &mut Report, inventory: &Inventory, target: &Server, options: &Options) {
    let tables = inventory.tables().count() as i64;
    let (there, here) = (inventory.server.lock_capacity(), target.lock_capacity());
    if tables > there {
        report.add(
            "locks",
            Status::Error,
            format!("{tables} tables"),
            format!("the source's lock table holds {there} locks"),
            format!(
                "ALTER SYSTEM SET max_locks_per_transaction = {}; -- on the source, and restart it",
                // Others need some as well.
                tables * 5 / 4 / inventory.server.lock_holders().max(1) + 1
            ),
        );
    }
    for root in &inventory.hypertables {
        let chunks = inventory.chunks_of(root).count() as i64;
        if analyze::whole(chunks, target, options.jobs) == analyze::Whole::LeftOut {
            let name = root.known_as();
            let (detail, hint) = analyze::left_out(&name, chunks, target);
            report.add("locks", Status::Warning, format!("hypertable {}", name.shown()), detail, hint);
        }
    }
    report.settle(
        "locks",
        inventory.summed_up(),
        format!("the source's lock table holds {there} locks, the target's {here}"),
    );
}

/// A run's snapshot keeps VACUUM from freezing; near the wrap-around a server stops.
pub(super) fn wraparound(report: &mut Report, source: &mut Connection) -> Result<()> {
    let text = queries::TRANSACTION_IDS;
    for (side, rows) in [("source", source.ask(text)?), ("target", Local.ask(text)?)] {
        for (kind, database, age, forced) in rows as Vec<(String, String, i64, i64)> {
            let left = (1 << 31) - age;
            let status = match () {
                _ if left < IDS_LEFT => Status::Error,
                _ if age > forced => Status::Warning,
                _ => continue,
            };
            report.add(
                "wraparound",
                status,
                format!("database {database} on the {side}"),
                format!(
                    "the age of its oldest {kind} is {age}, and the server refuses commands before it reaches {}",
                    1i64 << 31
                ),
                "VACUUM (FREEZE); -- in that database, before the run, whose snapshot prevents it",
            );
        }
    }
    report.settle("wraparound", "all databases", "have transaction ids left on both sides");
    Ok(())
}

//! ANALYZE. What TimescaleDB does for a hypertable in one statement is shared out: the chunks
//! in batches, which are entered once they are there (`sql/run/analyze_batches.sql`), and
//! the root with its statistics over all chunks.

use super::{Phase, Target, Task, hypertable, sql};
use crate::core::arrival::Way;
use crate::core::inventory::{Chunk, Hypertable, Inventory, Server};
use crate::core::name::Name;
use std::collections::HashSet;

/// What ANALYZE reads at most of whatever it is given, with the default statistics target.
const SAMPLE: i64 = 30_000 * 8192;

/// How the statistics over all chunks are gathered, for which one transaction locks them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    Freely,
    /// Not beside another hypertable of this kind.
    Alone,
    LeftOut,
}

/// One transaction may fill half of the lock table, all the others together the other half.
pub fn whole(chunks: i64, server: &Server, jobs: u16) -> Whole {
    match chunks {
        _ if chunks > server.lock_share(1) => Whole::LeftOut,
        _ if chunks > server.lock_share(jobs) => Whole::Alone,
        _ => Whole::Freely,
    }
}

/// Why the statistics over all chunks of a hypertable are left out, and what to do.
pub fn left_out(root: &Name, chunks: i64, server: &Server) -> (String, String) {
    let detail = format!(
        "its {chunks} chunks are analyzed one by one, but not together, because they would take more than half of the {} \
         locks that max_locks_per_transaction makes room for",
        server.lock_capacity()
    );
    (detail, format!("ANALYZE {root}; -- after the run; or raise max_locks_per_transaction on the target"))
}

/// A task for every table and for every hypertable's root. Those in `extended`, by their OIDs, get extended statistics, which have to
/// be there.
pub fn tasks(inventory: &Inventory, target: &Target, jobs: u16, extended: &HashSet<u32>) -> Vec<Task> {
    let early = |task: Task, oid: u32, phase: Phase| if extended.contains(&oid) { task } else { task.beside(phase) };
    let way = |oid| target.arrivals.as_ref().map(|arrivals| arrivals.get(&oid).map(|arrival| arrival.way));
    let tables = inventory.plain_tables().filter(|table| way(table.oid) != Some(None)).map(|table| {
        let name = table.qualified();
        let statement = format!("ANALYZE {name}");
        early(sql(Phase::Analyze, name, inventory.size(table.oid).bytes, statement), table.oid, Phase::Index)
    });
    let root = |root: &Hypertable| {
        let whole = whole(inventory.chunks_of(root).count() as i64, &target.server, jobs);
        if whole == Whole::LeftOut {
            return None;
        }
        let (name, alone) = (root.known_as(), whole == Whole::Alone);
        let add = |sum: i64, chunk: &Chunk| sum.saturating_add(inventory.size(chunk.oid).bytes);
        let bytes = inventory.chunks_of(root).fold(0, add).min(SAMPLE);
        let statement = match way(root.oid) {
            Some(None) => return None,
            Some(Some(Way::Flat)) => format!("ANALYZE {name}"),
            own => {
                // How many chunks TimescaleDB makes is not known yet.
                let alone = alone || root.is_converted() || own == Some(Some(Way::Routed));
                let (of, itself) = (hypertable(&name, root.cagg.is_some()), target.server.analyzes_only());
                format!("SELECT timescale_migrate.analyze_root({of}, {alone}, {itself})")
            }
        };
        Some(early(sql(Phase::Analyze, name, bytes, statement), root.oid, Phase::ForeignKey))
    };
    tables.chain(inventory.hypertables.iter().filter_map(root)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_locks_than_there_are() {
        // The defaults: 64 locks for each of 100 connections.
        let seed = include_str!("../../../pg_test/fuzz/seeds/catalog/plain");
        let server: Server = serde_json::from_str(seed.lines().next().unwrap()).unwrap();
        assert_eq!(whole(800, &server, 4), Whole::Freely);
        assert_eq!(whole(801, &server, 4), Whole::Alone);
        assert_eq!(whole(3200, &server, 4), Whole::Alone);
        assert_eq!(whole(3201, &server, 4), Whole::LeftOut);
    }
}

//! ANALYZE. What TimescaleDB does for a hypertable in one statement is shared out: the chunks
//! in batches, which are entered once they are there (`sql/target/analyze_copied.sql`), and
//! the root with its statistics over all chunks.

use super::inventory::{Hypertable, Inventory};
use super::plan::{Stage, Target, Task, hypertable, sql};

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
pub fn whole(chunks: i64, capacity: i64, jobs: u16) -> Whole {
    match capacity / 2 {
        half if chunks > half => Whole::LeftOut,
        half if chunks > half / i64::from(jobs) => Whole::Alone,
        _ => Whole::Freely,
    }
}

/// A task for every table and for every hypertable's root.
pub fn tasks(inventory: &Inventory, target: &Target, jobs: u16) -> Vec<Task> {
    let tables = inventory.plain_tables().map(|table| {
        let name = table.qualified();
        sql(Stage::Analyze, name.shown(), table.bytes, vec![format!("ANALYZE {name}")])
    });
    let root = |root: &Hypertable| {
        let whole = whole(inventory.chunks_of(root).count() as i64, target.server.lock_capacity(), jobs);
        if whole == Whole::LeftOut {
            return None;
        }
        let (name, alone) = (root.known_as(), whole == Whole::Alone);
        let statement =
            format!("SELECT timescale_migrate.analyze_root({}, {alone})", hypertable(&name, root.cagg.is_some()));
        let bytes: i64 = inventory.chunks_of(root).map(|chunk| chunk.bytes).sum();
        Some(sql(Stage::Analyze, name.shown(), bytes.min(SAMPLE), vec![statement]))
    };
    tables.chain(inventory.hypertables.iter().filter_map(root)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_locks_than_there_are() {
        // The defaults: 64 locks for each of 100 connections.
        assert_eq!(whole(800, 6400, 4), Whole::Freely);
        assert_eq!(whole(801, 6400, 4), Whole::Alone);
        assert_eq!(whole(3200, 6400, 4), Whole::Alone);
        assert_eq!(whole(3201, 6400, 4), Whole::LeftOut);
    }
}

//! Checks of what may run out: disk space, locks, transaction ids.

use super::{Report, Status, queries};
use crate::catalog::{Catalog, Local};
use crate::core::inventory::{Inventory, Server};
use crate::core::options::{Disk, Keep, Options};
use crate::core::plan::analyze;
use crate::core::progress::size;
use crate::error::Result;
use crate::libpq::Connection;
use crate::pg::{disk, spi};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// A tablespace's name; none is the database's own.
type Place = Option<String>;

/// The distance from 2^31 at which the server itself begins to warn (varsup.c).
const IDS_LEFT: i64 = 40_000_000;

const SPACE: &str = include_str!("../../../sql/preflight/space.sql");

/// How much space the source's relations take.
pub(super) fn query(inventory: &Inventory, options: &Options) -> String {
    if options.is_whole() { SPACE.to_string() } else { space_of(inventory) }
}

pub(super) fn disk(
    report: &mut Report,
    source: &mut Connection,
    inventory: &Inventory,
    options: &Options,
    fresh: bool,
) -> Result<()> {
    let paths: HashMap<Place, String> =
        spi::json_rows(include_str!("../../../sql/preflight/tablespaces.sql"), &[])?.into_iter().collect();
    let place = |name: Place| match options.tablespaces {
        Keep::Keep if paths.contains_key(&name) => name,
        _ => None,
    };
    let mut needed: BTreeMap<Place, i64> = BTreeMap::new();
    let mut add = |place, bytes| {
        let sum = needed.entry(place).or_default();
        *sum = sum.saturating_add(bytes);
    };
    source
        .ask::<(Place, i64)>(&query(inventory, options))?
        .into_iter()
        .for_each(|(name, bytes)| add(place(name), bytes));
    if !fresh {
        Local.ask::<(Place, i64)>(SPACE)?.into_iter().for_each(|(name, bytes)| add(name, -bytes));
    }
    // Tablespaces may share a file system.
    let mut systems: BTreeMap<u64, (&str, u64, u64)> = BTreeMap::new();
    for (name, bytes) in needed {
        let Some(path) = paths.get(&name) else { continue };
        match disk::of(Path::new(path)) {
            Ok(system) => {
                let sum = &mut systems.entry(system.device).or_insert((path, system.free, 0)).2;
                *sum = sum.saturating_add(bytes.max(0) as u64);
            }
            Err(error) => report.add("disk", Status::Warning, path, format!("its free space is unknown: {error}"), ""),
        }
    }
    for (path, free, bytes) in systems.into_values() {
        let status = match () {
            // The option cannot be changed on a resume.
            _ if free < bytes && fresh && options.disk == Disk::Check => Status::Error,
            // Temporary files and the write-ahead log need some as well.
            _ if free < bytes.saturating_add(bytes / 4) => Status::Warning,
            _ => Status::Ok,
        };
        let hint = match status {
            Status::Error => {
                "Make room, or set the option \"disk\": \"ignore\": less is needed if tables are bloated on the source, or if the file system compresses."
            }
            Status::Warning => "Make room, or watch the run; after a full disk it can be resumed.",
            Status::Ok => "",
        };
        report.add("disk", status, path, format!("about {} are needed, {} are free", size(bytes), size(free)), hint);
    }
    Ok(())
}

/// As `space.sql`, of the relations whose rows are copied.
fn space_of(inventory: &Inventory) -> String {
    let chunks = inventory.of_chunks();
    let converted = inventory.hypertables.iter().filter(|root| !inventory.selection.is_empty(root.oid));
    let converted = converted.flat_map(|root| root.tables.iter().copied());
    let tables = inventory.filled_tables().map(|table| table.oid).chain(converted);
    let oids: BTreeSet<u32> = tables.chain(chunks.values().flatten().map(|relation| relation.oid)).collect();
    // In order: this is asked by the text that was sent ahead.
    let oids: Vec<String> = oids.iter().map(u32::to_string).collect();
    include_str!("../../../sql/preflight/space_of.sql").replace(":oids::", &format!("'{{{}}}'::", oids.join(",")))
}

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
            report.add(
                "locks",
                Status::Warning,
                format!("hypertable {}", root.known_as().shown()),
                format!(
                    "its {chunks} chunks are analyzed one by one, but not together, because they would take more than half \
                     of the {here} locks that max_locks_per_transaction makes room for"
                ),
                format!("ANALYZE {}; -- after the run; or raise max_locks_per_transaction on the target", root.known_as()),
            );
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

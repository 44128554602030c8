//! The check of disk space on the target.

use super::{Report, Status};
use crate::catalog::{Catalog, Local};
use crate::core::inventory::{Hypertable, Inventory};
use crate::core::options::{Disk, Keep, Options};
use crate::core::progress::size;
use crate::error::Result;
use crate::libpq::Connection;
use crate::pg::{disk, spi};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// A tablespace's name; none is the database's own.
type Place = Option<String>;

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
    uncompressed(inventory).for_each(|(name, bytes)| add(place(name), bytes));
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

/// What chunks take more than on the source whose compressed rows go to other chunks: these are compressed when all have
/// arrived.
fn uncompressed(inventory: &Inventory) -> impl Iterator<Item = (Place, i64)> {
    let compressed = inventory.compressed();
    let more = move |hypertable: &Hypertable| {
        let chunks = inventory.chunks_of(hypertable).filter_map(|chunk| compressed.get(&chunk.oid));
        let sizes = chunks.filter_map(|chunk| serde_json::from_str::<Value>(chunk.spec.sizes.as_deref()?).ok());
        let sum = |sizes: &Value, what: &str| {
            let fields = ["heap", "toast", "index"].map(|part| sizes[format!("{what}_{part}_size")].as_i64());
            fields.into_iter().flatten().sum::<i64>()
        };
        let more = sizes.map(|sizes| sum(&sizes, "uncompressed") - sum(&sizes, "compressed")).sum::<i64>();
        (more > 0).then(|| (hypertable.tablespaces.first().cloned(), more))
    };
    inventory.hypertables.iter().filter(|hypertable| hypertable.is_converted()).filter_map(more)
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

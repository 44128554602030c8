//! Decisions about whole inventories, as tables of cases. The inventories are the documents that
//! fuzzing begins with, changed for each case.

mod again;
mod arrival;
mod compression;
mod conversion;
mod copies;
mod scan;
mod scope;
mod selection;
mod statements;

use super::inventory::{Cagg, Compression, Hypertable, Inventory, Server, Size};
use super::plan::Target;
use serde::de::DeserializeOwned;
use serde_json::Value;

const PLAIN: &str = include_str!("../../../pg_test/fuzz/seeds/catalog/plain");
const HYPERTABLE: &str = include_str!("../../../pg_test/fuzz/seeds/catalog/hypertable");
const CAGG: &str = include_str!("../../../pg_test/fuzz/seeds/catalog/cagg");

fn row<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("a row of an inventory")
}

/// A document's source and its target: the same server, unless the document has another.
fn read(document: &str) -> (Inventory, Target) {
    let mut lines = document.lines();
    let server: Server = row(lines.next().expect("a server"));
    let mut target =
        Target { server: server.clone(), collations: Vec::new(), tablespaces: Default::default(), arrivals: None };
    let mut source = Inventory::new(server);
    for (kind, json) in lines.map(|line| line.split_at(1)) {
        match kind {
            "r" => source.relations.push(row(json)),
            "h" => source.hypertables.push(Hypertable { spec: row(json), ..row(json) }),
            "c" => source.chunks.push(row(json)),
            "a" => source.caggs.push(Cagg { spec: row(json), ..row(json) }),
            "m" => source.compressions.push(Compression { spec: row(json), ..row(json) }),
            "k" => source.compressed_chunks.push(row(json)),
            "s" => source.skipping.push(row(json)),
            "l" => source.collations.push(row(json)),
            "L" => target.collations.push(row(json)),
            "x" => source.excluded.push(row(json)),
            "t" => target.server = row(json),
            "z" => {
                let (oid, pages, bytes, rows) = row(json);
                source.sizes.insert(oid, Size { pages, bytes, rows });
            }
            _ => {}
        }
    }
    (source, target)
}

/// Sets the version of TimescaleDB.
fn version(server: &mut Server, version: &str) {
    server.timescaledb.as_mut().expect("TimescaleDB").version = version.to_string();
}

/// A job of a hypertable or continuous aggregate.
fn job(fields: Value) -> Value {
    let mut job = serde_json::json!({
        "id": 1000, "application_name": "Job [1000]", "schedule_interval": "1 day", "proc_schema": "public", "proc_name": "p",
        "kind": "user", "hypertable": null,
    });
    if let (Some(job), Value::Object(fields)) = (job.as_object_mut(), fields) {
        job.extend(fields);
    }
    job
}

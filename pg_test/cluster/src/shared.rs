//! The servers that all tests share: each is started by the first test that asks for it.

use crate::cluster::{Cluster, of_edition};
use crate::edition::{Edition, postgres_15};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

static SHARED: Mutex<BTreeMap<&str, Arc<Cluster>>> = Mutex::new(BTreeMap::new());

fn shared(name: &'static str, start: impl FnOnce() -> Cluster) -> Arc<Cluster> {
    let mut servers = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    servers.entry(name).or_insert_with(|| Arc::new(start())).clone()
}

pub fn shared_source(edition: Edition) -> Arc<Cluster> {
    match edition {
        Edition::Apache => shared("Apache source", || of_edition(edition, &[])),
        Edition::Community => shared("Community source", || of_edition(edition, &[])),
        Edition::Next => shared("Next source", || of_edition(edition, &[])),
        Edition::Previous => shared("Previous source", || of_edition(edition, &[])),
    }
}

pub fn shared_target(edition: Edition) -> Arc<Cluster> {
    match edition {
        Edition::Apache => shared("Apache target", || of_edition(edition, &[])),
        Edition::Community => shared("Community target", || of_edition(edition, &[])),
        Edition::Next => shared("Next target", || of_edition(edition, &[])),
        Edition::Previous => panic!("a source only"),
    }
}

pub fn shared_postgres_15() -> Arc<Cluster> {
    let bindir = postgres_15().expect("no PostgreSQL 15");
    shared("PostgreSQL 15", || Cluster::start(&bindir, &[("shared_preload_libraries", "")]))
}

pub fn shared_servers() -> Vec<Arc<Cluster>> {
    SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).values().cloned().collect()
}

/// Stops the shared servers.
pub fn stop_shared() {
    SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clear();
}

//! What the tests with real servers need: servers ([`Cluster`]), databases on them ([`Db`]), a
//! source and a target for one test ([`Pair`]), the comparison of the two ([`assert_same`]), a
//! faulty connection between them ([`proxy`]), and the runner that stops the servers at the end
//! ([`suite`]).

mod cluster;
mod db;
mod edition;
pub mod link;
mod memory;
mod pair;
pub mod proxy;
mod same;
mod shared;
pub mod suite;

pub use cluster::{Cluster, PASSWORD, Stopped, of_edition, of_edition_on_small_disk, signal};
pub use db::{Db, describe, quote};
pub use edition::{Edition, Versions};
pub use memory::Watch;
pub use pair::Pair;
pub use same::{assert_same, assert_same_but, assert_same_rows, differences};
pub use shared::{shared_source, shared_target};

use std::time::{Duration, Instant};

/// Waits until `condition` holds; panics after two minutes with `what` was waited for.
#[track_caller]
pub fn poll(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! Copies into tables that the run did not make.

use super::{CopyTask, Destination, Recipe, Task, Work};
use crate::core::arrival::{Arrivals, Way};
use crate::core::inventory::Slices;
use serde::{Deserialize, Serialize};

/// What a copy has to know of a relation of the target that the run did not make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adopted {
    /// It holds other rows as well: what the copy brings cannot be taken back alone.
    pub shared: bool,
    /// The chunk that is copied into it, by its hypertable's OID and its slices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(u32, Slices)>,
}

impl CopyTask {
    /// Whether what it brings is mixed with other rows, and cannot be taken back.
    pub fn is_shared(&self) -> bool {
        self.adopted.as_ref().is_some_and(|adopted| adopted.shared)
    }

    /// The chunk on the source, by its hypertable's OID and its slices; none of what is no chunk.
    pub fn place(&self) -> Option<(u32, &Slices)> {
        match (&self.destination, &self.adopted) {
            (Destination::Chunk { root, slices, .. }, _) => Some((*root, slices)),
            (_, Some(Adopted { place: Some((root, slices)), .. })) => Some((*root, slices)),
            _ => None,
        }
    }

    /// Whether it goes to where another one went.
    pub fn replaces(&self, other: &CopyTask) -> bool {
        match (self.place(), other.place()) {
            // Tiered chunks of one hypertable do not replace each other.
            (None, None) => {
                let is_of_table = |copy: &CopyTask| {
                    copy.adopted.is_some()
                        || copy.destination.is_converted()
                        || matches!(copy.destination, Destination::Table(_))
                };
                is_of_table(self) && is_of_table(other) && self.destination.table() == other.destination.table()
            }
            (here, there) => here == there,
        }
    }
}

/// Lets copies, as they are planned into tables and chunks of the source's form, go to what there is.
/// What has no place on the target is left out.
pub fn redirect(tasks: &mut Vec<Task>, arrivals: &Arrivals) {
    tasks.retain_mut(|task| match &mut task.work {
        Work::Copy(copy) => direct(copy, arrivals),
        _ => true,
    });
}

fn direct(copy: &mut CopyTask, arrivals: &Arrivals) -> bool {
    let (root, place) = match &copy.destination {
        Destination::Table(_) => (copy.source.oid, None),
        Destination::Chunk { root, slices, .. } => (*root, Some((*root, slices.clone()))),
        // Of tiered chunks, which are refused.
        Destination::Routed { .. } => return false,
    };
    let Some(arrival) = arrivals.get(&root) else { return false };
    let name = copy.destination.table().clone();
    let cagg = matches!(copy.destination, Destination::Chunk { cagg: true, .. });
    let mut shared = arrival.keeps;
    match arrival.way {
        Way::Table => {}
        Way::Chunks => {
            if let Destination::Chunk { tablespace, own, .. } = &mut copy.destination {
                (*tablespace, *own) = (None, None);
                // The chunk is the run's own.
                shared = false;
            }
            arrival.unpacked.iter().for_each(|reason| unpack(copy, reason));
        }
        Way::Routed | Way::Flat => {
            shared = true;
            let reason =
                if arrival.way == Way::Flat { "an ordinary table on the target" } else { "other chunks on the target" };
            unpack(copy, reason);
            if matches!(copy.recipe, Recipe::Frozen) {
                copy.recipe = Recipe::Queried { reason: reason.to_string() };
            }
            copy.destination = match arrival.way {
                Way::Flat => Destination::Table(name),
                _ => Destination::Routed { hypertable: name, cagg, buckets: None },
            };
        }
    }
    copy.ranges.clear();
    copy.skipping = false;
    copy.owns_relation &= !shared;
    let place = place.filter(|_| !matches!(copy.destination, Destination::Chunk { .. }));
    copy.adopted = Some(Adopted { shared, place });
    true
}

/// What is compressed arrives as rows.
fn unpack(copy: &mut CopyTask, reason: &str) {
    if matches!(copy.recipe, Recipe::Compressed(_) | Recipe::Recompressed { .. }) {
        copy.recipe = Recipe::Queried { reason: reason.to_string() };
    }
}

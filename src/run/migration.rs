//! A migration at work: what its phases have in common.

use super::adoption::Adoption;
use super::pieces::{self, Piece};
use super::spec::RunSpec;
use super::state;
use crate::core::archive::{Contents, Group};
use crate::core::arrival::Way;
use crate::core::digest::Digests;
use crate::core::inventory::{Hypertable, Inventory};
use crate::core::options::Options;
use crate::core::plan::{self, Phase, Task, analyze};
use crate::error::Result;
use crate::pg::spi;
use crate::target::schema::{self, Maker};
use pgrx::pg_sys::Oid;

/// What the phases of a migration share.
pub struct Migration<'a> {
    pub spec: &'a RunSpec,
    /// What arrives.
    pub inventory: Inventory,
    /// What is done with an existing schema; none if it is made.
    pub adoption: Option<Adoption>,
    pub maker: Maker,
    pub contents: Contents<'a>,
    pub digests: Digests,
    /// How many locks one transaction may take on the target while no worker does, so that the server has
    /// room for others.
    pub locks: i64,
    pub locks_of_a_worker: i64,
}

impl Migration<'_> {
    /// The run's id.
    pub fn run(&self) -> i64 {
        self.spec.run
    }

    /// The options of this start of the run.
    pub fn options(&self) -> &Options {
        &self.spec.options
    }

    /// The tasks that are known before anything is copied.
    pub fn tasks(&self, target: &plan::Target) -> Result<Vec<Task>> {
        let mut tasks = plan::copies(&self.inventory, target, self.options());
        tasks.extend(self.maker.tasks(&self.contents, &self.inventory, target));
        tasks.extend(self.maker.foreign_keys(&self.contents, &self.inventory, target)?);
        let extended = schema::extended(&self.contents);
        tasks.extend(analyze::tasks(&self.inventory, target, self.options().jobs, &extended));
        Ok(tasks)
    }

    /// Enters how many chunks there are, in the current transaction. Those that are not the source's are known only
    /// when the rows have come.
    pub fn count_chunks(&self) -> Result<()> {
        let (inventory, arrivals) = (&self.inventory, self.adoption.as_ref().map(|adoption| &adoption.arrivals));
        let is_other = |h: &&Hypertable| {
            arrivals.and_then(|a| a.get(&h.oid)).is_some_and(|a| matches!(a.way, Way::Routed | Way::Flat))
        };
        let same = inventory.hypertables.iter().filter(|h| !is_other(h) && !h.is_converted());
        let same: usize = same.map(|hypertable| inventory.chunks_of(hypertable).count()).sum();
        let others: Vec<Oid> = match arrivals {
            Some(arrivals) => {
                let routed = arrivals.values().filter(|a| a.way == Way::Routed);
                routed.filter_map(|a| a.relation).map(Oid::from_u32).collect()
            }
            None => {
                let converted = inventory.hypertables.iter().filter(|h| h.is_converted());
                converted.map(|h| spi::relation_oid(&h.qualified().to_string())).collect::<Result<_>>()?
            }
        };
        let arguments = [self.run().into(), (same as i64).into(), others.into()];
        spi::execute(include_str!("../../sql/run/count_chunks.sql"), &arguments).map(drop)
    }

    /// The entries of a group, each as a piece by its name.
    pub fn entries(&self, group: Group) -> impl Iterator<Item = Piece<'_>> {
        self.contents.group(group).iter().map(|entry| {
            let make = || Ok(self.maker.make(entry, &self.contents)?.into_iter().collect());
            Piece::new(self.contents.name(entry).to_string(), make).joined(entry.is_privilege_on_function())
        })
    }

    /// Whether there is anything in a group.
    pub fn has(&self, group: Group) -> bool {
        !self.contents.group(group).is_empty()
    }

    /// A phase that makes a group of entries, one after the other; none if there are no entries.
    pub fn make(&self, phase: Phase, group: Group) -> Result<()> {
        if !self.has(group) {
            return Ok(());
        }
        state::enter(self.run(), phase)?;
        self.make_pieces(phase.name(), self.entries(group).collect(), || Ok(()))
    }

    /// A step, which a resume does not do again; `end` is part of its last transaction.
    pub fn make_pieces(&self, step: &str, all: Vec<Piece>, end: impl Fn() -> Result<()>) -> Result<()> {
        pieces::make(self.run(), step, all, &self.digests, self.locks, end)
    }
}

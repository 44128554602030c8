//! A migration at work: what its phases have in common.

use super::adoption::Adoption;
use super::pieces::{self, Piece};
use super::spec::RunSpec;
use super::state;
use crate::core::archive::{Contents, Digests, Group};
use crate::core::inventory::Inventory;
use crate::core::options::Options;
use crate::core::plan::{self, Phase, Task, analyze};
use crate::error::Result;
use crate::target::schema::{self, Maker};

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
        tasks.extend(self.maker.tasks(&self.contents, &self.inventory));
        tasks.extend(self.maker.foreign_keys(&self.contents, &self.inventory, target)?);
        let extended = schema::extended(&self.contents);
        tasks.extend(analyze::tasks(&self.inventory, target, self.options().jobs, &extended));
        Ok(tasks)
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

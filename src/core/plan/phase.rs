//! The phases of a run: the one list of them, in their order. A run goes through it, and `migrate_plan` sorts by it.

use serde::{Deserialize, Serialize};

/// Who does the work of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The coordinator alone.
    Coordinator,
    /// The workers, a task at a time.
    Workers,
    /// The same; their tasks read the source.
    WorkersFromSource,
}

/// A run is in the first phase that has open tasks. Workers without a task of it look [`Phase::ahead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Start,
    Preflight,
    Schema,
    Recheck,
    Copy,
    Tiered,
    Snapshot,
    Sequences,
    LargeObjects,
    Index,
    Constraint,
    Attach,
    HypertableKey,
    Compression,
    ForeignKey,
    Recompute,
    Rest,
    Refresh,
    Analyze,
    Verify,
    Stopping,
    Publications,
    Jobs,
    Cleanup,
    Done,
}

/// Every phase with its name, who does it and what users are told about it.
pub const PHASES: [(Phase, &str, By, &str); 25] = {
    use By::{Coordinator, Workers, WorkersFromSource};
    [
        (Phase::Start, "start", Coordinator, "The coordinator has been started."),
        (Phase::Preflight, "preflight", Coordinator, "Both servers are checked and the source's catalog is read."),
        (Phase::Schema, "schema", Coordinator, "Roles, tables, hypertables and continuous aggregates are created."),
        (Phase::Recheck, "recheck", WorkersFromSource, "On a resume: finished copies are compared with the source."),
        (Phase::Copy, "copy", WorkersFromSource, "Rows and compressed chunks are copied."),
        (Phase::Tiered, "tiered", WorkersFromSource, "Rows in tiered storage are inserted into their chunks."),
        (Phase::Snapshot, "snapshot", Coordinator, "A later snapshot is taken, for relations that have changed."),
        (Phase::Sequences, "sequences", Coordinator, "Sequences are set to the source's values."),
        (Phase::LargeObjects, "large_objects", Coordinator, "Large objects are copied."),
        (Phase::Index, "index", Workers, "Indexes are built."),
        (Phase::Constraint, "constraint", Workers, "Primary keys, unique and other constraints are added."),
        (Phase::Attach, "attach", Coordinator, "Indexes of partitions are attached to those of their tables."),
        (
            Phase::HypertableKey,
            "hypertable_key",
            Workers,
            "Foreign keys of hypertables, where they must precede compression.",
        ),
        (Phase::Compression, "compression", Workers, "Copied compressed data becomes compressed chunks."),
        (Phase::ForeignKey, "foreign_key", Workers, "All other foreign keys are added and checked."),
        (Phase::Recompute, "recompute", Workers, "With \"caggs\": \"recompute\": continuous aggregates are refreshed."),
        (
            Phase::Rest,
            "rest",
            Coordinator,
            "Triggers, rules, row-level security and whatever else has to follow the rows.",
        ),
        (Phase::Refresh, "refresh", Coordinator, "Materialized views are refreshed."),
        (Phase::Analyze, "analyze", WorkersFromSource, "Statistics are collected."),
        (Phase::Verify, "verify", WorkersFromSource, "Both sides are compared."),
        (Phase::Stopping, "stopping", Coordinator, "Workers finish the tasks that they have."),
        (Phase::Publications, "publications", Coordinator, "Publications are created."),
        (Phase::Jobs, "jobs", Coordinator, "Database settings, policies and jobs, in the last transaction."),
        (Phase::Cleanup, "cleanup", Coordinator, "What a run has made is removed."),
        (Phase::Done, "done", Coordinator, "The run is finished."),
    ]
};

impl Phase {
    /// As in the column `phase` of views and messages.
    pub fn name(self) -> &'static str {
        PHASES[self as usize].1
    }

    /// The phase of that name.
    pub fn parse(name: &str) -> Option<Phase> {
        PHASES.iter().find(|phase| phase.1 == name).map(|phase| phase.0)
    }

    /// Whether workers need a session on the source in this phase.
    pub fn reads_source(self) -> bool {
        PHASES[self as usize].2 == By::WorkersFromSource
    }

    /// Whether a worker takes several small tasks of it at once.
    pub fn shares_transactions(self) -> bool {
        matches!(self, Phase::Copy | Phase::Verify)
    }

    /// The phases after it, in their order.
    pub fn after(self) -> impl Iterator<Item = Phase> {
        PHASES[self as usize + 1..].iter().map(|phase| phase.0)
    }

    /// Whether workers do it when all rows have arrived, and not one phase strictly after the other.
    fn overlaps(self) -> bool {
        use Phase::{Analyze, Compression, Constraint, ForeignKey, HypertableKey, Index, Verify};
        matches!(self, Index | Constraint | HypertableKey | Compression | ForeignKey | Analyze | Verify)
    }

    fn overlapping(self, which: impl Fn(Phase) -> bool) -> Vec<Phase> {
        let all = PHASES.iter().map(|phase| phase.0);
        all.filter(|phase| self.overlaps() && phase.overlaps() && which(*phase)).collect()
    }

    /// The later phases of which workers take tasks when none is left of this one: those that may
    /// be taken [beside](super::Task::beside) it, and whose tables no open task of an earlier phase is about.
    pub fn ahead(self) -> Vec<Phase> {
        self.overlapping(|phase| phase > self)
    }

    /// It and those before it beside which tasks of later ones may be taken.
    pub fn passed(self) -> Vec<Phase> {
        self.overlapping(|phase| phase <= self)
    }

    /// The phases whose open tasks hold back those of this phase that are about the same tables, because
    /// of what they make or lock. A comparison only reads, and may be taken when all rows are where they belong.
    pub fn waits_for(self) -> Vec<Phase> {
        self.overlapping(|phase| phase < self && self != Phase::Verify)
    }

    /// Whether a task of it locks its tables against others like it, for as long as it takes.
    pub fn excludes_others(self) -> bool {
        matches!(self, Phase::HypertableKey | Phase::ForeignKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_the_order_of_the_type() {
        for (place, (phase, name, ..)) in PHASES.iter().enumerate() {
            assert_eq!(*phase as usize, place);
            assert_eq!(serde_json::to_value(phase).unwrap(), *name);
            assert_eq!(Phase::parse(name), Some(*phase));
        }
    }

    #[test]
    fn what_is_looked_ahead_at_waits_for_what_is_before() {
        let overlapping: Vec<Phase> = PHASES.iter().map(|phase| phase.0).filter(|phase| phase.overlaps()).collect();
        for (place, phase) in overlapping.iter().enumerate() {
            assert_eq!(phase.ahead(), &overlapping[place + 1..]);
            assert_eq!(phase.passed(), &overlapping[..=place]);
            assert!(*phase == Phase::Verify || phase.waits_for() == overlapping[..place]);
        }
        // Rows that a comparison counts must not move any more.
        assert!(Phase::ForeignKey.ahead().contains(&Phase::Verify) && Phase::Compression < Phase::ForeignKey);
        assert!(Phase::Verify.waits_for().is_empty());
        for phase in [Phase::Copy, Phase::Attach, Phase::Recompute, Phase::Rest, Phase::Stopping] {
            assert!(phase.ahead().is_empty() && phase.passed().is_empty() && phase.waits_for().is_empty());
        }
    }

    #[test]
    fn the_documents_list_every_phase() {
        let page = include_str!("../../../docs/architecture.md");
        let rows = page.lines().skip_while(|line| *line != "| phase | by | what |").skip(2);
        let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
        let row = |(_, name, by, what): &(Phase, &str, By, &str)| {
            let by = match by {
                By::Coordinator => "coordinator",
                By::Workers => "workers",
                By::WorkersFromSource => "workers, from the source",
            };
            format!("| `{name}` | {by} | {what} |")
        };
        assert_eq!(rows, PHASES.iter().map(row).collect::<Vec<_>>());
    }

    #[test]
    fn the_diagram_has_every_phase_in_its_order() {
        let page = include_str!("../../../docs/architecture.md");
        let diagram = page.split("## Phases").nth(1).and_then(|rest| rest.split("```").nth(1)).unwrap();
        let words = diagram.split(|c: char| !c.is_ascii_alphabetic() && c != '_').filter_map(Phase::parse);
        let of_a_migration = PHASES.iter().map(|phase| phase.0).filter(|phase| *phase != Phase::Cleanup);
        assert_eq!(words.collect::<Vec<_>>(), of_a_migration.collect::<Vec<_>>());
    }
}

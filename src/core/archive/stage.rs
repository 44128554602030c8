//! The phase of a migration in which an entry is run.

use super::{Entry, Section};

/// In the order in which they are run, `Skip` apart. The rows arrive after `PreData`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    PreData,
    /// What of `PreData` needs something that is provided, once that is there; then the privileges on schemas.
    OnProvided,
    Index,
    Constraint,
    /// The indexes of partitions become parts of the partitioned table's index.
    Attach,
    ForeignKey,
    /// One by one, in pg_restore's order: extended statistics, rules, triggers, policies, row
    /// security, comments, security labels, what pg_dump postponed; then all other privileges.
    Rest,
    /// Publications: what is in one cannot be updated or deleted from without a replica identity,
    /// and a subscriber is not to see the run at work.
    Publication,
    /// Event triggers: any sooner, they would meddle with what the run still makes.
    Last,
    /// Not run from the archive: its own settings, the database as a whole, data (large objects
    /// included), subscriptions.
    Skip,
}

impl Stage {
    /// All that is run, in order.
    pub const MADE: [Stage; 9] = [
        Stage::PreData,
        Stage::OnProvided,
        Stage::Index,
        Stage::Constraint,
        Stage::Attach,
        Stage::ForeignKey,
        Stage::Rest,
        Stage::Publication,
        Stage::Last,
    ];
}

/// pg_restore runs an archive in three passes; triggers have one of their own here, because
/// TimescaleDB makes them on each chunk as the hypertable's owner, who needs the privileges. Privileges come late so that they cannot hinder
/// the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pass {
    Main,
    Privileges,
    Triggers,
}

impl Entry {
    /// By its kind alone; `plan` moves it back where it depends on something later.
    pub(super) fn stage(&self) -> Stage {
        match self.desc.as_str() {
            "ENCODING" | "STDSTRINGS" | "SEARCHPATH" => Stage::Skip,
            "DATABASE" | "DATABASE PROPERTIES" => Stage::Skip,
            "SUBSCRIPTION" | "SUBSCRIPTION TABLE" => Stage::Skip,
            "BLOB" | "BLOB METADATA" | "BLOBS" | "BLOB COMMENTS" => Stage::Skip,
            // These two may stand in the post-data section.
            "MATERIALIZED VIEW DATA" | "STATISTICS DATA" => Stage::Skip,
            _ if self.section == Section::Data => Stage::Skip,
            _ if self.section == Section::PreData => Stage::PreData,
            "INDEX" => Stage::Index,
            "CONSTRAINT" | "CHECK CONSTRAINT" => Stage::Constraint,
            "INDEX ATTACH" => Stage::Attach,
            "FK CONSTRAINT" => Stage::ForeignKey,
            _ if self.is_annotation() && self.is_on(&["DATABASE ", "SUBSCRIPTION ", "LARGE OBJECT"]) => Stage::Skip,
            "PUBLICATION" | "PUBLICATION TABLE" | "PUBLICATION TABLES IN SCHEMA" => Stage::Publication,
            "EVENT TRIGGER" => Stage::Last,
            // Of what users wrote, code runs with their rights as soon as rows come in: it has to find what it names.
            "ACL" if self.is_on(&["SCHEMA "]) => Stage::OnProvided,
            _ if self.is_annotation() && self.is_on(&["EVENT TRIGGER "]) => Stage::Last,
            _ => Stage::Rest,
        }
    }

    pub(super) fn pass(&self) -> Pass {
        match self.desc.as_str() {
            "ACL" | "DEFAULT ACL" => Pass::Privileges,
            "TRIGGER" => Pass::Triggers,
            "COMMENT" if self.is_on(&["TRIGGER "]) => Pass::Triggers,
            _ => Pass::Main,
        }
    }

    /// Until it is made, PUBLIC may execute the function, also one that runs with its owner's rights.
    pub(super) fn is_privilege_on_function(&self) -> bool {
        self.desc == "ACL" && self.is_on(&["FUNCTION ", "PROCEDURE ", "AGGREGATE "])
    }

    /// Whether an annotation's tag starts with one of these kinds of objects.
    fn is_on(&self, kinds: &[&str]) -> bool {
        kinds.iter().any(|kind| self.tag.starts_with(kind))
    }
}

//! The phase of a migration in which an entry is run.

use super::{Entry, Section};

/// In the order in which they are run, `Skip` apart. The rows arrive after `PreData`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
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

impl Group {
    /// All that is run, in order.
    pub const MADE: [Group; 9] = [
        Group::PreData,
        Group::OnProvided,
        Group::Index,
        Group::Constraint,
        Group::Attach,
        Group::ForeignKey,
        Group::Rest,
        Group::Publication,
        Group::Last,
    ];
}

/// pg_restore runs an archive in three passes; triggers have one of their own here, because
/// TimescaleDB makes them on each chunk as the hypertable's owner, who needs the privileges. Privileges, but for those on functions and schemas,
/// come late so that they cannot hinder the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pass {
    Main,
    Privileges,
    Triggers,
}

impl Entry {
    /// By its kind alone; `contents` moves it back where it depends on something later.
    pub(super) fn group(&self) -> Group {
        match self.desc.as_str() {
            "ENCODING" | "STDSTRINGS" | "SEARCHPATH" => Group::Skip,
            "DATABASE" | "DATABASE PROPERTIES" => Group::Skip,
            "SUBSCRIPTION" | "SUBSCRIPTION TABLE" => Group::Skip,
            "BLOB" | "BLOB METADATA" | "BLOBS" | "BLOB COMMENTS" => Group::Skip,
            // These two may stand in the post-data section.
            "MATERIALIZED VIEW DATA" | "STATISTICS DATA" => Group::Skip,
            _ if self.section == Section::Data => Group::Skip,
            _ if self.section == Section::PreData => Group::PreData,
            "INDEX" => Group::Index,
            "CONSTRAINT" | "CHECK CONSTRAINT" => Group::Constraint,
            "INDEX ATTACH" => Group::Attach,
            "FK CONSTRAINT" => Group::ForeignKey,
            _ if self.is_annotation() && self.is_on(&["DATABASE ", "SUBSCRIPTION ", "LARGE OBJECT"]) => Group::Skip,
            "PUBLICATION" | "PUBLICATION TABLE" | "PUBLICATION TABLES IN SCHEMA" => Group::Publication,
            "EVENT TRIGGER" => Group::Last,
            // Else PUBLIC may execute it until then, also one that runs with its owner's rights: what users wrote runs while rows
            // come in, and jobs that existed before continue.
            "ACL" if self.is_privilege_on_function() => Group::PreData,
            // Of what users wrote, code runs with their rights as soon as rows come in: it has to find what it names.
            "ACL" if self.is_on(&["SCHEMA "]) => Group::OnProvided,
            _ if self.is_annotation() && self.is_on(&["EVENT TRIGGER "]) => Group::Last,
            _ => Group::Rest,
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

    /// It comes with the function, in the same transaction.
    pub fn is_privilege_on_function(&self) -> bool {
        self.desc == "ACL" && self.is_on(&["FUNCTION ", "PROCEDURE ", "AGGREGATE "])
    }

    /// Whether an annotation's tag starts with one of these kinds of objects.
    fn is_on(&self, kinds: &[&str]) -> bool {
        kinds.iter().any(|kind| self.tag.starts_with(kind))
    }
}

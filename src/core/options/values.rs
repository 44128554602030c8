//! The values of those options that choose among a few words.

use serde::{Deserialize, Serialize};

/// Option `mode`: what of the objects and rows arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    #[default]
    All,
    /// Everything but rows; policies and jobs are paused.
    Schema,
    /// Rows, into an existing schema.
    Data,
}

/// Option `into`: the tables that rows go into with `"mode": "data"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IntoTables {
    #[default]
    Empty,
    /// They may hold rows, which stay.
    Any,
}

/// Option `roles`: what is done about roles that the source's database needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Roles {
    /// Make the roles that own or are granted something and that the target lacks.
    #[default]
    Used,
    /// Besides, make memberships in which one of the two roles exists on the target.
    Merge,
    /// Make none; a missing one is an error.
    None,
}

/// Options `owners`, `privileges` and `tablespaces`: as on the source, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    #[default]
    Keep,
    Drop,
}

/// Option `verify`, and the argument `level`: how both sides are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Rows counted on both sides.
    #[default]
    Count,
    /// Rows counted and an order-independent checksum of all their values compared.
    Checksum,
}

/// What becomes of policies and jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policies {
    /// As on the source: what is paused there stays paused.
    #[default]
    Copy,
    /// Made, but all paused.
    Paused,
    Skip,
}

/// Option `on_error`: what a failed task does to the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The run ends after the tasks in flight.
    #[default]
    Stop,
    /// Everything else is done first; then the run ends as failed, and policies and jobs stay
    /// unmade.
    Continue,
}

/// What becomes of continuous aggregates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Caggs {
    /// With the rows that they hold on the source.
    #[default]
    Copy,
    /// Empty, and then refreshed from what they read.
    Recompute,
    Skip,
}

/// What becomes of that which the target has no place for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnsupported {
    #[default]
    Refuse,
    /// Left out and named, where no row of a table is lost by it.
    Skip,
}

/// Log-ins of roles that are no superusers to this database, from the first object that is made to
/// the last transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connections {
    /// Nobody sees, changes or runs what is half made.
    #[default]
    Refuse,
    Allow,
}

/// What too little disk space means. How much is needed is an estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disk {
    #[default]
    Check,
    /// A warning, no error.
    Ignore,
}

impl Level {
    /// None for any other word.
    pub fn parse(text: &str) -> Option<Level> {
        match text {
            "count" => Some(Level::Count),
            "checksum" => Some(Level::Checksum),
            _ => None,
        }
    }
}

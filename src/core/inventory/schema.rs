//! What of the schema a run has to know besides tables.

use crate::core::name::Name;
use serde::Deserialize;

/// `sequences.sql`
#[derive(Clone, Debug, Deserialize)]
pub struct Sequence {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub owner: Option<String>,
    /// The table whose column owns it.
    #[serde(default)]
    pub table: Option<u32>,
}

/// `partitioned.sql`
#[derive(Clone, Debug, Deserialize)]
pub struct Partitioned {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// The first one that it is partitioned by, if by its ranges.
    pub column: Option<String>,
    /// Those of the partitions that have rows, each with the partition of the table itself which it belongs to.
    pub leaves: Vec<(u32, u32)>,
    /// The other ones.
    pub partitions: Vec<u32>,
}

/// `matviews.sql`
#[derive(Clone, Debug, Deserialize)]
pub struct Matview {
    pub oid: u32,
    #[serde(default)]
    pub schema: String,
    #[serde(default)]
    pub name: String,
    pub populated: bool,
}

/// `foreign_keys.sql`
#[derive(Clone, Debug, Deserialize)]
pub struct ForeignKey {
    pub oid: u32,
    pub name: String,
    pub validated: bool,
    pub table: Name,
    pub references: Name,
    /// Whether the one and the other are.
    pub partitioned: [bool; 2],
}

//! Keys whose index can be built before them.

use crate::core::name::Name;
use serde::Deserialize;

/// `keys.sql`: a primary key or unique constraint that can take over a unique index.
#[derive(Clone, Debug, Deserialize)]
pub struct Key {
    pub oid: u32,
    pub name: String,
    pub table: Name,
    pub primary: bool,
    pub columns: Vec<String>,
    pub included: Vec<String>,
    pub nulls_not_distinct: bool,
    /// The index's storage parameters, each `name=value`.
    pub options: Vec<String>,
    pub deferrable: bool,
    pub deferred: bool,
}

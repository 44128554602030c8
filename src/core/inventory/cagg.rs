//! Continuous aggregates.

use super::{Object, Relation};
use crate::core::name::Name;
use serde::Deserialize;

/// `caggs.sql`: a continuous aggregate, after those that it reads. The whole object is what
/// `timescale_migrate.create_cagg` and `set_cagg_state` take.
#[derive(Clone, Debug, Deserialize)]
pub struct Cagg {
    pub oid: u32,
    /// Its materialization hypertable's.
    pub hypertable_id: i32,
    pub schema: String,
    pub name: String,
    /// False for the format from before TimescaleDB 2.7.
    pub finalized: bool,
    pub time_column: String,
    /// Primary keys without which its query has no meaning; made with it.
    pub constraints: Vec<u32>,
    /// Its own view and the internal ones.
    #[serde(default)]
    pub views: Vec<u32>,
    /// What its query names.
    #[serde(default)]
    pub names: Vec<Object>,
    /// Its materialization hypertable, with the columns.
    pub relation: Relation,
    pub raw: Raw,
    pub indexes: Vec<serde_json::Value>,
    #[serde(skip)]
    pub spec: serde_json::Value,
}

impl Cagg {
    /// With its schema.
    pub fn qualified(&self) -> Name {
        Name::new(&self.schema, &self.name)
    }

    /// What messages call it when it is made.
    pub fn made_as(&self) -> String {
        format!("CONTINUOUS AGGREGATE {}", self.qualified().shown())
    }
}

/// What a continuous aggregate reads: a hypertable, or with `cagg` another one by its name.
#[derive(Clone, Debug, Deserialize)]
pub struct Raw {
    /// The hypertable's OID, in either case.
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub cagg: bool,
}

impl Raw {
    /// With its schema.
    pub fn qualified(&self) -> Name {
        Name::new(&self.schema, &self.name)
    }
}

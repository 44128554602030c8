//! The part of an inventory that a user asks for.

use super::{Hypertable, Inventory, PG_CLASS, PG_PROC};
use crate::core::name::Name;
use std::collections::{HashMap, HashSet};

/// An object by its catalog and its OID there.
pub type Object = (u32, u32);

/// What of a source is asked for. The default is all of it.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// What is made; None is everything.
    pub only: Option<HashSet<Object>>,
    /// What is not made, whatever `only` says.
    pub unwanted: HashSet<Object>,
    /// Relations that are made without their rows.
    pub empty: HashSet<u32>,
    /// All relations are.
    pub no_rows: bool,
    /// By the OID of a continuous aggregate of whose raw data, a hypertable or another aggregate, not
    /// all rows arrive: for which range `[from, to)` of its buckets, in TimescaleDB's internal form, all rows arrive.
    pub refreshable: HashMap<u32, [i64; 2]>,
    /// By the OID of a hypertable whose own rows are cut as well: `WHERE ...`.
    pub filters: HashMap<u32, String>,
}

impl Selection {
    /// Whether an object that users name is made.
    pub fn arrives(&self, class_oid: u32, oid: u32) -> bool {
        let object = (class_oid, oid);
        !self.unwanted.contains(&object) && self.only.as_ref().is_none_or(|only| only.contains(&object))
    }

    /// Whether a relation is made without its rows.
    pub fn is_empty(&self, oid: u32) -> bool {
        self.no_rows || self.empty.contains(&oid)
    }

    /// Whether large objects arrive, which no pattern names.
    pub fn has_large_objects(&self) -> bool {
        self.only.is_none() && !self.no_rows
    }

    fn relation_arrives(&self, oid: u32) -> bool {
        self.arrives(PG_CLASS, oid)
    }
}

impl Hypertable {
    /// The functions that it calls for its dimensions, of which PostgreSQL does not know. A
    /// continuous aggregate has them from the hypertable that it reads.
    pub fn functions(&self) -> Vec<Name> {
        let name = |schema: &Option<String>, name: &Option<String>| Some(Name::new(schema.clone()?, name.clone()?));
        let called = self.dimensions.iter().flat_map(|d| {
            let partitioning = name(&d.partitioning_func_schema, &d.partitioning_func);
            [partitioning, name(&d.integer_now_func_schema, &d.integer_now_func)]
        });
        called.flatten().filter(|_| self.cagg.is_none()).collect()
    }
}

impl Inventory {
    /// What `excluded` lists, to look objects up.
    pub fn own(&self) -> HashSet<Object> {
        self.excluded.iter().map(|excluded| (excluded.class_oid, excluded.oid)).collect()
    }

    /// Whether an object of whatever kind arrives, one of TimescaleDB's own included; after [`Inventory::select`].
    pub fn lets_arrive(&self, class_oid: u32, oid: u32) -> bool {
        let selection = &self.selection;
        if selection.only.is_none() && selection.unwanted.is_empty() {
            return true;
        }
        match self.excluded.iter().any(|own| (own.class_oid, own.oid) == (class_oid, oid)) {
            true => self.chunks.iter().any(|c| c.oid == oid) || self.hypertables.iter().any(|h| h.oid == oid),
            false => selection.arrives(class_oid, oid),
        }
    }

    /// Lists no more than what the selection lets arrive. What is made of the schema's dump is decided
    /// by the same selection.
    pub fn select(&mut self) {
        let selection = &self.selection;
        self.relations.retain(|r| selection.relation_arrives(r.oid));
        self.sequences.retain(|s| selection.relation_arrives(s.oid) && !selection.is_empty(s.oid));
        self.matviews.retain(|m| selection.relation_arrives(m.oid) && !selection.is_empty(m.oid));
        self.caggs.retain(|c| selection.relation_arrives(c.oid));
        let caggs: HashSet<_> = self.caggs.iter().map(|cagg| cagg.qualified()).collect();
        let arrives = |name: &Option<_>, oid| match name {
            Some(name) => caggs.contains(name),
            None => selection.relation_arrives(oid),
        };
        self.hypertables.retain(|h| arrives(&h.cagg, h.oid));
        for hypertable in self.hypertables.iter_mut().filter(|h| selection.is_empty(h.oid)) {
            hypertable.root_may_have_rows = false;
        }
        let all: HashSet<i32> = self.hypertables.iter().map(|h| h.id).collect();
        let filled = self.hypertables.iter().filter(|h| !selection.is_empty(h.oid)).map(|h| h.id);
        let filled: HashSet<i32> = filled.collect();
        self.chunks.retain(|c| filled.contains(&c.hypertable_id));
        self.compressions.retain(|c| all.contains(&c.hypertable_id));
        self.skipping.retain(|s| all.contains(&s.hypertable_id));
        for skipping in self.skipping.iter_mut().filter(|s| !filled.contains(&s.hypertable_id)) {
            skipping.chunks.clear();
        }
        let chunks: HashSet<u32> = self.chunks.iter().map(|c| c.oid).collect();
        self.compressed_chunks.retain(|c| chunks.contains(&c.oid));
        if selection.only.is_some() {
            // Those of what nobody has asked for are not worth a word.
            let names: HashSet<_> = self.hypertables.iter().map(|hypertable| hypertable.known_as()).collect();
            let of = |job: &serde_json::Value| serde_json::from_value(job["hypertable"].clone()).ok();
            self.jobs.retain(|job| of(job).is_none_or(|name| names.contains(&name)));
            let arrives =
                |oid: &serde_json::Value| oid.as_u64().is_some_and(|oid| selection.arrives(PG_PROC, oid as u32));
            let calls =
                |job: &serde_json::Value| job["proc_oids"].as_array().is_some_and(|all| all.iter().any(arrives));
            self.jobs.retain(|job| job["kind"] != "action" || !job["extension"].is_null() || calls(job));
        }
        self.cagg_ranges.retain(|range| {
            let is = |field: &str, text: &str| range[field].as_str() == Some(text);
            caggs.iter().any(|name| is("schema", &name.schema) && is("name", &name.name))
        });
        self.children.retain(|c| selection.arrives(c.class_oid, c.oid));
    }
}

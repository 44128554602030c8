//! What the schema's dump adds: what depends on something that does not arrive.

use super::Scope;
use crate::core::archive::{Contents, Entry, Group};
use crate::core::inventory::{Cagg, Object, PG_CLASS};
use std::collections::HashMap;

impl Scope {
    /// What is made in another way than from the schema's dump and, by the user's choice, lacks
    /// something: it is left out. Whether there is any, so that the dump has to be sorted anew.
    pub fn follow(&mut self, contents: &Contents) -> bool {
        let lost = self.not_made(contents);
        if lost.is_empty() {
            return false;
        }
        let mut found = Vec::new();
        for hypertable in &self.inventory.hypertables {
            let mut called = hypertable.functions().into_iter();
            let lacks = called.find_map(|f| lost.values().find(|entry| entry.is_routine(&f.schema, &f.name)));
            let subject = format!("hypertable {}", hypertable.qualified().shown());
            found.extend(lacks.map(|lacks| (hypertable.oid, subject, lacks.object())));
        }
        let follows = !found.is_empty();
        for (oid, subject, lacks) in found {
            let why = format!("It depends on {lacks}, which does not arrive.");
            self.add("table of the user's choice", subject, why, "", true);
            self.inventory.selection.unwanted.insert((PG_CLASS, oid));
        }
        let lacks = |cagg: &Cagg| cagg.names.iter().find_map(|object| lost.get(object)).map(|lacks| lacks.object());
        let caggs: Vec<(Cagg, String)> =
            self.inventory.caggs.iter().filter_map(|cagg| Some((cagg.clone(), lacks(cagg)?))).collect();
        for (cagg, lacks) in &caggs {
            self.leave_out(cagg, format!("It depends on {lacks}, which does not arrive."), "", true);
        }
        self.inventory.select();
        follows || !caggs.is_empty() || self.raw_is_gone()
    }

    /// What of the dump is not made because of the user's choice.
    fn not_made<'a>(&self, contents: &Contents<'a>) -> HashMap<Object, &'a Entry> {
        let unwanted = |entry: &'a Entry| self.is_unwanted(contents.whole(entry));
        let excluded = contents.excluded.iter().filter(|e| unwanted(e.entry)).map(|e| e.entry);
        let stranded = contents.stranded.iter().filter(|s| unwanted(s.lacks)).map(|s| s.entry);
        let lost = excluded.chain(stranded).map(|entry| ((entry.class_oid, entry.oid), entry));
        // Annotations have no identity of their own.
        lost.filter(|(object, _)| object.1 != 0).collect()
    }

    fn is_unwanted(&self, entry: &Entry) -> bool {
        !self.inventory.selection.arrives(entry.class_oid, entry.oid)
    }

    /// Leaves out the continuous aggregates whose raw data was found not to arrive; whether there is any.
    fn raw_is_gone(&mut self) -> bool {
        let gone: Vec<Cagg> = self.inventory.caggs.iter().filter(|cagg| !self.has_raw(cagg)).cloned().collect();
        for cagg in &gone {
            let why = format!("It reads {}, which does not arrive.", cagg.raw.qualified().shown());
            self.leave_out(cagg, why, "", true);
        }
        !gone.is_empty()
    }

    /// What the schema's dump adds: objects that need something which does not arrive.
    pub fn schema(&mut self, contents: &Contents) {
        let lost: Vec<Object> = self.not_made(contents).into_keys().collect();
        for stranded in &contents.stranded {
            let (entry, lacks) = (stranded.entry, stranded.lacks);
            // By the user's own choice a table may be left out, too.
            let chosen = self.is_unwanted(contents.whole(lacks));
            let lacks = if chosen { contents.whole(lacks) } else { lacks };
            if stranded.part_of.is_some() {
                continue;
            }
            let kind = match entry.desc.as_str() {
                "TABLE" if chosen => "table of the user's choice",
                "TABLE" => "table",
                _ => "schema",
            };
            let why = format!("It depends on {}, which does not arrive.", lacks.object());
            let hint = "Drop it on the source, or change it to use something else.";
            let follows = chosen || self.gone.contains(&(lacks.class_oid, lacks.oid));
            self.add(kind, entry.object(), why, hint, follows);
        }
        if !lost.is_empty() {
            self.inventory.selection.unwanted.extend(lost);
            self.inventory.select();
            self.jobs_on_what_is_left_out();
        }
        let made: Vec<&Entry> = Group::MADE.iter().flat_map(|group| contents.group(*group)).copied().collect();
        let lacks = |job: &serde_json::Value| {
            let lost = |schema: &str, name: &str| {
                let (schema, name) = (job[schema].as_str(), job[name].as_str().unwrap_or_default());
                let named = |entry: &Entry| schema.is_some_and(|schema| entry.is_routine(schema, name));
                let excluded = contents.excluded.iter().map(|e| e.entry);
                let mut left_out = excluded.chain(contents.stranded.iter().map(|s| s.entry));
                left_out.any(named) && !made.iter().any(|entry| named(entry))
            };
            lost("proc_schema", "proc_name") || lost("check_schema", "check_name")
        };
        if self.inventory.selection.only.is_some() {
            self.inventory.jobs.retain(|job| !lacks(job));
        }
        self.jobs(|job| lacks(job).then(|| ("A function that it calls does not arrive.".to_string(), "", true)));
    }

    /// Whether what a continuous aggregate reads arrives, as far as the user's choice goes.
    pub(super) fn has_raw(&self, cagg: &Cagg) -> bool {
        match cagg.raw.cagg {
            true => self.inventory.caggs.iter().any(|other| other.qualified() == cagg.raw.qualified()),
            false => self.inventory.selection.arrives(PG_CLASS, cagg.raw.oid),
        }
    }
}

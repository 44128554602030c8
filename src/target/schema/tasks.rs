//! What the workers make of the schema, as tasks.

use super::Maker;
use crate::core::archive::{Contents, Entry, Group};
use crate::core::inventory::{ForeignKey, Inventory};
use crate::core::name::{Name, literal};
use crate::core::plan::{self, Phase, Task};
use crate::error::{Error, Result};
use std::collections::{HashMap, HashSet};

impl Maker {
    /// The entries of a group that make an index of a hypertable, by itself or for a constraint,
    /// each with the index's name.
    pub fn hypertable_indexes<'p>(&self, contents: &Contents<'p>, group: Group) -> Vec<(&'p Entry, Name)> {
        let made = [Group::PreData, Group::OnProvided].into_iter().flat_map(|group| contents.group(group));
        let hypertables: HashMap<i32, &str> = made
            .filter(|entry| entry.desc == "TABLE")
            .filter(|entry| entry.namespace.clone().is_some_and(|s| self.hypertables.contains(&(s, entry.tag.clone()))))
            .map(|entry| (entry.dump_id, entry.tag.as_str()))
            .collect();
        let index = |entry: &&'p Entry| {
            let table = entry.dependencies.iter().find_map(|id| hypertables.get(id))?;
            let name = match entry.desc.as_str() {
                "INDEX" => entry.tag.as_str(),
                // The other constraint of this kind, since PostgreSQL 18, has no index.
                "CONSTRAINT" if !entry.definition.contains(" NOT NULL ") => {
                    entry.tag.strip_prefix(table)?.strip_prefix(' ')?
                }
                _ => return None,
            };
            Some((*entry, Name::new(entry.namespace.clone()?, name)))
        };
        contents.group(group).iter().filter_map(index).collect()
    }

    /// A group's entries as tasks for the workers, but for the indexes of hypertables.
    pub fn tasks(&self, contents: &Contents, group: Group, phase: Phase) -> Vec<Task> {
        let others: HashSet<i32> =
            self.hypertable_indexes(contents, group).iter().map(|(entry, _)| entry.dump_id).collect();
        let wanted = contents.group(group).iter().filter(|entry| self.wants(entry) && !others.contains(&entry.dump_id));
        let statements =
            |entry: &Entry| lock_for(entry, contents).into_iter().chain(self.statements(entry, contents)).collect();
        let work = |entry: &Entry| plan::Sql {
            statements: statements(entry),
            chunks: 0,
            copies: Vec::new(),
            author: self.author(entry).map(str::to_string),
        };
        wanted.map(|entry| plan::task(phase, entry.object(), 0, 0, plan::Work::Sql(work(entry)))).collect()
    }

    /// The foreign keys as tasks for the workers.
    pub fn foreign_keys(&self, contents: &Contents, inventory: &Inventory, target: &plan::Target) -> Result<Vec<Task>> {
        let known: HashMap<u32, &ForeignKey> = inventory.foreign_keys.iter().map(|k| (k.oid, k)).collect();
        let is_hypertable = |name: &Name| self.hypertables.contains(&(name.schema.clone(), name.name.clone()));
        // As in every key's own queries: of a table without partitions, not the rows of its children.
        let read = |name: &Name, partitioned: bool| match partitioned || is_hypertable(name) {
            true => name.to_string(),
            false => format!("ONLY {name}"),
        };
        let task = |entry: &&Entry| {
            let key = known.get(&entry.oid).ok_or_else(|| Error::internal(format!("{} is unknown", entry.object())))?;
            // No hypertable can reference another, so that it waits for nothing that comes later.
            let phase = match is_hypertable(&key.table) && !target.server.constrains_compressed_chunks() {
                true => Phase::HypertableKey,
                false => Phase::ForeignKey,
            };
            let work = plan::ForeignKey {
                statements: self.statements(entry, contents),
                oid: key.oid,
                name: key.name.clone(),
                table: key.table.clone(),
                references: key.references.clone(),
                read: [read(&key.table, key.partitioned[0]), read(&key.references, key.partitioned[1])],
            };
            Ok(plan::task(phase, entry.object(), 0, 0, plan::Work::ForeignKey(work)))
        };
        contents.group(Group::ForeignKey).iter().filter(|entry| self.wants(entry)).map(task).collect()
    }
}

/// A table is marked by an index of it after that is made, which takes a stronger lock than making it. Two
/// workers that make indexes of one table must not both wait for that: they take it first.
fn lock_for(entry: &Entry, contents: &Contents) -> Option<String> {
    if entry.desc != "INDEX" || !entry.definition.contains("\nALTER TABLE ") {
        return None;
    }
    let name = table_of(entry, contents)?;
    Some(format!("LOCK TABLE ONLY {name} IN ACCESS EXCLUSIVE MODE"))
}

/// The table that an index or a constraint is of.
fn table_of(entry: &Entry, contents: &Contents) -> Option<Name> {
    let made = [Group::PreData, Group::OnProvided].into_iter().flat_map(|group| contents.group(group));
    let table = made.into_iter().find(|table| table.desc == "TABLE" && entry.dependencies.contains(&table.dump_id))?;
    Some(Name::new(table.namespace.clone()?, table.tag.clone()))
}

/// The statements for a CHECK constraint of a table with rows. They are checked with the rights of the table's owner, as
/// when they are copied.
pub(super) fn late_check(entry: &Entry, contents: &Contents) -> Option<Vec<String>> {
    let definition = entry.unchecked_definition()?;
    let table = table_of(entry, contents)?;
    let name = entry.tag.strip_prefix(table.name.as_str())?.strip_prefix(' ')?;
    let relation = literal(&table.to_string());
    let validation =
        format!("CALL timescale_migrate.validate_check({relation}::pg_catalog.regclass, {})", literal(name));
    Some(vec![definition, validation])
}

//! What the workers make of the schema, as tasks.

use super::Maker;
use crate::core::archive::{Contents, Entry, Group};
use crate::core::inventory::{ForeignKey, Inventory, Key};
use crate::core::name::{Name, literal};
use crate::core::plan::{self, Phase, Task, keys};
use crate::core::scan;
use crate::error::{Error, Result};
use std::collections::{HashMap, HashSet};

impl Maker {
    /// The entries of a group that make an index of a hypertable, by itself or for a constraint,
    /// each with the hypertable's name and the index's.
    pub fn hypertable_indexes<'p>(&self, contents: &Contents<'p>, group: Group) -> Vec<(&'p Entry, Name, Name)> {
        let tables = tables(contents);
        let index = |entry: &&'p Entry| {
            let mut names = entry.dependencies.iter().filter_map(|id| tables.get(id).and_then(|table| name_of(table)));
            let table = names.find(|table| self.is_hypertable(table))?;
            let name = match entry.desc.as_str() {
                "INDEX" => entry.tag.as_str(),
                // The other constraint of this kind, since PostgreSQL 18, has no index.
                "CONSTRAINT" if !entry.definition.contains(" NOT NULL ") => constraint(entry, &table)?,
                _ => return None,
            };
            let name = Name::new(entry.namespace.clone()?, name);
            Some((*entry, table, name))
        };
        contents.group(group).iter().filter_map(index).collect()
    }

    /// Indexes and constraints as tasks for the workers, but for the indexes of hypertables.
    ///
    /// Indexes of one table are built at the same time: they keep out nothing but writing. A statement that keeps out
    /// all else is of the phase of constraints, which for a table begins when its indexes are there.
    pub fn tasks(&self, contents: &Contents, inventory: &Inventory, target: &plan::Target) -> Vec<Task> {
        let tables = tables(contents);
        let keys: HashMap<u32, &Key> = inventory.keys.iter().map(|key| (key.oid, key)).collect();
        let plain: HashSet<u32> = inventory.relations.iter().map(|relation| relation.oid).collect();
        let mut tasks = Vec::new();
        for (group, own_phase) in [(Group::Index, Phase::Index), (Group::Constraint, Phase::Constraint)] {
            let others: HashSet<i32> =
                self.hypertable_indexes(contents, group).iter().map(|(entry, ..)| entry.dump_id).collect();
            let is_wanted = |entry: &&&Entry| self.wants(entry) && !others.contains(&entry.dump_id);
            for entry in contents.group(group).iter().filter(is_wanted) {
                let table = entry.dependencies.iter().find_map(|id| tables.get(id));
                let add = |phase: Phase, statements: Vec<String>, upon_index: bool| {
                    let author = self.author(entry).map(str::to_string);
                    let tables = table.and_then(|table| name_of(table)).into_iter().collect();
                    let bytes = table.map_or(0, |table| inventory.size(table.oid).bytes);
                    let unvalidated = self.unvalidated(entry, table, target);
                    let work =
                        plan::Sql { statements, tables, upon_index, unvalidated, author, ..plan::Sql::default() };
                    let task = plan::task(phase, entry.object(), 0, bytes, plan::Work::Sql(work));
                    // A partitioned table's statement may lock its partitions.
                    let early = table.is_some_and(|table| plain.contains(&table.oid));
                    if early { task.beside(Phase::Index) } else { task }
                };
                match steps(entry, keys.get(&entry.oid).copied()) {
                    Some((index, mark)) => {
                        tasks.push(add(Phase::Index, self.statements_with(entry, index), false));
                        tasks.push(add(Phase::Constraint, self.statements_with(entry, mark), true));
                    }
                    None => tasks.push(add(own_phase, self.statements(entry, contents), false)),
                }
            }
        }
        tasks
    }

    /// The name of a constraint that is NOT VALID, and can be added again when rows have been copied again.
    fn unvalidated(&self, entry: &Entry, table: Option<&&Entry>, target: &plan::Target) -> Option<String> {
        let table = name_of(table?)?;
        let can_be_added = target.server.constrains_compressed_chunks() || !self.is_hypertable(&table);
        let is_wanted = can_be_added && entry.definition.trim_end().ends_with(" NOT VALID;");
        constraint(entry, &table).filter(|_| is_wanted).map(str::to_string)
    }

    fn is_hypertable(&self, table: &Name) -> bool {
        self.hypertables.contains(&(table.schema.clone(), table.name.clone()))
    }

    /// The foreign keys as tasks for the workers.
    pub fn foreign_keys(&self, contents: &Contents, inventory: &Inventory, target: &plan::Target) -> Result<Vec<Task>> {
        let known: HashMap<u32, &ForeignKey> = inventory.foreign_keys.iter().map(|k| (k.oid, k)).collect();
        let is_hypertable = |name: &Name| self.is_hypertable(name);
        let sizes: HashMap<Name, i64> =
            inventory.tables().map(|table| (table.qualified(), inventory.size(table.oid).bytes)).collect();
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
            // Compression is enabled, and indexes of partitions are attached, before there are compressed chunks.
            let simple =
                !key.partitioned.contains(&true) && ![&key.table, &key.references].into_iter().any(is_hypertable);
            let beside = if simple { Phase::Index } else { Phase::Compression };
            let bytes = sizes.get(&key.table).copied().unwrap_or(0);
            let task = plan::task(phase, entry.object(), 0, bytes, plan::Work::ForeignKey(work));
            Ok(if phase == Phase::ForeignKey { task.beside(beside) } else { task })
        };
        contents.group(Group::ForeignKey).iter().filter(|entry| self.wants(entry)).map(task).collect()
    }
}

/// The tables of a dump by their entries' dump ids.
fn tables<'p>(contents: &Contents<'p>) -> HashMap<i32, &'p Entry> {
    let made = [Group::PreData, Group::OnProvided].into_iter().flat_map(|group| contents.group(group));
    made.filter(|entry| entry.desc == "TABLE").map(|entry| (entry.dump_id, *entry)).collect()
}

fn name_of(table: &Entry) -> Option<Name> {
    Some(Name::new(table.namespace.clone()?, table.tag.clone()))
}

/// The name of a table's constraint that an entry adds.
fn constraint<'e>(entry: &'e Entry, table: &Name) -> Option<&'e str> {
    entry.tag.strip_prefix(table.name.as_str())?.strip_prefix(' ')
}

/// The tables, by their OIDs on the source, that get extended statistics, or an index, in `rest`: ANALYZE has to come after.
pub fn extended(contents: &Contents) -> HashSet<u32> {
    let tables = tables(contents);
    let late = contents.group(Group::Rest).iter().filter(|entry| matches!(entry.desc.as_str(), "STATISTICS" | "INDEX"));
    late.flat_map(|entry| &entry.dependencies).filter_map(|id| Some(tables.get(id)?.oid)).collect()
}

/// What builds an index without keeping out other builds, and what follows it under a stronger lock: the constraint that
/// takes it over, or what marks the table by it, for CLUSTER or as replica identity.
fn steps(entry: &Entry, key: Option<&Key>) -> Option<(String, String)> {
    let statements = scan::statements(&entry.definition)?;
    let is_mark = |statement: &&str| statement.trim_start().starts_with("ALTER TABLE ");
    let mark = match (entry.desc.as_str(), key) {
        ("CONSTRAINT", Some(key)) => {
            return Some((keys::index(key), keys::constraint(key) + &statements[1..].concat()));
        }
        ("INDEX", _) => statements.iter().position(is_mark).filter(|at| *at > 0)?,
        _ => return None,
    };
    Some((statements[..mark].concat(), statements[mark..].concat()))
}

/// The table that an index or a constraint is of.
fn table_of(entry: &Entry, contents: &Contents) -> Option<Name> {
    let made = [Group::PreData, Group::OnProvided].into_iter().flat_map(|group| contents.group(group));
    let table = made.into_iter().find(|table| table.desc == "TABLE" && entry.dependencies.contains(&table.dump_id))?;
    name_of(table)
}

/// The statements for a CHECK constraint of a table with rows. They are checked with the rights of the table's owner, as
/// when they are copied.
pub(super) fn late_check(entry: &Entry, contents: &Contents) -> Option<Vec<String>> {
    let definition = entry.unchecked_definition()?;
    let table = table_of(entry, contents)?;
    let name = constraint(entry, &table)?;
    let relation = literal(&table.to_string());
    let validation =
        format!("CALL timescale_migrate.validate_check({relation}::pg_catalog.regclass, {})", literal(name));
    Some(vec![definition, validation])
}

//! What of an archive is run, in which group and order; what is left out; and what cannot be
//! made because it needs something that is left out.

use super::parts::Graph;
use super::{Archive, Entry, Group};
use crate::core::digest::{Digests, md5};
use std::collections::{HashMap, HashSet};

/// What is not made on the target.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Objects by catalog and OID in the source: chunks, TimescaleDB's own triggers, and whatever
    /// else is made in another way. What is part of one goes with it.
    pub objects: HashSet<(u32, u32)>,
    /// If given, nothing else is made than these and what is part of them.
    pub only: Option<HashSet<(u32, u32)>>,
    /// Objects by catalog and OID that are made in another way once the rest of `PreData` is
    /// there, namely continuous aggregates. What needs them is made after that.
    pub provided: HashSet<(u32, u32)>,
    /// Objects by catalog and OID that need the tables of `PreData` to be hypertables already.
    pub late: HashSet<(u32, u32)>,
    /// Extensions that the target has already; what depends on them is made.
    pub extensions: Vec<String>,
    /// Schemas of such extensions. They are there already, what is in them is not made.
    pub schemas: Vec<String>,
}

/// An archive sorted out. Each entry is in exactly one of the groups, `excluded` or `stranded`.
#[derive(Debug)]
pub struct Contents<'a> {
    groups: [Vec<&'a Entry>; Group::Skip as usize + 1],
    names: HashMap<i32, String>,
    /// By the dump id of an entry that is excluded with another one.
    wholes: HashMap<i32, &'a Entry>,
    pub excluded: Vec<Excluded<'a>>,
    pub stranded: Vec<Stranded<'a>>,
}

/// An entry that the filter keeps out.
#[derive(Debug, Clone, Copy)]
pub struct Excluded<'a> {
    pub entry: &'a Entry,
    pub why: Why<'a>,
}

/// Why an entry is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why<'a> {
    Object,
    /// It is none of the only objects that are to be made, and no part of one.
    NotAmong,
    Provided,
    Extension,
    /// It is one of the schemas, or is in one without being named or part of what is: an object
    /// that a user put there, or privileges on an extension's own.
    Schema,
    /// It belongs to another excluded entry, as an index does to its table.
    PartOf(&'a Entry),
}

/// An entry that nobody asked to keep out, but that cannot be made.
#[derive(Debug, Clone, Copy)]
pub struct Stranded<'a> {
    pub entry: &'a Entry,
    /// The excluded entry without which it, or something it depends on, cannot be.
    pub lacks: &'a Entry,
    /// The stranded entry that it belongs to, as a comment does to its view; None where the entry
    /// itself has to be reported.
    pub part_of: Option<&'a Entry>,
}

impl<'a> Contents<'a> {
    /// The entries of a group in the order in which pg_restore would run them.
    pub fn group(&self, group: Group) -> &[&'a Entry] {
        &self.groups[group as usize]
    }

    /// What messages call an entry that is made; numbered where several are called the same, as
    /// operators are that differ in their operands.
    pub fn name(&self, entry: &Entry) -> &str {
        &self.names[&entry.dump_id]
    }

    /// Whether an entry with this dump id is made.
    pub fn makes(&self, dump_id: i32) -> bool {
        self.names.contains_key(&dump_id)
    }

    /// By name, the MD5 of what is made of what is wanted, with its owner.
    pub fn digests(&self, is_wanted: impl Fn(&Entry) -> bool) -> Digests {
        let digest = |entry: &&Entry| {
            // Who can read a digest could try passwords.
            let is_secret = entry.desc == "USER MAPPING";
            let definition = if is_secret { entry.object().into() } else { entry.portable_definition() };
            let owner = entry.owner.as_deref().unwrap_or_default();
            (self.name(entry).to_string(), md5(&format!("{definition}{owner}")))
        };
        self.made().filter(|entry| is_wanted(entry)).map(digest).collect()
    }

    /// What an excluded entry is a part of, and is excluded with; any other entry itself.
    pub fn whole(&self, entry: &'a Entry) -> &'a Entry {
        self.wholes.get(&entry.dump_id).map_or(entry, |whole| self.whole(whole))
    }

    fn made(&self) -> impl Iterator<Item = &&'a Entry> {
        Group::MADE.iter().flat_map(|group| self.group(*group))
    }

    fn give_names(&mut self) {
        let mut count = HashMap::<String, usize>::new();
        let name = |entry: &&Entry| {
            let object = entry.object();
            let number = count.entry(object.clone()).and_modify(|n| *n += 1).or_insert(1);
            (entry.dump_id, if *number > 1 { format!("{object} ({number})") } else { object })
        };
        self.names = self.made().map(name).collect();
    }
}

/// Sorts the archive's entries out.
pub fn contents<'a>(archive: &'a Archive, filter: &Filter) -> Contents<'a> {
    let entries = archive.entries.as_slice();
    let graph = Graph::new(entries);
    let groups = groups(entries, &graph, filter);
    let excluded = excluded(entries, &graph, &groups, filter);
    let lacking = lacking(entries, &graph, &groups, &excluded);

    let mut contents = Contents {
        groups: Default::default(),
        names: HashMap::new(),
        wholes: HashMap::new(),
        excluded: Vec::new(),
        stranded: Vec::new(),
    };
    for (position, entry) in entries.iter().enumerate() {
        if let Some(why) = excluded[position] {
            if let Why::PartOf(whole) = why {
                contents.wholes.insert(entry.dump_id, whole);
            }
            contents.excluded.push(Excluded { entry, why });
        } else if let Some(lacks) = lacking[position] {
            let mut wholes =
                graph.needs(position).iter().filter(|&&need| lacking[need].is_some() && graph.is_part(position, need));
            let part_of = wholes.next().map(|&whole| &entries[whole]);
            contents.stranded.push(Stranded { entry, lacks, part_of });
        } else {
            contents.groups[groups[position] as usize].push(entry);
        }
    }
    contents.groups[Group::Rest as usize].sort_by_key(|entry| entry.pass());
    contents.give_names();
    contents
}

/// Nothing is run before what it depends on: where pg_dump postponed a materialized view or a
/// function to `Rest`, its indexes follow it there, and the foreign keys that need them; so do
/// the users of what is provided.
fn groups(entries: &[Entry], graph: &Graph, filter: &Filter) -> Vec<Group> {
    let is_late = |entry: &Entry| filter.provides(entry) || filter.late.contains(&(entry.class_oid, entry.oid));
    let group = |entry: &Entry| match entry {
        _ if is_late(entry) => Group::OnProvided,
        _ => entry.group(),
    };
    let mut groups: Vec<Group> = entries.iter().map(group).collect();
    let mut moved: Vec<usize> = (0..entries.len()).collect();
    while let Some(position) = moved.pop() {
        let group = groups[position];
        if group == Group::Skip {
            continue;
        }
        for &user in graph.needed_by(position) {
            if groups[user] < group {
                groups[user] = group;
                moved.push(user);
            }
        }
    }
    groups
}

/// What the filter names, and all that is part of it.
fn excluded<'a>(entries: &'a [Entry], graph: &Graph, groups: &[Group], filter: &Filter) -> Vec<Option<Why<'a>>> {
    let mut excluded: Vec<Option<Why>> = vec![None; entries.len()];
    // Schemas come second: a chunk and its indexes are not just things in TimescaleDB's schema.
    let rounds: [fn(&Filter, &Entry) -> Option<Why<'static>>; 2] = [Filter::names_object, Filter::names_schema];
    if let Some(only) = &filter.only {
        for (position, entry) in entries.iter().enumerate() {
            let is_part = || graph.needs(position).iter().any(|&whole| graph.is_part(position, whole));
            if groups[position] != Group::Skip && !only.contains(&(entry.class_oid, entry.oid)) && !is_part() {
                excluded[position] = Some(Why::NotAmong);
            }
        }
    }
    for names in rounds {
        let mut found: Vec<usize> = (0..entries.len()).filter(|&at| excluded[at] == Some(Why::NotAmong)).collect();
        for (position, entry) in entries.iter().enumerate() {
            if excluded[position].is_none() && groups[position] != Group::Skip {
                excluded[position] = names(filter, entry);
                found.extend(excluded[position].map(|_| position));
            }
        }
        found.retain(|&position| excluded[position] != Some(Why::Provided));
        while let Some(whole) = found.pop() {
            for &part in graph.needed_by(whole) {
                let open = excluded[part].is_none() && groups[part] != Group::Skip;
                if open && graph.is_part(part, whole) {
                    excluded[part] = Some(Why::PartOf(&entries[whole]));
                    found.push(part);
                }
            }
        }
    }
    excluded
}

/// By position: the excluded entry for want of which an entry cannot be made.
fn lacking<'a>(
    entries: &'a [Entry],
    graph: &Graph,
    groups: &[Group],
    excluded: &[Option<Why<'a>>],
) -> Vec<Option<&'a Entry>> {
    let mut lacking: Vec<Option<&Entry>> = vec![None; entries.len()];
    let mut found: Vec<(usize, &Entry)> = (0..entries.len())
        .filter(|&at| excluded[at].is_some_and(|why| !is_there_already(&entries[at], why)))
        .map(|at| (at, &entries[at]))
        .collect();
    while let Some((position, lacks)) = found.pop() {
        let mut strand = |user: usize| {
            if excluded[user].is_none() && lacking[user].is_none() && groups[user] != Group::Skip {
                lacking[user] = Some(lacks);
                found.push((user, lacks));
            }
        };
        graph.needed_by(position).iter().for_each(|&user| strand(user));
        // In a cycle of views pg_dump makes an empty view first and fills it by its rule: without
        // the rule it would be left empty.
        if entries[position].tag.ends_with(" _RETURN") && entries[position].desc == "RULE" {
            let views = graph.needs(position).iter().filter(|&&need| graph.is_part(position, need));
            views.for_each(|&view| strand(view));
        }
    }
    lacking
}

/// Whether an entry is excluded because the target has it, so that others may depend on it.
fn is_there_already(entry: &Entry, why: Why) -> bool {
    match why {
        Why::Extension | Why::Provided => true,
        Why::Schema => entry.desc == "SCHEMA",
        Why::Object | Why::NotAmong | Why::PartOf(_) => false,
    }
}

impl Filter {
    /// The objects that are not made from the dump.
    pub fn not_made(self) -> impl Iterator<Item = (u32, u32)> {
        self.objects.into_iter().chain(self.provided)
    }

    fn provides(&self, entry: &Entry) -> bool {
        self.provided.contains(&(entry.class_oid, entry.oid))
    }

    fn names_object(&self, entry: &Entry) -> Option<Why<'static>> {
        if self.objects.contains(&(entry.class_oid, entry.oid)) {
            Some(Why::Object)
        } else if self.provides(entry) {
            Some(Why::Provided)
        } else if entry.desc == "EXTENSION" && self.extensions.contains(&entry.tag) {
            Some(Why::Extension)
        } else {
            None
        }
    }

    fn names_schema(&self, entry: &Entry) -> Option<Why<'static>> {
        let schema = match entry.desc.as_str() {
            "SCHEMA" => Some(entry.tag.as_str()),
            // A schema that an extension made has no entry, but privileges given on it have.
            _ if entry.is_annotation() && entry.namespace.is_none() => entry.tag.strip_prefix("SCHEMA "),
            _ => entry.namespace.as_deref(),
        }?;
        self.schemas.iter().any(|listed| listed == schema).then_some(Why::Schema)
    }
}

//! What the patterns of the options `include`, `exclude` and `exclude_data` name.

use super::inventory::{Inventory, Object, PG_CLASS, PG_PROC, TimeRange};
use super::name::Name;
use super::options::{Options, meant};
use super::pattern::Pattern;
use super::progress::listed;
use super::scope::Left;
use super::times::{ALL, End};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// `nameable.sql`: OID of the catalog, OID, schema, name, and the tables that it inherits from.
#[derive(Clone, Debug, Deserialize)]
pub struct Nameable(pub u32, pub u32, pub String, pub Option<String>, pub Vec<u32>);

/// What a user has named.
#[derive(Clone, Debug, Default)]
pub struct Named {
    pub include: HashSet<Object>,
    pub exclude: HashSet<Object>,
    pub exclude_data: HashSet<Object>,
    /// What is said about it: how much each pattern names.
    pub told: Vec<Left>,
}

impl Named {
    /// What the options' patterns name among these objects. A hypertable stands for its chunks, a
    /// continuous aggregate for its materialization, a table for its partitions and whatever else
    /// inherits from it.
    pub fn of(options: &Options, all: &[Nameable], inventory: &Inventory) -> Named {
        let own = inventory.own();
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for (parent, child) in inheritance(all, &own) {
            children.entry(parent).or_default().push(child);
        }
        let named = |option: &str, patterns: &[Pattern], unwanted: &HashSet<Object>, then: &str| {
            let (mut found, mut told) = (HashSet::new(), Vec::new());
            for pattern in patterns {
                let fits = all.iter().filter(|o| pattern.fits(&o.2, o.3.as_deref()));
                let mut fits: Vec<Object> = fits.map(|o| (o.0, o.1)).filter(|object| !own.contains(object)).collect();
                let known = || all.iter().filter(|o| !own.contains(&(o.0, o.1))).filter_map(Nameable::name).collect();
                told.push(match fits.len() {
                    0 => nothing_fits(option, "object", pattern.text(), known()),
                    count => {
                        let then = match fits.iter().filter(|object| unwanted.contains(*object)).count() {
                            0 => format!("They {then}."),
                            all if all == count => "The option exclude leaves them out.".to_string(),
                            some => format!("The option exclude leaves {some} of them out. The others {then}."),
                        };
                        let detail = format!("Objects that match the pattern '{}': {count}. {then}", pattern.text());
                        Left::told(format!("option {option}"), detail)
                    }
                });
                while let Some(object) = fits.pop() {
                    let parts = children.get(&object.1).filter(|_| object.0 == PG_CLASS);
                    if found.insert(object) {
                        fits.extend(parts.into_iter().flatten().map(|oid| (PG_CLASS, *oid)));
                    }
                }
            }
            (found, told)
        };
        let then = "do not arrive, nor does anything that depends on them";
        let (exclude, of_exclude) = named("exclude", &options.exclude, &HashSet::new(), then);
        let then = "arrive with everything that they need";
        let (include, mut told) = named("include", &options.include, &exclude, then);
        let (exclude_data, of_data) =
            named("exclude_data", &options.exclude_data, &exclude, "arrive without their rows");
        told.extend(of_exclude.into_iter().chain(of_data));
        Named { include, exclude, exclude_data, told }
    }
}

impl Nameable {
    fn name(&self) -> Option<Name> {
        Some(Name::new(self.2.clone(), self.3.clone()?))
    }
}

/// The run is refused because of a pattern. `known`: the names that it could match.
fn nothing_fits(option: &str, what: &str, pattern: &str, known: Vec<Name>) -> Left {
    let known: Vec<String> = known.iter().map(Name::shown).collect();
    let hint = match meant(pattern, known.iter().map(String::as_str)) {
        Some(name) => format!("Perhaps you meant {name}."),
        None => {
            "A pattern is schema.name, with * for any characters and ? for one; capitals and dots need double quotes."
                .into()
        }
    };
    let detail = format!("No {what} on the source matches the pattern '{pattern}'.");
    Left { subject: format!("option {option}"), detail, hint, refused: true }
}

/// The same of an option that is about objects of one kind, `known`: whatever the pattern matches is of another kind,
/// or left out by other options.
pub fn unfit(option: &str, what: &str, key: &str, known: &[Name], all: &[Nameable], inventory: &Inventory) -> Left {
    let (own, pattern) = (inventory.own(), Pattern::try_from(key.to_string()));
    let fits = |o: &&Nameable| pattern.as_ref().is_ok_and(|pattern| pattern.fits(&o.2, o.3.as_deref()));
    let found = all.iter().filter(|o| o.0 == PG_CLASS && !own.contains(&(o.0, o.1))).filter(fits);
    let (there, left_out): (Vec<&Nameable>, Vec<&Nameable>) =
        found.partition(|o| inventory.selection.arrives(o.0, o.1));
    let names =
        |objects: &[&Nameable]| listed(&objects.iter().filter_map(|o| Some(o.name()?.shown())).collect::<Vec<_>>());
    let detail = match (there.as_slice(), left_out.as_slice()) {
        ([], []) => return nothing_fits(option, what, key, known.to_vec()),
        ([], left_out) => format!("What the pattern '{key}' matches does not arrive: {}.", names(left_out)),
        (there, _) => format!("What the pattern '{key}' matches is no {what}: {}.", names(there)),
    };
    let hint = format!("Leave it out of the option {option}.");
    Left { subject: format!("option {option}"), detail, hint, refused: true }
}

/// Tables, and the tables that inherit from them; chunks are none.
fn inheritance(all: &[Nameable], own: &HashSet<Object>) -> impl Iterator<Item = (u32, u32)> {
    let tables = all.iter().filter(|o| o.0 == PG_CLASS && !own.contains(&(o.0, o.1)));
    tables.flat_map(|Nameable(_, child, .., parents)| parents.iter().map(|parent| (*parent, *child)))
}

/// What a relation needs of which PostgreSQL does not know, and the tables that inherit from one:
/// pairs of a relation's OID and an object.
pub fn edges(all: &[Nameable], inventory: &Inventory) -> Vec<(u32, Object)> {
    let own = inventory.own();
    let children = inheritance(all, &own).map(|(parent, child)| (parent, (PG_CLASS, child)));
    let functions = inventory.hypertables.iter().flat_map(|hypertable| {
        let is = |name: &Name, o: &Nameable| o.0 == PG_PROC && o.2 == name.schema && o.3.as_ref() == Some(&name.name);
        let called = hypertable.functions().into_iter();
        let found = called.flat_map(move |name| all.iter().filter(move |o| is(&name, o)).map(|o| (PG_PROC, o.1)));
        found.map(|function| (hypertable.oid, function))
    });
    let reads = inventory.caggs.iter().flat_map(|cagg| {
        let view = inventory.caggs.iter().find(|other| other.qualified() == cagg.raw.qualified()).map(|view| view.oid);
        let raw = if cagg.raw.cagg { view } else { Some(cagg.raw.oid) };
        raw.into_iter().chain(cagg.views.iter().copied()).map(|oid| (cagg.oid, (PG_CLASS, oid)))
    });
    children.chain(functions).chain(reads).collect()
}

/// The rows that the options ask for, by the OIDs of the hypertables; and what is said about them.
/// `*` is for hypertables that no pattern fits, and for no continuous aggregate.
pub fn time_ranges(options: &Options, inventory: &Inventory, all: &[Nameable]) -> (HashMap<u32, TimeRange>, Vec<Left>) {
    let (mut ranges, mut told) = (HashMap::new(), Vec::new());
    let subject = || "option time_range".to_string();
    let mut unused: HashSet<&String> = options.time_range.keys().collect();
    for hypertable in &inventory.hypertables {
        let name = hypertable.known_as();
        let fits = |key: &&String| {
            Pattern::try_from((*key).clone()).is_ok_and(|pattern| pattern.fits(&name.schema, Some(&name.name)))
        };
        let named: Vec<&String> = options.time_range.keys().filter(fits).collect();
        let all = options.time_range.keys().find(|key| *key == ALL && hypertable.cagg.is_none());
        unused.retain(|key| !named.contains(key) && all != Some(*key));
        let mut refuse = |detail: String, hint: &str| {
            told.push(Left { subject: subject(), detail, hint: hint.to_string(), refused: true });
        };
        let key = match (named.as_slice(), all) {
            (&[], None) => continue,
            (&[], Some(key)) | (&[key], _) => key,
            _ => {
                refuse(format!("Several patterns match {}.", name.shown()), "Give one range for each hypertable.");
                continue;
            }
        };
        if inventory.chunks_of(hypertable).any(|chunk| chunk.osm) {
            refuse(format!("{} has chunks in tiered storage.", name.shown()), "Untier them on the source.");
            continue;
        }
        let times = &options.time_range[key];
        let [from, to] = [&times.from, &times.to].map(|end| end.as_ref().map(End::text));
        let shown = [("from", &from), ("to", &to)]
            .map(|(word, end)| end.iter().map(|end| format!(" {word} {end}")).collect::<String>());
        match TimeRange::new(hypertable, inventory, from, to) {
            None => refuse(format!("{} is not partitioned by a time or an integer.", name.shown()), ""),
            Some(range) => {
                ranges.insert(hypertable.oid, range);
                let detail = format!("Only the rows of {}{} arrive.", name.shown(), shown.concat());
                told.push(Left::told(subject(), detail));
            }
        }
    }
    let names: Vec<Name> = inventory.hypertables.iter().map(|hypertable| hypertable.known_as()).collect();
    let unfit = |key: &String| unfit("time_range", "hypertable", key, &names, all, inventory);
    told.extend(unused.into_iter().map(unfit));
    (ranges, told)
}

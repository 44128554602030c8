//! Tables of the source that become hypertables, as the option `hypertables` says: what stands in the way,
//! and what they are made with.

mod check;
mod made;

use super::inventory::{Inventory, Object, PG_CLASS, PG_CONSTRAINT, Server};
use super::name::Name;
use super::options::{Form, Options, Policies};
use super::pattern::Pattern;
use super::scope::Left;
use check::Check;
use serde::Deserialize;
use std::collections::HashSet;

/// A table that is to become a hypertable.
pub struct Wanted {
    pub oid: u32,
    pub name: Name,
    form: Form,
}

/// `hypertables_to_be.sql`
#[derive(Debug, Deserialize)]
pub struct Facts {
    oid: u32,
    owner: String,
    of_superuser: bool,
    tablespace: Option<String>,
    unlogged: bool,
    typed: bool,
    row_security: bool,
    inherits: bool,
    rules: Vec<String>,
    /// Name, whether it is a row trigger, whether it fires for DELETE.
    transition_triggers: Vec<(String, bool, bool)>,
    no_inherit_checks: Vec<String>,
    referenced_by: Vec<Reference>,
    columns: Vec<Column>,
    indexes: Vec<Index>,
}

/// A foreign key that refers to the table.
#[derive(Debug, Deserialize)]
struct Reference {
    name: String,
    /// The index that it needs.
    key: u32,
    table: Name,
}

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    type_name: String,
    not_null: bool,
    generated: bool,
    /// Its collation is, if it has one.
    deterministic: bool,
    hashable: bool,
    sortable: bool,
}

#[derive(Debug, Deserialize)]
struct Index {
    oid: u32,
    name: String,
    constraint: Option<u32>,
    unique: bool,
    exclusion: bool,
    columns: Vec<Option<String>>,
}

impl Index {
    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|own| own.as_deref() == Some(column))
    }

    fn begins_with(&self, columns: &[String]) -> bool {
        self.columns.len() >= columns.len() && self.columns.iter().zip(columns).all(|(own, c)| own.as_ref() == Some(c))
    }

    /// What pg_dump makes it by.
    fn object(&self) -> Object {
        self.constraint.map_or((PG_CLASS, self.oid), |oid| (PG_CONSTRAINT, oid))
    }
}

/// The tables that the option names, what is wrong with its patterns, and those that name none.
pub fn wanted<'a>(options: &'a Options, inventory: &Inventory) -> (Vec<Wanted>, Vec<Left>, Vec<&'a String>) {
    let (mut wanted, mut left) = (Vec::new(), Vec::new());
    let mut unused: Vec<&'a String> = options.hypertables.keys().collect();
    let mut keys = |name: &Name| -> Vec<&'a String> {
        let fits = |key: &&String| {
            Pattern::try_from((*key).clone()).is_ok_and(|pattern| pattern.fits(&name.schema, Some(&name.name)))
        };
        let keys: Vec<&'a String> = options.hypertables.keys().filter(fits).collect();
        unused.retain(|key| !keys.contains(key));
        keys
    };
    for hypertable in &inventory.hypertables {
        let name = hypertable.known_as();
        if !keys(&name).is_empty() {
            let what = if hypertable.cagg.is_some() { "a continuous aggregate" } else { "a hypertable" };
            let hint = "Leave it out of the option hypertables: it arrives as it is on the source.";
            left.push(refused(&name, format!("is {what} on the source already"), hint));
        }
    }
    for table in inventory.plain_tables() {
        let name = table.qualified();
        match keys(&name).as_slice() {
            [] => {}
            _ if table.condition.is_some() => {
                left.push(refused(&name, "belongs to an extension", "Leave it out of the option hypertables."));
            }
            [key] => wanted.push(Wanted { oid: table.oid, name, form: (*options.hypertables[*key]).clone() }),
            _ => left.push(refused(
                &name,
                "matches several patterns",
                "Change the patterns so that only one of them matches it.",
            )),
        }
    }
    (wanted, left, unused)
}

/// The names of the tables that it could name.
pub fn names(inventory: &Inventory) -> Vec<Name> {
    inventory.plain_tables().map(|table| table.qualified()).collect()
}

fn subject(name: &Name) -> String {
    format!("table {}", name.shown())
}

fn refused(name: &Name, detail: impl Into<String>, hint: impl Into<String>) -> Left {
    Left { subject: subject(name), detail: detail.into(), hint: hint.into(), refused: true }
}

/// Makes hypertables of tables in the inventory, and what they have besides; returns what is told about it, and what
/// stands in the way.
pub fn convert(
    inventory: &mut Inventory,
    wanted: &[Wanted],
    facts: &[Facts],
    target: &Server,
    options: &Options,
) -> Vec<Left> {
    let names: HashSet<Name> = wanted.iter().map(|wanted| wanted.name.clone()).collect();
    let (mut told, mut made) = (Vec::new(), Vec::new());
    for (number, wanted) in (1..).zip(wanted) {
        let Some(facts) = facts.iter().find(|facts| facts.oid == wanted.oid) else {
            told.push(refused(&wanted.name, "was dropped meanwhile", "Try again."));
            continue;
        };
        let mut check = Check::new(wanted, facts);
        check.all(inventory, &names, target);
        if check.left.is_empty() {
            let detail = [vec![wanted.form.shown(options)], check.told].concat().join(" ");
            told.push(Left::told(subject(&wanted.name), detail));
            // No hypertable of the source has such a number.
            made.push((-number, wanted, facts, check.extended));
        }
        told.extend(check.left);
    }
    for (id, wanted, facts, extended) in made {
        inventory.hypertables.push(made::hypertable(id, wanted, facts));
        inventory.compressions.extend(wanted.form.compress.iter().map(|compress| made::compression(id, compress)));
        inventory.extended.extend(extended);
        if options.policies != Policies::Skip {
            inventory.jobs.extend(made::policies(wanted, facts));
        }
    }
    told
}

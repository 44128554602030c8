//! Tables of the source that become hypertables, as the option `hypertables` says: what stands in the way,
//! and what they are made with; and what hypertables of the source get besides what they have there.

mod check;
mod made;

use super::inventory::{Excluded, Hypertable, Inventory, Object, PG_CLASS, PG_CONSTRAINT, Partitioned, Server};
use super::name::{Name, quoted};
use super::options::{Form, Mode, Options, Policies};
use super::pattern::Pattern;
use super::scope::Left;
use super::selection::Nameable;
use check::Check;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;

/// A table that is to become a hypertable, or is one.
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
    /// Names, quoted, each with whether it is the table itself, and not a partition.
    unlogged: Vec<(String, bool)>,
    typed: bool,
    row_security: bool,
    inherits: bool,
    /// The table that it is a partition of.
    partition_of: Option<String>,
    /// Partitions that are foreign tables.
    foreign_partitions: Vec<String>,
    /// What its partitions have that it has not.
    of_partitions: Vec<String>,
    rules: Vec<String>,
    /// Name, whether it is a row trigger, whether it fires for DELETE.
    transition_triggers: Vec<(String, bool, bool)>,
    no_inherit_checks: Vec<String>,
    /// Name, whether it names the table.
    publications: Vec<(String, bool)>,
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
    // Whether a pattern matches the table.
    let mut choose = |name: Name, oid: u32, unfit: Option<&str>| {
        let keys = keys(&name);
        match (keys.as_slice(), unfit) {
            ([], _) => {}
            (_, Some(unfit)) => left.push(refused(&name, unfit, "Leave it out of the option hypertables.")),
            ([key], None) => wanted.push(Wanted { oid, name, form: (*options.hypertables[*key]).clone() }),
            _ => left.push(refused(
                &name,
                "matches several patterns",
                "Change the patterns so that only one of them matches it.",
            )),
        }
        !keys.is_empty()
    };
    for hypertable in &inventory.hypertables {
        choose(hypertable.known_as(), hypertable.oid, hypertable.cagg.as_ref().map(|_| "is a continuous aggregate"));
    }
    // A pattern may match a table and its partitions.
    let mut partitions = HashSet::new();
    for table in inventory.partitioned.iter().filter(|table| inventory.selection.arrives(PG_CLASS, table.oid)) {
        if choose(Name::new(&table.schema, &table.name), table.oid, None) {
            partitions.extend(table.leaves.iter().map(|leaf| leaf.0));
        }
    }
    for table in inventory.plain_tables().filter(|table| !partitions.contains(&table.oid)) {
        choose(table.qualified(), table.oid, table.condition.as_ref().map(|_| "belongs to an extension"));
    }
    (wanted, left, unused)
}

/// The names of the tables that it could name.
pub fn names(inventory: &Inventory) -> Vec<Name> {
    let partitioned = inventory.partitioned.iter().filter(|table| inventory.selection.arrives(PG_CLASS, table.oid));
    let partitioned = partitioned.map(|table| Name::new(&table.schema, &table.name));
    let hypertables = inventory.hypertables.iter().filter(|h| h.cagg.is_none()).map(Hypertable::qualified);
    inventory.plain_tables().map(|table| table.qualified()).chain(partitioned).chain(hypertables).collect()
}

/// What is wrong with a pattern that matches partitions alone.
pub fn of_partitions(key: &str, all: &[Nameable], inventory: &Inventory) -> Option<Left> {
    let pattern = Pattern::try_from(key.to_string()).ok()?;
    let fits = |oid: u32| all.iter().any(|o| o.0 == PG_CLASS && o.1 == oid && pattern.fits(&o.2, o.3.as_deref()));
    let has =
        |table: &&Partitioned| table.leaves.iter().map(|leaf| leaf.0).chain(table.partitions.iter().copied()).any(fits);
    let table = inventory.partitioned.iter().find(has)?;
    let table = Name::new(&table.schema, &table.name).shown();
    Some(Left {
        subject: "option hypertables".to_string(),
        detail: format!("What the pattern '{key}' matches is part of {table}, with which it comes."),
        hint: format!("Leave it out of the option hypertables, and name {table} there."),
        refused: true,
    })
}

fn subject(name: &Name) -> String {
    format!("table {}", name.shown())
}

fn refused(name: &Name, detail: impl Into<String>, hint: impl Into<String>) -> Left {
    Left { subject: subject(name), detail: detail.into(), hint: hint.into(), refused: true }
}

/// What a publication does not do for a table that becomes a hypertable: the rows are in chunks, which are in another schema.
fn published(publication: &str, named: bool, table: &Name) -> Left {
    let (detail, hint) = match named {
        true => (
            format!("will not publish rows of {} in chunks that are made after the run", table.shown()),
            "SET timescaledb.enable_chunk_auto_publication = on; -- on the target, where its version has it; or add new chunks to the publication".to_string(),
        ),
        false => (
            format!("publishes {} by its schema, and will not publish its rows, which are in chunks in another schema", table.shown()),
            format!("ALTER PUBLICATION {} ADD TABLE {table}; -- on the target, after the run", quoted(publication)),
        ),
    };
    Left { hint, ..Left::told(format!("publication {publication}"), detail) }
}

/// Makes hypertables of tables in the inventory, with what the option gives them, and gives it to those that it has;
/// returns what is told about it, and what stands in the way.
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
        let own = inventory.hypertables.iter().position(|hypertable| hypertable.oid == wanted.oid);
        if let Some(own) = own {
            check.own(&inventory.hypertables[own], inventory, target);
            if check.left.is_empty() {
                let detail = [vec![wanted.form.shown(true, options)], check.told].concat().join(" ");
                told.push(Left::told(subject(&wanted.name), detail));
                inventory.extended.extend(check.extended);
                improve(inventory, own, wanted, facts, options);
            }
            told.extend(check.left);
            continue;
        }
        check.all(inventory, &names, target);
        if check.left.is_empty() {
            if options.mode == Mode::Schema && inventory.partitioned.iter().any(|table| table.oid == wanted.oid) {
                check.told.push(
                    "A later run with \"mode\": \"data\" cannot fill it: it would look for the partitions.".into(),
                );
            }
            let detail = [vec![wanted.form.shown(false, options)], check.told].concat().join(" ");
            told.push(Left::told(subject(&wanted.name), detail));
            if inventory.selection.only.is_none() {
                told.extend(facts.publications.iter().map(|(name, named)| published(name, *named, &wanted.name)));
            }
            // No hypertable of the source has such a number.
            made.push((-number, wanted, facts, check.extended));
        }
        told.extend(check.left);
    }
    for (id, wanted, facts, extended) in made {
        let mut hypertable = made::hypertable(id, wanted, facts);
        if let Some(table) = inventory.partitioned.iter().find(|table| table.oid == wanted.oid) {
            let (root, leaves) = made::of_partitions(table, inventory);
            hypertable.tables = leaves;
            let partitions: HashSet<u32> =
                table.leaves.iter().map(|leaf| leaf.0).chain(table.partitions.iter().copied()).collect();
            inventory.sequences.retain(|sequence| sequence.table.is_none_or(|table| !partitions.contains(&table)));
            inventory.excluded.extend(partitions.into_iter().map(|oid| Excluded { class_oid: PG_CLASS, oid }));
            inventory.relations.push(root);
        }
        inventory.hypertables.push(hypertable);
        inventory.compressions.extend(wanted.form.compress.iter().map(|compress| made::compression(id, compress)));
        inventory.extended.extend(extended);
        if options.policies != Policies::Skip {
            inventory.jobs.extend(made::policies(wanted, facts, wanted.form.interval_length()));
        }
    }
    told
}

/// Gives a hypertable of the source compression and policies, and other dimensions. Without these its chunks stay what they
/// are.
fn improve(inventory: &mut Inventory, own: usize, wanted: &Wanted, facts: &Facts, options: &Options) {
    let hypertable = &mut inventory.hypertables[own];
    let (id, form) = (hypertable.id, &wanted.form);
    hypertable.compress_after = form.compress_after();
    let time = hypertable.dimensions.first().map(|first| first.column.clone()).unwrap_or_default();
    hypertable.indexes = made::indexes(form, &time, facts);
    if form.is_divided() {
        made::divide(hypertable, form, facts);
    }
    let interval = hypertable.spec["dimensions"][0]["interval_length"].as_i64().unwrap_or_default();
    if let Some(compress) = &form.compress {
        let has = inventory.compressions.iter().any(|compression| compression.hypertable_id == id);
        if !has || compress.segmentby.is_some() || compress.orderby.is_some() {
            inventory.compressions.retain(|compression| compression.hypertable_id != id);
            inventory.compressions.push(made::compression(id, compress));
        }
    }
    if options.policies != Policies::Skip {
        let policies = made::policies(wanted, facts, interval);
        let named = made::named(wanted);
        // There is one of each kind.
        let is_replaced = |job: &Value| {
            job["kind"] == "policy"
                && job["hypertable"] == named
                && policies.iter().any(|policy| policy["proc_name"] == job["proc_name"])
        };
        inventory.jobs.retain(|job| !is_replaced(job));
        // What a policy has done with chunks that there will not be.
        let divided = inventory.jobs.iter_mut().filter(|job| form.is_divided() && job["hypertable"] == named);
        divided.for_each(|job| job["chunk_stats"] = Value::Array(Vec::new()));
        inventory.jobs.extend(policies);
    }
}

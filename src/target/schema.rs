//! Making the schema: entries of the dump's table of contents, each run in this process, so
//! that an error names its object and its statement.

use crate::core::archive::{self, Archive, Entry, Filter, Plan, Stage};
use crate::core::inventory::Inventory;
use crate::core::name::{Name, literal};
use crate::core::options::{Keep, Options};
use crate::core::plan::{self, Task};
use crate::error::{Error, Result, SqlState};
use crate::pg::catch::subtransaction;
use crate::pg::spi;
use std::cell::RefCell;
use std::collections::HashSet;

/// How entries are run on this target.
pub struct Maker {
    owners: bool,
    privileges: bool,
    /// Tablespaces that are kept and exist here; what is in others goes to the default.
    pub tablespaces: HashSet<String>,
    /// Schemas that were here before.
    schemas: HashSet<String>,
    /// Hypertables, which take no ONLY.
    hypertables: HashSet<(String, String)>,
}

/// What is not made from the dump: TimescaleDB's own, chunks, and this extension.
pub fn filter(inventory: &Inventory) -> Filter {
    let own = ["timescaledb".to_string(), "timescale_migrate".to_string()];
    Filter {
        objects: inventory.excluded.iter().map(|e| (e.class_oid, e.oid)).collect(),
        provided: HashSet::new(),
        extensions: own.to_vec(),
        schemas: vec!["timescale_migrate".to_string()],
    }
}

pub fn sorted<'a>(archive: &'a Archive, inventory: &Inventory) -> Plan<'a> {
    archive::plan(archive, &filter(inventory))
}

impl Maker {
    pub fn new(inventory: &Inventory, options: &Options) -> Result<Maker> {
        let names =
            |sql: &str| -> Result<HashSet<String>> { Ok(spi::json_rows::<String>(sql, &[])?.into_iter().collect()) };
        let tablespaces = match options.tablespaces {
            Keep::Keep => names("SELECT to_json(spcname)::text FROM pg_catalog.pg_tablespace")?,
            Keep::Drop => HashSet::new(),
        };
        Ok(Maker {
            owners: options.owners == Keep::Keep,
            privileges: options.privileges == Keep::Keep,
            tablespaces,
            schemas: names("SELECT to_json(nspname)::text FROM pg_catalog.pg_namespace")?,
            hypertables: inventory.hypertables.iter().map(|h| (h.schema.clone(), h.name.clone())).collect(),
        })
    }

    /// Whether the options want this entry made.
    pub fn wants(&self, entry: &Entry) -> bool {
        match entry.desc.as_str() {
            "ACL" | "DEFAULT ACL" => self.privileges,
            "SCHEMA" => !self.schemas.contains(&entry.tag),
            _ => true,
        }
    }

    /// The statements that make an entry, in order.
    pub fn statements(&self, entry: &Entry) -> Vec<String> {
        let mut statements = Vec::new();
        for (setting, value) in entry.settings() {
            let value = if setting == "default_tablespace" && !self.tablespaces.contains(value) { "" } else { value };
            let (setting, value) = (literal(setting), literal(value));
            statements.push(format!("SELECT pg_catalog.set_config({setting}, {value}, true)"));
        }
        statements.push(self.definition(entry));
        statements.extend(entry.access_method_statement());
        if self.owners {
            statements.extend(entry.owner_statement());
        }
        statements
    }

    /// The entry's definition. pg_dump writes ALTER TABLE ONLY for what it adds to a table;
    /// TimescaleDB refuses ONLY on a hypertable, whose chunks have to follow.
    fn definition(&self, entry: &Entry) -> String {
        let table = match (&entry.namespace, entry.tag.split(' ').next()) {
            (Some(schema), Some(_)) => self
                .hypertables
                .iter()
                .find(|(s, name)| s == schema && (entry.tag == *name || entry.tag.starts_with(&format!("{name} ")))),
            _ => None,
        };
        if table.is_none() {
            return entry.definition.clone();
        }
        // Where ONLY stands at the statement's head, before any name of the user's.
        let head = ["ALTER TABLE ", "ALTER PUBLICATION "];
        match entry.definition.split_once("ONLY ") {
            Some((before, after)) if head.iter().any(|head| before.trim_start().starts_with(head)) => {
                format!("{before}{after}")
            }
            _ => entry.definition.clone(),
        }
    }

    /// Makes one entry, in the current transaction; returns a warning for what was left out.
    ///
    /// Privileges on what no entry makes, that is, on built-in objects and members of
    /// extensions, may name a function that another version of the extension has not.
    pub fn make(&self, entry: &Entry, plan: &Plan) -> Result<Option<String>> {
        if !self.wants(entry) {
            return Ok(None);
        }
        let run = || self.statements(entry).iter().try_for_each(|statement| run(entry, statement));
        if entry.desc != "ACL" || entry.dependencies.iter().any(|id| plan.makes(*id)) {
            return run().map(|()| None);
        }
        match subtransaction(run) {
            Err(error) if error.code == SqlState::QUERY_CANCELED => Err(error),
            Err(error) => Ok(Some(format!("{} was left out: {error}", entry.object()))),
            Ok(()) => Ok(None),
        }
    }

    /// A stage's entries as tasks for the workers.
    pub fn tasks(&self, plan: &Plan, from: Stage, to: plan::Stage) -> Vec<Task> {
        let wanted = plan.stage(from).iter().filter(|entry| self.wants(entry));
        wanted.map(|entry| plan::sql(to, entry.object(), 0, self.statements(entry))).collect()
    }
}

/// Runs a statement of the dump. PostgreSQL's errors unwind past this frame to the transaction's
/// end, where [`describe`] adds what was being made.
fn run(entry: &Entry, statement: &str) -> Result<()> {
    // A user mapping's options hold a password.
    let shown = if entry.desc == "USER MAPPING" { "CREATE USER MAPPING ..." } else { statement };
    announce(&entry.object(), shown);
    spi::execute(statement, &[]).map(drop)
}

thread_local! {
    /// The object that is being made, and the statement for it.
    static CURRENT: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// Remembers what is being made, for an error's context.
pub fn announce(object: &str, statement: &str) {
    CURRENT.set(Some((object.to_string(), statement.trim().to_string())));
}

/// Adds to an error what was being made when it was raised.
pub fn describe(error: Error) -> Error {
    match CURRENT.take() {
        Some((object, statement)) => error.about(object).within(format!("statement: {statement}")),
        None => error,
    }
}

/// Makes the hypertables out of the empty tables.
pub fn hypertables(inventory: &Inventory) -> Result<()> {
    for hypertable in &inventory.hypertables {
        announce(&hypertable.qualified().shown(), "create_hypertable");
        spi::execute(
            "SELECT timescale_migrate.create_hypertable($1::pg_catalog.jsonb)",
            &[hypertable.spec.clone().into()],
        )?;
    }
    Ok(())
}

/// Attaches the tablespaces that hypertables spread their future chunks over, as far as they
/// exist here.
pub fn tablespaces(inventory: &Inventory, maker: &Maker) -> Result<()> {
    for hypertable in &inventory.hypertables {
        let kept: Vec<String> =
            hypertable.tablespaces.iter().filter(|t| maker.tablespaces.contains(*t)).cloned().collect();
        if !kept.is_empty() {
            spi::execute(
                "SELECT timescale_migrate.attach_tablespaces($1::pg_catalog.regclass, $2::pg_catalog.name[])",
                &[hypertable.qualified().to_string().into(), kept.into()],
            )?;
        }
    }
    Ok(())
}

/// Refreshes the materialized views that hold data on the source; the dump's order of their
/// definitions is one of dependency.
pub fn refreshes(plan: &Plan, inventory: &Inventory) -> Vec<(Name, String)> {
    let populated: HashSet<u32> = inventory.matviews.iter().filter(|m| m.populated).map(|m| m.oid).collect();
    [Stage::PreData, Stage::Rest]
        .iter()
        .flat_map(|stage| plan.stage(*stage))
        .filter(|entry| entry.desc == "MATERIALIZED VIEW" && populated.contains(&entry.oid))
        .filter_map(|entry| Some(Name::new(entry.namespace.clone()?, entry.tag.clone())))
        .map(|name| (name.clone(), format!("REFRESH MATERIALIZED VIEW {name}")))
        .collect()
}

//! Making the schema: entries of the dump's table of contents, each run in this process, so
//! that an error names its object and its statement.

mod tasks;

pub use tasks::extended;

use super::context::{describe, making};
use crate::catalog::{self, Local};
use crate::core::archive::{self, Archive, Contents, Entry, Filter, Group};
use crate::core::inventory::{HYPERCORE, Inventory, OSM, Object, PG_CLASS, PG_CONSTRAINT};
use crate::core::name::{Name, column_list, literal, quoted};
use crate::core::options::{Keep, Options};
use crate::core::plan;
use crate::core::scan;
use crate::core::scope::Scope;
use crate::error::{Error, Result, SqlState};
use crate::pg::catch::subtransaction;
use crate::pg::rights::{self, Author};
use crate::pg::{secret, spi};
use std::collections::{HashMap, HashSet};

/// How entries are run on this target.
pub struct Maker {
    pub(super) owners: bool,
    privileges: bool,
    /// Tablespaces that are kept and exist on the target; what is in others goes to the default.
    tablespaces: HashSet<String>,
    /// Schemas that existed before.
    schemas: HashSet<String>,
    /// Hypertables, which take no ONLY.
    hypertables: HashSet<(String, String)>,
    /// Unique keys and indexes that get further columns.
    extended: HashMap<Object, Vec<String>>,
}

/// What is not made from the dump: TimescaleDB's own, chunks, tiered storage, and this extension.
pub fn filter(inventory: &Inventory) -> Filter {
    let own = ["timescaledb".to_string(), OSM.to_string(), "timescale_migrate".to_string()];
    Filter {
        objects: inventory.own().into_iter().chain(inventory.selection.unwanted.iter().copied()).collect(),
        only: inventory.selection.only.clone(),
        provided: inventory
            .caggs
            .iter()
            .flat_map(|cagg| {
                let keys = cagg.constraints.iter().map(|oid| (PG_CONSTRAINT, *oid));
                keys.chain([(PG_CLASS, cagg.oid)])
            })
            .collect(),
        late: inventory.children.iter().map(|e| (e.class_oid, e.oid)).collect(),
        extensions: own.to_vec(),
        schemas: vec!["timescale_migrate".to_string()],
    }
}

/// What is made of the archive, by group; the scope then knows what is left out.
pub fn settled<'a>(archive: &'a Archive, scope: &mut Scope) -> Contents<'a> {
    loop {
        let contents = archive::contents(archive, &filter(&scope.inventory));
        if !scope.follow(&contents) {
            scope.schema(&contents);
            return contents;
        }
    }
}

impl Maker {
    /// Asks this server what it has already.
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
            extended: inventory.extended.clone(),
        })
    }

    /// What the plan has to know of this side.
    pub fn target(&self, inventory: &Inventory) -> Result<plan::Target> {
        let server = catalog::server(&mut Local)?;
        let collations = catalog::collations_here(&inventory.collations)?;
        Ok(plan::Target { server, collations, tablespaces: self.tablespaces.clone(), arrivals: None })
    }

    /// Whether what the source has in this tablespace is put into one of the same name.
    pub fn has_tablespace(&self, name: &str) -> bool {
        self.tablespaces.contains(name)
    }

    /// Whether the options want this entry made.
    pub fn wants(&self, entry: &Entry) -> bool {
        match entry.desc.as_str() {
            // Without the owners, the roles whose default privileges they are need not exist.
            "DEFAULT ACL" => self.privileges || (self.owners && !entry.revoked_from_public().is_empty()),
            "ACL" => self.privileges || !entry.revoked_from_public().is_empty(),
            "SCHEMA" => self.owners || !self.is_here(entry),
            _ => true,
        }
    }

    /// A schema that existed before, as `public` always is: it gets the source's owner, like its
    /// privileges and its comment.
    fn is_here(&self, entry: &Entry) -> bool {
        entry.desc == "SCHEMA" && self.schemas.contains(&entry.tag)
    }

    /// The statements that make an entry, in order.
    pub fn statements(&self, entry: &Entry, contents: &Contents) -> Vec<String> {
        tasks::late_check(entry, contents).unwrap_or_else(|| self.statements_with(entry, self.definition(entry)))
    }

    fn statements_with(&self, entry: &Entry, definition: String) -> Vec<String> {
        let mut statements = Vec::new();
        for (setting, value) in entry.settings() {
            let value = match setting {
                "default_tablespace" if !self.tablespaces.contains(value) => "",
                // Only TimescaleDB 2.18 to 2.21 have it.
                "default_table_access_method" if value == HYPERCORE => "heap",
                _ => value,
            };
            // No function is called: it would be with the rights of who has written the definition.
            statements.push(format!("SET LOCAL {} = {}", quoted(setting), literal(value)));
        }
        if !self.is_here(entry) {
            statements.push(definition);
        }
        statements.extend(entry.access_method_statement());
        if self.owners {
            statements.extend(entry.owner_statement());
        }
        statements
    }

    /// The entry's definition. pg_dump writes ALTER TABLE ONLY for what it adds to a table;
    /// TimescaleDB refuses ONLY on a hypertable, whose chunks have to follow. Where privileges are dropped, PUBLIC does not
    /// get those that it does not have on the source either.
    fn definition(&self, entry: &Entry) -> String {
        if !self.privileges && matches!(entry.desc.as_str(), "ACL" | "DEFAULT ACL") {
            return entry.revoked_from_public();
        }
        let definition = entry.portable_definition();
        // Whether a table is partitioned, archives say only since PostgreSQL 17.
        let is_hypertable = |schema: &String| self.hypertables.contains(&(schema.clone(), entry.tag.clone()));
        if entry.desc == "TABLE" && entry.namespace.as_ref().is_some_and(is_hypertable) {
            return scan::without_partitions(&definition).unwrap_or_else(|| definition.into_owned());
        }
        // A publication's name comes before the table's, any other after it.
        let publication = entry.desc == "PUBLICATION TABLE";
        let of_hypertable = |(schema, name): &(String, String)| {
            let (rest, space) = match publication {
                true => (entry.tag.strip_suffix(name.as_str()), str::ends_with as fn(&str, char) -> bool),
                false => (entry.tag.strip_prefix(name.as_str()), str::starts_with as fn(&str, char) -> bool),
            };
            entry.namespace.as_ref() == Some(schema) && rest.is_some_and(|rest| rest.is_empty() || space(rest, ' '))
        };
        // Where ONLY stands before the table's name, and not in what the user has written.
        let is_head = |head: &str| match publication {
            true => head.starts_with("ALTER PUBLICATION ") && head.ends_with(" ADD TABLE "),
            false => head.trim_start() == "ALTER TABLE ",
        };
        match definition.split_once("ONLY ") {
            Some((head, rest)) if is_head(head) && self.hypertables.iter().any(of_hypertable) => {
                format!("{head}{rest}")
            }
            _ => definition.into_owned(),
        }
    }

    /// Makes one entry, in the current transaction; returns a warning for what was left out.
    ///
    /// Privileges on what no entry makes, that is, on built-in objects and members of
    /// extensions, may name a function that another version of the extension has not.
    pub fn make(&self, entry: &Entry, contents: &Contents) -> Result<Option<String>> {
        if !self.wants(entry) {
            return Ok(None);
        }
        if entry.desc == "USER MAPPING" {
            let make = || secret::execute(&entry.portable_definition());
            return making(&entry.object(), None, make).map(|()| None);
        }
        let run = || self.statements(entry, contents).iter().try_for_each(|statement| self.run(entry, statement));
        if entry.desc != "ACL" || entry.dependencies.iter().any(|id| contents.makes(*id)) {
            return run().map(|()| None);
        }
        match subtransaction(run) {
            Err(error) if error.code == SqlState::QUERY_CANCELED => Err(error),
            Err(error) => Ok(Some(format!("{} was left out: {}", entry.object(), describe(error)))),
            Ok(()) => Ok(None),
        }
    }

    /// Makes an index of a hypertable on the root alone; TimescaleDB is off for the rest of the
    /// current transaction.
    pub fn make_on_root(&self, entry: &Entry) -> Result<()> {
        spi::set_local("timescaledb.restoring", "on")?;
        let definition = entry.portable_definition();
        let definition = match self.extended.get(&(entry.class_oid, entry.oid)) {
            None => definition.into_owned(),
            Some(columns) => scan::with_columns(&definition, &column_list(columns))
                .ok_or_else(|| Error::internal(format!("{} has no columns", entry.object())))?,
        };
        let statements = self.statements_with(entry, definition);
        statements.iter().try_for_each(|statement| self.run(entry, statement))
    }

    fn run(&self, entry: &Entry, statement: &str) -> Result<()> {
        execute(&entry.object(), statement, self.author(entry))
    }

    /// Whose definition it is. An extension's script is nobody's; without owners all is the caller's.
    fn author<'e>(&self, entry: &'e Entry) -> Option<&'e str> {
        entry.owner.as_deref().filter(|_| self.owners && entry.desc != "EXTENSION")
    }
}

/// Runs a statement of the dump that a role has written. PostgreSQL's errors unwind past this frame to the transaction's
/// end, where [`describe`] adds what was being made.
pub fn execute(object: &str, statement: &str, author: Option<&str>) -> Result<()> {
    making(object, Some(statement), || {
        rights::written_by(author.and_then(Author::named), || spi::execute(statement, &[]).map(drop))
    })
}

/// Refreshes the materialized views that hold data on the source; the dump's order of their
/// definitions is one of dependency. Where the schema `is_here`, nothing was dumped, and the order is that of creation.
pub fn refreshes(contents: &Contents, inventory: &Inventory, is_here: bool) -> Vec<(Name, String)> {
    let refresh = |name: Name| (name.clone(), format!("REFRESH MATERIALIZED VIEW {name}"));
    if is_here {
        let populated = inventory.matviews.iter().filter(|m| m.populated);
        return populated.map(|m| refresh(Name::new(&m.schema, &m.name))).collect();
    }
    let populated: HashSet<u32> = inventory.matviews.iter().filter(|m| m.populated).map(|m| m.oid).collect();
    [Group::PreData, Group::OnProvided, Group::Rest]
        .iter()
        .flat_map(|group| contents.group(*group))
        .filter(|entry| entry.desc == "MATERIALIZED VIEW" && populated.contains(&entry.oid))
        .filter_map(|entry| Some(Name::new(entry.namespace.clone()?, entry.tag.clone())))
        .map(refresh)
        .collect()
}

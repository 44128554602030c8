//! Making the schema: entries of the dump's table of contents, each run in this process, so
//! that an error names its object and its statement.

mod tasks;

use crate::core::archive::{self, Archive, Entry, Filter, Plan, Stage};
use crate::core::cagg_state;
use crate::core::inventory::{Cagg, HYPERCORE, Hypertable, Inventory, OSM, PG_CLASS, PG_CONSTRAINT};
use crate::core::name::{Name, literal};
use crate::core::options::{Connections, Keep, Options, Policies};
use crate::core::plan;
use crate::error::{Error, Result, SqlState};
use crate::pg::catch::subtransaction;
use crate::pg::{secret, session, spi};
use crate::source::inventory::{self, Here};
use std::cell::RefCell;
use std::collections::HashSet;

/// How entries are run on this target.
pub struct Maker {
    owners: bool,
    privileges: bool,
    /// Tablespaces that are kept and exist here; what is in others goes to the default.
    tablespaces: HashSet<String>,
    /// Schemas that were here before.
    schemas: HashSet<String>,
    /// Hypertables, which take no ONLY.
    hypertables: HashSet<(String, String)>,
}

/// What is not made from the dump: TimescaleDB's own, chunks, tiered storage, and this extension.
pub fn filter(inventory: &Inventory) -> Filter {
    let own = ["timescaledb".to_string(), OSM.to_string(), "timescale_migrate".to_string()];
    Filter {
        objects: inventory.excluded.iter().map(|e| (e.class_oid, e.oid)).collect(),
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
        open: false,
    }
}

pub fn sorted<'a>(archive: &'a Archive, inventory: &Inventory, options: &Options) -> Plan<'a> {
    let open = options.connections == Connections::Allow;
    archive::plan(archive, &Filter { open, ..filter(inventory) })
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

    /// What the plan has to know of this side.
    pub fn target(&self) -> Result<plan::Target> {
        let server = inventory::server(&mut Here)?;
        let collations = inventory::collations(&mut Here)?;
        Ok(plan::Target { server, collations, tablespaces: self.tablespaces.clone() })
    }

    /// Whether the options want this entry made.
    pub fn wants(&self, entry: &Entry) -> bool {
        match entry.desc.as_str() {
            "ACL" | "DEFAULT ACL" => self.privileges,
            "SCHEMA" => self.owners || !self.is_here(entry),
            _ => true,
        }
    }

    /// A schema that was here before, as `public` always is: it gets the source's owner, like its
    /// privileges and its comment.
    fn is_here(&self, entry: &Entry) -> bool {
        entry.desc == "SCHEMA" && self.schemas.contains(&entry.tag)
    }

    /// The statements that make an entry, in order.
    pub fn statements(&self, entry: &Entry) -> Vec<String> {
        self.statements_with(entry, self.definition(entry))
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
            let (setting, value) = (literal(setting), literal(value));
            statements.push(format!("SELECT pg_catalog.set_config({setting}, {value}, true)"));
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
    /// TimescaleDB refuses ONLY on a hypertable, whose chunks have to follow.
    fn definition(&self, entry: &Entry) -> String {
        let definition = entry.portable_definition();
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
    pub fn make(&self, entry: &Entry, plan: &Plan) -> Result<Option<String>> {
        if !self.wants(entry) {
            return Ok(None);
        }
        if entry.desc == "USER MAPPING" {
            let make = || secret::execute(&entry.portable_definition());
            return making(&entry.object(), None, make).map(|()| None);
        }
        let run = || self.statements(entry).iter().try_for_each(|statement| run(entry, statement));
        if entry.desc != "ACL" || entry.dependencies.iter().any(|id| plan.makes(*id)) {
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
        let statements = self.statements_with(entry, entry.portable_definition().into_owned());
        statements.iter().try_for_each(|statement| run(entry, statement))
    }
}

/// Runs a statement of the dump. PostgreSQL's errors unwind past this frame to the transaction's
/// end, where [`describe`] adds what was being made.
fn run(entry: &Entry, statement: &str) -> Result<()> {
    making(&entry.object(), Some(statement), || spi::execute(statement, &[]).map(drop))
}

thread_local! {
    /// The object that is being made, and the statement for it, unless it is nobody's to see.
    static CURRENT: RefCell<Option<(String, Option<String>)>> = const { RefCell::new(None) };
}

/// Does the work that makes an object, which until its end is what [`describe`] adds to an error.
/// `statement`: what an error shows; None if it must not.
pub fn making<R>(object: &str, statement: Option<&str>, work: impl FnOnce() -> Result<R>) -> Result<R> {
    CURRENT.set(Some((object.to_string(), statement.map(|statement| statement.trim().to_string()))));
    let result = work()?;
    CURRENT.take();
    Ok(result)
}

/// Adds to an error what was being made when it was raised.
pub fn describe(error: Error) -> Error {
    let error = error.hint_at_functions();
    match CURRENT.take() {
        Some((object, Some(statement))) => error.about(object).within(format!("statement: {statement}")),
        // PostgreSQL's own context has it.
        Some((object, None)) => Error { context: None, ..error }.about(object),
        None => error,
    }
}

/// In a transaction that calls TimescaleDB's functions by name, before it does: refuses functions of
/// the same names that are not TimescaleDB's and that such a call could run, as a superuser. Between the two, only
/// a session could make one that was connected before the target was closed.
pub fn refuse_overloads() -> Result<()> {
    let found = inventory::overloads(&mut Here)?;
    if found.is_empty() {
        return Ok(());
    }
    let message = format!("functions beside those of an extension, by the same name: {}", found.join(", "));
    Err(Error::new(SqlState::DUPLICATE_FUNCTION, message)
        .detail("A call of the extension's function could run one of them as a superuser.")
        .hint("Drop or rename them."))
}

/// Makes a hypertable out of an empty table.
pub fn hypertable(hypertable: &Hypertable) -> Result<()> {
    refuse_overloads()?;
    call("create_hypertable", &hypertable.qualified(), &hypertable.spec)
}

/// Makes a continuous aggregate, empty, after those that it reads.
pub fn cagg(cagg: &Cagg, maker: &Maker) -> Result<()> {
    refuse_overloads()?;
    let mut spec = cagg.spec.clone();
    if let Some(fields) = spec.as_object_mut() {
        if !maker.owners {
            fields.remove("owner");
        }
        let tablespace = fields.get("tablespace").and_then(|t| t.as_str());
        if !tablespace.is_some_and(|name| maker.tablespaces.contains(name)) {
            fields.remove("tablespace");
        }
    }
    call("create_cagg", &cagg.qualified(), &spec)
}

/// Puts on a continuous aggregate's materialization hypertable what its users have put there; returns
/// what could not be made.
pub fn cagg_own(cagg: &Cagg) -> Result<Option<String>> {
    let name = cagg.qualified();
    let lost = making(&name.shown(), Some("set_cagg_own"), || {
        spi::value::<String>(
            "SELECT timescale_migrate.set_cagg_own($1::pg_catalog.name, $2::pg_catalog.name, $3)",
            &[name.schema.clone().into(), name.name.clone().into(), spi::json(&cagg.spec["own"])?],
        )
    })?;
    Ok(lost.map(|lost| format!("continuous aggregate {}: {lost}", name.shown())))
}

/// Calls a function of this extension that makes an object out of its description.
fn call(function: &str, object: &Name, spec: &serde_json::Value) -> Result<()> {
    making(&object.shown(), Some(function), || {
        spi::execute(&format!("SELECT timescale_migrate.{function}($1)"), &[spi::json(spec)?]).map(drop)
    })
}

/// An expression for a hypertable here.
fn expression(hypertable: &Hypertable) -> String {
    plan::hypertable(&hypertable.known_as(), hypertable.cagg.is_some())
}

/// Enables compression as on the source, on hypertables known by a name that is `wanted`.
pub fn compression(inventory: &Inventory, wanted: impl Fn(&Name) -> bool) -> Result<()> {
    compressions(inventory)
        .filter(|(root, _)| wanted(&root.known_as()))
        .try_for_each(|(root, spec)| enable(root, spec, &serde_json::Value::Null))
}

/// What changes how rows come in and are compressed: for when all are here as they are on the
/// source.
pub fn late_compression(inventory: &Inventory) -> Result<()> {
    compressions(inventory)
        .filter(|(_, spec)| spec["late"].as_object().is_some_and(|late| !late.is_empty()))
        .try_for_each(|(root, spec)| enable(root, spec, &spec["late"]))
}

fn compressions(inventory: &Inventory) -> impl Iterator<Item = (&Hypertable, &serde_json::Value)> {
    inventory.compressions.iter().filter_map(|compression| {
        let root = inventory.hypertables.iter().find(|h| h.id == compression.hypertable_id)?;
        Some((root, &compression.spec))
    })
}

fn enable(root: &Hypertable, spec: &serde_json::Value, late: &serde_json::Value) -> Result<()> {
    let name = root.known_as();
    refuse_overloads()?;
    making(&name.shown(), Some("enable_compression"), || {
        spi::execute(
            &format!("SELECT timescale_migrate.enable_compression({}, $1, $2)", expression(root)),
            &[spi::json(&spec["settings"])?, spi::json(late)?],
        )
    })?;
    // ALTER TABLE makes policies by itself along with certain settings.
    let named = serde_json::json!([{"schema": name.schema, "name": name.name, "cagg": root.cagg.is_some()}]);
    spi::execute("SELECT timescale_migrate.delete_policies($1)", &[spi::json(&named)?]).map(drop)
}

/// Names the columns that chunks are skipped by.
pub fn chunk_skipping(inventory: &Inventory) -> Result<()> {
    for skipping in &inventory.skipping {
        let Some(root) = inventory.hypertables.iter().find(|h| h.id == skipping.hypertable_id) else { continue };
        refuse_overloads()?;
        making(&root.known_as().shown(), Some("enable_chunk_skipping"), || {
            spi::execute(
                &format!("SELECT timescale_migrate.enable_chunk_skipping({}, $1)", expression(root)),
                &[skipping.column.clone().into()],
            )
        })?;
    }
    Ok(())
}

/// Makes TimescaleDB see the continuous aggregates as the source does: what is materialized,
/// and what was written since.
/// `later`: what the source held under the last snapshot, if not all was read under the first.
pub fn cagg_state(inventory: &Inventory, later: Option<&Inventory>) -> Result<()> {
    if inventory.caggs.is_empty() {
        return Ok(());
    }
    let (specs, ranges) = cagg_state::of(inventory, later);
    spi::execute("SELECT timescale_migrate.set_cagg_state($1, $2)", &[spi::json(&specs)?, spi::json(&ranges)?])
        .map(drop)
}

/// Whether a job runs code of an ordinary role's, which without its owner would be a superuser's.
pub fn changes_hands(job: &serde_json::Value) -> bool {
    job["kind"] == "action" && job["of_superuser"] == false
}

/// Makes the jobs and lets the scheduler see them; nothing of them runs before the commit. One that
/// needs something which is not here is left out, with a warning: no reason to end here. Of
/// what is inserted into the catalog it hears nothing; TimescaleDB's own functions tell it by this
/// invalidation. Restarting it would end the jobs that are running, as one that waits for this run.
pub fn jobs(inventory: &Inventory, maker: &Maker, policies: Policies) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    if inventory.jobs.is_empty() {
        return Ok(warnings);
    }
    for job in &inventory.jobs {
        let mut spec = job.clone();
        if let Some(fields) = spec.as_object_mut().filter(|_| !maker.owners) {
            fields.remove("owner");
        }
        let name = job["application_name"].as_str().unwrap_or_default();
        let paused = policies == Policies::Paused || (!maker.owners && changes_hands(job));
        let arguments = [spi::json(&spec)?, paused.into()];
        let make = || spi::execute("SELECT timescale_migrate.create_job($1, $2)", &arguments).map(drop);
        making(&format!("job {name}"), Some("create_job"), || match subtransaction(make) {
            Err(error) if matches!(&error.code.0, b"42883" | b"42704" | b"42P01") => {
                warnings.push(format!("job {name} was left out: {error}"));
                Ok(())
            }
            made => made,
        })?;
    }
    session::invalidate(spi::relation_oid("_timescaledb_cache.cache_inval_bgw_job")?);
    Ok(warnings)
}

/// Attaches the tablespaces that hypertables spread their future chunks over, as far as they
/// exist here.
pub fn tablespaces(inventory: &Inventory, maker: &Maker) -> Result<()> {
    for hypertable in &inventory.hypertables {
        let kept: Vec<String> =
            hypertable.tablespaces.iter().filter(|t| maker.tablespaces.contains(*t)).cloned().collect();
        if !kept.is_empty() {
            spi::execute(
                &format!(
                    "SELECT timescale_migrate.attach_tablespaces({}, $1::pg_catalog.name[])",
                    expression(hypertable)
                ),
                &[kept.into()],
            )?;
        }
    }
    Ok(())
}

/// Refreshes the materialized views that hold data on the source; the dump's order of their
/// definitions is one of dependency.
pub fn refreshes(plan: &Plan, inventory: &Inventory) -> Vec<(Name, String)> {
    let populated: HashSet<u32> = inventory.matviews.iter().filter(|m| m.populated).map(|m| m.oid).collect();
    [Stage::PreData, Stage::OnProvided, Stage::Rest]
        .iter()
        .flat_map(|stage| plan.stage(*stage))
        .filter(|entry| entry.desc == "MATERIALIZED VIEW" && populated.contains(&entry.oid))
        .filter_map(|entry| Some(Name::new(entry.namespace.clone()?, entry.tag.clone())))
        .map(|name| (name.clone(), format!("REFRESH MATERIALIZED VIEW {name}")))
        .collect()
}

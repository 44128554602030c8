//! Foreign keys. Each is made when all rows that it reads have arrived: every copy of both tables is
//! done, and their compressed chunks are attached.
//!
//! A key that is violated all the same is made NOT VALID only if the source itself has a row that
//! violates it, which the warning then quotes. If the source has none, then what the target has comes from more
//! than one moment, or was changed there: an error, which a resume under a new snapshot repairs.
//!
//! A resume that copies rows of a table again drops its keys first ([`undo`]), so that they are
//! checked again: TimescaleDB neither compresses nor drops a chunk that a key references.

use crate::catalog::Catalog;
use crate::core::name::{Name, literal, quoted};
use crate::core::plan::ForeignKey;
use crate::error::{Error, Result, SqlState};
use crate::pg::catch::{subtransaction, transaction};
use crate::pg::spi;
use crate::run::messages;
use crate::run::process::Context;
use crate::run::tasks::{self, Claim, Outcome};
use crate::source::guard::Reads;
use crate::source::session;
use crate::target::{context, copy};
use std::collections::BTreeSet;

/// Partitions that one message names.
const SHOWN: usize = 20;

/// Adds a foreign key and checks its rows.
pub fn perform(context: &mut Context, claim: &Claim, key: &ForeignKey) -> Result<()> {
    let run = context.spec.run;
    let made = transaction(|| {
        check_copies(run, claim, key)?;
        lock([&key.table, &key.references], "SHARE ROW EXCLUSIVE")?;
        for statement in &key.statements {
            execute(claim, statement)?;
        }
        tasks::done(claim.id, Outcome::default())
    });
    let violated = match made.map_err(context::describe) {
        Err(error) if error.code == SqlState::FOREIGN_KEY_VIOLATION => error,
        made => return made,
    };
    let found = violating_row(context, claim.id, key);
    context.drop_source();
    let (definition, row) = match found {
        Ok(Some(found)) => found,
        Ok(None) => {
            let hint = format!(
                "No row of the source violates it now. migrate_resume({run}) copies what has changed since, and then adds the key."
            );
            return Err(violated.hint(hint));
        }
        Err(error) if passes_on(&error) => return Err(error),
        Err(_) => return Err(violated),
    };
    let made = transaction(|| {
        lock([&key.table, &key.references], "SHARE ROW EXCLUSIVE")?;
        let how = not_valid(claim, key, &definition)?;
        messages::warn_here(run, &format!("{} is violated by the source's own rows and {how}: {row}", claim.object))?;
        tasks::done(claim.id, Outcome::default())
    });
    // The first error tells more.
    made.map_err(|error| if passes_on(&error) { error } else { violated })
}

fn execute(claim: &Claim, statement: &str) -> Result<()> {
    context::making(&claim.object, Some(statement), || spi::execute(statement, &[]).map(drop))
}

/// Whether an error is about the attempt, not about the key.
fn passes_on(error: &Error) -> bool {
    error.is_transient() || error.code == SqlState::QUERY_CANCELED
}

/// With `on_error => 'continue'` a copy may have failed. A key that is made without its rows would
/// be violated, or never be checked against them.
fn check_copies(run: i64, claim: &Claim, key: &ForeignKey) -> Result<()> {
    context::making(&claim.object, Some(&key.statements.join("\n")), || {
        let missing: Vec<String> = spi::json_rows(
            include_str!("../../../sql/run/key_waits.sql"),
            &[run.into(), key.table.to_string().into(), key.references.to_string().into()],
        )?;
        let Some(first) = missing.first() else { return Ok(()) };
        let message = format!("{} cannot be made without the rows of {first}", claim.object);
        Err(Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, message)
            .detail("The task that copies them has failed.")
            .hint(format!("Fix its cause, then call migrate_resume({run}), which makes the key as well.")))
    })
}

/// Locks the tables in one order for all: workers make several keys of a table at the same time,
/// and two tables may reference each other.
pub fn lock<'a>(tables: impl IntoIterator<Item = &'a Name>, mode: &str) -> Result<()> {
    let names: Vec<String> = tables.into_iter().map(Name::to_string).collect();
    if names.is_empty() {
        return Ok(());
    }
    let ordered: Vec<String> = spi::json_rows(include_str!("../../../sql/run/ordered_tables.sql"), &[names.into()])?;
    if ordered.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = ordered.iter().map(|table| format!("ONLY {table}")).collect();
    spi::execute(&format!("LOCK TABLE {} IN {mode} MODE", list.join(", ")), &[]).map(drop)
}

/// The key's definition, and a row of the source that violates it, in the words of PostgreSQL.
fn violating_row(context: &mut Context, task: i32, key: &ForeignKey) -> Result<Option<(String, String)>> {
    match context.begin(task, 0, Reads::Any, &[]) {
        // Nothing is copied any more; the newest rows tell as well.
        Err(error) if error.code == SqlState::SNAPSHOT_GONE => {
            let source = context.source()?;
            source.roll_back()?;
            source.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        }
        begun => drop(begun?),
    }
    let source = context.source()?;
    // Not foreign tables: of a hypertable some chunks may be in tiered storage.
    source.query(&session::restrict("view", true))?;
    // All at once: a name may hold what looks like another parameter.
    let parameters = format!("VALUES ({}, {}, {})", key.oid, literal(&key.read[0]), literal(&key.read[1]));
    let query = include_str!("../../../sql/source/violating_row.sql").replace("VALUES (:parameters)", &parameters);
    let Some((definition, columns, query)) = source.ask::<(String, String, String)>(&query)?.pop() else {
        return Ok(None);
    };
    let rows = source.query(&query)?;
    let values = rows.0.into_iter().next().and_then(|row| row.into_iter().next()?);
    source.query("COMMIT")?;
    let references = key.references.shown();
    Ok(values.map(|values| (definition, format!("Key ({columns})=({values}) is not present in {references}."))))
}

/// Makes the key without a look at the rows that are there; returns what became of it. Until
/// PostgreSQL 17 there is no such key on a partitioned table: then each partition gets its own.
fn not_valid(claim: &Claim, key: &ForeignKey, definition: &str) -> Result<String> {
    let leaves: Vec<String> = spi::json_rows(
        "SELECT to_json(p.relid::pg_catalog.regclass::text)::text
         FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) p WHERE p.isleaf AND p.parentrelid IS NOT NULL",
        &[key.table.to_string().into()],
    )?;
    let table = &key.table;
    let add = |on: &str, suffix: &str| {
        execute(claim, &format!("ALTER TABLE {on} ADD CONSTRAINT {} {definition}{suffix}", quoted(&key.name)))
    };
    let whole = || add(&table.to_string(), " NOT VALID");
    if leaves.is_empty() {
        return whole().map(|()| "was made NOT VALID".to_string());
    }
    if attempt(whole)? {
        return Ok("was made NOT VALID".to_string());
    }
    let (mut unchecked, mut without) = (Vec::new(), Vec::new());
    for leaf in &leaves {
        if attempt(|| add(leaf, ""))? {
            continue;
        }
        match attempt(|| add(leaf, " NOT VALID"))? {
            true => unchecked.push(leaf.as_str()),
            false => without.push(leaf.as_str()),
        }
    }
    if without.len() == leaves.len() {
        return Ok("was left out".to_string());
    }
    let mut how = "was made on each partition separately".to_string();
    for (what, of) in [("NOT VALID on", unchecked), ("left out on", without)] {
        if !of.is_empty() {
            let more = of.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            how.push_str(&format!(", {what} {}{more}", of[..of.len().min(SHOWN)].join(", ")));
        }
    }
    Ok(how)
}

/// Whether a statement that may be refused went through.
fn attempt(work: impl FnOnce() -> Result<()>) -> Result<bool> {
    match subtransaction(work) {
        Ok(()) => Ok(true),
        Err(error) if passes_on(&error) => Err(error),
        Err(_) => Ok(false),
    }
}

/// Drops the keys of tables whose rows are taken back or added to, in the current transaction; they are
/// made again once all rows have arrived.
pub fn undo(run: i64, tables: &[&Name]) -> Result<()> {
    let names: Vec<String> = tables.iter().map(|table| table.to_string()).collect();
    let keys = || -> Result<Vec<(i32, ForeignKey)>> {
        spi::json_rows(include_str!("../../../sql/run/keys_of_tables.sql"), &[run.into(), names.clone().into()])
    };
    let found = keys()?;
    if found.is_empty() {
        return Ok(());
    }
    let tables: BTreeSet<&Name> = found.iter().flat_map(|(_, key)| [&key.table, &key.references]).collect();
    lock(tables, "ACCESS EXCLUSIVE")?;
    // Others may have dropped some of them meanwhile.
    for (task, key) in keys()? {
        let statements: Vec<String> = spi::json_rows(
            include_str!("../../../sql/run/drop_key.sql"),
            &[key.table.to_string().into(), key.references.to_string().into(), key.name.into()],
        )?;
        if !statements.is_empty() {
            copy::own(run, &key.table)?;
        }
        for statement in statements {
            spi::execute(&statement, &[])?;
        }
        tasks::reopen(task)?;
    }
    Ok(())
}

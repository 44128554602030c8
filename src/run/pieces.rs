//! What the coordinator makes one after the other: all in one transaction, so that a failure
//! leaves nothing behind, unless that would take too much of this server's lock table. Then it
//! is several, and each records by name what it has made: the next start of the run continues
//! after it, whatever else has changed on the source since.

use super::{messages, state};
use crate::core::digest::Digests;
use crate::core::inventory::QUERY_OF;
use crate::error::Result;
use crate::pg::catch::transaction;
use crate::pg::{session, spi};
use crate::target::{context, made};
use std::collections::{BTreeMap, HashSet};
use std::iter::Peekable;

/// How many pieces are made between two looks at the lock table.
const LOOK: usize = 50;

/// Something to be made.
pub struct Piece<'a> {
    /// The same in every start of the run. What has none may be made again.
    name: Option<String>,
    /// It is made in the transaction of the one before.
    joined: bool,
    /// Returns warnings.
    make: Box<dyn FnOnce() -> Result<Vec<String>> + 'a>,
}

impl<'a> Piece<'a> {
    /// `make` is called once, in a transaction.
    pub fn new(name: impl Into<Option<String>>, make: impl FnOnce() -> Result<Vec<String>> + 'a) -> Self {
        Piece { name: name.into(), joined: false, make: Box::new(make) }
    }

    /// With `joined`, a part of the piece before.
    pub fn joined(self, joined: bool) -> Self {
        Piece { joined, ..self }
    }
}

/// The names of what the run has made so far.
pub fn made(run: i64) -> Result<HashSet<String>> {
    let sql = "SELECT to_json(object)::text FROM timescale_migrate.schema_log WHERE run = $1 AND made";
    Ok(transaction(|| spi::json_rows(sql, &[run.into()]))?.into_iter().collect())
}

/// The names of what the target's schema consists of, or will.
fn known(run: i64) -> Result<HashSet<String>> {
    let sql = "SELECT to_json(object)::text FROM timescale_migrate.schema_log WHERE run = $1";
    Ok(transaction(|| spi::json_rows(sql, &[run.into()]))?.into_iter().collect())
}

/// A step of the run: makes those of the pieces that are not made yet, in transactions that take
/// not many more than `locks` locks. `end` is part of the last one. When the step was done before,
/// it makes what is new on the source since then.
pub fn make(
    run: i64,
    step: &str,
    pieces: Vec<Piece>,
    digests: &Digests,
    locks: i64,
    end: impl Fn() -> Result<()>,
) -> Result<()> {
    let done = state::step_done(run, step)?;
    let here = if done { known(run)? } else { made(run)? };
    let new = |piece: &Piece| !piece.name.as_ref().is_some_and(|name| here.contains(name));
    let pieces: Vec<Piece> = pieces.into_iter().filter(new).collect();
    if done && pieces.iter().all(|piece| piece.name.is_none()) {
        return Ok(());
    }
    let mut pieces = pieces.into_iter().peekable();
    let mut ended = false;
    while !ended {
        state::checkpoint(run)?;
        ended = transaction(|| {
            let names = made::entering(run, || batch(run, &mut pieces, locks))?;
            enter(run, names.into_iter().map(|name| (digests.get(&name).cloned(), name)), true)?;
            if pieces.peek().is_some() {
                return Ok(false);
            }
            if !done {
                end()?;
                state::step_here(run, step)?;
            }
            Ok(true)
        })
        .map_err(context::describe)?;
        session::forget_relations()?;
    }
    Ok(())
}

/// Makes as many pieces as may be made in the current transaction; returns their names.
fn batch<'a>(run: i64, pieces: &mut Peekable<impl Iterator<Item = Piece<'a>>>, locks: i64) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for count in 1.. {
        let Some(piece) = pieces.next() else { break };
        for warning in (piece.make)()? {
            messages::warn_here(run, &warning)?;
        }
        names.extend(piece.name);
        let is_end = pieces.peek().is_none_or(|next| !next.joined);
        if is_end && (state::stop_requested_here(run)?.is_some() || (count % LOOK == 0 && held()? > locks)) {
            break;
        }
    }
    Ok(names)
}

/// How many locks this process holds.
fn held() -> Result<i64> {
    let sql = "SELECT count(*) FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid()";
    Ok(spi::value(sql, &[])?.unwrap_or(0))
}

/// Enters objects in the current transaction; what is `made` already stays that.
fn enter(run: i64, objects: impl Iterator<Item = (Option<String>, String)>, made: bool) -> Result<()> {
    let (digests, names): (Vec<Option<String>>, Vec<String>) = objects.unzip();
    spi::execute(
        include_str!("../../sql/run/add_objects.sql"),
        &[run.into(), names.into(), digests.into(), made.into()],
    )
    .map(drop)
}

/// Enters all that is made sooner or later, in the current transaction: from now on the schema
/// on the target is what it is.
pub fn settle(run: i64, digests: &Digests) -> Result<()> {
    enter(run, digests.iter().map(|(name, digest)| (Some(digest.clone()), name.clone())), false)
}

/// What was entered, as it was on the source then, and whether it is on the target.
struct Settled {
    digest: String,
    made: bool,
}

fn settled_as(run: i64) -> Result<BTreeMap<String, Settled>> {
    let sql = include_str!("../../sql/run/settled_objects.sql");
    let found = transaction(|| spi::json_rows::<(String, String, bool)>(sql, &[run.into()]))?;
    Ok(found.into_iter().map(|(object, digest, made)| (object, Settled { digest, made })).collect())
}

/// The first continuous aggregate whose query has changed: rows of the new query would be mixed with those of the old.
pub fn other_query(run: i64, now: &Digests) -> Result<Option<String>> {
    let is_other = |name: &str, then: &Settled| {
        name.starts_with(QUERY_OF) && now.get(name).is_some_and(|digest| *digest != then.digest)
    };
    Ok(settled_as(run)?.into_iter().find(|(name, then)| is_other(name, then)).map(|(name, _)| name))
}

/// What of that is no longer on the source as it was: what was made is not changed, what was not is made as it is now. Once
/// that is `settled`, also what is new there. With a hint where something is left to do, which is given once.
pub fn changes(run: i64, now: &Digests, settled: bool) -> Result<Vec<(String, &'static str)>> {
    let then = settled_as(run)?;
    let mut changes = BTreeMap::new();
    let mut hint = "Compare pg_dump --schema-only of both databases, and make the same changes on the target: before migrate_resume where new rows need them, else after the run.";
    // Told of what it is the query of.
    for (name, Settled { digest, made }) in then.iter().filter(|(name, _)| !name.starts_with(QUERY_OF)) {
        let what = match (now.get(name), made) {
            (Some(same), _) if same == digest => continue,
            (None, true) => "was dropped on the source since the run began; the target's schema is not changed",
            (Some(_), true) => "has changed on the source since the run began; the target's schema is not changed",
            (None, false) => "was dropped on the source since the run began: it is not made",
            (Some(_), false) => "has changed on the source since the run began: it is made as it is now",
        };
        let hint = if *made { std::mem::take(&mut hint) } else { "" };
        changes.insert(name, (what, hint));
    }
    if settled {
        let new = now.keys().filter(|name| !then.contains_key(*name) && !name.starts_with(QUERY_OF));
        let what = "is new on the source since the run began: it is made on the target too";
        changes.extend(new.map(|name| (name, (what, ""))));
    }
    Ok(changes.into_iter().map(|(name, (what, hint))| (format!("{name} {what}"), hint)).collect())
}

/// Enters what is not made yet as it is now, and forgets what the source has dropped of it, with its tasks, in the current
/// transaction. `add` then adds the tasks for what there is now.
pub fn settle_again(run: i64, now: &Digests, add: impl FnOnce() -> Result<()>) -> Result<()> {
    let (objects, digests): (Vec<String>, Vec<String>) =
        now.iter().map(|(name, digest)| (name.clone(), digest.clone())).unzip();
    let arguments = || [run.into(), objects.clone().into(), digests.clone().into()];
    spi::execute(include_str!("../../sql/run/forget_undone.sql"), &arguments())?;
    let [run, objects, digests] = arguments();
    spi::execute(include_str!("../../sql/run/settle_again.sql"), &[run, objects, digests, QUERY_OF.into()])?;
    add()?;
    spi::execute(include_str!("../../sql/run/settle_tasks.sql"), &arguments()).map(drop)
}

//! Whether what an earlier start has copied is still what the source has; if not, it is taken back
//! and copied again.

use crate::core::plan::{CopyTask, Doubt, Recheck, Task, Work, again};
use crate::error::Result;
use crate::pg::{catch::transaction, rows, spi};
use crate::run::process::Context;
use crate::run::spec::RunSpec;
use crate::run::undo::{self, Brought};
use crate::run::{messages, tasks};
use crate::source::guard::{self, Hold, Reads};
use std::collections::HashSet;

/// Looks at a finished copy again; if the source holds something else now, it is taken back, and
/// made again unless the chunk is gone.
pub fn perform(context: &mut Context, id: i32, recheck: &Recheck) -> Result<()> {
    let again = match recheck.again.first() {
        Some(Task { work: Work::Copy(again), .. }) => Some(again),
        _ => None,
    };
    let Some(brought) = transaction(|| undo::brought(&recheck.copies))? else {
        // An attempt before has begun to take it back.
        let message = again.map(|again| format!("{} is copied again", again.source.name.shown()));
        return replace(&context.spec, id, recheck, message);
    };
    let name = again::name_of(again.unwrap_or(&brought.work));
    let changed = Some(format!("{name} was written to on the source since it was copied: it is copied again"));
    let other = match (recheck.doubt, again) {
        (Doubt::Gone, _) | (_, None) if brought.work.destination.is_converted() => Some(format!(
            "{name} has no partitions or chunks on the source any more: its rows on the target are removed"
        )),
        (Doubt::Gone, _) | (_, None) => {
            Some(format!("{name} no longer exists on the source: its copy on the target is removed"))
        }
        (Doubt::Changed, _) => changed,
        (Doubt::Lost, _) => Some(format!(
            "the source may have lost rows of {name} that were copied, in a crash or fail-over: it is copied again"
        )),
        (Doubt::None, Some(_)) => match all_since(context, id, recheck, &brought.sources)? {
            // The copy finds out what it is now.
            None => changed,
            Some((now, newer)) => match (transaction(|| emptied(&brought))?, newer) {
                (true, _) => Some(format!("{name} was emptied by a crash of the target: it is copied again")),
                (_, true) => changed,
                _ => (now != brought.rows).then(|| {
                    let rows = brought.rows;
                    format!("{name} has {now} rows on the source now, {rows} were copied: it is copied again")
                }),
            },
        },
    };
    if other.is_some() {
        return replace(&context.spec, id, recheck, other);
    }
    transaction(|| {
        let moved =
            |again: &&CopyTask| again.source.guards != brought.work.source.guards && !again.destination.is_converted();
        if let Some(again) = again.filter(moved) {
            // A comparison of the values reads under the same locks as this.
            undo::set_guards(&recheck.copies, &again.source.guards)?;
        }
        tasks::done(id, tasks::Outcome::default())
    })
}

/// Takes a copy back, and adds what makes it again.
fn replace(spec: &RunSpec, id: i32, recheck: &Recheck, message: Option<String>) -> Result<()> {
    let run = spec.run;
    undo::drop_converted(run, &recheck.copies, spec.options.jobs)?;
    transaction(|| {
        undo::take_back(run, recheck.copies.clone())?;
        tasks::add(run, &recheck.again)?;
        message.iter().try_for_each(|message| messages::notice_here(run, message))?;
        tasks::done(id, tasks::Outcome::default())
    })
}

/// How many rows the source has now of what was copied under the snapshot with that horizon, and
/// whether any of them is newer; none if the newest snapshot cannot show it any more.
fn since(context: &mut Context, id: i32, now: &CopyTask, horizon: u64) -> Result<Option<(i64, bool)>> {
    let (guards, query) = (&now.source.guards, &now.source.query);
    if context.begin(id, now.snapshot, Reads::of(guards, query), guards)? != Hold::Held {
        return Ok(None);
    }
    let source = context.source()?;
    if now.source.root {
        source.query("SET LOCAL timescaledb.restoring = on")?;
    }
    let answer = source.query(&now.since(horizon))?;
    let found = (answer.number(0, 0)?, answer.text(0, 1)? == "t");
    Ok(guard::end(source, guards)?.then_some(found))
}

/// The same of all relations that are copied as one; rows of one that is not among those that were are newer.
fn all_since(context: &mut Context, id: i32, recheck: &Recheck, were: &[u32]) -> Result<Option<(i64, bool)>> {
    let (mut seen, mut all) = (HashSet::new(), (0, false));
    for copy in recheck.again.iter().filter_map(|task| task.work.copy()).filter(|copy| seen.insert(copy.source.oid)) {
        let Some((rows, newer)) = since(context, id, copy, recheck.horizon)? else { return Ok(None) };
        all = (all.0 + rows, all.1 || newer || (rows > 0 && !were.contains(&copy.source.oid)));
    }
    Ok(Some(all))
}

/// Whether an unlogged relation of the target has lost its rows, as such do in a crash.
fn emptied(Brought { relation, rows, .. }: &Brought) -> Result<bool> {
    let unlogged = "SELECT relpersistence = 'u' FROM pg_catalog.pg_class WHERE oid = $1";
    Ok(*rows > 0 && spi::value::<bool>(unlogged, &[(*relation).into()])? == Some(true) && !rows::has_any(*relation))
}

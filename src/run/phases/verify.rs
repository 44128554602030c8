//! Comparing both sides: per table and chunk, by the workers, both servers at once.

mod own;

use crate::catalog;
use crate::core::checksum::{self, Sum};
use crate::core::name::Name;
use crate::core::plan::{self, CopyTask, Destination, Phase, SnapshotId, SourceRows, Verify, VerifyCopied, Work};
use crate::core::progress;
use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::{Connection, Rows};
use crate::pg::{catch::transaction, progress::Shown, spi};
use crate::run::process::{Context, restrict};
use crate::run::tasks::{Claim, Outcome};
use crate::run::undo::{self, Brought};
use crate::run::{messages, tasks};
use crate::source::guard::{self, Hold, Reads};
use own::{Own, Sums};
use pgrx::pg_sys::Oid;
use serde::Serialize;

/// Adds a comparison for every relation that the run has copied, under the run's own snapshot
/// or, where a count is enough, against the rows that the source said it sent. `snapshot` is the
/// first of this start. `early`: workers may take them beside foreign keys,
/// else beside statistics.
pub fn add_tasks(run: i64, checksum: bool, snapshot: SnapshotId, early: bool) -> Result<()> {
    transaction(|| {
        forget(run)?;
        let query = include_str!("../../../sql/run/copied_relations.sql");
        let copied = spi::json_rows::<(String, Vec<i32>, i64, i64)>(query, &[run.into()])?;
        let task = |(object, copies, rows, bytes)| {
            let work = VerifyCopied { copies, checksum, snapshot };
            let beside = if early { Phase::ForeignKey } else { Phase::Analyze };
            plan::task(Phase::Verify, object, rows, bytes, Work::VerifyCopied(work)).beside(beside)
        };
        tasks::add(run, &copied.into_iter().map(task).collect::<Vec<_>>())
    })
}

/// Whether a comparison of all values will have to ask the source: of some copy no checksum is known.
pub fn asks_source(run: i64) -> Result<bool> {
    let unknown = "SELECT id FROM timescale_migrate.task_log
         WHERE run = $1 AND phase IN ('copy', 'tiered') AND relation IS NOT NULL AND source_checksum IS NULL LIMIT 1";
    Ok(transaction(|| spi::value::<i32>(unknown, &[run.into()]))?.is_some())
}

/// The source's checksum of what a task has just copied, in the same transaction of the source, which
/// ends with it: later the source may have rewritten what the snapshot shows. None if it could not be
/// read; then the comparison asks for it.
pub fn source_checksum(
    context: &mut Context,
    work: &CopyTask,
    columns: &[String],
    copied: Option<i64>,
) -> Result<Option<String>> {
    let (work, source) = (Verify::of(work.clone(), columns.to_vec()), context.source()?);
    match ask(source, &work, &Sum::of(&work.columns)).and_then(|()| answer(source, &work)) {
        Ok(found) => Ok(found.and_then(|found| of_copied(found, copied))),
        // The rows have arrived, and not to be copied again because another has waited for the source's locks.
        Err(error) if error.side == Side::Source => {
            context.drop_source();
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What asks for it, of a table or chunk that is not compressed.
pub fn source_query(work: &CopyTask, columns: &[String]) -> String {
    let work = Verify::of(work.clone(), columns.to_vec());
    work.source.as_ref().map_or_else(String::new, |name| checksum::query(&rows_of(&work, name), &usual(&work)))
}

/// What that answers.
pub fn checksum_of(rows: &Rows, copied: Option<i64>) -> Result<Option<String>> {
    Ok(of_copied(counted(rows)?, copied))
}

/// The checksum, if it is of as many rows as were copied.
fn of_copied((rows, checksum): Sums, copied: Option<i64>) -> Option<String> {
    checksum.filter(|_| Some(rows) == copied)
}

/// What an interrupted start compared counts no more.
pub fn forget(run: i64) -> Result<()> {
    spi::execute("DELETE FROM timescale_migrate.task_log WHERE run = $1 AND phase = 'verify'", &[run.into()])?;
    spi::execute("DELETE FROM timescale_migrate.verification_log WHERE run = $1", &[run.into()]).map(drop)
}

/// Of the differences as many are named.
const SHOWN: usize = 100;

/// Fails if any comparison of the run failed.
pub fn judge(run: i64) -> Result<()> {
    let mut different: Vec<String> =
        transaction(|| spi::json_rows(include_str!("../../../sql/run/differences.sql"), &[run.into()]))?;
    if different.is_empty() {
        return Ok(());
    }
    let count = different.len();
    if count > SHOWN {
        different.truncate(SHOWN);
        different.push(format!("and {} more", count - SHOWN));
    }
    Err(Error::new(
        SqlState::DATA_CORRUPTED,
        format!("source and target differ in {}", progress::counted(count, "place")),
    )
    .detail(different.join("\n"))
    .hint(format!("SELECT * FROM timescale_migrate.verification WHERE run = {run} AND NOT same;")))
}

/// The rows of a relation of either side.
fn rows_of(work: &Verify, name: &Name) -> String {
    checksum::table(name, !work.chunk, work.condition.as_deref())
}

/// Sends the source its query, in a transaction that reads the snapshot.
fn ask(source: &mut Connection, work: &Verify, sum: &Sum) -> Result<()> {
    let Some(name) = &work.source else { return Ok(()) };
    if work.root {
        source.query("SET LOCAL timescaledb.restoring = on")?;
    }
    let rows = match &work.query {
        Some(query) => checksum::result(query),
        None => rows_of(work, name),
    };
    source.send(&checksum::query(&rows, sum))
}

fn counted(rows: &Rows) -> Result<Sums> {
    Ok((rows.number(0, 0)?, rows.cell(0, 1)?.map(str::to_string)))
}

/// What the source answers to a query that was sent, the number of rows and their checksum; none
/// if it has not read what the snapshot shows.
fn answer(source: &mut Connection, work: &Verify) -> Result<Option<Sums>> {
    let found = counted(&source.answer()?)?;
    let whole = match (&work.source, &work.batches) {
        (Some(name), Some(batches)) => guard::is_decompressed(source, name, batches, found.0)?,
        _ => true,
    };
    Ok((guard::end(source, &work.guards)? && whole).then_some(found))
}

/// Compares what copy tasks have brought.
pub fn perform_copied(context: &mut Context, claim: &Claim, work: &VerifyCopied) -> Result<()> {
    match transaction(|| of_copies(context.spec.run, &[work]))?.pop().flatten() {
        Some(comparison) => perform(context, claim, &comparison),
        None => Err(Error::internal("a copy task is gone")),
    }
}

/// The comparison that each of these is; none where nothing was copied.
fn of_copies(run: i64, works: &[&VerifyCopied]) -> Result<Vec<Option<Verify>>> {
    let copies: Vec<&[i32]> = works.iter().map(|work| &*work.copies).collect();
    let all = undo::all_brought(&copies)?;
    // A hypertable that is made of a table is read by its own name.
    let routed = |copy: &CopyTask| matches!(copy.destination, Destination::Routed { buckets: None, .. });
    let (relations, routed): (Vec<Oid>, Vec<bool>) =
        all.iter().flatten().map(|found| (found.relation, routed(&found.work))).unzip();
    let arguments = [run.into(), relations.into(), routed.into()];
    let mut filled = spi::json_rows(include_str!("../../../sql/run/filled_relations.sql"), &arguments)?.into_iter();
    let comparison = |(brought, work): (Option<Brought>, &&VerifyCopied)| {
        let Some(Brought { work: copy, relation, rows, checksum, sources, .. }) = brought else { return Ok(None) };
        let (targets, columns): (Vec<Name>, Vec<String>) =
            filled.next().ok_or_else(|| Error::internal("a relation is gone"))?;
        let source_checksum = checksum.filter(|_| work.checksum);
        if copy.adopted.is_some() {
            return of_adopted(work, copy, relation, rows, source_checksum).map(Some);
        }
        let is_asked = sources.len() > 1 && work.checksum && source_checksum.is_none();
        let parts = if is_asked { read_by(&work.copies)? } else { Vec::new() };
        Ok(Some(Verify {
            targets,
            // Of all the tasks.
            condition: copy.condition().map(str::to_string),
            checksum: work.checksum,
            source_rows: Some(rows),
            source_checksum,
            snapshot: copy.snapshot.max(work.snapshot),
            parts,
            ..Verify::of(copy, columns)
        }))
    };
    all.into_iter().zip(works).map(comparison).collect()
}

/// What these tasks have read.
fn read_by(copies: &[i32]) -> Result<Vec<SourceRows>> {
    let query = "SELECT DISTINCT (work -> 'source')::text FROM timescale_migrate.task_log WHERE id = ANY ($1)";
    spi::json_rows(query, &[copies.to_vec().into()])
}

/// A table that the run did not make, or a chunk in one: by the columns that were copied. Where several chunks have
/// come into it, the source is not asked again, and their rows and checksums are added up.
fn of_adopted(
    work: &VerifyCopied,
    copy: CopyTask,
    relation: Oid,
    rows: i64,
    checksum: Option<String>,
) -> Result<Verify> {
    let query = "SELECT json_build_object('schema', n.nspname, 'name', c.relname)::text
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
    let columns = copy.columns.to_vec();
    let (condition, whole) = (copy.condition().map(str::to_string), copy.is_shared());
    let verify = Verify::of(copy, columns);
    Ok(Verify {
        source: verify.source.filter(|_| !whole),
        targets: spi::json_rows(query, &[relation.into()])?,
        condition,
        root: verify.root && !whole,
        // All rows, also those in chunks.
        chunk: verify.chunk || whole,
        whole,
        checksum: work.checksum && (!whole || checksum.is_some()),
        source_rows: Some(rows),
        source_checksum: checksum,
        snapshot: verify.snapshot.max(work.snapshot),
        ..verify
    })
}

/// Compares one relation and records the result.
pub fn perform(context: &mut Context, claim: &Claim, work: &Verify) -> Result<()> {
    match compare(context, claim, work, usual(work)) {
        // What was noted of the source is the usual sum.
        Err(error) if work.checksum && work.source_checksum.is_none() && checksum::is_too_large(&error) => {
            context.drop_source();
            let sum = transaction(|| value_sums(work))?;
            compare(context, claim, work, sum).map_err(checksum::failed)
        }
        Err(error) if work.checksum => Err(checksum::failed(error)),
        result => result,
    }
}

fn usual(work: &Verify) -> Sum {
    if work.checksum { Sum::of(&work.columns) } else { Sum::Count }
}

/// The sum of rows that may have no text form.
fn value_sums(work: &Verify) -> Result<Sum> {
    // With none on the target, there is nothing to compare values with.
    let Some(target) = work.targets.first() else { return Ok(Sum::Count) };
    catalog::value_sums(spi::relation_oid(&target.to_string())?).map(Sum::Values)
}

/// Compares what small copy tasks have brought, in one transaction, as far as the source need not be
/// asked; returns the tasks that are done. After any error none is.
pub fn together(run: i64, claims: &[Claim]) -> Result<Vec<i32>> {
    transaction(|| {
        restrict()?;
        let copied = claims.iter().filter_map(|claim| match &claim.work {
            Work::VerifyCopied(copied) => Some((claim, copied)),
            _ => None,
        });
        let (claims, copied): (Vec<&Claim>, Vec<&VerifyCopied>) = copied.unzip();
        let works = claims.iter().zip(of_copies(run, &copied)?);
        let works =
            works.filter_map(|(claim, work)| Some((*claim, work.filter(|work| is_known(work) && !work.whole)?)));
        let (claims, works): (Vec<&Claim>, Vec<Verify>) = works.unzip();
        let own = own::of(&works.iter().map(|work| (work, usual(work))).collect::<Vec<_>>())?;
        let all = claims.iter().zip(&works).zip(own);
        let compared: Vec<_> = all.map(|((claim, work), own)| Compared::new(claim, work, None, own)).collect();
        enter(run, &compared)?;
        Ok(compared.iter().map(|compared| compared.task).collect())
    })
}

/// Whether the source need not be asked.
fn is_known(work: &Verify) -> bool {
    work.source.is_none() || if work.checksum { work.source_checksum.is_some() } else { work.source_rows.is_some() }
}

/// One comparison: the source counts while this server does.
fn compare(context: &mut Context, claim: &Claim, work: &Verify, sum: Sum) -> Result<()> {
    let run = context.spec.run;
    let mut hold = None;
    let mut parts = None;
    if !is_known(work) && !work.parts.is_empty() {
        parts = of_parts(context, claim, work, &sum)?;
        hold = Some(Hold::Changed);
    } else if !is_known(work) {
        let held = context.begin(claim.id, work.snapshot, Reads::of(&work.guards, &work.query), &work.guards)?;
        if held == Hold::Held {
            ask(context.source()?, work, &sum)?;
        }
        hold = Some(held);
    }
    let shown = Shown::begin();
    let own = own::of_one(work, &sum, context.spec.options.jobs);
    drop(shown);
    // The source's answer is read in any case, so that its connection can be used again.
    let answer = match hold {
        Some(Hold::Held) => answer(context.source()?, work)?,
        _ => parts,
    };
    let own = own?;
    if let (Some(hold), None, Some(name)) = (hold, &answer, &work.source) {
        let message = match (hold, work.source_rows) {
            (_, Some(_)) => {
                format!(
                    "{} has changed on the source since it was copied: its rows are counted, not compared",
                    name.shown()
                )
            }
            (Hold::Gone, None) => format!("{} was dropped on the source and is not compared", name.shown()),
            (Hold::Held | Hold::Changed, None) => return Err(guard::changed(name)),
        };
        transaction(|| messages::warn_here(run, &message))?;
        if work.source_rows.is_none() {
            return transaction(|| tasks::done(claim.id, Outcome::default()));
        }
    }
    transaction(|| enter(run, &[Compared::new(claim, work, answer, own)]))
}

/// What the source has of all parts, each read in a transaction of its own; none if one cannot be read as the snapshot has it.
fn of_parts(context: &mut Context, claim: &Claim, work: &Verify, sum: &Sum) -> Result<Option<Sums>> {
    let mut all: Sums = (0, work.checksum.then(|| "0/0".to_string()));
    for part in &work.parts {
        if context.begin(claim.id, work.snapshot, Reads::of(&part.guards, &part.query), &part.guards)? != Hold::Held {
            return Ok(None);
        }
        let batches = part.storage.batches(None).cloned();
        let rows = Verify { source: Some(part.name.clone()), batches, guards: part.guards.clone(), ..work.clone() };
        ask(context.source()?, &rows, sum)?;
        let Some((count, checksum)) = answer(context.source()?, &rows)? else { return Ok(None) };
        let checksum = all.1.zip(checksum).map(|(a, b)| checksum::added(&a, &b)).transpose()?;
        all = (all.0 + count, checksum);
    }
    Ok(Some(all))
}

/// The result of a comparison.
#[derive(Serialize)]
struct Compared {
    #[serde(skip)]
    task: i32,
    #[serde(skip)]
    relation: Option<Oid>,
    object: String,
    part: Option<String>,
    source_rows: Option<i64>,
    target_rows: Option<i64>,
    source_checksum: Option<String>,
    target_checksum: Option<String>,
    same: bool,
}

impl Compared {
    /// With what the source has answered, else with what is known of it.
    fn new(claim: &Claim, work: &Verify, answer: Option<Sums>, own: Option<Own>) -> Compared {
        let valued = answer.is_some() || work.source_checksum.is_some();
        let theirs = answer.or(work.source_rows.map(|rows| (rows, work.source_checksum.clone())));
        let (own, relation) = own.map_or((None, None), |(own, relation)| (Some(own), relation));
        let target = work.targets.first().filter(|_| work.targets.len() == 1);
        // A chunk is called as on the source, here as in the plan and the tasks.
        let part = work.source.as_ref().or(target).map(Name::shown).filter(|part| *part != claim.object);
        // A relation that is missing is the same as one without rows only if the source's is empty
        // and a chunk: an empty chunk is an artefact, a table is an object.
        let same = match (&theirs, &own) {
            (Some(a), Some(b)) => a.0 == b.0 && (!valued || a.1 == b.1),
            (Some((rows, _)), None) | (None, Some((rows, _))) => *rows == 0 && part.is_some(),
            (None, None) => true,
        };
        Compared {
            task: claim.id,
            relation,
            object: claim.object.clone(),
            part,
            source_rows: theirs.as_ref().map(|theirs| theirs.0),
            target_rows: own.as_ref().map(|own| own.0),
            source_checksum: theirs.and_then(|theirs| theirs.1),
            target_checksum: own.and_then(|own| own.1),
            same,
        }
    }
}

/// Enters results, in the current transaction.
fn enter(run: i64, compared: &[Compared]) -> Result<()> {
    spi::execute(include_str!("../../../sql/run/add_comparisons.sql"), &[run.into(), spi::json(&compared)?])?;
    let outcome = |c: &Compared| Outcome { rows: c.target_rows, relation: c.relation, ..Outcome::default() };
    tasks::all_done(&compared.iter().map(|compared| (compared.task, outcome(compared))).collect::<Vec<_>>())
}

//! The SQL functions: arguments in, one call, rows out. No logic.

use crate::core::options::{Level, Mode, Options};
use crate::core::suggest::Suggestion;
use crate::error::{Error, Result, SqlState};
use crate::pg::{catch, report, session, spi};
use crate::run::launch;
use crate::run::spec::Kind;
use crate::run::{preflight, prepare, preview, request, standing, state, suggest};
use crate::target::jobs;
use pgrx::prelude::*;
use pgrx::{JsonB, default, name};

/// The call's answer; an error of it, a cancel included, becomes PostgreSQL's way of failing.
fn answer<T>(call: impl FnOnce() -> Result<T>) -> T {
    catch::anything(call).unwrap_or_else(|error| report::raise(error))
}

fn invalid(message: String) -> Error {
    Error::new(SqlState::INVALID_PARAMETER, message)
}

fn options(json: &Option<JsonB>) -> Result<Options> {
    request::options(json.as_ref().map(|json| &json.0))
}

/// An argument that may not be NULL.
fn given<T>(name: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::new(SqlState::NULL_NOT_ALLOWED, format!("{name} must not be null")))
}

/// Checks what has to be right before a migration; changes nothing anywhere.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn migrate_preflight(
    source: Option<&str>,
    options: default!(Option<JsonB>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(topic, String),
        name!(status, String),
        name!(subject, String),
        name!(detail, String),
        name!(hint, Option<String>),
    ),
> {
    let report = answer(|| {
        let mut report = preflight::Report::default();
        let all = checks(source, &self::options(&options)?, &mut report)?;
        report.conclude(!all);
        Ok(report)
    });
    TableIterator::new(report.rows().map(|(topic, status, subject, detail, hint)| {
        (topic.to_string(), status.name().to_string(), subject, detail, hint)
    }))
}

/// Makes the checks; false if there was no sense in making all.
fn checks(source: Option<&str>, options: &Options, report: &mut preflight::Report) -> Result<bool> {
    session::require_superuser()?;
    session::require_primary("migrate_preflight")?;
    prepare::preflight(given("source", source)?, options, report)
}

/// Every step that a migration would take, in order; changes nothing anywhere.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn migrate_plan(
    source: Option<&str>,
    options: default!(Option<JsonB>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(step, i64),
        name!(phase, String),
        name!(object, String),
        name!(method, String),
        name!(rows, Option<i64>),
        name!(bytes, Option<i64>),
        name!(note, Option<String>),
    ),
> {
    let steps = || -> Result<Vec<preview::Step>> {
        session::require_superuser()?;
        session::require_primary("migrate_plan")?;
        preview::steps(&request::params(given("source", source)?)?, &self::options(&options)?)
    };
    TableIterator::new((1i64..).zip(answer(steps)).map(|(step, row)| {
        let note = Some(row.note).filter(|note| !note.is_empty());
        (step, row.phase.to_string(), row.object, row.method, row.rows, row.bytes, note)
    }))
}

/// Tables of the source that would benefit from becoming hypertables, or could be better ones; changes nothing
/// anywhere.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn migrate_suggest(
    source: Option<&str>,
    options: default!(Option<JsonB>, "'{}'"),
) -> TableIterator<
    'static,
    (name!(object, String), name!(reason, String), name!(rows, i64), name!(bytes, i64), name!(options, Option<JsonB>)),
> {
    let suggestions = || {
        session::require_superuser()?;
        session::require_primary("migrate_suggest")?;
        suggest::suggestions(&request::params(given("source", source)?)?, &self::options(&options)?)
    };
    let row = |s: Suggestion| (s.object, s.reason, s.rows, s.bytes, s.options.map(JsonB));
    TableIterator::new(answer(suggestions).into_iter().map(row))
}

type Summary = (
    name!(run, i64),
    name!(state, String),
    name!(tables, Option<i64>),
    name!(hypertables, Option<i64>),
    name!(chunks, Option<i64>),
    name!(rows, Option<i64>),
    name!(bytes, Option<i64>),
    name!(duration, Option<Interval>),
    name!(warnings, Option<i64>),
);

/// Migrates the source's database into this one: the whole run, or with `wait => false` its
/// preflight. The named arguments go before the same keys of `options`.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn migrate_from(
    source: Option<&str>,
    options: default!(Option<JsonB>, "'{}'"),
    jobs: default!(Option<i32>, "NULL"),
    wait: default!(Option<bool>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(run, i64),
        name!(state, String),
        name!(tables, Option<i64>),
        name!(hypertables, Option<i64>),
        name!(chunks, Option<i64>),
        name!(rows, Option<i64>),
        name!(bytes, Option<i64>),
        name!(duration, Option<Interval>),
        name!(warnings, Option<i64>),
    ),
> {
    let call = || -> Result<Summary> {
        session::require_superuser()?;
        session::require_startable("migrate_from")?;
        let mut options = request::with_jobs(self::options(&options)?, jobs)?;
        options.wait = wait.unwrap_or(options.wait);
        let wait = options.wait;
        let started = launch::start(given("source", source)?, Kind::Migrate, options, None)?;
        summary(if wait { started.wait()? } else { started.detach()? })
    };
    TableIterator::once(answer(call))
}

fn summary(run: i64) -> Result<Summary> {
    Spi::connect_mut(|client| {
        let table = client.update(include_str!("../sql/run/summary.sql"), Some(1), &[run.into()])?.first();
        Ok((
            run,
            table.get::<String>(1)?.unwrap_or_default(),
            table.get(2)?,
            table.get(3)?,
            table.get(4)?,
            table.get(5)?,
            table.get(6)?,
            table.get(7)?,
            table.get(8)?,
        ))
    })
    .map_err(|e: pgrx::spi::Error| Error::internal(format!("SPI: {e}")))
}

/// Continues a run that failed, was cancelled or was interrupted, at the tasks that are not done,
/// under a new snapshot. `source` is to be given again only where it was a connection string
/// with a password, which is stored nowhere; of `options`, what is to be another than at the
/// run's beginning and may be ([`Options::changed`]).
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn migrate_resume(
    run: Option<i64>,
    source: default!(Option<&str>, "NULL"),
    options: default!(Option<JsonB>, "'{}'"),
    jobs: default!(Option<i32>, "NULL"),
    wait: default!(Option<bool>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(run, i64),
        name!(state, String),
        name!(tables, Option<i64>),
        name!(hypertables, Option<i64>),
        name!(chunks, Option<i64>),
        name!(rows, Option<i64>),
        name!(bytes, Option<i64>),
        name!(duration, Option<Interval>),
        name!(warnings, Option<i64>),
    ),
> {
    let call = || -> Result<Summary> {
        session::require_superuser()?;
        session::require_startable("migrate_resume")?;
        let run = given("run", run)?;
        let (stored, json) = standing::resumable(run)?;
        let changes = options.map_or(serde_json::json!({}), |json| json.0);
        let wait = wait.or(changes["wait"].as_bool()).unwrap_or(true);
        let options = request::with_jobs(Options::changed(&json, changes)?, jobs)?;
        let started = launch::start(source.unwrap_or(&stored), Kind::Migrate, options, Some(run))?;
        let ended = if wait { started.wait() } else { started.detach() };
        summary(ended.map_err(|e| without_password(e, source, &stored))?)
    };
    TableIterator::once(answer(call))
}

/// What a run's connection string, as it is stored, may lack.
fn without_password(error: Error, given: Option<&str>, stored: &str) -> Error {
    match given {
        None if error.code == SqlState::CANNOT_CONNECT && stored.contains('=') => {
            error.hint("No password is stored: if the connection string held one, pass it again as source.")
        }
        _ => error,
    }
}

/// Waits for the end of a run, and ends as it ends.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn migrate_wait(
    run: Option<i64>,
) -> TableIterator<
    'static,
    (
        name!(run, i64),
        name!(state, String),
        name!(tables, Option<i64>),
        name!(hypertables, Option<i64>),
        name!(chunks, Option<i64>),
        name!(rows, Option<i64>),
        name!(bytes, Option<i64>),
        name!(duration, Option<Interval>),
        name!(warnings, Option<i64>),
    ),
> {
    let call = || -> Result<Summary> {
        session::require_superuser()?;
        session::require_startable("migrate_wait")?;
        summary(launch::wait_for(given("run", run)?)?)
    };
    TableIterator::once(answer(call))
}

/// Stops a run: `graceful` after the tasks in flight, `immediate` at once. False if it was
/// not running.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn migrate_cancel(run: Option<i64>, mode: default!(Option<&str>, "'graceful'")) -> bool {
    let call = || -> Result<bool> {
        session::require_superuser()?;
        let (run, mode) = (given("run", run)?, given("mode", mode)?);
        if !matches!(mode, "graceful" | "immediate") {
            return Err(invalid(format!("mode must be graceful or immediate, not \"{mode}\"")));
        }
        state::request_cancel(run, mode == "graceful")
    };
    answer(call)
}

/// Removes what a run has made that failed, was cancelled or was interrupted, and only that; the
/// number of objects that are gone, and of tables that were filled without being made and are emptied.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn migrate_cleanup(run: Option<i64>) -> i64 {
    let call = || -> Result<i64> {
        session::require_superuser()?;
        session::require_startable("migrate_cleanup")?;
        launch::cleanup(given("run", run)?)
    };
    answer(call)
}

/// Lets the policies and jobs run that a run with the option `policies` = `paused` has left paused and
/// that are not paused on the source.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn migrate_start_jobs(
    run: Option<i64>,
) -> TableIterator<'static, (name!(job_id, i32), name!(application_name, String))> {
    let call = || -> Result<Vec<(i32, String)>> {
        session::require_superuser()?;
        session::require_primary("migrate_start_jobs")?;
        let run = given("run", run)?;
        standing::require_jobs(run)?;
        jobs::start(run)
    };
    TableIterator::new(answer(call))
}

type Comparison = TableIterator<
    'static,
    (
        name!(object, String),
        name!(part, Option<String>),
        name!(source_rows, Option<i64>),
        name!(target_rows, Option<i64>),
        name!(source_checksum, Option<String>),
        name!(target_checksum, Option<String>),
        name!(same, bool),
    ),
>;

fn verify(source: &str, level: Option<&str>, jobs: Option<i32>, options: Options) -> Result<Comparison> {
    session::require_superuser()?;
    session::require_startable("migrate_verify")?;
    let level = given("level", level)?;
    let level =
        Level::parse(level).ok_or_else(|| invalid(format!("level must be count or checksum, not \"{level}\"")))?;
    if options.mode == Mode::Schema {
        return Err(invalid("with \"mode\": \"schema\" there are no rows to compare".to_string())
            .hint("SELECT * FROM migrate_verify('...'); -- with the name of the source, once there are"));
    }
    let options = Options { verify: level, ..request::with_jobs(options, jobs)? };
    let run = launch::start(source, Kind::Verify(level), options, None)?.wait()?;
    type Row = (String, Option<String>, Option<i64>, Option<i64>, Option<String>, Option<String>, bool);
    let rows = spi::json_rows::<Row>(
        "SELECT json_build_array(object, part, source_rows, target_rows, source_checksum, target_checksum, same)::text
         FROM timescale_migrate.verification_log WHERE run = $1 ORDER BY object, part",
        &[run.into()],
    )?;
    Ok(TableIterator::new(rows))
}

/// Compares this database with a source.
#[pg_extern(name = "migrate_verify")]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn migrate_verify_source(
    source: Option<&str>,
    level: default!(Option<&str>, "'checksum'"),
    jobs: default!(Option<i32>, "NULL"),
    options: default!(Option<JsonB>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(object, String),
        name!(part, Option<String>),
        name!(source_rows, Option<i64>),
        name!(target_rows, Option<i64>),
        name!(source_checksum, Option<String>),
        name!(target_checksum, Option<String>),
        name!(same, bool),
    ),
> {
    answer(|| verify(given("source", source)?, level, jobs, self::options(&options)?))
}

/// The same, with the source of a run and without what its options left out; `source` as in
/// [`migrate_resume`].
#[pg_extern(name = "migrate_verify")]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn migrate_verify_run(
    run: Option<i64>,
    level: default!(Option<&str>, "'checksum'"),
    jobs: default!(Option<i32>, "NULL"),
    source: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(object, String),
        name!(part, Option<String>),
        name!(source_rows, Option<i64>),
        name!(target_rows, Option<i64>),
        name!(source_checksum, Option<String>),
        name!(target_checksum, Option<String>),
        name!(same, bool),
    ),
> {
    let call = || {
        let (stored, json) = standing::comparable(given("run", run)?)?;
        verify(source.unwrap_or(&stored), level, jobs, Options::parse(&json)?)
            .map_err(|e| without_password(e, source, &stored))
    };
    answer(call)
}

//! What a call asks for, and which earlier run was asked for the same.

use crate::core::options::Options;
use crate::core::times::{EXPECTED, End};
use crate::error::{Error, Result, SqlState};
use crate::libpq::Params;
use crate::pg::{catch, report, spi};
use crate::source::address;

/// The options of a call, with times instead of intervals before now: a resume is to find the rows that the
/// run began with.
pub fn options(json: Option<&serde_json::Value>) -> Result<Options> {
    let mut options = parse(json)?;
    for end in options.ends_mut() {
        let Some(interval) = end.before_now() else { continue };
        let time = "SELECT pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.now())
            OPERATOR(pg_catalog.-) $1::pg_catalog.interval, 'YYYY-MM-DD HH24:MI:SS.US+00')";
        // An error that PostgreSQL raises passes by `map_err` unless it is caught.
        let time = catch::anything(|| spi::value(time, &[interval.to_string().into()]));
        let hinted = |error: Error| if error.is_about_data() { error.hint(EXPECTED) } else { error };
        *end = End::Text(time.map_err(hinted)?.unwrap_or_default());
    }
    Ok(options)
}

/// What is said of a connection string with a password, and what to do.
pub const PASSWORD: [&str; 2] = [
    "holds a password, which the statement may have left in logs and in pg_stat_activity",
    "Use CREATE SERVER and CREATE USER MAPPING, a passfile or a service instead.",
];

/// How to connect to a source; the caller is warned of a password in it.
pub fn params(source: &str) -> Result<Params> {
    let params = address::resolve(source)?;
    if address::holds_password(source)? {
        report::warning(&format!("the connection string {}", PASSWORD[0]), Some(PASSWORD[1]));
    }
    Ok(params)
}

/// No options are the default ones.
fn parse(json: Option<&serde_json::Value>) -> Result<Options> {
    Options::parse(&json.map_or("{}".to_string(), |json| json.to_string()))
}

/// The same with the argument `jobs`, if it is given.
pub fn with_jobs(mut options: Options, jobs: Option<i32>) -> Result<Options> {
    if let Some(jobs) = jobs {
        options.jobs = u16::try_from(jobs).map_err(|_| {
            Error::new(SqlState::INVALID_PARAMETER, format!("jobs must be between 1 and 1000, not {jobs}"))
        })?;
    }
    options.check()?;
    Ok(options)
}

/// The newest migration of this source that makes the same as one with these options would; removed ones
/// do not count.
pub fn earlier(source: &str, json: &serde_json::Value) -> Result<Option<i64>> {
    let (asked, source) = (parse(Some(json))?, address::shown(source)?);
    let runs = spi::json_rows::<(i64, String)>(
        "SELECT json_build_array(id, options::text)::text FROM timescale_migrate.run
         WHERE kind = 'migrate' AND source = $1 AND state <> 'removed' ORDER BY id DESC",
        &[source.into()],
    )?;
    // What another version stored may not be readable: the run that begins then finds what is on the target.
    let is_same = |stored: &str| Options::parse(stored).is_ok_and(|stored| asked.makes_same(&stored));
    Ok(runs.into_iter().find(|(_, stored)| is_same(stored)).map(|(run, _)| run))
}

/// The newest finished migration of this source, if it has brought other rows than one with these options would, or in
/// tables of another form.
pub fn otherwise(source: &str, options: &Options) -> Result<Option<i64>> {
    let newest = "SELECT json_build_array(id, options::text)::text FROM timescale_migrate.run
         WHERE kind = 'migrate' AND source = $1 AND state = 'done' AND options ->> 'mode' <> 'schema' ORDER BY id DESC LIMIT 1";
    let run = spi::json_rows::<(i64, String)>(newest, &[source.into()])?.pop();
    let brings_other = |stored: &str| Options::parse(stored).is_ok_and(|stored| !options.brings_same(&stored));
    Ok(run.filter(|(_, stored)| brings_other(stored)).map(|(run, _)| run))
}

//! What a run has made, entered as it is made, and what it changes of the database itself, kept
//! as it was before: what a cleanup goes by.

use super::database::{self, Before};
use crate::error::Result;
use crate::pg::catch::transaction;
use crate::pg::spi;

/// Does a part of a run, and enters what the current transaction has made by it.
pub fn entering<R>(run: i64, work: impl FnOnce() -> Result<R>) -> Result<R> {
    let before = spi::value::<Vec<i64>>("SELECT coalesce(array_agg(key), '{}') FROM timescale_migrate.object", &[])?;
    let result = work()?;
    spi::execute("SELECT timescale_migrate.enter_made($1, $2)", &[run.into(), before.unwrap_or_default().into()])?;
    Ok(result)
}

/// Keeps how the database itself and its schemas are, before a run changes them, in the current
/// transaction.
pub fn keep_database(run: i64) -> Result<()> {
    if database_before(run)?.is_some() {
        return Ok(());
    }
    let mut before = database::before()?;
    // A run that was given up may have closed it.
    let given_up = "SELECT database_before::text FROM timescale_migrate.run_log
        WHERE state <> 'done' AND database_before IS NOT NULL ORDER BY id DESC LIMIT 1";
    if let Some(first) = spi::json_rows::<Before>(given_up, &[])?.pop().filter(|_| database::is_closed(&before)) {
        before = database::as_open_as(before, &first);
    }
    spi::execute(
        "UPDATE timescale_migrate.run_log SET database_before = $2 WHERE id = $1",
        &[run.into(), spi::json(&before)?],
    )
    .map(drop)
}

/// What a run has kept of the database, if it has.
pub fn database_before(run: i64) -> Result<Option<Before>> {
    let query =
        "SELECT database_before::text FROM timescale_migrate.run_log WHERE id = $1 AND database_before IS NOT NULL";
    Ok(spi::json_rows(query, &[run.into()])?.pop())
}

/// When a run has ended by an error: opens the database again that it closed, if nothing was made in it, by this run
/// or another that was given up.
pub fn reopen(run: i64) -> Result<()> {
    transaction(|| {
        let keeps_closed = include_str!("../../sql/run/keeps_closed.sql");
        let Some(before) = database_before(run)? else { return Ok(()) };
        if spi::value::<bool>(keeps_closed, &[run.into()])? == Some(true) {
            return Ok(());
        }
        database::open(&before)?;
        spi::execute("UPDATE timescale_migrate.run_log SET database_before = NULL WHERE id = $1", &[run.into()])
            .map(drop)
    })
}

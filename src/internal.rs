//! SQL functions that no user calls: the extension's own SQL does, or the server.

use crate::pg::lock::Lock;
use crate::pg::rights::{self, Author};
use crate::pg::{catch, report, session, spi};
use crate::run::request;
use crate::source::validator;
use pgrx::JsonB;
use pgrx::prelude::*;

fn for_superusers() {
    session::require_superuser().unwrap_or_else(|error| report::raise(error));
}

/// For the query that looks for a task.
#[pg_extern(sql = r#"
CREATE FUNCTION timescale_migrate.try_lock_task(id integer) RETURNS boolean
STRICT LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn try_lock_task(id: i32) -> bool {
    for_superusers();
    Lock::Task(id).try_take()
}

/// For analyze.sql.
#[pg_extern(sql = r#"
CREATE FUNCTION timescale_migrate.lock_statistics() RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn lock_statistics() {
    for_superusers();
    Lock::Statistics.wait();
}

/// For compression.sql.
#[pg_extern(sql = r#"
CREATE FUNCTION timescale_migrate.lock_name(name text) RETURNS void
STRICT LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn lock_name(name: &str) {
    for_superusers();
    // Two names of one hash only wait for each other.
    let hash = name.bytes().fold(0i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    Lock::Name(hash).wait();
}

/// For job.sql: the newest migration that was asked for the same, or NULL.
#[pg_extern(sql = r#"
CREATE FUNCTION timescale_migrate.earlier_run(source text, options jsonb) RETURNS bigint
STRICT LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn earlier_run(source: &str, options: JsonB) -> Option<i64> {
    for_superusers();
    catch::anything(|| request::earlier(source, &options.0)).unwrap_or_else(|error| report::raise(error))
}

/// Executes a statement that a role has written; NULL stands for the caller.
#[pg_extern(sql = r#"
CREATE FUNCTION timescale_migrate.execute_as_written(statement text, author oid) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn execute_as_written(statement: &str, author: Option<pg_sys::Oid>) {
    for_superusers();
    let result = rights::written_by(author.and_then(Author::of), || spi::execute(statement, &[]));
    result.map(drop).unwrap_or_else(|error| report::raise(error))
}

/// The wrapper's validator.
#[pg_extern(sql = r#"
CREATE FUNCTION timescale_migrate.validator(options text[], catalog oid) RETURNS void
STRICT LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@' SET search_path = pg_catalog, pg_temp;
"#)]
fn validator(options: Vec<String>, catalog: pg_sys::Oid) {
    let check = || {
        let catalog =
            spi::value::<String>("SELECT relname::text FROM pg_catalog.pg_class WHERE oid = $1", &[catalog.into()])?;
        validator::validate(&options, catalog.as_deref().unwrap_or_default())
    };
    catch::anything(check).unwrap_or_else(|error| report::raise(error))
}

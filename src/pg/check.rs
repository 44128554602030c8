//! CHECK constraints of tables that have rows.

use super::report;
use super::rights::as_role;
use super::session::require_superuser;
use pgrx::pg_sys::{self, Oid};
use pgrx::{PgMemoryContexts, PgRelation, pg_extern};

/// Checks a constraint that was made NOT VALID, and the tables that inherit it, with the rights of the table's owner: its
/// expression may call PostgreSQL's own functions that do or tell what their caller may, and their answers are the owner's.
///
/// The statement by itself, run by the owner, would ask for rights on the schema.
#[pg_extern(sql = r#"
CREATE PROCEDURE timescale_migrate.validate_check(relation oid, name text)
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn validate_check(relation: Oid, name: &str) {
    require_superuser().unwrap_or_else(|error| report::raise(error));
    // SAFETY: the lock that the statement takes; the relation is open while its owner is read.
    let owner = unsafe {
        let lock = pg_sys::ShareUpdateExclusiveLock as pg_sys::LOCKMODE;
        (*PgRelation::with_lock(relation, lock).rd_rel).relowner
    };
    // SAFETY: in a transaction that has locked the relation; node and name live in the current memory context.
    as_role(owner, || unsafe {
        let mut command = pgrx::PgBox::<pg_sys::AlterTableCmd>::alloc_node(pg_sys::NodeTag::T_AlterTableCmd);
        command.subtype = pg_sys::AlterTableType::AT_ValidateConstraint;
        command.name = PgMemoryContexts::CurrentMemoryContext.pstrdup(name);
        let commands = pg_sys::lappend(std::ptr::null_mut(), command.into_pg().cast());
        pg_sys::AlterTableInternal(relation, commands, true);
    });
}

//! An index like that of another table, made as PostgreSQL makes a partition's.

use super::report;
use super::session::require_superuser;
use pgrx::pg_sys::{self, Oid};
use pgrx::{PgMemoryContexts, PgRelation, pg_extern};
use std::ptr::null_mut;

unsafe extern "C-unwind" {
    /// From parser/parse_utilcmd.h, for which there are no bindings.
    fn generateClonedIndexStmt(
        heap: *mut pg_sys::RangeVar,
        source: pg_sys::Relation,
        attributes: *const pg_sys::AttrMap,
        constraint: *mut Oid,
    ) -> *mut pg_sys::IndexStmt;
}

/// Makes on a relation an index like this one of another that has the same columns, whatever
/// their order. Where the index is in no tablespace, the new one goes to `default_tablespace`.
///
/// The definition is not that of the other in text: expressions are simplified as TimescaleDB
/// simplifies them when it makes the index of a chunk.
#[pg_extern(sql = r#"
CREATE FUNCTION timescale_migrate.clone_index(index oid, relation oid, name text) RETURNS void
STRICT LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn clone_index(index: Oid, relation: Oid, name: &str) {
    require_superuser().unwrap_or_else(|error| report::raise(error));
    // SAFETY: the sequence of tablecmds.c's AttachPartitionEnsureIndexes(); relations stay open
    // until the end, nodes and strings live in the current memory context.
    unsafe {
        let index = PgRelation::with_lock(index, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let from = PgRelation::with_lock((*index.rd_index).indrelid, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let to = PgRelation::with_lock(relation, pg_sys::ShareLock as pg_sys::LOCKMODE);
        #[cfg(feature = "pg15")]
        let columns = pg_sys::build_attrmap_by_name(to.rd_att, from.rd_att);
        #[cfg(not(feature = "pg15"))]
        let columns = pg_sys::build_attrmap_by_name(to.rd_att, from.rd_att, false);
        let statement = pg_sys::ffi::pg_guard_ffi_boundary(|| {
            generateClonedIndexStmt(null_mut(), index.as_ptr(), columns, null_mut())
        });
        (*statement).idxname = PgMemoryContexts::CurrentMemoryContext.pstrdup(name);
        let keys = (*statement).indexParams;
        for number in 0..(*keys).length as usize {
            let column = (*(*keys).elements.add(number)).ptr_value.cast::<pg_sys::IndexElem>();
            if !(*column).expr.is_null() {
                (*column).expr = pg_sys::eval_const_expressions(null_mut(), (*column).expr);
            }
        }
        if !(*statement).whereClause.is_null() {
            let condition = pg_sys::eval_const_expressions(null_mut(), (*statement).whereClause);
            let condition = pg_sys::canonicalize_qual(condition.cast(), false);
            let conditions = pg_sys::make_ands_implicit(condition);
            (*statement).whereClause = pg_sys::make_ands_explicit(conditions).cast();
        }
        pg_sys::DefineIndex(
            relation,
            statement,
            Oid::INVALID,
            Oid::INVALID,
            Oid::INVALID,
            #[cfg(not(feature = "pg15"))]
            -1,
            false,
            false,
            false,
            false,
            true,
        );
    }
}

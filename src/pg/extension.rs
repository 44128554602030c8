//! Which functions are members of the extensions that a run calls functions of.

use pgrx::pg_sys::{self, Datum, Oid};
use std::ffi::c_int;

/// Whether one of the functions by the same name in the same schema is such a member, and one that a run may call:
/// overloads.sql tells which those are.
pub fn has_namesake(function: Oid) -> bool {
    // SAFETY: in a transaction; the list and its rows are held until they are released, the name is a copy.
    unsafe {
        let name = pg_sys::get_func_name(function);
        if name.is_null() {
            return false;
        }
        let schema = pg_sys::get_func_namespace(function);
        let none = Datum::from(0usize);
        let cache = pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as c_int;
        let list = pg_sys::SearchSysCacheList(cache, 1, Datum::from(name), none, none);
        let members = (*list).members.as_slice((*list).n_members as usize);
        let found = members.iter().any(|member| {
            let row = &raw mut (**member).tuple;
            let form = &*pg_sys::heap_tuple_get_struct::<pg_sys::FormData_pg_proc>(row);
            let kind = form.prokind as u8;
            let called = kind == pg_sys::PROKIND_FUNCTION || kind == pg_sys::PROKIND_PROCEDURE;
            form.pronamespace == schema
                && called
                && form.provolatile as u8 != pg_sys::PROVOLATILE_IMMUTABLE
                && is_member(form.oid)
        });
        pg_sys::ReleaseCatCacheList(list);
        found
    }
}

fn is_member(function: Oid) -> bool {
    // SAFETY: in a transaction; plain reads of catalogs.
    unsafe {
        let extension = pg_sys::getExtensionOfObject(pg_sys::ProcedureRelationId, function);
        extension != Oid::INVALID
            && [c"timescaledb", c"timescale_migrate"]
                .iter()
                .any(|name| pg_sys::get_extension_oid(name.as_ptr(), true) == extension)
    }
}

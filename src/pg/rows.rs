//! Looking for rows of a relation by its OID, without a query.
//!
//! To plan a query of a table is to simplify the expressions of its indexes, and so to call functions that its owner wrote, in a
//! session of a superuser; and by the time that it is planned, something else may have the table's name.

use pgrx::pg_sys::{self, Oid};

/// Whether a table has rows of its own, in the current transaction; none if there is no such table by now.
pub fn has_any(table: Oid) -> bool {
    let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: in a transaction with a snapshot; the table is open while it is scanned. The scan calls the functions of the
    // table's access method as table_beginscan() and table_scan_getnextslot() of tableam.h do.
    unsafe {
        let rel = pg_sys::try_table_open(table, lock);
        if rel.is_null() {
            return false;
        }
        let is_table = (*(*rel).rd_rel).relkind as u8 == pg_sys::RELKIND_RELATION;
        let found = is_table && pg_sys::ffi::pg_guard_ffi_boundary(|| scan(rel));
        pg_sys::table_close(rel, lock);
        found
    }
}

/// # Safety
/// An open table; errors are PostgreSQL's.
unsafe fn scan(rel: pg_sys::Relation) -> bool {
    use pg_sys::ScanOptions::{SO_ALLOW_PAGEMODE, SO_ALLOW_STRAT, SO_ALLOW_SYNC, SO_TYPE_SEQSCAN};
    let flags = SO_TYPE_SEQSCAN | SO_ALLOW_STRAT | SO_ALLOW_SYNC | SO_ALLOW_PAGEMODE;
    // SAFETY: as the caller promises; a table's access method has all of these.
    unsafe {
        let method = &*(*rel).rd_tableam;
        let (Some(begin), Some(next), Some(end)) = (method.scan_begin, method.scan_getnextslot, method.scan_end) else {
            return false;
        };
        let slot = pg_sys::table_slot_create(rel, std::ptr::null_mut());
        let scan = begin(rel, pg_sys::GetActiveSnapshot(), 0, std::ptr::null_mut(), std::ptr::null_mut(), flags);
        let found = next(scan, pg_sys::ScanDirection::ForwardScanDirection, slot);
        end(scan);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        found
    }
}

//! COPY FROM inside this process: the server's own COPY code, fed by a callback, as logical
//! replication's initial table copy does it (PostgreSQL's `tablesync.c`). It loads exactly
//! the relation it is given; TimescaleDB's routing is not involved. What of the users' own is evaluated for the
//! rows is so with the rights of the relation's owner; the owner's privileges on the relation are not asked for, as a
//! table's owner may have given them up.

use super::{catch, rights};
use crate::error::{Error, Result, SqlState};
use pgrx::{pg_guard, pg_sys};
use std::cell::Cell;
use std::ffi::{c_int, c_void};

/// Where the bytes of a COPY come from.
pub trait Source {
    /// Fills the buffer with at least `least` bytes, fewer only at the end of the data;
    /// returns how many.
    fn fill(&mut self, buffer: &mut [u8], least: usize) -> Result<usize>;
}

thread_local! {
    /// The source of the COPY that runs: the callback has no argument for its state.
    static FEED: Cell<Option<*mut dyn Source>> = const { Cell::new(None) };
}

#[pg_guard]
unsafe extern "C-unwind" fn read_source(buffer: *mut c_void, least: c_int, most: c_int) -> c_int {
    let Some(source) = FEED.get() else { return 0 };
    // SAFETY: PostgreSQL passes a buffer of `most` bytes; the source outlives the COPY, whose
    // caller holds it borrowed.
    let result = unsafe {
        let buffer = std::slice::from_raw_parts_mut(buffer.cast::<u8>(), most as usize);
        (*source).fill(buffer, least as usize)
    };
    match result {
        Ok(filled) => filled as c_int,
        Err(error) => catch::throw(error),
    }
}

/// Empties the feed on every way out, an unwinding one included.
struct FeedGuard;

impl Drop for FeedGuard {
    fn drop(&mut self) {
        FEED.set(None);
    }
}

/// How COPY reads its input.
pub struct Options<'a> {
    pub columns: &'a [String],
    pub binary: bool,
    /// Write the rows frozen; the relation must have been truncated in this subtransaction.
    pub freeze: bool,
}

fn text(value: &str) -> *mut std::ffi::c_char {
    // SAFETY: a copy in the current memory context, which outlives the COPY.
    unsafe { pgrx::memcxt::PgMemoryContexts::CurrentMemoryContext.pstrdup(value) }
}

fn option(name: &str, value: &str) -> *mut pg_sys::DefElem {
    // SAFETY: both strings live in the current memory context, like the nodes made here.
    unsafe { pg_sys::makeDefElem(text(name), pg_sys::makeString(text(value)).cast(), -1) }
}

/// Copies everything the source gives into the relation; returns the number of rows. In the
/// current transaction. No columns means all that are not generated.
pub fn into_relation(relation: pg_sys::Oid, options: &Options, source: &mut dyn Source) -> Result<u64> {
    let source: *mut dyn Source =
        // SAFETY: the lifetime is erased for the callback's static; FeedGuard clears it before
        // the borrow ends.
        unsafe { std::mem::transmute::<&mut dyn Source, &mut (dyn Source + 'static)>(source) };
    FEED.set(Some(source));
    let _guard = FeedGuard;
    // SAFETY: the relation stays locked until the transaction's end, and open until it has been written to.
    unsafe {
        let rel = pg_sys::table_open(relation, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE);
        let rows = rights::as_role((*(*rel).rd_rel).relowner, || into_open(rel, options));
        pg_sys::table_close(rel, pg_sys::NoLock as pg_sys::LOCKMODE);
        Ok(rows)
    }
}

/// # Safety
/// The relation is open, and the feed is set.
unsafe fn into_open(rel: pg_sys::Relation, options: &Options) -> u64 {
    // SAFETY: the sequence of tablesync.c's copy_table(); every allocation is in the
    // current memory context.
    unsafe {
        let state = pg_sys::make_parsestate(std::ptr::null_mut());
        pg_sys::addRangeTableEntryForRelation(
            state,
            rel,
            pg_sys::RowExclusiveLock as c_int,
            std::ptr::null_mut(),
            false,
            false,
        );
        let mut names = std::ptr::null_mut();
        for column in options.columns {
            names = pg_sys::lappend(names, pg_sys::makeString(text(column)).cast());
        }
        let mut list = std::ptr::null_mut();
        let format = if options.binary { "binary" } else { "text" };
        list = pg_sys::lappend(list, option("format", format).cast());
        if options.freeze {
            list = pg_sys::lappend(list, option("freeze", "true").cast());
        }
        let copy = pg_sys::BeginCopyFrom(
            state,
            rel,
            std::ptr::null_mut(),
            std::ptr::null(),
            false,
            Some(read_source),
            names,
            list,
        );
        let rows = pg_sys::CopyFrom(copy);
        // Else it would end being shown.
        let tracks = pg_sys::pgstat_track_activities;
        pg_sys::pgstat_track_activities = false;
        pg_sys::EndCopyFrom(copy);
        pg_sys::pgstat_track_activities = tracks;
        pg_sys::free_parsestate(state);
        rows
    }
}

/// Until this is dropped, `pg_stat_progress_copy` shows the latest COPY with what it has brought, also when it has ended: there may be more
/// to do about its rows.
pub struct Shown;

impl Drop for Shown {
    fn drop(&mut self) {
        // SAFETY: it only writes to this process's own entry of the server's statistics; without a command it does nothing.
        unsafe { pg_sys::pgstat_progress_end_command() }
    }
}

/// Whether the relation was made in the current transaction.
pub fn is_new(relation: pg_sys::Oid) -> bool {
    // SAFETY: the relation is open while it is looked at.
    unsafe {
        let rel = pg_sys::table_open(relation, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        // InvalidSubTransactionId is 0.
        let made = (*rel).rd_createSubid != 0;
        pg_sys::table_close(rel, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        made
    }
}

/// Gives the relation new, empty storage, in this transaction, without firing triggers,
/// logging invalidations or touching other tables.
pub fn truncate(relation: pg_sys::Oid) -> Result<()> {
    // SAFETY: the table is opened and locked for this transaction; ExecuteTruncateGuts closes
    // only what it opened itself, which with RESTRICT and one relation is nothing.
    unsafe {
        let rel = pg_sys::table_open(relation, pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE);
        let rels = pg_sys::lappend(std::ptr::null_mut(), rel.cast());
        let oids = pg_sys::lappend_oid(std::ptr::null_mut(), relation);
        guts(rels, oids);
        pg_sys::table_close(rel, pg_sys::NoLock as pg_sys::LOCKMODE);
    }
    Ok(())
}

/// # Safety
/// Lists as `ExecuteTruncateGuts` wants them; its last argument is new in PostgreSQL 16.
unsafe fn guts(rels: *mut pg_sys::List, oids: *mut pg_sys::List) {
    let none = std::ptr::null_mut();
    let behavior = pg_sys::DropBehavior::DROP_RESTRICT;
    // SAFETY: the caller's.
    unsafe {
        #[cfg(feature = "pg15")]
        pg_sys::ExecuteTruncateGuts(rels, oids, none, behavior, false);
        #[cfg(not(feature = "pg15"))]
        pg_sys::ExecuteTruncateGuts(rels, oids, none, behavior, false, false);
    }
}

/// Gives a column the value that rows stored without it have, as ADD COLUMN ... DEFAULT leaves
/// it in `pg_attribute.attmissingval`; `value` is that array of one, as text.
///
/// PostgreSQL takes any array, and later reads the first element of it without a look whether there is one.
pub fn set_missing_value(relation: pg_sys::Oid, column: &str, value: &str) -> Result<()> {
    // SAFETY: the relation stays locked, as SetAttrMissing() locks it, and is open while its owner is read.
    let owner = unsafe {
        let rel = pg_sys::table_open(relation, pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE);
        let owner = (*(*rel).rd_rel).relowner;
        pg_sys::table_close(rel, pg_sys::NoLock as pg_sys::LOCKMODE);
        owner
    };
    // Its type may be a domain.
    rights::as_role(owner, || set_array(relation, column, value))
}

fn set_array(relation: pg_sys::Oid, column: &str, value: &str) -> Result<()> {
    // SAFETY: the text's array is an allocated copy, read in full; the caller has locked the relation.
    unsafe {
        let (name, value) = (text(column), text(value));
        let number = pg_sys::get_attnum(relation, name);
        if number <= 0 {
            let message = format!("column \"{column}\", which has a default for older rows, does not exist");
            return Err(Error::new(SqlState::UNDEFINED_COLUMN, message));
        }
        let (mut element, mut modifier, mut collation) = (pg_sys::InvalidOid, 0, pg_sys::InvalidOid);
        pg_sys::get_atttypetypmodcoll(relation, number, &mut element, &mut modifier, &mut collation);
        let array = pg_sys::OidFunctionCall3Coll(
            pg_sys::F_ARRAY_IN.into(),
            pg_sys::InvalidOid,
            pg_sys::Datum::from(value),
            pg_sys::Datum::from(element),
            pg_sys::Datum::from(modifier),
        );
        let array = array.cast_mut_ptr::<pg_sys::ArrayType>();
        // After the head come the sizes of all dimensions, then their lower bounds.
        let shape = array.add(1).cast::<c_int>();
        let one = (*array).ndim == 1 && shape.read() == 1 && shape.add(1).read() == 1;
        if !one || pg_sys::array_contains_nulls(array) {
            let message = format!("the default of column \"{column}\" for older rows is not an array of one element");
            return Err(Error::new(SqlState::INVALID_PARAMETER, message));
        }
        pg_sys::SetAttrMissing(relation, name, value);
    }
    Ok(())
}

/// The message for a COPY whose two counts differ.
pub fn count_mismatch(relation: &str, sent: u64, written: u64) -> Error {
    Error::new(
        SqlState::DATA_CORRUPTED,
        format!("the source sent {sent} rows of {relation}, but {written} were written"),
    )
}

//! A statement run as a client's own, outside a transaction block: for a procedure that commits
//! on its way, which nothing called through SPI may do.

use super::catch;
use crate::error::{Error, Result};
use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys;
use std::ffi::CString;

/// Runs one statement in transactions of its own; what it committed before an error stays. Only
/// outside a transaction, that is, in a background worker. `before` is called in the first of them, in which the
/// functions that the statement names are found.
pub fn run(sql: &str, before: impl FnOnce() -> Result<()>) -> Result<()> {
    let text = CString::new(sql).map_err(|_| Error::internal("a statement contains a NUL byte"))?;
    // What is parsed and planned has to outlive the transactions.
    let mut memory = PgMemoryContexts::new("timescale_migrate statement");
    // SAFETY: the sequence of exec_simple_query() (postgres.c) for one statement without a
    // result; the text lives through the call, all else in `memory` or the portal. The commit
    // leaves the memory context that was current before.
    catch::everything(|| unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        before()?;
        pg_sys::PopActiveSnapshot();
        memory.set_as_current();
        let parsed = pg_sys::pg_parse_query(text.as_ptr());
        let parsed = (*(*parsed).elements).ptr_value.cast::<pg_sys::RawStmt>();
        let tag = pg_sys::CreateCommandTag((*parsed).stmt);
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let none = std::ptr::null_mut();
        let queries = pg_sys::pg_analyze_and_rewrite_fixedparams(parsed, text.as_ptr(), std::ptr::null(), 0, none);
        let plans = pg_sys::pg_plan_queries(queries, text.as_ptr(), 0, std::ptr::null_mut());
        pg_sys::PopActiveSnapshot();
        let portal = pg_sys::CreatePortal(c"".as_ptr(), true, true);
        pg_sys::PortalDefineQuery(portal, std::ptr::null(), text.as_ptr(), tag, plans, std::ptr::null_mut());
        pg_sys::PortalStart(portal, std::ptr::null_mut(), 0, std::ptr::null_mut());
        portal_run(portal);
        pg_sys::PortalDrop(portal, false);
        pg_sys::CommitTransactionCommand();
        Ok(())
    })
}

/// # Safety
/// A started portal; the argument that says that it is run once was there until PostgreSQL 17.
unsafe fn portal_run(portal: pg_sys::Portal) {
    let (all, none) = (i64::MAX as std::ffi::c_long, std::ptr::null_mut());
    // SAFETY: the caller's; the receiver that takes nothing is the server's own.
    unsafe {
        let nowhere = pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestNone);
        #[cfg(not(feature = "pg18"))]
        pg_sys::PortalRun(portal, all, true, true, nowhere, nowhere, none);
        #[cfg(feature = "pg18")]
        pg_sys::PortalRun(portal, all, true, nowhere, nowhere, none);
    }
}

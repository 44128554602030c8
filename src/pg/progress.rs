//! How far a statement of this process is, for others to see while it runs. There is no view of PostgreSQL's for a SELECT,
//! so that it is shown as COPY is, in `pg_stat_progress_copy`.

use pgrx::pg_extern;
use pgrx::pg_sys::{self, Oid};
use std::cell::Cell;

thread_local! {
    static ROWS: Cell<i64> = const { Cell::new(0) };
}

/// Rows are counted and shown until it is dropped, or the transaction is rolled back.
pub struct Shown(());

impl Shown {
    pub fn begin() -> Shown {
        ROWS.set(0);
        // SAFETY: writes to this process's own entry in shared memory.
        unsafe {
            pg_sys::pgstat_progress_start_command(pg_sys::ProgressCommandType::PROGRESS_COMMAND_COPY, Oid::INVALID)
        };
        Shown(())
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // SAFETY: as above; does nothing if it has ended.
        unsafe { pg_sys::pgstat_progress_end_command() };
    }
}

/// Called for each row of a statement; always true. A superuser's code calls it alone: nobody else may.
#[pg_extern(sql = r#"
CREATE FUNCTION timescale_migrate.count_row() RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn count_row() -> bool {
    let rows = ROWS.get() + 1;
    ROWS.set(rows);
    // SAFETY: writes to this process's own entry in shared memory.
    unsafe { pg_sys::pgstat_progress_update_param(pg_sys::PROGRESS_COPY_TUPLES_PROCESSED as i32, rows) };
    true
}

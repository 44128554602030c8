//! Locks of runs, which nobody else can take: those of PostgreSQL's advisory functions are open to every user, and who
//! holds one could pass for a run, or stop it for good.
//!
//! They are advisory locks, seen as such in `pg_locks` and released like them, under a tag that the SQL functions
//! do not make: theirs end with 1 or 2, which `pg_locks` shows as `objsubid`. But `pg_advisory_unlock_all()` releases all
//! of a session's, and a function of the user's may call it in the midst of a run; so each transaction holds them once
//! more ([`keep`]), which that function does not release.

use crate::error::{Error, Result, SqlState};
use pgrx::pg_sys;
use std::cell::RefCell;

/// The last field of every tag. The views know it too.
const MARK: u16 = 21_581;

/// What is locked, always in this database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// The one place for a run that a database has.
    Place,
    Run(i64),
    Task(i32),
    /// Statistics of a hypertable so large that nothing like it may go on beside.
    Statistics,
    /// A hash of the name of relations that others choose.
    Name(i32),
}

impl Lock {
    fn tag(self) -> pg_sys::LOCKTAG {
        // The first two kinds and their numbers are known to the views.
        let (kind, id) = match self {
            Lock::Place => (1, 0),
            Lock::Run(id) => (1, id as u32),
            Lock::Task(id) => (2, id as u32),
            Lock::Statistics => (3, 0),
            Lock::Name(hash) => (4, hash as u32),
        };
        pg_sys::LOCKTAG {
            // SAFETY: a plain read of this process's state.
            locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
            locktag_field2: kind,
            locktag_field3: id,
            locktag_field4: MARK,
            locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
            locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        }
    }

    fn acquire(self, session: bool, wait: bool) -> bool {
        let (tag, mode) = (self.tag(), pg_sys::ExclusiveLock as pg_sys::LOCKMODE);
        // SAFETY: in a transaction; the tag is copied. A lock that cannot be had raises an error or, if it is
        // not to be waited for, says so.
        let result = unsafe { pg_sys::LockAcquire(&tag, mode, session, !wait) };
        result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    }

    /// Takes it until [`Lock::release`] or this process's end; false if another process has it.
    pub fn try_take(self) -> bool {
        let taken = self.acquire(true, false);
        if taken {
            HELD.with_borrow_mut(|held| held.push(self));
        }
        taken
    }

    /// Takes it until the transaction's end, as soon as it is to be had.
    pub fn wait(self) {
        self.acquire(false, true);
    }

    /// At the latest with the current transaction.
    pub fn release(self) {
        HELD.with_borrow_mut(|held| held.retain(|other| *other != self));
        // SAFETY: what is not held is only warned of.
        unsafe { pg_sys::LockRelease(&self.tag(), pg_sys::ExclusiveLock as pg_sys::LOCKMODE, true) };
    }

    fn is_held(self) -> bool {
        let mode = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
        // SAFETY: looks at what this process remembers of its own locks.
        unsafe {
            #[cfg(any(feature = "pg15", feature = "pg16"))]
            return pg_sys::LockHeldByMe(&self.tag(), mode);
            #[cfg(not(any(feature = "pg15", feature = "pg16")))]
            return pg_sys::LockHeldByMe(&self.tag(), mode, false);
        }
    }
}

thread_local! {
    /// What this process has taken for longer than a transaction.
    static HELD: RefCell<Vec<Lock>> = const { RefCell::new(Vec::new()) };
}

/// At the beginning of a transaction: holds what this process has taken until its end at least, and takes again what was
/// released in the one before.
pub fn keep() -> Result<()> {
    for lock in HELD.with_borrow(Clone::clone) {
        if !lock.is_held() && !lock.acquire(true, false) {
            return Err(Error::new(
                SqlState::OBJECT_IN_USE,
                "a lock of the run was released and taken by another process",
            )
            .detail("A function of the database has called pg_advisory_unlock_all()."));
        }
        lock.acquire(false, true);
    }
    Ok(())
}

/// Waits for those who are about to log in to this database, in the current transaction: what it says of log-ins now, they
/// may have read before (PostgreSQL's `InitPostgres`, which holds this lock meanwhile).
pub fn await_logins() {
    // SAFETY: in a transaction, with whose end the lock goes at the latest.
    unsafe {
        let mode = pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE;
        pg_sys::LockSharedObject(pg_sys::DatabaseRelationId, pg_sys::MyDatabaseId, 0, mode);
        pg_sys::UnlockSharedObject(pg_sys::DatabaseRelationId, pg_sys::MyDatabaseId, 0, mode);
    }
}

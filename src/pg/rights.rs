//! With whose rights a run executes what users have written: it acts as a superuser, the authors of CHECK constraints,
//! domains, generated columns, partitioning functions or aggregates are not, and must not become one by it.
//!
//! * [`as_role`]: rows are written with the rights of the table's owner, in a security-restricted operation, as
//!   logical replication does it (PostgreSQL's `usercontext.c`).
//! * [`guard_functions`]: whatever else comes to call a function of an ordinary user with a superuser's rights, it runs
//!   with those of its own owner instead. PostgreSQL and TimescaleDB do so deep inside: they simplify constants of
//!   indexes and continuous aggregates, refresh aggregates, and check foreign keys with the casts of their types.

use pg_sys::{Datum, FmgrHookEventType, FmgrInfo, Oid};
use pgrx::{pg_guard, pg_sys};
use std::cell::{Cell, RefCell};
use std::ffi::c_int;

/// The user, security context and nest level of settings that are to come back.
struct Before {
    user: Oid,
    context: c_int,
    settings: Option<c_int>,
}

impl Before {
    /// Becomes another role, which can change nothing of the session: no role, and, with `settings`, no setting.
    fn switch(role: Oid, settings: bool) -> Before {
        let mut before = Before { user: Oid::INVALID, context: 0, settings: None };
        // SAFETY: plain state of this process. An error's way back to the start of the (sub)transaction undoes it all.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut before.user, &mut before.context);
            before.settings = settings.then(|| pg_sys::NewGUCNestLevel());
            pg_sys::SetUserIdAndSecContext(role, before.context | pg_sys::SECURITY_RESTRICTED_OPERATION as c_int);
        }
        before
    }

    fn restore(self) {
        // SAFETY: as above; what was begun later has ended.
        unsafe {
            if let Some(level) = self.settings {
                pg_sys::AtEOXact_GUC(false, level);
            }
            pg_sys::SetUserIdAndSecContext(self.user, self.context);
        }
    }
}

fn is_superuser(role: Oid) -> bool {
    // SAFETY: in a transaction, as reading a catalog needs.
    unsafe { pg_sys::superuser_arg(role) }
}

/// Does the work with the rights of a role, in the current transaction. A superuser has nothing to gain.
pub fn as_role<R>(role: Oid, work: impl FnOnce() -> R) -> R {
    if is_superuser(role) {
        return work();
    }
    let before = Before::switch(role, true);
    // An error unwinds past this: the end of the transaction restores the user.
    let result = work();
    before.restore();
    result
}

thread_local! {
    /// What each running function of an ordinary user was called with, if that was a superuser's rights.
    static CALLS: RefCell<Vec<Option<Before>>> = const { RefCell::new(Vec::new()) };
    /// The hooks of others.
    static OTHERS: Cell<(pg_sys::needs_fmgr_hook_type, pg_sys::fmgr_hook_type)> = const { Cell::new((None, None)) };
}

/// From now on in this process no function of an ordinary user runs with a superuser's rights.
pub fn guard_functions() {
    // SAFETY: variables of this process, which has one thread; set once, at its start.
    unsafe {
        OTHERS.set((pg_sys::needs_fmgr_hook, pg_sys::fmgr_hook));
        pg_sys::needs_fmgr_hook = Some(is_guarded);
        pg_sys::fmgr_hook = Some(around_call);
    }
}

/// The owner of a function, if that is no superuser, and whether it brings settings of its own.
fn ordinary_owner(function: Oid) -> Option<(Oid, bool)> {
    if function.to_u32() < pg_sys::FirstNormalObjectId {
        return None;
    }
    // SAFETY: in a transaction; the row is read before it is released.
    let (owner, settings) = unsafe {
        let cache = pg_sys::SysCacheIdentifier::PROCOID as c_int;
        let row = pg_sys::SearchSysCache1(cache, Datum::from(function));
        if row.is_null() {
            return None;
        }
        let owner = (*pg_sys::heap_tuple_get_struct::<pg_sys::FormData_pg_proc>(row)).proowner;
        let mut none = true;
        pg_sys::SysCacheGetAttr(cache, row, pg_sys::Anum_pg_proc_proconfig as i16, &mut none);
        pg_sys::ReleaseSysCache(row);
        (owner, !none)
    };
    (!is_superuser(owner)).then_some((owner, settings))
}

#[pg_guard]
unsafe extern "C-unwind" fn is_guarded(function: Oid) -> bool {
    // SAFETY: the other hook's own business.
    OTHERS.get().0.is_some_and(|other| unsafe { other(function) }) || ordinary_owner(function).is_some()
}

/// Called before and after each call of a function that [`is_guarded`].
#[pg_guard]
unsafe extern "C-unwind" fn around_call(event: FmgrHookEventType::Type, function: *mut FmgrInfo, state: *mut Datum) {
    if let Some(other) = OTHERS.get().1 {
        // SAFETY: the other hook's own business.
        unsafe { other(event, function, state) };
    }
    if event == FmgrHookEventType::FHET_START {
        // SAFETY: PostgreSQL passes the function that it is about to call; a plain read of the user.
        let (function, user) = unsafe { ((*function).fn_oid, pg_sys::GetUserId()) };
        let owner = if is_superuser(user) { ordinary_owner(function) } else { None };
        // Of a function with settings of its own PostgreSQL undoes them before this hook is called.
        let before = owner.map(|(owner, settings)| Before::switch(owner, !settings));
        CALLS.with_borrow_mut(|calls| calls.push(before));
    } else {
        let before = CALLS.with_borrow_mut(Vec::pop).flatten();
        // After an error, the end of the (sub)transaction restores the user.
        if let Some(before) = before.filter(|_| event == FmgrHookEventType::FHET_END) {
            before.restore();
        }
    }
}

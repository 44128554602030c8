//! With whose rights a run executes what users have written: it acts as a superuser, the authors of CHECK constraints,
//! domains, generated columns, partitioning functions or aggregates are not, and must not become one by it.
//!
//! * [`as_role`]: rows are written with the rights of the table's owner, in a security-restricted operation, as
//!   logical replication does it (PostgreSQL's `usercontext.c`).
//! * [`guard_functions`]: whatever else comes to call a function of an ordinary user with a superuser's rights, it runs
//!   with those of its own owner instead. PostgreSQL and TimescaleDB do so deep inside: they simplify constants of
//!   indexes and continuous aggregates, refresh aggregates, and check foreign keys with the casts of their types.
//! * [`written_by`]: what an ordinary user has written is executed as it must be, by a superuser, but for the functions that
//!   its expressions call, whoever owns them: those run with the author's rights, or, if they are PostgreSQL's own and may do what
//!   their caller may, as to write a file or to run a query that they are given as text, not at all. Already to
//!   read a definition is to call functions: an array's constant is checked by the domain of its elements.

mod harmless;

use super::{catch, extension};
use crate::error::{Error, SqlState};
use harmless::is_harmless;
use pg_sys::{Datum, FmgrHookEventType, FmgrInfo, ObjectAccessType, Oid};
use pgrx::{pg_guard, pg_sys};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::{CStr, CString, c_int, c_void};

/// The user, security context and nest level of settings that are to come back.
struct Before {
    user: Oid,
    context: c_int,
    settings: c_int,
}

impl Before {
    /// Becomes a role, which can change nothing of the session: no role, and no setting.
    fn switch(role: Oid) -> Before {
        let mut before = Before { user: Oid::INVALID, context: 0, settings: 0 };
        // SAFETY: plain state of this process. An error's way back to the start of the (sub)transaction undoes it all.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut before.user, &mut before.context);
            before.settings = pg_sys::NewGUCNestLevel();
            pg_sys::SetUserIdAndSecContext(role, before.context | pg_sys::SECURITY_RESTRICTED_OPERATION as c_int);
        }
        before
    }

    fn restore(self) {
        // SAFETY: as above; what was begun later has ended.
        unsafe {
            pg_sys::AtEOXact_GUC(false, self.settings);
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
    let _enclosed = Enclosed(ENCLOSED.replace(true));
    let before = Before::switch(role);
    // An error unwinds past this: the end of the transaction restores the user.
    let result = work();
    before.restore();
    result
}

/// Ends on every way out, an unwinding one included.
struct Enclosed(bool);

impl Drop for Enclosed {
    fn drop(&mut self) {
        ENCLOSED.set(self.0);
    }
}

/// A call of a function that is guarded.
#[derive(Clone, Copy)]
struct Call {
    function: *mut FmgrInfo,
    body: pg_sys::PGFunction,
    /// Whose rights the body has, if it runs in [`inside`].
    role: Option<Oid>,
}

thread_local! {
    /// The work of [`as_role`] is under way.
    static ENCLOSED: Cell<bool> = const { Cell::new(false) };
    /// Those that are under way, the innermost last.
    static CALLS: RefCell<Vec<Call>> = const { RefCell::new(Vec::new()) };
    /// The ordinary user who has written what is executed.
    static AUTHOR: Cell<Option<Oid>> = const { Cell::new(None) };
    /// The functions that expressions of it call.
    static CALLED: RefCell<Option<HashSet<Oid>>> = const { RefCell::new(None) };
    /// The hooks of others.
    static OTHERS: Cell<(pg_sys::needs_fmgr_hook_type, pg_sys::fmgr_hook_type)> = const { Cell::new((None, None)) };
    static OTHER: Cell<pg_sys::object_access_hook_type> = const { Cell::new(None) };
}

/// From now on in this process no function of an ordinary user runs with a superuser's rights.
pub fn guard_functions() {
    // SAFETY: variables of this process, which has one thread; set once, at its start.
    unsafe {
        OTHERS.set((pg_sys::needs_fmgr_hook, pg_sys::fmgr_hook));
        pg_sys::needs_fmgr_hook = Some(is_guarded);
        pg_sys::fmgr_hook = Some(around_call);
        OTHER.set(pg_sys::object_access_hook);
        pg_sys::object_access_hook = Some(before_call);
    }
}

/// Ends on every way out, an unwinding one included.
struct Written(Option<Oid>);

impl Drop for Written {
    fn drop(&mut self) {
        AUTHOR.set(self.0);
    }
}

/// An ordinary user who has written something. Superusers are none: they have nothing to gain.
#[derive(Clone, Copy)]
pub struct Author(Oid);

impl Author {
    /// In a transaction.
    pub fn of(role: Oid) -> Option<Author> {
        (!is_superuser(role)).then_some(Author(role))
    }

    /// In a transaction; a role that does not exist has written nothing.
    pub fn named(name: &str) -> Option<Author> {
        let name = CString::new(name).ok()?;
        // SAFETY: in a transaction; the name lives through the call.
        let role = unsafe { pg_sys::get_role_oid(name.as_ptr(), true) };
        (role != Oid::INVALID).then(|| Author::of(role)).flatten()
    }
}

/// Executes what an ordinary user has written, if it is one; within that, with none, what is the run's own.
pub fn written_by<R>(author: Option<Author>, work: impl FnOnce() -> R) -> R {
    let _before = Written(AUTHOR.replace(author.map(|Author(role)| role)));
    CALLED.with_borrow_mut(|called| called.get_or_insert_default().clear());
    work()
}

/// What matters here of a function.
struct Function {
    owner: Oid,
    /// SECURITY DEFINER
    definer: bool,
    procedure: bool,
    immutable: bool,
    volatile: bool,
    name: String,
}

impl Function {
    fn of(function: Oid) -> Option<Function> {
        // SAFETY: in a transaction; the row is read before it is released.
        unsafe {
            let cache = pg_sys::SysCacheIdentifier::PROCOID as c_int;
            let row = pg_sys::SearchSysCache1(cache, Datum::from(function));
            if row.is_null() {
                return None;
            }
            let form = &*pg_sys::heap_tuple_get_struct::<pg_sys::FormData_pg_proc>(row);
            let (owner, definer) = (form.proowner, form.prosecdef);
            let procedure = form.prokind as u8 == pg_sys::PROKIND_PROCEDURE;
            let immutable = form.provolatile as u8 == pg_sys::PROVOLATILE_IMMUTABLE;
            let volatile = form.provolatile as u8 == pg_sys::PROVOLATILE_VOLATILE;
            let name = CStr::from_ptr(form.proname.data.as_ptr()).to_string_lossy().into_owned();
            pg_sys::ReleaseSysCache(row);
            Some(Function { owner, definer, procedure, immutable, volatile, name })
        }
    }
}

fn is_builtin(function: Oid) -> bool {
    function.to_u32() < pg_sys::FirstNormalObjectId
}

/// A function that belongs to an ordinary user.
fn ordinary(function: Oid) -> Option<Function> {
    if is_builtin(function) {
        return None;
    }
    Function::of(function).filter(|function| !is_superuser(function.owner))
}

/// Any other function that an expression of what an ordinary user has written calls, and the user. A procedure is called by no
/// expression.
fn called(function: Oid) -> Option<(Function, Oid)> {
    let author = AUTHOR.get()?;
    if is_builtin(function) || !CALLED.with_borrow(|called| called.as_ref().is_some_and(|c| c.contains(&function))) {
        return None;
    }
    Function::of(function).filter(|found| !found.procedure).map(|found| (found, author))
}

/// Refuses a function of PostgreSQL's that may do or tell what its caller may: PostgreSQL calls them without a look at any hook, so
/// that they cannot run with the author's rights. Where the rows of a table are checked, they can: see `check.rs`.
fn refuse_builtin(function: Oid) {
    let Some(found) = Function::of(function).filter(|found| !found.immutable && !found.procedure) else { return };
    if !is_harmless(&found.name, found.volatile) {
        let message = format!("function {} would run with a superuser's rights", shown(function));
        catch::throw(
            Error::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
                .detail("The expression that calls it, or a domain constraint in it, was written by a role that is not a superuser.")
                .hint("Change the expression on the source."),
        );
    }
}

/// A function with its arguments, for messages.
fn shown(function: Oid) -> String {
    // SAFETY: in a transaction; what is returned is a string that is copied.
    unsafe { CStr::from_ptr(pg_sys::format_procedure_qualified(function)).to_string_lossy().into_owned() }
}

/// OID of `set_config(text, text, boolean)`, the same in every PostgreSQL (pg_proc.dat).
const SET_CONFIG: Oid = Oid::from_u32(2078);

/// PostgreSQL itself sees to it that what runs can change nothing of the session.
fn is_restricted() -> bool {
    // SAFETY: a plain read of this process's state.
    unsafe { pg_sys::InSecurityRestrictedOperation() }
}

/// Called when an expression is made ready that calls a function, before [`is_guarded`] is asked.
#[pg_guard]
unsafe extern "C-unwind" fn before_call(
    access: ObjectAccessType::Type,
    class: Oid,
    object: Oid,
    part: c_int,
    argument: *mut c_void,
) {
    if let Some(other) = OTHER.get() {
        // SAFETY: the other hook's own business.
        unsafe { other(access, class, object, part, argument) };
    }
    if access != ObjectAccessType::OAT_FUNCTION_EXECUTE {
        return;
    }
    // SAFETY: a plain read of the user.
    let as_superuser = is_superuser(unsafe { pg_sys::GetUserId() });
    if object == SET_CONFIG && !as_superuser && !is_enclosed() && !is_restricted() {
        let message = "code of an ordinary user calls set_config, which would change this session";
        catch::throw(
            Error::new(SqlState::INSUFFICIENT_PRIVILEGE, message).hint("Change the expression on the source."),
        );
    }
    if as_superuser && ordinary(object).is_some() && extension::has_namesake(object) {
        let message = format!(
            "function {} has the name of an extension's function, but does not belong to the extension",
            shown(object)
        );
        catch::throw(
            Error::new(SqlState::DUPLICATE_FUNCTION, message)
                .detail("A call of the extension's function would run it instead.")
                .hint("Drop or rename it."),
        );
    }
    if AUTHOR.get().is_some() {
        if as_superuser && is_builtin(object) {
            refuse_builtin(object);
        }
        CALLED.with_borrow_mut(|called| called.get_or_insert_default().insert(object));
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn is_guarded(function: Oid) -> bool {
    // SAFETY: the other hook's own business.
    OTHERS.get().0.is_some_and(|other| unsafe { other(function) })
        || ordinary(function).is_some()
        || called(function).is_some()
        || is_exposed(function)
}

/// Whether a function that is not PostgreSQL's is called as a user who is no superuser, and nothing undoes its changes of the session.
fn is_exposed(function: Oid) -> bool {
    // SAFETY: a plain read of the user.
    !is_builtin(function) && !is_restricted() && !is_enclosed() && !is_superuser(unsafe { pg_sys::GetUserId() })
}

/// Fails if a role may not execute a function, of which PostgreSQL has asked for the superuser only.
fn require_execute(function: Oid, role: Oid) {
    let right = pg_sys::ACL_EXECUTE as pg_sys::AclMode;
    // SAFETY: in a transaction; plain reads of catalogs.
    let answer = unsafe {
        #[cfg(feature = "pg15")]
        let answer = pg_sys::pg_proc_aclcheck(function, role, right);
        #[cfg(not(feature = "pg15"))]
        let answer = pg_sys::object_aclcheck(pg_sys::ProcedureRelationId, function, role, right);
        answer
    };
    if answer != pg_sys::AclResult::ACLCHECK_OK {
        let message = format!("permission denied for function {}", shown(function));
        catch::throw(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
    }
}

/// With whose rights the body of a function is to run, in a security-restricted operation whose settings are undone.
fn instead(function: Oid, user: Oid) -> Option<Oid> {
    if !is_superuser(user) {
        // PostgreSQL or TimescaleDB has become this user, and would leave what the function changes in this session, also a
        // superuser's that executes what it is given.
        let open = is_exposed(function) || (!is_enclosed() && ordinary(function).is_some());
        return open.then_some(user);
    }
    if let Some(found) = ordinary(function) {
        return Some(found.owner);
    }
    let (found, author) = called(function)?;
    require_execute(function, author);
    (!found.definer).then_some(author)
}

/// Whether what runs now can change nothing of the session.
fn is_enclosed() -> bool {
    ENCLOSED.get() || CALLS.with_borrow(|calls| calls.iter().any(|call| call.role.is_some()))
}

/// Called before and after each call of a function that [`is_guarded`]. Before, PostgreSQL has become the owner of a function that is
/// SECURITY DEFINER, and has begun a nest level for the settings that a function brings, whose other changes it keeps at its end: so what
/// is to be undone is undone within, right after the function's body.
#[pg_guard]
unsafe extern "C-unwind" fn around_call(event: FmgrHookEventType::Type, function: *mut FmgrInfo, state: *mut Datum) {
    if let Some(other) = OTHERS.get().1 {
        // SAFETY: the other hook's own business.
        unsafe { other(event, function, state) };
    }
    // SAFETY: PostgreSQL passes the function that it is about to call, or has called; a plain read of the user.
    let (oid, address, user) = unsafe { ((*function).fn_oid, &mut (*function).fn_addr, pg_sys::GetUserId()) };
    let is_replaced = |call: &&Call| call.function == function && call.role.is_some();
    if event == FmgrHookEventType::FHET_START {
        let role = instead(oid, user);
        CALLS.with_borrow_mut(|calls| {
            // A comparison that PostgreSQL keeps for a type may be called while it is at work.
            let body = calls.iter().rev().find(is_replaced).map_or(*address, |call| call.body);
            calls.push(Call { function, body, role });
        });
        if role.is_some() {
            *address = Some(inside);
        }
    } else {
        CALLS.with_borrow_mut(|calls| {
            let ended = calls.pop().filter(|_| !calls.iter().any(|call| is_replaced(&call)));
            *address = ended.map_or(*address, |call| call.body);
        });
    }
}

/// In place of a function's body.
///
/// An error jumps past this frame, which has nothing to drop, to where PostgreSQL ends the call: unlike pgrx's way, that
/// keeps all fields of the error.
unsafe extern "C-unwind" fn inside(call: pg_sys::FunctionCallInfo) -> Datum {
    let Some(Call { body: Some(body), role, .. }) = CALLS.with_borrow(|calls| calls.last().copied()) else {
        return Datum::from(0);
    };
    let before = role.map(Before::switch);
    // SAFETY: as PostgreSQL would have called it.
    let result = unsafe { body(call) };
    before.into_iter().for_each(Before::restore);
    result
}

//! A connection to the source.

use super::ffi;
use super::limit::{self, Flow};
use super::params::Params;
use super::password;
use super::result::{Raw, Rows};
use super::teller::Teller;
use crate::core::name::quoted;
use crate::error::{Error, Result, Side, SqlState};
use crate::pg::wait::{self, Event, Interest};
use libpq_sys::{PGconn, PGresult};
use pgrx::pg_sys;
use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_void};
use std::time::{Duration, Instant};

/// How often a wait comes back by itself, at the latest.
const HEARTBEAT: Duration = Duration::from_secs(1);

const IN_CLEAR: &str = "Have the source ask for scram-sha-256, or set sslmode to verify-full; with require_auth \"password\" the password is sent in clear text.";

/// For how long the source may leave this side waiting.
#[derive(Clone, Copy)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For any byte of an answer, until it is asked for over a second connection whether it
    /// still works on it.
    pub silence: Duration,
}

/// A non-blocking connection, closed when dropped.
pub struct Connection {
    pub(super) raw: *mut PGconn,
    pub(super) params: Params,
    pub(super) patience: Patience,
    /// How long the source took to answer a statement that takes it hardly any time.
    pub round_trip: Duration,
    /// How long the present wait has lasted without a byte.
    pub(super) quiet: Duration,
    pub(super) flow: Flow,
    /// libpq's buffer, which never shrinks, has become large.
    pub(super) is_swollen: bool,
    /// The second connection itself, of which no third one is asked.
    pub(super) is_probe: bool,
    /// Who is told of a long wait for a lock.
    pub teller: Option<Teller>,
    /// Queries that were sent before they are asked, in their order.
    pub(super) ahead: VecDeque<String>,
}

unsafe extern "C" fn ignore_notice(_: *mut c_void, _: *const PGresult) {}

/// One of the file descriptors the server allows this process besides its own files.
struct Lease;

impl Lease {
    fn take() -> Result<Lease> {
        // SAFETY: counts descriptors, nothing else.
        match unsafe { pg_sys::AcquireExternalFD() } {
            true => Ok(Lease),
            false => Err(Error::new(SqlState::INSUFFICIENT_RESOURCES, "too many open files in this process")
                .hint("Raise max_files_per_process or the operating system's limit on open files.")),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // SAFETY: gives back what `take` took.
        unsafe { pg_sys::ReleaseExternalFD() };
    }
}

impl Connection {
    /// Connects without blocking, within the time that `patience` allows. Fails with 08001 if that
    /// cannot be done.
    pub fn open(params: &Params, patience: Patience) -> Result<Connection> {
        let lease = Lease::take()?;
        let strings = params.c_strings()?;
        let mut names: Vec<*const c_char> = strings.iter().map(|(n, _)| n.as_ptr()).collect();
        let mut values: Vec<*const c_char> = strings.iter().map(|(_, v)| v.as_ptr()).collect();
        names.push(std::ptr::null());
        values.push(std::ptr::null());
        // SAFETY: both arrays end with null and live through the call.
        let raw = unsafe { libpq_sys::PQconnectStartParams(names.as_ptr(), values.as_ptr(), 0) };
        if raw.is_null() {
            return Err(Error::internal("libpq is out of memory"));
        }
        std::mem::forget(lease);
        let quiet = Duration::ZERO;
        let mut connection = Connection {
            raw,
            params: params.clone(),
            patience,
            round_trip: Duration::ZERO,
            quiet,
            flow: Flow::new(),
            is_swollen: false,
            is_probe: false,
            teller: None,
            ahead: VecDeque::new(),
        };
        // Before the first byte is read: by itself libpq writes notices to this server's log.
        // SAFETY: the connection lives; the receiver is a plain function.
        unsafe { libpq_sys::PQsetNoticeReceiver(raw, Some(ignore_notice), std::ptr::null_mut()) };
        connection.establish(patience.connect)?;
        // SAFETY: the connection is open.
        unsafe { libpq_sys::PQsetnonblocking(raw, 1) };
        Ok(connection)
    }

    fn establish(&mut self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        // What PQconnectPoll is said to have returned before its first call.
        let mut interest = Interest::Write;
        // SAFETY: the connection lives; its socket may change between polls, so it is asked
        // for each time.
        unsafe {
            if self.is_bad() {
                return Err(self.cannot_connect());
            }
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(Error::new(
                        SqlState::CANNOT_CONNECT,
                        "could not connect to the source: timeout expired",
                    )
                    .detail(format!("No connection within {} s.", timeout.as_secs()))
                    .on(Side::Source));
                }
                let socket = libpq_sys::PQsocket(self.raw);
                if !wait::on_socket(socket, interest, left.min(HEARTBEAT), Event::SourceConnect) {
                    continue;
                }
                interest = match ffi::connect_poll(self.raw) {
                    ffi::POLLING_OK => {
                        self.flow.taken = true;
                        return Ok(());
                    }
                    ffi::POLLING_FAILED => return Err(self.cannot_connect()),
                    ffi::POLLING_READING => Interest::Read,
                    _ => Interest::Write,
                };
                self.flow.look(libpq_sys::PQsocket(self.raw))?;
            }
        }
    }

    fn cannot_connect(&self) -> Error {
        let message = self.message();
        let in_clear = message.contains("server requested a cleartext password");
        let error = Error::new(SqlState::CANNOT_CONNECT, "could not connect to the source");
        let may_not_connect = message.contains("does not have CONNECT privilege");
        let error = error.detail(message).on(Side::Source);
        // SAFETY: the connection lives.
        let lacks_password = unsafe { libpq_sys::PQconnectionNeedsPassword(self.raw) } == 1;
        match (in_clear, lacks_password) {
            (true, _) => error.hint(IN_CLEAR),
            (false, true) => error.hint(password::missing(&self.params)),
            (false, false) if may_not_connect => {
                // SAFETY: the texts belong to the connection.
                let names = unsafe { (ffi::brief(libpq_sys::PQdb(self.raw)), ffi::brief(libpq_sys::PQuser(self.raw))) };
                let (database, user) = (names.0.unwrap_or_default(), names.1.unwrap_or_default());
                let grant = format!("GRANT CONNECT ON DATABASE {} TO {}", quoted(&database), quoted(&user));
                error.hint(format!("{grant}; -- on the source"))
            }
            (false, false) => error,
        }
    }

    /// Whether another connection would take much less memory.
    pub fn is_swollen(&self) -> bool {
        self.is_swollen
    }

    fn message(&self) -> String {
        // SAFETY: the text belongs to the connection.
        unsafe { ffi::brief(libpq_sys::PQerrorMessage(self.raw)) }.unwrap_or_default().trim().to_string()
    }

    pub(super) fn is_bad(&self) -> bool {
        // SAFETY: the connection lives.
        unsafe { ffi::status(self.raw) == ffi::CONNECTION_BAD }
    }

    /// The error for a connection that no longer works.
    pub(super) fn lost(&self) -> Error {
        Error::new(SqlState::CONNECTION_FAILURE, "lost the connection to the source")
            .detail(self.message())
            .on(Side::Source)
    }

    /// The process that serves this connection, as the server said at its start; a pooler says
    /// something of its own.
    pub fn backend_pid(&self) -> i32 {
        // SAFETY: an open connection.
        unsafe { libpq_sys::PQbackendPID(self.raw) }
    }

    /// Sends one or several statements as a simple query, and returns without an answer.
    pub fn send(&mut self, sql: &str) -> Result<()> {
        self.send_text(&CString::new(sql).map_err(|_| Error::internal("a statement contains a NUL byte"))?)
    }

    pub(super) fn send_text(&mut self, text: &CStr) -> Result<()> {
        self.drop_ahead()?;
        // SAFETY: the text lives through the calls; libpq copies it into its buffer.
        unsafe {
            if libpq_sys::PQsendQuery(self.raw, text.as_ptr()) != 1 {
                return Err(self.lost());
            }
            self.quiet = Duration::ZERO;
            self.flow.most = limit::ANSWER;
            self.flow.taken = true;
            loop {
                match libpq_sys::PQflush(self.raw) {
                    0 => return Ok(()),
                    1 => {
                        self.wait(Interest::Write, Duration::from_millis(50), Event::SourceQuery)?;
                        // A server that is sending must be read from, or both sides wait.
                        self.take_in()?;
                    }
                    _ => return Err(self.lost()),
                }
            }
        }
    }

    /// Waits for the socket, and not for ever: a source that stays silent is looked after.
    fn wait(&mut self, interest: Interest, timeout: Duration, event: Event) -> Result<()> {
        let begun = Instant::now();
        // SAFETY: an open connection.
        let socket = unsafe { libpq_sys::PQsocket(self.raw) };
        if wait::on_socket(socket, interest, timeout, event) {
            self.quiet = Duration::ZERO;
            return Ok(());
        }
        self.quiet += begun.elapsed();
        // A COPY has its locks.
        if !matches!(event, Event::SourceCopy) {
            self.tell_of_lock()?;
        }
        if self.quiet < self.patience.silence {
            return Ok(());
        }
        self.quiet = Duration::ZERO;
        self.look_after(event)
    }

    /// Waits for input and takes it in.
    pub(super) fn receive(&mut self, event: Event) -> Result<()> {
        self.wait(Interest::Read, HEARTBEAT, event)?;
        self.take_in()
    }

    /// The next result of what was sent; `None` after the last one.
    pub(super) fn next_result(&mut self, event: Event) -> Result<Option<Raw>> {
        let result = self.unwanted_result(event)?;
        self.flow.pass(result.as_ref().map_or(0, Raw::sent));
        Ok(result)
    }

    /// The same of what is read off only, all of which has to be within the limit of one.
    fn unwanted_result(&mut self, event: Event) -> Result<Option<Raw>> {
        // SAFETY: an open connection; a result returned is owned by the caller.
        unsafe {
            while libpq_sys::PQisBusy(self.raw) != 0 {
                self.receive(event)?;
            }
            Ok(Raw::new(libpq_sys::PQgetResult(self.raw)))
        }
    }

    /// Reads off what is left of the last command, so that the next can be sent; not if it is so much that
    /// there would be no end.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.flow.taken = true;
        loop {
            let result = match self.unwanted_result(Event::SourceQuery) {
                Ok(Some(result)) => result,
                Err(error) if error.code != SqlState::PROGRAM_LIMIT_EXCEEDED => return Err(error),
                _ => return Ok(()),
            };
            // libpq would give the same result for ever.
            if result.is_copy() {
                return Err(result.error());
            }
        }
    }

    /// The rows of the last of the statements sent that gives rows; an error of any is one here.
    pub fn answer(&mut self) -> Result<Rows> {
        let mut rows = Rows::default();
        while let Some(result) = self.next_result(Event::SourceQuery)? {
            match result.status() {
                ffi::TUPLES_OK => rows = result.rows()?,
                ffi::COMMAND_OK | ffi::EMPTY_QUERY => {}
                _ => {
                    let error = result.error();
                    self.finish()?;
                    return Err(error);
                }
            }
        }
        Ok(rows)
    }

    /// Runs one or several statements; returns the rows of the last one that gives any.
    pub fn query(&mut self, sql: &str) -> Result<Rows> {
        self.send(sql)?;
        self.answer().map_err(|e| within(e, sql))
    }

    /// After a query was sent: each row of the answer is a result.
    pub(super) fn row_by_row(&mut self) {
        self.flow.most = limit::ROW;
        // SAFETY: an open connection, with a query sent and no result taken.
        unsafe { libpq_sys::PQsetSingleRowMode(self.raw) };
    }

    /// Ends the transaction that is open, if one is.
    pub fn roll_back(&mut self) -> Result<()> {
        // SAFETY: an open connection.
        match unsafe { ffi::transaction_status(self.raw) } {
            ffi::IDLE => Ok(()),
            _ => self.query("ROLLBACK").map(drop),
        }
    }

    /// Runs a statement that may fail, and returns its error; a transaction that is open continues.
    pub fn probe(&mut self, sql: &str) -> Result<Option<Error>> {
        self.drop_ahead()?;
        // SAFETY: an open connection.
        let inside = unsafe { ffi::transaction_status(self.raw) } == ffi::IN_TRANSACTION;
        let (before, after) =
            if inside { ("SAVEPOINT probe", "ROLLBACK TO SAVEPOINT probe") } else { ("BEGIN", "ROLLBACK") };
        self.query(before)?;
        let error = self.query(sql).err();
        // With a connection that is lost, this fails too.
        self.query(after)?;
        Ok(error)
    }

    /// Takes in what has come, and nothing that nobody asks for.
    pub(super) fn take_in(&mut self) -> Result<()> {
        // SAFETY: an open connection; a notification belongs to the caller.
        unsafe {
            let alive = libpq_sys::PQconsumeInput(self.raw) == 1;
            // Before libpq parses it: a malformed message ends the connection, and with it the count.
            self.flow.look(libpq_sys::PQsocket(self.raw))?;
            if !alive {
                return Err(self.lost());
            }
            loop {
                let notification = libpq_sys::PQnotifies(self.raw);
                if notification.is_null() {
                    break;
                }
                libpq_sys::PQfreemem(notification.cast());
            }
        }
        Ok(())
    }
}

pub(super) fn within(error: Error, sql: &str) -> Error {
    error.within(format!("statement on the source: {}", summary(sql)))
}

/// A statement's beginning, for an error's context.
fn summary(sql: &str) -> String {
    let line =
        sql.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with("--")).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: owned, finished once; the lease was taken in `open`.
        unsafe { libpq_sys::PQfinish(self.raw) };
        drop(Lease);
    }
}

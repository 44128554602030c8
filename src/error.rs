//! The one error type: what PostgreSQL's own errors carry, plus the object and the side it
//! happened on. It is raised once, at the edge (`pg/report.rs`), or stored field by
//! field in `timescale_migrate.task_log` and `run_log`; never as one text.

use std::fmt;

/// What everything that can fail returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which server an error came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Source,
    Target,
}

impl Side {
    /// As in the columns `side`.
    pub fn name(self) -> &'static str {
        match self {
            Side::Source => "source",
            Side::Target => "target",
        }
    }
}

/// A five-character SQLSTATE, as in PostgreSQL's appendix A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlState(pub [u8; 5]);

impl SqlState {
    pub const CONNECTION_FAILURE: Self = Self(*b"08006");
    pub const CANNOT_CONNECT: Self = Self(*b"08001");
    pub const PROTOCOL_VIOLATION: Self = Self(*b"08P01");
    pub const FEATURE_NOT_SUPPORTED: Self = Self(*b"0A000");
    pub const INVALID_PARAMETER: Self = Self(*b"22023");
    pub const DATETIME_OUT_OF_RANGE: Self = Self(*b"22008");
    pub const NULL_NOT_ALLOWED: Self = Self(*b"22004");
    pub const ACTIVE_TRANSACTION: Self = Self(*b"25001");
    pub const READ_ONLY_TRANSACTION: Self = Self(*b"25006");
    pub const FOREIGN_KEY_VIOLATION: Self = Self(*b"23503");
    pub const INSUFFICIENT_PRIVILEGE: Self = Self(*b"42501");
    pub const UNDEFINED_SCHEMA: Self = Self(*b"3F000");
    pub const UNDEFINED_COLUMN: Self = Self(*b"42703");
    pub const UNDEFINED_TABLE: Self = Self(*b"42P01");
    pub const WRONG_OBJECT_TYPE: Self = Self(*b"42809");
    pub const UNDEFINED_OBJECT: Self = Self(*b"42704");
    pub const DUPLICATE_FUNCTION: Self = Self(*b"42723");
    pub const DUPLICATE_OBJECT: Self = Self(*b"42710");
    pub const INSUFFICIENT_RESOURCES: Self = Self(*b"53000");
    pub const DISK_FULL: Self = Self(*b"53100");
    pub const OUT_OF_MEMORY: Self = Self(*b"53200");
    pub const PROGRAM_LIMIT_EXCEEDED: Self = Self(*b"54000");
    pub const TOO_MANY_CONNECTIONS: Self = Self(*b"53300");
    pub const NOT_IN_PREREQUISITE_STATE: Self = Self(*b"55000");
    pub const LOCK_NOT_AVAILABLE: Self = Self(*b"55P03");
    pub const OBJECT_IN_USE: Self = Self(*b"55006");
    /// `snapshot_too_old`: what the run reads is no longer there under its snapshot.
    pub const SNAPSHOT_GONE: Self = Self(*b"72000");
    pub const QUERY_CANCELED: Self = Self(*b"57014");
    pub const EXTERNAL_ROUTINE: Self = Self(*b"38000");
    pub const INTERNAL: Self = Self(*b"XX000");
    pub const DATA_CORRUPTED: Self = Self(*b"XX001");

    /// Anything that is not five characters becomes `XX000`.
    pub fn parse(text: &str) -> Self {
        text.as_bytes().try_into().map_or(Self::INTERNAL, Self)
    }

    /// The five characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

/// An error with PostgreSQL's fields.
#[derive(Clone, Debug)]
pub struct Error {
    pub code: SqlState,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub context: Option<String>,
    /// The object that was being made or copied, as its user would name it.
    pub object: Option<String>,
    pub side: Side,
}

impl Error {
    /// An error of the target, with a primary message in PostgreSQL's style.
    pub fn new(code: SqlState, message: impl Into<String>) -> Self {
        Error {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            context: None,
            object: None,
            side: Side::Target,
        }
    }

    /// Something that only a defect of this extension can cause.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(SqlState::INTERNAL, message)
    }

    /// An answer of the source that no PostgreSQL would give.
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(SqlState::PROTOCOL_VIOLATION, message).on(Side::Source)
    }

    /// Sets DETAIL.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Sets HINT.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which server it comes from.
    pub fn on(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    /// Whether the same may well succeed later, without anybody's doing: the connection was lost,
    /// the source restarts or is full, a lock was not to be had, or two transactions met
    /// (PostgreSQL's appendix A). This server's own shutdown is no error that is seen here.
    pub fn is_transient(&self) -> bool {
        let code = self.code.as_str();
        match code {
            "40001" | "40P01" | "55P03" | "72000" => true,
            "53300" | "57014" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" => self.side == Side::Source,
            // What was sent is malformed, as it would be again.
            "08P01" => false,
            _ => code.starts_with("08"),
        }
    }

    /// Names the object, unless a call further down already did so more exactly.
    pub fn about(mut self, object: impl Into<String>) -> Self {
        self.object.get_or_insert_with(|| object.into());
        self
    }

    /// A value is no value of its type, or out of its range.
    pub fn is_about_data(&self) -> bool {
        self.code.0.starts_with(b"22")
    }

    /// A function of the user's, in a CHECK, an index or a generated column, may have found something by
    /// the application's `search_path` only; here there is none but pg_catalog. And it may need more than
    /// whom it runs as may do; a run itself lacks nothing.
    pub fn hint_at_functions(self) -> Self {
        if self.side == Side::Target && self.code == SqlState::INSUFFICIENT_PRIVILEGE && self.hint.is_none() {
            return self.hint(
                "Code that users wrote runs with the rights of the table's owner when rows are written, else with those of the function's owner. Grant that role the missing privilege, on the target before migrate_resume, or on the source before a new run.",
            );
        }
        let missing = ["42883", "42P01", "42704"].contains(&self.code.as_str());
        let in_function = self.context.as_ref().is_some_and(|context| context.contains("function "));
        if self.side == Side::Source || !missing || !in_function {
            return self;
        }
        self.hint(
            "If the function names it without its schema, execute ALTER FUNCTION ... SET search_path = ..., on the target before migrate_resume, or on the source before a new run.",
        )
    }

    /// Adds one line to the context, as an error context callback would.
    pub fn within(mut self, line: impl AsRef<str>) -> Self {
        let context = self.context.get_or_insert_default();
        if !context.is_empty() {
            context.push('\n');
        }
        context.push_str(line.as_ref());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

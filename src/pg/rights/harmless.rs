//! PostgreSQL's own functions that neither do nor tell what their caller may.

/// The volatile functions of PostgreSQL's that do nothing, and whose results depend on nothing but the moment and their
/// arguments. The others write large objects, sequences, settings or files, run queries that they are given as text,
/// take locks, end sessions, or read files and the server's memory.
const HARMLESS: [&str; 9] = [
    "array_sample",
    "array_shuffle",
    "clock_timestamp",
    "gen_random_uuid",
    "random",
    "random_normal",
    "timeofday",
    "uuidv4",
    "uuidv7",
];
/// Of the stable ones that begin so, most tell of other sessions, of files, or of settings; these do not.
const TELL_NOTHING: [&str; 18] = [
    "pg_backend_pid",
    "pg_basetype",
    "pg_char_to_encoding",
    "pg_client_encoding",
    "pg_collation_for",
    "pg_column_compression",
    "pg_column_size",
    "pg_current_snapshot",
    "pg_current_xact_id",
    "pg_encoding_to_char",
    "pg_get_serial_sequence",
    "pg_get_userbyid",
    "pg_has_role",
    "pg_input_error_info",
    "pg_input_is_valid",
    "pg_timezone_names",
    "pg_trigger_depth",
    "pg_typeof",
];

/// Whether a function of PostgreSQL's that is not immutable may be called with a superuser's rights by who is none.
pub(super) fn is_harmless(name: &str, volatile: bool) -> bool {
    match name {
        _ if volatile => HARMLESS.contains(&name),
        // Of settings that only superusers may see, such as the password in `primary_conninfo`.
        "current_setting" => false,
        // They read the tables that they are given as text.
        _ if name.contains("_to_xml") => false,
        _ => !name.starts_with("pg_") || name.ends_with("_is_visible") || TELL_NOTHING.contains(&name),
    }
}

//! A session on the source: connected, and with settings under which every value has one
//! text form and no time-out of the source's cuts a long COPY off.

use crate::core::name::literal;
use crate::core::options::Options;
use crate::core::settings::set_known;
use crate::error::Result;
use crate::libpq::{Connection, Params, Patience};
use std::time::{Duration, Instant};

/// One text form for every value, on both sides, as pg_dump and postgres_fdw set them.
pub const TEXT_FORMS: [(&str, &str); 6] = [
    ("datestyle", "ISO"),
    ("intervalstyle", "postgres"),
    ("timezone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
];

/// Each further setting with its reason.
const SETTINGS: [(&str, &str); 9] = [
    // Names in answers and in what they mean must not depend on the user's path.
    ("search_path", "pg_catalog, pg_temp"),
    // As on the target, where definitions are read again.
    ("standard_conforming_strings", "on"),
    // Errors of probes are expected.
    ("exit_on_error", "off"),
    // A policy that hides rows must be an error, not a smaller copy.
    ("row_security", "off"),
    // Long reads are what this session is for.
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    // A read from the first page makes ranges of pages contiguous.
    ("synchronize_seqscans", "off"),
    // A run is as parallel as its jobs; more of the source's processes are not its to take, and for
    // a small chunk their start takes longer than its rows.
    ("max_parallel_workers_per_gather", "0"),
    // Compiling the inventory's queries takes longer than running them.
    ("jit", "off"),
];

/// The same that not every version has.
const NEWER_SETTINGS: [(&str, &str); 3] = [
    ("idle_session_timeout", "0"),
    ("transaction_timeout", "0"),
    // The source notices a vanished target even in the middle of a long query.
    ("client_connection_check_interval", "10s"),
];

/// Lets TimescaleDB leave out no rows, which it may do by default: those in tiered storage, and compressed ones. Not every
/// version has each setting.
pub const ALL_ROWS: [(&str, &str); 3] = [
    ("timescaledb.enable_tiered_reads", "on"),
    ("timescaledb.enable_transparent_decompression", "on"),
    ("timescaledb.enable_columnarscan", "on"),
];

/// Of two sessions in a deadlock, the source's own is not to be the one that it ends.
const DEADLOCKS: &str = "SELECT pg_catalog.set_config('deadlock_timeout', '10ms', false) WHERE pg_catalog.current_setting('is_superuser') = 'on';";

/// Keeps relations of these kinds from being read, but for the system's own, where the source knows that
/// setting: minor releases since August 2024 do (CVE-2024-7348).
pub fn restrict(kinds: &str, local: bool) -> String {
    set_known(&[("restrict_nonsystem_relation_kind", kinds)], local)
}

/// Connects; `name` becomes the session's `application_name`.
pub fn open(params: &Params, name: &str, options: &Options) -> Result<Connection> {
    let patience = Patience {
        connect: Duration::from_secs(options.connect_timeout.or(params.connect_timeout()?).unwrap_or(10).into()),
        silence: Duration::from_secs(options.source_timeout.into()),
    };
    let mut connection = Connection::open(params, patience)?;
    let mut sql = format!("SET application_name = {};", literal(name));
    for (setting, value) in SETTINGS.into_iter().chain(TEXT_FORMS) {
        sql.push_str(&match setting {
            "search_path" => format!("SET search_path = {value};"),
            _ => format!("SET {setting} = {};", literal(value)),
        });
    }
    sql.push_str(&format!("SET lock_timeout = '{}s';", options.lock_timeout));
    sql.push_str(&set_known(&[NEWER_SETTINGS, ALL_ROWS].concat(), false));
    sql.push_str(DEADLOCKS);
    // The inventory reads views of TimescaleDB.
    sql.push_str(&restrict("", false));
    let sent = Instant::now();
    connection.query(&sql)?;
    connection.round_trip = sent.elapsed();
    Ok(connection)
}

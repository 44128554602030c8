//! A value of one type taken for one of another.

use super::report;
use super::session::require_superuser;
use pgrx::pg_sys::{self, Oid};
use pgrx::{IntoDatum, pg_extern};
use std::ffi::CStr;

/// The text of the value of a type that is stored as this bigint is; null if a value of that type
/// is stored otherwise. The caller knows that there is a cast without a function to bigint.
#[pg_extern(sql = r#"
CREATE FUNCTION timescale_migrate.bigint_as(value bigint, type oid) RETURNS text
STRICT STABLE LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn bigint_as(value: i64, type_oid: Oid) -> Option<String> {
    require_superuser().unwrap_or_else(|error| report::raise(error));
    // SAFETY: the output function gets a datum of the size that it reads, passed as it expects it,
    // and returns a string that lives in the current memory context.
    unsafe {
        let (mut length, mut by_value) = (0, false);
        pg_sys::get_typlenbyval(type_oid, &mut length, &mut by_value);
        if length != 8 || !by_value {
            return None;
        }
        let (mut output, mut varlena) = (Oid::INVALID, false);
        pg_sys::getTypeOutputInfo(type_oid, &mut output, &mut varlena);
        let text = pg_sys::OidOutputFunctionCall(output, value.into_datum()?);
        Some(CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}

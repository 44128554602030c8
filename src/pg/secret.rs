//! Statements that hold a password. What runs by SPI passes PostgreSQL's hooks for statements, by which
//! extensions count and log them with all that they hold; what is called here directly does not.

use crate::error::{Error, Result};
use pgrx::pg_sys;
use std::ffi::CString;

/// Runs `CREATE ROLE` and `CREATE USER MAPPING` statements, in the current transaction.
pub fn execute(sql: &str) -> Result<()> {
    let text = CString::new(sql).map_err(|_| Error::internal("a statement contains a NUL byte"))?;
    // SAFETY: in a transaction; the text lives through the calls, and a node is of the type that its
    // tag says. What fails unwinds to the enclosing transaction.
    unsafe {
        let statements = pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT);
        let length = if statements.is_null() { 0 } else { (*statements).length as usize };
        for place in 0..length {
            let raw = (*(*statements).elements.add(place)).ptr_value.cast::<pg_sys::RawStmt>();
            let statement = (*raw).stmt;
            match (*statement).type_ {
                pg_sys::NodeTag::T_CreateRoleStmt => {
                    pg_sys::CreateRole(std::ptr::null_mut(), statement.cast());
                }
                pg_sys::NodeTag::T_CreateUserMappingStmt => {
                    pg_sys::CreateUserMapping(statement.cast());
                }
                _ => return Err(Error::internal("neither a role nor a user mapping")),
            }
            // The next statement sees what this one has made.
            pg_sys::CommandCounterIncrement();
        }
    }
    Ok(())
}

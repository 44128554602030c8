//! SQL on the target, through SPI.

use crate::error::{Error, Result};
use pgrx::datum::DatumWithOid;
use pgrx::{FromDatum, IntoDatum, JsonB, PgMemoryContexts, Spi, pg_sys};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn spi_error(error: pgrx::spi::Error) -> Error {
    Error::internal(format!("SPI: {error}"))
}

/// Runs a statement, or several separated by semicolons; returns the rows it touched.
///
/// PostgreSQL's own errors unwind to the enclosing [`super::catch::transaction`].
pub fn execute(sql: &str, args: &[DatumWithOid]) -> Result<usize> {
    Spi::connect_mut(|client| client.update(sql, None, args).map(|table| table.len())).map_err(spi_error)
}

/// Lets go of the parameters of what is executed as soon as that has ended, not only with the
/// transaction.
pub fn briefly<R>(work: impl FnOnce() -> R) -> R {
    let mut memory = PgMemoryContexts::new("timescale_migrate parameters");
    // SAFETY: a context that was just made; what comes out of it is Rust's own.
    unsafe { memory.switch_to(|_| work()) }
}

/// The first column of the first row, if there is a row and it is not null.
pub fn value<T: FromDatum + IntoDatum>(sql: &str, args: &[DatumWithOid]) -> Result<Option<T>> {
    Spi::connect_mut(|client| {
        let table = client.update(sql, Some(1), args)?;
        if table.is_empty() { Ok(None) } else { table.first().get_one::<T>() }
    })
    .map_err(spi_error)
}

/// A parameter of type jsonb.
pub fn json<T: Serialize>(value: &T) -> Result<DatumWithOid<'static>> {
    let value = serde_json::to_value(value).map_err(|e| Error::internal(e.to_string()))?;
    Ok(JsonB(value).into())
}

/// Every row's first column, a JSON text, as a `T`.
pub fn json_rows<T: DeserializeOwned>(sql: &str, args: &[DatumWithOid]) -> Result<Vec<T>> {
    let mut rows = Vec::new();
    each(sql, args, |text| {
        rows.push(
            serde_json::from_str(text)
                .map_err(|e| Error::internal(format!("unexpected answer from the target: {e}")).detail(text))?,
        );
        Ok(())
    })?;
    Ok(rows)
}

/// Passes on every row's first column, a text.
pub fn each(sql: &str, args: &[DatumWithOid], mut row: impl FnMut(&str) -> Result<()>) -> Result<()> {
    Spi::connect_mut(|client| {
        for found in client.update(sql, None, args).map_err(spi_error)? {
            row(found.get::<&str>(1).map_err(spi_error)?.unwrap_or_default())?;
        }
        Ok(())
    })
}

/// A setting of this session, as `SET` does it; the server's own check of the value applies.
pub fn set(name: &str, value: &str) -> Result<()> {
    execute("SELECT pg_catalog.set_config($1, $2, false)", &[name.into(), value.into()]).map(drop)
}

/// The same for the rest of the transaction, as `SET LOCAL`.
pub fn set_local(name: &str, value: &str) -> Result<()> {
    execute("SELECT pg_catalog.set_config($1, $2, true)", &[name.into(), value.into()]).map(drop)
}

/// The OID of a relation, by its quoted and qualified name.
pub fn relation_oid(name: &str) -> Result<pg_sys::Oid> {
    value::<pg_sys::Oid>("SELECT $1::pg_catalog.regclass::pg_catalog.oid", &[name.into()])?
        .ok_or_else(|| Error::internal(format!("relation {name} not found")))
}

//! SQL on the target, through SPI.

use crate::error::{Error, Result};
use pgrx::datum::DatumWithOid;
use pgrx::{FromDatum, IntoDatum, Spi, pg_sys};
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

/// The first column of the first row, if there is a row and it is not null.
pub fn value<T: FromDatum + IntoDatum>(sql: &str, args: &[DatumWithOid]) -> Result<Option<T>> {
    Spi::connect_mut(|client| {
        let table = client.update(sql, Some(1), args)?;
        if table.is_empty() { Ok(None) } else { table.first().get_one::<T>() }
    })
    .map_err(spi_error)
}

/// Every row's first column, a JSON text, as a `T`.
pub fn json_rows<T: DeserializeOwned>(sql: &str, args: &[DatumWithOid]) -> Result<Vec<T>> {
    Spi::connect_mut(|client| {
        let mut rows = Vec::new();
        for row in client.update(sql, None, args).map_err(spi_error)? {
            let text: String = row.get(1).map_err(spi_error)?.unwrap_or_default();
            rows.push(
                serde_json::from_str(&text)
                    .map_err(|e| Error::internal(format!("unexpected answer from the target: {e}")).detail(text))?,
            );
        }
        Ok(rows)
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

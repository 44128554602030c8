//! Large objects: pages copied as they are, so that holes stay holes; then owners, privileges
//! and comments.

use super::database::{Grant, grants};
use crate::core::name::{literal, quoted};
use crate::core::options::{Keep, Options};
use crate::error::{Error, Result};
use crate::libpq::Connection;
use crate::pg::{copy, spi};
use crate::source::inventory::Ask;
use serde::Deserialize;

/// `large_objects.sql`
#[derive(Deserialize)]
struct LargeObject {
    oid: u32,
    owner: String,
    comment: Option<String>,
    acl: Option<Vec<Grant>>,
}

/// Carries all of them over, in the current transaction; returns how many. Not only a superuser may
/// read `pg_largeobject` on the source, which preflight checks.
pub fn carry(source: &mut Connection, options: &Options) -> Result<usize> {
    let objects: Vec<LargeObject> = source.ask(include_str!("../../sql/inventory/large_objects.sql"))?;
    if objects.is_empty() {
        return Ok(0);
    }
    let mut carry = || -> Result<usize> {
        for object in &objects {
            spi::execute("SELECT pg_catalog.lo_create($1)", &[pgrx::pg_sys::Oid::from(object.oid).into()])?;
        }
        let columns = ["loid", "pageno", "data"].map(String::from);
        let relation = spi::relation_oid("pg_catalog.pg_largeobject")?;
        let mut data =
            source.copy_out("COPY pg_catalog.pg_largeobject (loid, pageno, data) TO STDOUT (FORMAT binary)")?;
        let copy_options = copy::Options { columns: &columns, binary: true, freeze: false };
        let written = copy::into_relation(relation, &copy_options, &mut data)?;
        let sent = data.finish()?;
        if sent != written {
            return Err(copy::count_mismatch("pg_catalog.pg_largeobject", sent, written));
        }
        for object in &objects {
            let name = format!("LARGE OBJECT {}", object.oid);
            let mut statements = Vec::new();
            if options.owners == Keep::Keep {
                statements.push(format!("ALTER {name} OWNER TO {}", quoted(&object.owner)));
            }
            if let (Keep::Keep, Some(acl)) = (options.privileges, &object.acl) {
                statements.extend(grants(&name, acl, Some(&object.owner)));
            }
            if let Some(comment) = &object.comment {
                statements.push(format!("COMMENT ON {name} IS {}", literal(comment)));
            }
            for statement in statements {
                spi::execute(&statement, &[])?;
            }
        }
        Ok(objects.len())
    };
    carry().map_err(|e: Error| e.about("large objects"))
}

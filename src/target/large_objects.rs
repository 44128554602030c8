//! Large objects: pages copied as they are, so that holes stay holes; then owners, privileges
//! and comments.

use super::database::{Grant, grants};
use crate::core::name::{literal, quoted};
use crate::core::options::{Keep, Options};
use crate::error::Result;
use crate::libpq::Connection;
use crate::pg::{copy, spi};
use crate::source::inventory::Ask;
use serde::Deserialize;

/// `large_objects.sql`
#[derive(Deserialize)]
pub struct LargeObject {
    oid: u32,
    owner: String,
    comment: Option<String>,
    acl: Option<Vec<Grant>>,
}

/// All of the source's. Who may read `pg_largeobject` there is checked by preflight.
pub fn read(source: &mut impl Ask) -> Result<Vec<LargeObject>> {
    source.ask(include_str!("../../sql/inventory/large_objects.sql"))
}

/// Removes some of those that the run has made, each of which takes a lock; how many.
pub fn remove(run: i64, locks: i64) -> Result<i64> {
    let removed = "SELECT count(pg_catalog.lo_unlink(oid)) FROM (
            SELECT l.oid FROM pg_catalog.pg_largeobject_metadata l
            JOIN timescale_migrate.made_log m ON m.objid = l.oid AND m.classid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass
            WHERE m.run = $1 LIMIT $2) made";
    Ok(spi::value::<i64>(removed, &[run.into(), locks.into()])?.unwrap_or(0))
}

/// Makes and fills them, in the current transaction, which takes no lock on them.
pub fn copy(source: &mut Connection, objects: &[LargeObject]) -> Result<()> {
    for object in objects {
        spi::execute("SELECT pg_catalog.lo_create($1)", &[pgrx::pg_sys::Oid::from(object.oid).into()])?;
    }
    let columns = ["loid", "pageno", "data"].map(String::from);
    let relation = spi::relation_oid("pg_catalog.pg_largeobject")?;
    let mut data = source.copy_out("COPY pg_catalog.pg_largeobject (loid, pageno, data) TO STDOUT (FORMAT binary)")?;
    let copy_options = copy::Options { columns: &columns, binary: true, freeze: false };
    let written = copy::into_relation(relation, &copy_options, &mut data)?;
    match data.finish()? {
        sent if sent == written => Ok(()),
        sent => Err(copy::count_mismatch("pg_catalog.pg_largeobject", sent, written)),
    }
}

impl LargeObject {
    /// Owner, privileges and comment; takes a lock.
    pub fn describe(&self, options: &Options) -> Result<()> {
        let name = format!("LARGE OBJECT {}", self.oid);
        let mut statements = Vec::new();
        if options.owners == Keep::Keep {
            statements.push(format!("ALTER {name} OWNER TO {}", quoted(&self.owner)));
        }
        if let (Keep::Keep, Some(acl)) = (options.privileges, &self.acl) {
            statements.extend(grants(&name, acl, Some(&self.owner)));
        }
        if let Some(comment) = &self.comment {
            statements.push(format!("COMMENT ON {name} IS {}", literal(comment)));
        }
        statements.iter().try_for_each(|statement| spi::execute(statement, &[]).map(drop))
    }
}

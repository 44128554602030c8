//! Large objects: pages copied as they are, so that holes stay holes; then owners, privileges
//! and comments.

use super::copy::stream;
use super::privileges::{Grant, grants};
use crate::catalog::Catalog;
use crate::core::name::{literal, quoted};
use crate::core::options::{Keep, Options};
use crate::error::{Error, Result};
use crate::libpq::Connection;
use crate::pg::{copy, spi};
use pgrx::pg_sys::Oid;
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
pub fn read(source: &mut impl Catalog) -> Result<Vec<LargeObject>> {
    source.ask(include_str!("../../sql/inventory/large_objects.sql"))
}

/// Removes some of those that the run has made, each of which takes a lock; how many.
pub fn remove(run: i64, locks: i64) -> Result<i64> {
    let removed = include_str!("../../sql/run/unlink_large_objects.sql");
    Ok(spi::value::<i64>(removed, &[run.into(), locks.into()])?.unwrap_or(0))
}

/// Makes them, empty, in the current transaction, which takes no lock on them.
pub fn make(objects: &[LargeObject]) -> Result<()> {
    objects.iter().try_for_each(|object| {
        spi::execute("SELECT pg_catalog.lo_create($1)", &[Oid::from(object.oid).into()]).map(drop)
    })
}

/// Fills and describes some of them, in the order of their OIDs with no other between them, in the
/// current transaction, which takes a lock on each.
pub fn fill(source: &mut Connection, objects: &[LargeObject], options: &Options) -> Result<()> {
    let (Some(first), Some(last)) = (objects.first(), objects.last()) else { return Ok(()) };
    let statement = format!(
        "COPY (SELECT loid, pageno, data FROM pg_catalog.pg_largeobject WHERE loid BETWEEN {} AND {})
         TO STDOUT (FORMAT binary)",
        first.oid, last.oid
    );
    let columns = ["loid", "pageno", "data"].map(String::from);
    let relation = spi::relation_oid("pg_catalog.pg_largeobject")?;
    let copy_options = copy::Options { columns: &columns, binary: true, freeze: false };
    let mut script = source.script(&statement)?;
    let (written, _) = stream(&mut script, relation, &copy_options, "pg_catalog.pg_largeobject")?;
    script.end()?;
    // They were empty: of all that was written each page is one of theirs.
    let oids: Vec<Oid> = objects.iter().map(|object| object.oid.into()).collect();
    let pages = "SELECT count(*) FROM pg_catalog.pg_largeobject WHERE loid = ANY ($1)";
    if spi::value::<i64>(pages, &[oids.into()])? != Some(written as i64) {
        return Err(Error::protocol("the source sent pages of large objects that were not asked for"));
    }
    objects.iter().try_for_each(|object| object.describe(options))
}

impl LargeObject {
    /// Owner, privileges and comment; takes a lock.
    fn describe(&self, options: &Options) -> Result<()> {
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

//! The rows of a tiered chunk, of a table that becomes a hypertable, or for other chunks than the source's. Where they
//! belong is not known beforehand, so TimescaleDB finds or makes the chunk of each: by INSERT into the hypertable, as its
//! owner, from a temporary table, as COPY inside this process fills the relation that it is given and no other.

use super::compression;
use crate::core::name::column_list;
use crate::core::plan::CopyTask;
use crate::error::{Error, Result};
use crate::libpq::Script;
use crate::pg::{copy, rights, spi};
use crate::target::copy::{name_taken, stream};
use pgrx::pg_sys::Oid;

const TEMPORARY: &str = "pg_temp.timescale_migrate_rows";
const VIEW: &str = "pg_temp.timescale_migrate_hypertable";

/// In the current transaction; returns rows and bytes.
pub fn rows(source: &mut Script, work: &CopyTask, run: i64, root: Oid, hypertable: &str) -> Result<(u64, u64)> {
    let columns = column_list(&work.columns);
    view(root, hypertable, &columns)?;
    spi::execute(
        &format!("CREATE TEMPORARY TABLE {TEMPORARY} ON COMMIT DROP AS SELECT {columns} FROM {VIEW} WITH NO DATA"),
        &[],
    )?;
    // What constraints of its columns' domains call is called with the rights of its owner.
    let (owner, name_of_owner) = owner(root)?;
    spi::execute(&format!("ALTER TABLE {TEMPORARY} OWNER TO {name_of_owner}"), &[])?;
    let options = copy::Options { columns: &work.columns, binary: work.binary(), freeze: false };
    let name = work.source.name.shown();
    let (sent, bytes) = stream(source, spi::relation_oid(TEMPORARY)?, &options, &name)?;
    spi::execute(&format!("GRANT INSERT ON {VIEW} TO {name_of_owner}"), &[])?;
    let insert = format!("INSERT INTO {VIEW} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {TEMPORARY}");
    let inserted = rights::as_role(owner, || spi::execute(&insert, &[]))? as u64;
    // With what the owner's code may have made of its row type.
    spi::execute(&format!("DROP VIEW {VIEW} CASCADE"), &[])?;
    if inserted != sent {
        return Err(copy::count_mismatch(&name, sent, inserted));
    }
    // What the run did not make, or several tasks fill, is analyzed as a whole.
    let shared = work.adopted.is_some() || work.destination.is_converted();
    let own = if shared { Vec::new() } else { chunks(run, root, None)? };
    for (chunk, name) in own {
        spi::execute(&format!("ANALYZE {name}"), &[])?;
        compression::set_ranges(chunk.into(), work)?;
    }
    Ok((sent, bytes))
}

/// A view of the run's own on the hypertable, whose rights count when rows come in through it: the owner may have given up
/// those on the table, and row security may be for the owner as well. Other code of the owner may give the name to another
/// relation at any time, so it is made before the rows arrive, and checked.
fn view(root: Oid, hypertable: &str, columns: &str) -> Result<()> {
    spi::execute(&format!("CREATE TEMPORARY VIEW {VIEW} AS SELECT {columns} FROM {hypertable}"), &[])?;
    let arguments = [spi::relation_oid(VIEW)?.into(), root.into()];
    match spi::value::<bool>(include_str!("../../../sql/run/reads_only.sql"), &arguments)? {
        Some(true) => Ok(()),
        _ => Err(name_taken(hypertable)),
    }
}

/// The owner of a relation, and its name, quoted.
fn owner(relation: Oid) -> Result<(Oid, String)> {
    let (owner, name) = spi::json_rows::<(u32, String)>(
        "SELECT json_build_array(relowner::bigint, relowner::pg_catalog.regrole)::text FROM pg_catalog.pg_class WHERE oid = $1",
        &[relation.into()],
    )?
    .pop()
    .ok_or_else(|| Error::internal("a relation is gone"))?;
    Ok((owner.into(), name))
}

/// Takes rows back: drops so many, or all, of the chunks; whether there were any.
pub fn drop_chunks(run: i64, root: Oid, count: Option<i64>) -> Result<bool> {
    let chunks = chunks(run, root, count)?;
    chunks.iter().try_for_each(|(_, name)| spi::execute(&format!("DROP TABLE {name}"), &[]).map(|_| ()))?;
    Ok(!chunks.is_empty())
}

/// So many, or all, with their names, quoted and qualified.
fn chunks(run: i64, root: Oid, count: Option<i64>) -> Result<Vec<(u32, String)>> {
    spi::json_rows(
        // In the SELECT list the function ends with the last one that is wanted.
        "SELECT json_build_array(q.c::oid::bigint, q.c)::text
         FROM (SELECT timescale_migrate.routed_chunks($1, $2) AS c LIMIT $3) q",
        &[run.into(), root.into(), count.into()],
    )
}

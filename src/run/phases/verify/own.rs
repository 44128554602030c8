//! What the target has of what is compared.

use super::rows_of;
use crate::core::checksum::{self, Sum};
use crate::core::name::{Name, literal};
use crate::core::plan::Verify;
use crate::error::{Error, Result, SqlState};
use crate::pg::{catch::transaction, spi};
use crate::run::process::restrict;
use crate::run::undo::chunks_at_once;
use pgrx::pg_sys::Oid;

/// Rows and checksum of one side.
pub type Sums = (i64, Option<String>);

/// What the target has of one relation, and that relation if it is one.
pub type Own = (Sums, Option<Oid>);

/// Of each comparison what the target has, in the current transaction; none if there is no such relation.
pub fn of(works: &[(&Verify, Sum)]) -> Result<Vec<Option<Own>>> {
    let mut own: Vec<Option<Own>> = works.iter().map(|_| None).collect();
    // The own rows of hypertables are read by themselves: TimescaleDB is off meanwhile.
    for root in [false, true] {
        let of = works.iter().enumerate().filter(|(_, (work, _))| work.root == root);
        let queries: Vec<String> = of.filter_map(|(number, (work, sum))| query(number, work, sum)).collect();
        if queries.is_empty() {
            continue;
        }
        let restoring = |value| if root { spi::set_local("timescaledb.restoring", value) } else { Ok(()) };
        restoring("on")?;
        let found = spi::json_rows::<(usize, i64, Option<String>, Option<u32>)>(&queries.join(" UNION ALL "), &[])?;
        restoring("off")?;
        for (number, rows, checksum, relation) in found {
            own[number] = Some(((rows, checksum), relation.map(Oid::from_u32)));
        }
    }
    Ok(own)
}

fn query(number: usize, work: &Verify, sum: &Sum) -> Option<String> {
    let (rows, relation) = match work.targets.as_slice() {
        [] => return None,
        [name] => (rows_of(work, name), format!("pg_catalog.to_regclass({})", literal(&name.to_string()))),
        chunks => (checksum::each(chunks, &work.columns), "NULL".to_string()),
    };
    let query = checksum::query_here(&rows, sum);
    Some(format!(
        "SELECT json_build_array({number}, q.c, q.s, {relation}::pg_catalog.oid::bigint)::text FROM ({query}) AS q(c, s)"
    ))
}

/// How often a comparison begins anew because the hypertable has got other chunks.
const AGAIN: usize = 2;

/// Of one comparison, in transactions of its own. The chunks of a hypertable that is read as a whole are read some at a
/// time, as one of so many workers does: one transaction would lock them all.
pub fn of_one(work: &Verify, sum: &Sum, jobs: u16) -> Result<Option<Own>> {
    let read = |works: &[Verify]| {
        transaction(|| {
            restrict()?;
            of(&works.iter().map(|work| (work, sum.clone())).collect::<Vec<_>>())
        })
    };
    let alone = || Ok(read(std::slice::from_ref(work))?.pop().flatten());
    let root = if work.whole { work.targets.first() } else { None };
    let Some(root) = root else { return alone() };
    let at_once = transaction(|| chunks_at_once(jobs))?;
    let list = || transaction(|| chunks(root));
    let sums = |chunks: &[Name]| {
        let mut sums: Sums = (0, work.checksum.then(|| "0/0".to_string()));
        for some in chunks.chunks(at_once) {
            // Each by itself: among others, older versions read no compressed rows of a chunk.
            let each = |chunk: &Name| Verify { targets: vec![chunk.clone()], ..work.clone() };
            let found = read(&some.iter().map(each).collect::<Vec<_>>())?;
            for ((rows, checksum), _) in found.into_iter().flatten() {
                let checksum = sums.1.zip(checksum).map(|(a, b)| checksum::added(&a, &b)).transpose()?;
                sums = (sums.0 + rows, checksum);
            }
        }
        Ok::<Sums, Error>(sums)
    };
    let mut again = AGAIN;
    loop {
        let chunks = list()?;
        if chunks.is_empty() {
            return alone();
        }
        let relation = transaction(|| spi::relation_oid(&root.to_string()))?;
        match sums(&chunks) {
            Ok(sums) if again == 0 || list()? == chunks => return Ok(Some((sums, Some(relation)))),
            Err(error) if again == 0 || error.code != SqlState::UNDEFINED_TABLE => return Err(error),
            // Others make, drop, merge or split chunks meanwhile.
            _ => again -= 1,
        }
    }
}

/// The chunks of a relation, if it is a hypertable.
fn chunks(root: &Name) -> Result<Vec<Name>> {
    spi::json_rows(include_str!("../../../../sql/run/chunks_of_root.sql"), &[root.to_string().into()])
}

//! One copy task: a relation's rows from the source into one relation here, counted on both
//! sides, committed together with the task's `done`.

use super::state::{self, Outcome};
use super::worker::Context;
use crate::core::name::literal;
use crate::core::plan::{Copy, Into};
use crate::error::Result;
use crate::pg::{catch::transaction, copy, spi};

pub fn perform(context: &mut Context, id: i32, work: &Copy) -> Result<()> {
    let target = transaction(|| target(work))?;
    let snapshot = context.block.snapshot.clone();
    let run = context.block.run;
    let source = context.source()?;
    source.query(&format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}; SET LOCAL application_name = {}",
        literal(&snapshot),
        literal(&format!("timescale_migrate run {run} task {id}")),
    ))?;
    transaction(|| {
        // User triggers have fired on the source, and the rows are as they left them.
        spi::set_local("session_replication_role", "replica")?;
        let relation = spi::relation_oid(&target)?;
        // A relation that this task fills alone starts from new storage: nothing that an
        // earlier attempt left can be doubled, and the rows can be written frozen, which
        // saves their rewriting by a later VACUUM.
        if work.is_whole() {
            copy::truncate(relation)?;
        }
        let mut data = source.copy_out(&work.statement())?;
        let options = copy::Options { columns: &work.columns, binary: work.binary, freeze: work.is_whole() };
        let written = copy::into_relation(relation, &options, &mut data)?;
        let bytes = data.bytes as i64;
        let sent = data.finish()?;
        if sent != written {
            return Err(copy::count_mismatch(&work.source.shown(), sent, written));
        }
        state::task_done(id, &Outcome { rows: Some(written as i64), bytes: Some(bytes), target: Some(target.clone()) })
    })?;
    source.query("COMMIT").map(drop)
}

/// The relation to fill. A chunk is made here, in a short transaction of its own: making one
/// locks its hypertable until commit, and would hold the other workers up for as long as the
/// copy takes.
fn target(work: &Copy) -> Result<String> {
    match &work.into {
        Into::Table(name) => Ok(name.to_string()),
        Into::Chunk { hypertable, slices, tablespace, creation_time } => {
            let slices = serde_json::to_string(slices).map_err(|e| crate::error::Error::internal(e.to_string()))?;
            // Qualified and quoted, because no schema of a chunk is in the search path.
            let name = spi::value::<String>(
                "SELECT timescale_migrate.create_chunk($1::pg_catalog.regclass, $2::pg_catalog.jsonb, $3::pg_catalog.name,
                                                       $4::pg_catalog.timestamptz)::pg_catalog.text",
                &[hypertable.to_string().into(), slices.into(), tablespace.clone().into(), creation_time.clone().into()],
            )?;
            name.ok_or_else(|| crate::error::Error::internal("no chunk was made"))
        }
    }
}

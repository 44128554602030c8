//! Sequences' values. They are not MVCC: read after the snapshot was taken, they are at or
//! past every value that the copied rows hold.

use crate::catalog::Catalog;
use crate::core::inventory::Sequence;
use crate::core::name::Name;
use crate::core::options::Mode;
use crate::core::plan::Phase;
use crate::error::{Error, Result, SqlState};
use crate::libpq::Connection;
use crate::pg::{catch::transaction, spi};
use crate::run::migration::Migration;
use crate::run::{messages, state};
use crate::source::session;
use std::collections::HashMap;

/// Sequences in one query.
const BATCH: usize = 200;

/// A sequence's last value, and whether it was given out.
type Value = (i64, bool);

/// Carries every value over. A session of its own reads them, each batch in a
/// transaction of its own: nothing on the source has to wait for more than that.
pub fn carry(migration: &Migration) -> Result<()> {
    let run = migration.run();
    state::enter(run, Phase::Sequences)?;
    let sequences = &migration.inventory.sequences;
    if sequences.is_empty() {
        return Ok(());
    }
    let (params, options) = (&migration.spec.params, migration.options());
    let mut source = session::open(params, &format!("timescale_migrate run {run} sequences"), options)?;
    source.teller = Some(messages::teller(Some(run)));
    // None may be a view by now, whose functions would be run with this session's rights.
    source.query(&session::restrict("view, foreign-table", false))?;
    for batch in sequences.chunks(BATCH) {
        let values = read(&mut source, batch)?;
        for sequence in batch {
            let name = Name::new(&sequence.schema, &sequence.name);
            let Some((last, called)) = values.get(&sequence.oid) else {
                let message =
                    format!("sequence {} was dropped on the source: its value is not set on the target", name.shown());
                messages::warn(run, &message)?;
                continue;
            };
            // Rows that others have may hold its values.
            let ahead = options.mode == Mode::Data;
            let arguments = [name.to_string().into(), (*last).into(), (*called).into(), ahead.into()];
            transaction(|| spi::execute(include_str!("../../../sql/run/set_sequence.sql"), &arguments))
                .map_err(|e: Error| e.about(format!("sequence {}", name.shown())))?;
        }
    }
    Ok(())
}

/// The values by OID; of one that was dropped there is none. They are read by the names that they
/// have at that moment, and one that is dropped, renamed or replaced just then is looked for again.
fn read(source: &mut Connection, batch: &[Sequence]) -> Result<HashMap<u32, Value>> {
    let mut values = HashMap::new();
    for _ in 0..5 {
        let missing = batch.iter().map(|s| s.oid).filter(|oid| !values.contains_key(oid));
        let list: Vec<String> = missing.map(|oid| oid.to_string()).collect();
        if list.is_empty() {
            return Ok(values);
        }
        let names = include_str!("../../../sql/source/sequence_names.sql");
        let found: Vec<(String, String)> = source.ask(&names.replace(":oids", &format!("'{{{}}}'", list.join(","))))?;
        if found.is_empty() {
            return Ok(values);
        }
        let select = |(schema, name): &(String, String)| {
            format!(
                "SELECT json_build_array(tableoid::int8, last_value, is_called)::text FROM {}",
                Name::new(schema, name)
            )
        };
        let query = found.iter().map(select).collect::<Vec<_>>().join(" UNION ALL ");
        match source.ask::<(u32, i64, bool)>(&query) {
            Ok(rows) => values.extend(rows.into_iter().map(|(oid, last, called)| (oid, (last, called)))),
            Err(error) if [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_SCHEMA].contains(&error.code) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(SqlState::OBJECT_IN_USE, "sequences kept changing on the source while they were read")
        .hint("Continue with migrate_resume."))
}

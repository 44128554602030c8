//! Removing what an abandoned run has made, and only that: the objects that its steps entered
//! in `timescale_migrate.made_log`, and what is part of them, such as chunks and indexes. What
//! somebody else made upon them is never dropped: it stays, with what it needs, and is named.
//!
//! The run can be continued no more from the first removal on, so its state says so before
//! that. Each removal is a short transaction: however a cleanup ends, the next one continues.

use super::{adoption, messages, standing, state, undo};
use crate::core::name::Name;
use crate::core::plan::Phase;
use crate::core::progress;
use crate::error::{Error, Result, SqlState};
use crate::pg::catch::transaction;
use crate::pg::{deletion, spi};
use crate::target::database::{self};
use crate::target::{made, overloads, roles};
use pgrx::pg_sys::Oid;

/// Objects dropped in one transaction: each takes a few locks.
const BATCH: usize = 100;

/// Removes what `of` made, as run `run`.
pub fn run(run: i64, of: i64) -> Result<()> {
    state::enter(run, Phase::Cleanup)?;
    transaction(|| {
        // A resume may have finished it meanwhile.
        standing::removable(of)?;
        state::set_removed(of)
    })?;
    each(run, "SELECT to_json(j)::text FROM timescale_migrate.made_jobs($1) j", of)?;
    // One that was made, and whose copy did not end, would be in the way of the next run.
    undo::drop_unused(of)?;
    empty_adopted(run, of)?;
    chunks(run, of)?;
    // Before them, or two tables that refer to each other could be dropped only together.
    each(run, include_str!("../../sql/run/made_foreign_keys.sql"), of)?;
    while sweep(run, of)? {}
    // What a copy brought and no chunk has taken over is part of nothing.
    each(run, "SELECT to_json(j)::text FROM timescale_migrate.made_compressed($1) j", of)?;
    let mut left: Vec<String> =
        transaction(|| spi::json_rows(include_str!("../../sql/run/made_left.sql"), &[of.into()]))?;
    // Until then nobody but superusers is to see what is left, which may belong to the roles.
    if left.is_empty() {
        database_as_before(of)?;
        memberships(run, of)?;
        left = drop_roles(of)?;
    }
    if left.is_empty() {
        return transaction(|| {
            // As of a run that has made nothing.
            spi::execute("DELETE FROM timescale_migrate.made_log WHERE run = $1", &[of.into()])?;
            state::finish(run)
        });
    }
    Err(Error::new(SqlState(*b"2BP01"), format!("{} objects that run {of} made are still in use", left.len()))
        .detail(left.join("\n"))
        .hint("Drop what depends on them, then call migrate_cleanup again."))
}

/// Empties what the run filled without having made it, all tables at once, as they may refer to each other; where
/// rows were before, all stay.
fn empty_adopted(run: i64, of: i64) -> Result<()> {
    let query = include_str!("../../sql/run/adopted_tables.sql");
    let found = transaction(|| spi::json_rows::<(Name, bool)>(query, &[of.into()]))?;
    let emptied: Vec<String> = found.iter().map(|(table, _)| table.shown()).collect();
    let (caggs, tables): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, is_cagg)| *is_cagg);
    if !caggs.is_empty() {
        each(run, include_str!("../../sql/run/adopted_chunks.sql"), of)?;
    }
    // As of new aggregates.
    caggs.into_iter().try_for_each(|(cagg, _)| removal(run, || adoption::renew(&[cagg])))?;
    let tables: Vec<String> = tables.iter().map(|(table, _)| table.to_string()).collect();
    removal(run, || {
        overloads::refuse_overloads()?;
        spi::set_local("session_replication_role", "replica")?;
        if !tables.is_empty() {
            spi::execute(&format!("TRUNCATE {}", tables.join(", ")), &[])?;
        }
        if !emptied.is_empty() {
            let message = format!("run {run}: emptied what run {of} had filled: {}", progress::listed(&emptied));
            messages::notice_here(run, &message)?;
        }
        let kept: Vec<String> = spi::json_rows(
            "SELECT to_json(relation::pg_catalog.regclass::text)::text FROM timescale_migrate.adopted_log
             WHERE run = $1 AND (keeps OR NOT empty)",
            &[of.into()],
        )?;
        if !kept.is_empty() {
            let message = format!("rows that run {of} copied stay in {}", kept.join(", "));
            messages::warn_here(run, &message)?;
        }
        spi::execute("DELETE FROM timescale_migrate.adopted_log WHERE run = $1", &[of.into()]).map(drop)
    })
    .map_err(|error| match error.code {
        // PostgreSQL's own advice would empty the other table, too.
        SqlState::FEATURE_NOT_SUPPORTED => {
            let hint = "Drop the foreign key, call migrate_cleanup again, then add the key again.";
            Error { hint: Some(hint.into()), ..error }
        }
        _ => error,
    })
}

/// Removes something in a transaction of its own, unless the run is to stop.
fn removal<R>(run: i64, work: impl FnOnce() -> Result<R>) -> Result<R> {
    state::checkpoint(run)?;
    transaction(work)
}

/// Runs the statements that a query gives, each in a transaction.
fn each(run: i64, query: &str, of: i64) -> Result<()> {
    let statements: Vec<String> = transaction(|| spi::json_rows(query, &[of.into()]))?;
    statements.iter().try_for_each(|statement| {
        removal(run, || {
            overloads::refuse_overloads()?;
            spi::execute(statement, &[]).map(drop)
        })
    })
}

/// The chunks go before their hypertable, which would lock them all at once.
fn chunks(run: i64, of: i64) -> Result<()> {
    let at_once = transaction(|| undo::chunks_at_once(1))? as i64;
    loop {
        let dropped = removal(run, || {
            overloads::refuse_overloads()?;
            let chunks: Vec<String> =
                spi::json_rows(include_str!("../../sql/run/made_chunks.sql"), &[of.into(), at_once.into()])?;
            if !chunks.is_empty() {
                spi::execute(&format!("DROP TABLE {}", chunks.join(", ")), &[])?;
            }
            Ok(chunks.len())
        })?;
        if dropped == 0 {
            return Ok(());
        }
    }
}

/// Tries everything once, the newest first, because what depends on another object is mostly
/// newer; whether anything could be removed and there is more.
fn sweep(run: i64, of: i64) -> Result<bool> {
    let mut progress = false;
    let hypertables: Vec<(u32, String)> = transaction(|| {
        spi::json_rows(
            "SELECT json_build_array(relation::oid::bigint, statement)::text FROM timescale_migrate.made_hypertables($1)",
            &[of.into()],
        )
    })?;
    let objects: Vec<(u32, u32)> =
        transaction(|| spi::json_rows(include_str!("../../sql/run/made_objects.sql"), &[of.into()]))?;
    let is_hypertable = |object: &(u32, u32)| hypertables.iter().find(|(oid, _)| *oid == object.1);
    // What neither goes with its batch nor by itself goes with others, as a type and its functions.
    let mut held: Vec<(Oid, Oid)> = Vec::new();
    for group in objects.chunk_by(|a, b| is_hypertable(a).is_none() && is_hypertable(b).is_none()) {
        if let Some((_, statement)) = is_hypertable(&group[0]) {
            progress |= attempt(run, || spi::execute(statement, &[]).map(drop))?;
            continue;
        }
        let group: Vec<_> =
            group.iter().map(|(class, object)| (Oid::from_u32(*class), Oid::from_u32(*object))).collect();
        for batch in group.chunks(BATCH) {
            if delete(run, batch)? {
                progress = true;
                continue;
            }
            for object in batch.chunks(1) {
                match delete(run, object)? {
                    true => progress = true,
                    false => held.extend(object),
                }
            }
        }
    }
    Ok(progress | (!held.is_empty() && delete(run, &held)?))
}

fn delete(run: i64, objects: &[(Oid, Oid)]) -> Result<bool> {
    attempt(run, || {
        deletion::delete(&still_there(objects)?);
        Ok(())
    })
}

/// Some go with others.
fn still_there(objects: &[(Oid, Oid)]) -> Result<Vec<(Oid, Oid)>> {
    let keys: Vec<i64> = objects.iter().map(|(c, o)| (i64::from(c.to_u32()) << 32) | i64::from(o.to_u32())).collect();
    let there: Vec<(u32, u32)> = spi::json_rows(
        "SELECT json_build_array(classid::bigint, objid::bigint)::text FROM timescale_migrate.object WHERE key = ANY ($1)",
        &[keys.into()],
    )?;
    Ok(there.into_iter().map(|(class, object)| (Oid::from_u32(class), Oid::from_u32(object))).collect())
}

/// Whether it went; that something depends on it is no error yet.
fn attempt(run: i64, work: impl FnOnce() -> Result<()>) -> Result<bool> {
    match removal(run, work) {
        Ok(()) => Ok(true),
        Err(error) if error.code == SqlState(*b"2BP01") => Ok(false),
        Err(error) => Err(error),
    }
}

fn database_as_before(of: i64) -> Result<()> {
    transaction(|| {
        let Some(before) = made::database_before(of)? else { return Ok(()) };
        database::restore(&before)?;
        spi::execute("UPDATE timescale_migrate.run_log SET database_before = NULL WHERE id = $1", &[of.into()])
            .map(drop)
    })
}

/// Takes back what roles that existed before became members of. That one of them, or the membership, is gone by now is
/// no more than a warning.
fn memberships(run: i64, of: i64) -> Result<()> {
    let granted =
        "SELECT to_json(statement)::text FROM timescale_migrate.run_log, unnest(memberships) statement WHERE id = $1";
    let statements: Vec<String> = transaction(|| spi::json_rows(granted, &[of.into()]))?;
    removal(run, || {
        let mut warnings = Vec::new();
        for statement in &statements {
            roles::attempt(statement, &mut warnings, &format!("{statement} failed"))?;
        }
        warnings.iter().try_for_each(|warning| messages::warn_here(run, warning))?;
        let forget = "UPDATE timescale_migrate.run_log SET memberships = '{}' WHERE id = $1";
        spi::execute(forget, &[of.into()]).map(drop)
    })
}

/// Roles belong to all databases, which may use them by now; why each of the others stays.
fn drop_roles(of: i64) -> Result<Vec<String>> {
    let mut roles: Vec<String> =
        transaction(|| spi::json_rows(include_str!("../../sql/run/made_roles.sql"), &[of.into()]))?;
    // One that has granted a membership goes after that one's member.
    loop {
        let (mut stay, mut left) = (Vec::new(), Vec::new());
        for role in &roles {
            if let Err(error) = transaction(|| drop_role(role)) {
                if error.code == SqlState::QUERY_CANCELED {
                    return Err(error);
                }
                left.push(format!("role {role}: {error}"));
                stay.push(role.clone());
            }
        }
        if stay.is_empty() || stay.len() == roles.len() {
            return Ok(left);
        }
        roles = stay;
    }
}

/// Drops a role, with what is granted to it in this database if it owns nothing there: on objects that existed before, such as
/// PostgreSQL's own, the run has granted it.
fn drop_role(role: &str) -> Result<()> {
    if spi::value::<bool>(include_str!("../../sql/run/is_only_granted.sql"), &[role.into()])? == Some(true) {
        spi::execute(&format!("DROP OWNED BY {role}"), &[])?;
    }
    spi::execute(&format!("DROP ROLE {role}"), &[]).map(drop)
}

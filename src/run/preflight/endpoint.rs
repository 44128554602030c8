//! Checks of what is at the other end: one server, and sessions of the run's own on it.

use super::{Report, Status, queries};
use crate::catalog::Catalog;
use crate::core::options::Options;
use crate::error::Result;
use crate::libpq::{Connection, Params};
use crate::source::session;
use serde::Deserialize;

/// `endpoint.sql`
#[derive(Deserialize)]
struct Endpoint {
    /// What tells one server from another, its replicas included.
    server: serde_json::Value,
    name: String,
    in_recovery: bool,
    pid: i32,
}

pub(super) fn connections(report: &mut Report, source: &mut Connection, options: &Options) -> Result<()> {
    // One for each worker, one that keeps the snapshot, one that reads the catalogs, and one that
    // looks who waits for the others.
    let wanted = i64::from(options.jobs) + 3;
    let limits: Vec<(String, i64, i64)> = source.ask(queries::CONNECTIONS)?;
    for (name, value, left) in limits.iter().filter(|(_, _, left)| *left < wanted) {
        report.add(
            "connections",
            Status::Error,
            format!("{name} = {value}"),
            format!("the source has room for {} sessions, {wanted} are needed", left.max(&0)),
            "Lower the option jobs, or raise the limit on the source.",
        );
    }
    if let Some((name, value, left)) = limits.first() {
        let detail = format!("the source has room for {left} sessions, {wanted} are needed");
        report.settle("connections", format!("{name} = {value}"), detail);
    }
    Ok(())
}

/// The workers read the snapshot of another session, so all of them must reach the same server,
/// and keep their settings and transactions between two statements. Returns another session of the same server.
pub(super) fn endpoint(
    report: &mut Report,
    first: &mut Connection,
    params: &Params,
    options: &Options,
) -> Result<Connection> {
    let ask =
        |connection: &mut Connection| -> Result<Option<Endpoint>> { Ok(connection.ask(queries::ENDPOINT)?.pop()) };
    let before = ask(first)?;
    let mut second = session::open(params, "timescale_migrate endpoint", options)?;
    let (Some(before), Some(other), Some(after)) = (before, ask(&mut second)?, ask(first)?) else {
        return Ok(second);
    };
    if let Some(another) = [&other, &after].into_iter().find(|e| e.server != before.server) {
        report.add(
            "endpoint",
            Status::Error,
            before.name.clone(),
            format!("a second connection reached a different server: {}", another.name),
            "Name one server, without a load balancer: all sessions of a run must share one snapshot.",
        );
    } else if other.pid == before.pid || after.pid != before.pid {
        report.add(
            "endpoint",
            Status::Error,
            before.name.clone(),
            "a connection pooler lets several connections share one session",
            "Connect to the server itself, or have the pooler keep sessions apart (pgbouncer: pool_mode = session).",
        );
    } else if first.backend_pid() != before.pid {
        report.add(
            "endpoint",
            Status::Warning,
            before.name.clone(),
            "connections go through a pooler, which must keep sessions apart and have room for all of them",
            "Connect to the server itself if that is possible.",
        );
    }
    if before.in_recovery {
        report.add(
            "endpoint",
            Status::Warning,
            before.name.clone(),
            "is a standby, where replaying changes may cancel what the run reads",
            "Raise max_standby_streaming_delay there, or name the primary as the source.",
        );
    }
    report.settle("endpoint", before.name, "two connections reached the same server");
    Ok(second)
}

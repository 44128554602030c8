//! Who is in this database while it is half made.

use super::{Report, Status};
use crate::core::name::literal;
use crate::core::options::{Connections, Options};
use crate::error::Result;
use crate::target::database;

pub(super) fn access(report: &mut Report, options: &Options) -> Result<()> {
    if options.connections == Connections::Allow {
        let detail =
            "lets ordinary roles connect during the run; they may use and change objects that are not complete yet";
        report.add("access", Status::Ok, "this database", detail, "");
        return Ok(());
    }
    for (role, count) in database::sessions()? {
        let detail =
            format!("is connected to this database ({count}), to which only superusers may connect during the run");
        let hint = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = {};",
            literal(&role)
        );
        report.add("access", Status::Error, role, detail, hint);
    }
    let detail = "lets only superusers connect until the run is done or removed";
    report.settle("access", "this database", detail);
    Ok(())
}

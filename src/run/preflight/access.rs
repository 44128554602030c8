//! Who is in this database while it is half made.

use super::{Report, Status};
use crate::catalog::{Catalog, Local};
use crate::core::options::{Connections, Options};
use crate::error::Result;

pub(super) fn access(report: &mut Report, options: &Options) -> Result<()> {
    if options.connections == Connections::Allow {
        let detail = "takes log-ins during the run: owners of what is made may change it, and members of PUBLIC use it, before all of it is here";
        report.add("access", Status::Ok, "this database", detail, "");
        return Ok(());
    }
    for (role, count) in Local.ask::<(String, i64)>(include_str!("../../../sql/preflight/sessions.sql"))? {
        report.add(
            "access",
            Status::Warning,
            role,
            format!("is connected to this database ({count}), and stays so while only superusers may log in"),
            "End them with pg_terminate_backend() before the run begins.",
        );
    }
    let detail = "takes no log-ins but those of superusers until the run is done or removed";
    report.settle("access", "this database", detail);
    Ok(())
}

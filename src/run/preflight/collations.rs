//! Checks of how text is sorted on both sides.

use super::{Report, Status, queries};
use crate::catalog::{self, Catalog};
use crate::core::inventory::{Collation, Server};
use crate::core::name::quoted;
use crate::error::Result;
use crate::libpq::Connection;
use serde::Deserialize;

/// `collations_used.sql`
#[derive(Deserialize)]
struct Used {
    name: String,
    builtin: bool,
    /// What goes by it; none for the database itself.
    user: Option<String>,
    recorded: Option<String>,
    actual: Option<String>,
}

pub(super) fn collations(report: &mut Report, source: &mut Connection, server: &Server, target: &Server) -> Result<()> {
    if server.ctype != target.ctype {
        report.add(
            "collation",
            Status::Warning,
            format!("database {}", server.database),
            format!(
                "has LC_CTYPE {} on the source and {} on the target: upper(), lower() and pattern matching may give other results",
                server.ctype, target.ctype
            ),
            "",
        );
    }
    let used: Vec<Used> = source.ask(queries::COLLATIONS_USED)?;
    let there = catalog::collations(source)?;
    let here = catalog::collations_here(&there)?;
    let of = |list: &[Collation], name: &str| list.iter().find(|c| c.name == name).cloned();
    for used in used {
        let subject = match &used.user {
            None => format!("database {}", server.database),
            Some(_) => format!("collation {}", used.name),
        };
        if used.recorded.is_some() && used.actual.is_some() && used.recorded != used.actual {
            let (reindex, database) = ("REINDEX DATABASE", quoted(&server.database));
            let refresh = match &used.user {
                None => format!("ALTER DATABASE {database} REFRESH COLLATION VERSION"),
                Some(_) => format!("ALTER COLLATION {} REFRESH VERSION", used.name),
            };
            report.add(
                "collation",
                Status::Warning,
                subject.clone(),
                "its version on the source has changed since indexes there were built; unique indexes may contain duplicates",
                format!("{reindex} {database}; {refresh}; -- on the source, in this order"),
            );
        }
        // Those of the user's own schemas are made on the target.
        let Some(original) = of(&there, &used.name).filter(|_| used.builtin) else { continue };
        let Some(copy) = of(&here, &used.name) else {
            report.add(
                "collation",
                Status::Error,
                subject,
                format!("does not exist on the target, and {} uses it", used.user.as_deref().unwrap_or("the database")),
                "SELECT pg_import_system_collations('pg_catalog'); -- once its locale is installed on the target",
            );
            continue;
        };
        let known = original.version.is_some() && copy.version.is_some();
        if (&original.provider, &original.locale) != (&copy.provider, &copy.locale)
            || (known && original.version != copy.version)
        {
            report.add(
                "collation",
                Status::Warning,
                subject,
                format!("is {} on the source and {} on the target: text may sort differently", original, copy),
                "",
            );
        }
    }
    report.settle("collation", server.collate.clone(), "the same on both sides");
    Ok(())
}

//! What belongs to the database itself: its comment, privileges and settings.

use super::roles::attempt;
use crate::core::name::{literal, quoted};
use crate::core::options::{Keep, Options};
use crate::core::settings;
use crate::error::{Error, Result, Side};
use crate::pg::spi;
use crate::source::inventory::{Ask, Here};
use serde::{Deserialize, Serialize};

/// `database.sql`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Database {
    pub owner: String,
    pub comment: Option<String>,
    pub acl: Option<Vec<Grant>>,
    pub settings: Vec<Settings>,
    pub tablespaces: Vec<Tablespace>,
    pub large_objects: LargeObjects,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// None is PUBLIC.
    pub grantee: Option<String>,
    pub privilege: String,
    pub grantable: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub role: Option<String>,
    pub settings: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tablespace {
    pub name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LargeObjects {
    pub count: i64,
    pub bytes: i64,
}

pub fn read(source: &mut impl Ask) -> Result<Database> {
    source
        .ask(include_str!("../../sql/inventory/database.sql"))?
        .pop()
        .ok_or_else(|| Error::internal("the source did not describe its database").on(Side::Source))
}

/// `REVOKE` of the defaults and `GRANT` of what the source has, on any kind of object.
pub fn grants(object: &str, acl: &[Grant], owner: Option<&str>) -> Vec<String> {
    let mut statements = vec![format!("REVOKE ALL ON {object} FROM PUBLIC")];
    if let Some(owner) = owner {
        statements.push(format!("REVOKE ALL ON {object} FROM {}", quoted(owner)));
    }
    for grant in acl {
        // A privilege is a keyword; what a hostile source sends instead stays a name.
        let privilege: String = grant.privilege.chars().filter(|c| c.is_ascii_uppercase() || *c == ' ').collect();
        let grantee = grant.grantee.as_deref().map_or("PUBLIC".to_string(), quoted);
        let option = if grant.grantable && grant.grantee.is_some() { " WITH GRANT OPTION" } else { "" };
        statements.push(format!("GRANT {privilege} ON {object} TO {grantee}{option}"));
    }
    statements
}

/// Puts settings, privileges and comment back as they were, in the current transaction.
pub fn restore(before: &Database) -> Result<()> {
    let now = read(&mut Here)?;
    let object = this_database()?;
    let comment = before.comment.as_deref().map_or("NULL".to_string(), literal);
    spi::execute(&format!("COMMENT ON {object} IS {comment}"), &[])?;
    if now.acl != before.acl {
        for grantee in now.acl.iter().flatten().filter_map(|grant| grant.grantee.as_deref()) {
            spi::execute(&format!("REVOKE ALL ON {object} FROM {}", quoted(grantee)), &[])?;
        }
        // As it is where it was never changed: PostgreSQL's manual, "Privileges".
        let grant = |grantee: Option<&String>, privilege: &str| Grant {
            grantee: grantee.cloned(),
            privilege: privilege.to_string(),
            grantable: false,
        };
        let initial = || vec![grant(None, "CONNECT"), grant(None, "TEMPORARY"), grant(Some(&before.owner), "ALL")];
        for statement in grants(&object, &before.acl.clone().unwrap_or_else(initial), None) {
            spi::execute(&statement, &[])?;
        }
    }
    let of = |role: &Option<String>| match role {
        Some(role) => format!("ROLE {} IN {object}", quoted(role)),
        None => object.clone(),
    };
    for group in &now.settings {
        spi::execute(&format!("ALTER {} RESET ALL", of(&group.role)), &[])?;
    }
    for group in &before.settings {
        for statement in group.settings.iter().filter_map(|setting| settings::statement(&of(&group.role), setting)) {
            spi::execute(&statement, &[])?;
        }
    }
    Ok(())
}

fn this_database() -> Result<String> {
    let name: String = spi::value("SELECT pg_catalog.current_database()::text", &[])?.unwrap_or_default();
    Ok(format!("DATABASE {}", quoted(&name)))
}

/// In the current transaction; returns warnings.
pub fn make(database: &Database, options: &Options) -> Result<Vec<String>> {
    let object = this_database()?;
    let mut warnings = Vec::new();
    if let Some(comment) = &database.comment {
        spi::execute(&format!("COMMENT ON {object} IS {}", literal(comment)), &[])?;
    }
    if let (Keep::Keep, Some(acl)) = (options.privileges, &database.acl) {
        for statement in grants(&object, acl, None) {
            attempt(&statement, &mut warnings, "a privilege on the database was left out")?;
        }
    }
    for group in &database.settings {
        for setting in &group.settings {
            // Left behind by an unfinished restore, it would switch TimescaleDB off here.
            if setting.starts_with("timescaledb.restoring=") {
                continue;
            }
            let what = match &group.role {
                Some(role) => format!("ROLE {} IN {object}", quoted(role)),
                None => object.clone(),
            };
            if let Some(statement) = settings::statement(&what, setting) {
                attempt(&statement, &mut warnings, &format!("setting {setting} of the database was left out"))?;
            }
        }
    }
    Ok(warnings)
}

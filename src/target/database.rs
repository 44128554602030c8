//! What belongs to the database itself: its owner, comment, privileges, connection
//! limit and settings.

use super::privileges::{Grant, give_back, grants};
use super::roles::{self, attempt};
use crate::catalog::{Catalog, Local};
use crate::core::name::{literal, quoted};
use crate::core::options::{Keep, Options};
use crate::core::settings;
use crate::error::{Error, Result, Side, SqlState};
use crate::pg::{lock, spi};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// `database.sql`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Database {
    pub owner: String,
    pub comment: Option<String>,
    /// -1 is none.
    pub connection_limit: i32,
    pub acl: Option<Vec<Grant>>,
    pub settings: Vec<Settings>,
    /// Of all roles in all databases.
    #[serde(default)]
    server_settings: Vec<String>,
    pub tablespaces: Vec<String>,
    pub large_objects: LargeObjects,
}

/// What a run may change of this database and its schemas.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Before {
    #[serde(flatten)]
    database: Database,
    schemas: Vec<Schema>,
}

/// `schemas.sql`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Schema {
    name: String,
    owner: String,
    comment: Option<String>,
    acl: Option<Vec<Grant>>,
}

/// Of a role in this database, or of every role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub role: Option<String>,
    pub settings: Vec<String>,
}

/// How many there are, and what they take.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LargeObjects {
    pub count: i64,
    pub bytes: i64,
    /// By the role that asks.
    pub readable: bool,
}

impl Database {
    /// What [`make`] gives to this database.
    pub fn kept(&self, options: &Options) -> Vec<String> {
        let mut kept = Vec::new();
        if options.owners == Keep::Keep {
            kept.push(format!("owner {}", self.owner));
        }
        match options.privileges {
            Keep::Keep if self.acl.is_some() => kept.push("privileges".to_string()),
            Keep::Drop if !self.kept_from_public().is_empty() => kept.push("what PUBLIC may not do".to_string()),
            _ => {}
        }
        if self.comment.is_some() {
            kept.push("comment".to_string());
        }
        if self.connection_limit != -1 {
            kept.push(format!("connection limit {}", self.connection_limit));
        }
        for group in &self.settings {
            let carried =
                group.settings.iter().filter(|setting| !is_restoring(setting) && !refuses_writes(group, setting));
            let names: Vec<&str> = carried.map(|setting| settings::name(setting)).collect();
            if names.is_empty() {
                continue;
            }
            let of = group.role.as_ref().map_or(String::new(), |role| format!(" of role {role}"));
            kept.push(format!("{} {}{of}", if names.len() == 1 { "setting" } else { "settings" }, names.join(", ")));
        }
        kept
    }

    /// Takes out the settings of roles that are not among those that exist on the target or are made there.
    pub fn leave_out(&mut self, roles: &HashSet<String>) -> Vec<Settings> {
        let is_out = |group: &mut Settings| group.role.as_ref().is_some_and(|role| !roles.contains(role));
        self.settings.extract_if(.., is_out).collect()
    }

    /// The privileges that PUBLIC has on a database unless they are revoked, as they are on this one.
    fn kept_from_public(&self) -> Vec<&'static str> {
        let Some(acl) = &self.acl else { return Vec::new() };
        let is_granted = |privilege: &&str| acl.iter().any(|g| g.grantee.is_none() && g.privilege == *privilege);
        ["CONNECT", "TEMPORARY"].into_iter().filter(|privilege| !is_granted(privilege)).collect()
    }
}

/// Left behind by an unfinished restore, it would switch TimescaleDB off on the target.
fn is_restoring(setting: &str) -> bool {
    setting.starts_with("timescaledb.restoring=")
}

/// It keeps writers from the source while it is migrated, and would from its successor.
fn refuses_writes(group: &Settings, setting: &str) -> bool {
    let on = setting.strip_prefix("default_transaction_read_only=");
    group.role.is_none() && on.is_some_and(|on| !["off", "false", "no", "0"].contains(&on))
}

/// The settings that are left out because of that.
pub fn refusing_writes(database: &Database) -> impl Iterator<Item = &str> {
    let all = database.settings.iter().flat_map(|group| group.settings.iter().map(move |setting| (group, setting)));
    all.filter(|(group, setting)| refuses_writes(group, setting)).map(|(_, setting)| settings::name(setting))
}

/// What [`read`] asks.
pub const QUERY: &str = include_str!("../../sql/inventory/database.sql");

/// What belongs to the database itself.
pub fn read(source: &mut impl Catalog) -> Result<Database> {
    source
        .ask(QUERY)?
        .pop()
        .ok_or_else(|| Error::internal("the source did not report the properties of its database").on(Side::Source))
}

/// How this database and its schemas are now.
pub fn before() -> Result<Before> {
    Ok(Before { database: read(&mut Local)?, schemas: Local.ask(include_str!("../../sql/inventory/schemas.sql"))? })
}

/// Settings of this database, and of roles in it, that the source's does not have, which stay; and those of all roles
/// that differ, which belong to the server. Each with what to do.
pub fn different_settings(source: &Database, here: &Database) -> Result<Vec<(String, String, String)>> {
    let object = this_database()?;
    let mut found = Vec::new();
    for group in &here.settings {
        let there = source.settings.iter().filter(|other| other.role == group.role).flat_map(|other| &other.settings);
        let there: Vec<&str> = there.map(|setting| settings::name(setting)).collect();
        let further =
            group.settings.iter().filter(|setting| !is_restoring(setting)).map(|setting| settings::name(setting));
        for name in further.filter(|name| !there.contains(name)) {
            let (subject, of) = match &group.role {
                Some(role) => (role.clone(), format!("ROLE {} IN {object}", quoted(role))),
                None => ("all roles".to_string(), object.clone()),
            };
            let detail = format!("has the setting {name} in this database, but not on the source");
            found.push((subject, detail, format!("ALTER {of} RESET {name};")));
        }
    }
    if source.connection_limit == -1 && here.connection_limit != -1 {
        let detail =
            format!("has the connection limit {} on the target, and none on the source", here.connection_limit);
        found.push(("the database".to_string(), detail, format!("ALTER {object} CONNECTION LIMIT -1;")));
    }
    if source.comment.is_none() && here.comment.is_some() {
        let detail = "has a comment on the target, but none on the source".to_string();
        found.push(("the database".to_string(), detail, format!("COMMENT ON {object} IS NULL;")));
    }
    let differ = roles::setting_differences("ROLE ALL", &source.server_settings, &here.server_settings);
    found.extend(differ.into_iter().map(|notice| ("all roles".to_string(), notice.detail, notice.hint)));
    Ok(found)
}

/// Puts owners, comments, privileges, settings and the connection limit back as they were, in the
/// current transaction.
pub fn restore(before: &Before) -> Result<()> {
    open(before)?;
    let Before { database: now, schemas } = self::before()?;
    let Before { database: before, schemas: schemas_before } = before;
    let object = this_database()?;
    comment(&object, before.comment.as_deref())?;
    // As it is where it was never changed: PostgreSQL's manual, "Privileges".
    let initial = [(None, "CONNECT"), (None, "TEMPORARY"), (Some(before.owner.as_str()), "ALL")];
    give_back(&object, &now.acl, &before.acl, &initial)?;
    for schema in schemas_before.iter().filter(|schema| !schemas.contains(schema)) {
        let Some(now) = schemas.iter().find(|other| other.name == schema.name) else { continue };
        let object = format!("SCHEMA {}", quoted(&schema.name));
        spi::execute(&format!("ALTER {object} OWNER TO {}", quoted(&schema.owner)), &[])?;
        comment(&object, schema.comment.as_deref())?;
        give_back(&object, &now.acl, &schema.acl, &[(Some(schema.owner.as_str()), "ALL")])?;
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

/// Keeps everybody out but superusers and background workers, who pass a connection limit. The limit
/// is its owner's to lift, so the database is the caller's meanwhile.
pub fn close() -> Result<()> {
    let object = this_database()?;
    let is_theirs = spi::value::<bool>(
        "SELECT NOT r.rolsuper FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.oid = d.datdba
         WHERE d.datname = pg_catalog.current_database()",
        &[],
    )?;
    if is_theirs == Some(true) {
        own(&object, "CURRENT_USER")?;
    }
    limit_connections(&object, 0)
}

/// Those who may not log in, but have: by role, how many sessions.
pub fn sessions() -> Result<Vec<(String, i64)>> {
    Local.ask(include_str!("../../sql/preflight/sessions.sql"))
}

/// Once this database is closed: fails if anybody got in before who may not now.
pub fn refuse_sessions() -> Result<()> {
    lock::await_logins();
    let found: Vec<String> = sessions()?.into_iter().map(|(role, count)| format!("{role} ({count})")).collect();
    if found.is_empty() {
        return Ok(());
    }
    let message = format!("roles that are not superusers are connected to this database: {}", found.join(", "));
    Err(Error::new(SqlState::OBJECT_IN_USE, message).hint(
        "End their sessions with pg_terminate_backend(), or set the option \"connections\": \"allow\" for a new run.",
    ))
}

/// Whether nobody but superusers may log in.
pub fn is_closed(database: &Before) -> bool {
    database.database.connection_limit == 0
}

/// Undoes [`close`].
pub fn open(before: &Before) -> Result<()> {
    let object = this_database()?;
    own(&object, &quoted(&before.database.owner))?;
    limit_connections(&object, before.database.connection_limit)
}

/// With the owner and the limit of another.
pub fn as_open_as(database: Before, other: &Before) -> Before {
    let Database { owner, connection_limit, .. } = other.database.clone();
    Before { database: Database { owner, connection_limit, ..database.database }, ..database }
}

fn own(object: &str, role: &str) -> Result<()> {
    spi::execute(&format!("ALTER {object} OWNER TO {role}"), &[]).map(drop)
}

fn comment(object: &str, comment: Option<&str>) -> Result<()> {
    let comment = comment.map_or("NULL".to_string(), literal);
    spi::execute(&format!("COMMENT ON {object} IS {comment}"), &[]).map(drop)
}

fn limit_connections(object: &str, limit: i32) -> Result<()> {
    spi::execute(&format!("ALTER {object} CONNECTION LIMIT {limit}"), &[]).map(drop)
}

fn this_database() -> Result<String> {
    let name: String = spi::value("SELECT pg_catalog.current_database()::text", &[])?.unwrap_or_default();
    Ok(format!("DATABASE {}", quoted(&name)))
}

/// What to say if new sessions will not find the extension's functions by their names alone.
pub fn hidden_functions() -> Result<Option<String>> {
    let rows: Vec<(String, String, String)> = Local.ask(include_str!("../../sql/run/search_path.sql"))?;
    let hidden = rows.into_iter().find(|(schema, role, path)| {
        let here = |item: &String| item == schema || (item == "$user" && role == schema);
        !settings::schemas(path).iter().any(here)
    });
    Ok(hidden.map(|(schema, ..)| {
        let schema = quoted(&schema);
        format!(
            "the search_path of new sessions does not contain schema {schema}, which has this extension's functions: \
             call {schema}.migrate_verify and so on"
        )
    }))
}

/// Gives this database what the source's has, in the current transaction; returns warnings.
/// `closed`: how it was before it was closed.
pub fn make(mut database: Database, closed: Option<&Before>, options: &Options) -> Result<Vec<String>> {
    let object = this_database()?;
    let mut warnings = Vec::new();
    database.leave_out(&roles::known([])?);
    if let Some(Before { database: before, .. }) = closed {
        let owner = format!("ALTER {object} OWNER TO {}", quoted(&before.owner));
        attempt(&owner, &mut warnings, "the database keeps the caller as its owner")?;
        limit_connections(&object, before.connection_limit)?;
    }
    if options.owners == Keep::Keep {
        let statement = format!("ALTER {object} OWNER TO {}", quoted(&database.owner));
        attempt(&statement, &mut warnings, "the database does not get the source's owner")?;
    }
    if database.comment.is_some() {
        comment(&object, database.comment.as_deref())?;
    }
    if database.connection_limit != -1 {
        limit_connections(&object, database.connection_limit)?;
    }
    let revoke = |privilege: &&str| format!("REVOKE {privilege} ON {object} FROM PUBLIC");
    let statements = match (options.privileges, &database.acl) {
        (Keep::Keep, Some(acl)) => grants(&object, acl, None),
        (Keep::Keep, None) => Vec::new(),
        (Keep::Drop, _) => database.kept_from_public().iter().map(revoke).collect(),
    };
    for statement in statements {
        attempt(&statement, &mut warnings, "a privilege on the database was left out")?;
    }
    for group in &database.settings {
        for setting in &group.settings {
            let name = settings::name(setting);
            if is_restoring(setting) {
                continue;
            }
            // Preflight has said so.
            if refuses_writes(group, setting) {
                continue;
            }
            let (what, of) = match &group.role {
                Some(role) => (format!("ROLE {} IN {object}", quoted(role)), format!("role {role} in the database")),
                None => (object.clone(), "the database".to_string()),
            };
            if let Some(statement) = settings::statement(&what, setting) {
                attempt(&statement, &mut warnings, &format!("setting {name} of {of} was left out"))?;
            }
        }
    }
    Ok(warnings)
}

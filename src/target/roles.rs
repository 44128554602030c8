//! The roles that the database needs and this server lacks. Roles that are here already stay
//! as they are.

use crate::core::name::{literal, quoted};
use crate::core::options::{Keep, Options};
use crate::core::settings;
use crate::error::Result;
use crate::pg::catch::subtransaction;
use crate::pg::{secret, spi};
use crate::source::inventory::Ask;
use crate::target::schema;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// `roles.sql`
#[derive(Clone, Debug, Deserialize)]
pub struct Role {
    pub name: String,
    pub predefined: bool,
    /// A policy or a user mapping names it, so it is needed whoever owns the objects.
    named: bool,
    superuser: bool,
    inherit: bool,
    create_role: bool,
    create_db: bool,
    pub login: bool,
    replication: bool,
    bypass_rls: bool,
    connection_limit: i32,
    valid_until: Option<String>,
    comment: Option<String>,
    settings: Vec<String>,
    member_of: Vec<Membership>,
    /// It exists here, and only becomes a member of roles that do not.
    #[serde(skip)]
    pub here: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct Membership {
    role: String,
    admin: bool,
    inherit: Option<bool>,
    set: Option<bool>,
}

#[derive(Deserialize)]
struct Password {
    name: String,
    password: String,
}

/// The roles that the source's database and these jobs of it need under these options and that
/// this server lacks, and those here that are members of one.
pub fn needed(source: &mut impl Ask, jobs: &[serde_json::Value], options: &Options) -> Result<Vec<Role>> {
    let owners: Vec<String> = jobs.iter().filter_map(|job| job["owner"].as_str()).map(literal).collect();
    let sql = include_str!("../../sql/inventory/roles.sql")
        .replace("(:owners)", &format!("(ARRAY[{}]::name[])", owners.join(", ")));
    let mut roles: Vec<Role> = source.ask(&sql)?;
    let all = options.owners == Keep::Keep || options.privileges == Keep::Keep;
    roles.retain(|role| (all || role.named) && !role.predefined);
    let here: HashSet<String> =
        spi::json_rows::<String>("SELECT to_json(rolname)::text FROM pg_catalog.pg_roles", &[])?.into_iter().collect();
    let missing: HashSet<String> =
        roles.iter().filter(|role| !here.contains(&role.name)).map(|role| role.name.clone()).collect();
    for role in roles.iter_mut().filter(|role| here.contains(&role.name)) {
        (role.here, role.comment) = (true, None);
        role.settings.clear();
        role.member_of.retain(|of| missing.contains(&of.role));
    }
    roles.retain(|role| !role.here || !role.member_of.is_empty());
    Ok(roles)
}

/// Password verifiers, where the source's user may read them.
pub fn passwords(source: &mut impl Ask, superuser: bool) -> Result<HashMap<String, String>> {
    if !superuser {
        return Ok(HashMap::new());
    }
    let rows: Vec<Password> = source.ask(include_str!("../../sql/inventory/role_passwords.sql"))?;
    Ok(rows.into_iter().map(|row| (row.name, row.password)).collect())
}

/// Makes the roles with attributes, settings and memberships, in the current transaction;
/// returns warnings.
pub fn make(roles: &[Role], passwords: &HashMap<String, String>) -> Result<Vec<String>> {
    #[cfg(feature = "pg18")]
    spi::set_local("md5_password_warnings", "off")?;
    for role in roles.iter().filter(|role| !role.here) {
        let create = role.create(passwords.get(&role.name));
        schema::making(&format!("role {}", role.name), None, || secret::execute(&create))?;
    }
    let mut warnings = Vec::new();
    for role in roles {
        let name = quoted(&role.name);
        if let Some(comment) = &role.comment {
            spi::execute(&format!("COMMENT ON ROLE {name} IS {}", literal(comment)), &[])?;
        }
        for membership in &role.member_of {
            let statement = membership.grant(&name);
            attempt(&statement, &mut warnings, &format!("role {} is no member of {}", role.name, membership.role))?;
        }
        for setting in &role.settings {
            if let Some(statement) = settings::statement(&format!("ROLE {name}"), setting) {
                attempt(
                    &statement,
                    &mut warnings,
                    &format!("setting {} of role {} was left out", settings::name(setting), role.name),
                )?;
            }
        }
    }
    Ok(warnings)
}

/// Runs a statement whose failure is only a warning.
pub fn attempt(statement: &str, warnings: &mut Vec<String>, otherwise: &str) -> Result<()> {
    if let Err(error) = subtransaction(|| spi::execute(statement, &[]).map(drop)) {
        if error.code == crate::error::SqlState::QUERY_CANCELED {
            return Err(error);
        }
        warnings.push(format!("{otherwise}: {error}"));
    }
    Ok(())
}

impl Role {
    fn create(&self, password: Option<&String>) -> String {
        let flag = |on: bool, name: &str| format!(" {}{name}", if on { "" } else { "NO" });
        let mut sql = format!("CREATE ROLE {} WITH", quoted(&self.name));
        for (on, name) in [
            (self.superuser, "SUPERUSER"),
            (self.inherit, "INHERIT"),
            (self.create_role, "CREATEROLE"),
            (self.create_db, "CREATEDB"),
            (self.login, "LOGIN"),
            (self.replication, "REPLICATION"),
            (self.bypass_rls, "BYPASSRLS"),
        ] {
            sql.push_str(&flag(on, name));
        }
        sql.push_str(&format!(" CONNECTION LIMIT {}", self.connection_limit));
        if let Some(until) = &self.valid_until {
            sql.push_str(&format!(" VALID UNTIL {}", literal(until)));
        }
        if let Some(password) = password {
            sql.push_str(&format!(" PASSWORD {}", literal(password)));
        }
        sql
    }
}

impl Membership {
    fn grant(&self, member: &str) -> String {
        let mut options = Vec::new();
        if self.admin {
            options.push("ADMIN OPTION".to_string());
        }
        // Options of a membership exist since PostgreSQL 16, on both sides.
        if cfg!(not(feature = "pg15")) {
            options = vec![format!("ADMIN {}", self.admin)];
            options.extend(self.inherit.map(|on| format!("INHERIT {on}")));
            options.extend(self.set.map(|on| format!("SET {on}")));
        }
        let with = if options.is_empty() { String::new() } else { format!(" WITH {}", options.join(", ")) };
        format!("GRANT {} TO {member}{with}", quoted(&self.role))
    }
}

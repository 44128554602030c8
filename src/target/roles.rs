//! The roles that the database needs and this server lacks. Roles that are here already stay
//! as they are: they may be somebody else's of the same name, so they become members of none, and
//! none of them, unless the options ask for it.

use super::context;
use crate::catalog::Catalog;
use crate::core::name::{literal, quoted};
use crate::core::options::{Keep, Options, Roles};
use crate::core::settings;
use crate::error::Result;
use crate::pg::catch::subtransaction;
use crate::pg::{secret, spi};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// `roles.sql`
#[derive(Clone, Debug, Deserialize)]
pub struct Role {
    pub name: String,
    pub predefined: bool,
    /// A policy or a user mapping names it, so it is needed whoever owns the objects.
    named: bool,
    /// It owns or is granted something, or is named.
    used: bool,
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
    #[serde(skip)]
    pub here: bool,
    /// It was here before the run, and gets what on the source is the role's of its name.
    #[serde(skip)]
    pub gains: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct Membership {
    role: String,
    admin: bool,
    inherit: Option<bool>,
    set: Option<bool>,
    /// One of the two roles was here before the run.
    #[serde(skip)]
    merges: bool,
}

/// What somebody has to know of a role before it is made or used.
pub struct Notice {
    pub detail: String,
    pub hint: &'static str,
}

#[derive(Deserialize)]
struct Password {
    name: String,
    password: String,
}

/// The roles that the source's database and these jobs of it need under these options: those that
/// this server lacks, and of those here the ones that gain something.
pub fn needed(source: &mut impl Catalog, jobs: &[serde_json::Value], options: &Options) -> Result<Vec<Role>> {
    let owners: Vec<String> = jobs.iter().filter_map(|job| job["owner"].as_str()).map(literal).collect();
    let sql = include_str!("../../sql/inventory/roles.sql")
        .replace("(:owners)", &format!("(ARRAY[{}]::name[])", owners.join(", ")));
    let mut roles: Vec<Role> = source.ask(&sql)?;
    let all = options.owners == Keep::Keep || options.privileges == Keep::Keep;
    roles.retain(|role| (all || role.named) && !role.predefined);
    let here: HashMap<String, (bool, bool)> =
        spi::json_rows::<(String, bool, bool)>(include_str!("../../sql/inventory/server_roles.sql"), &[])?
            .into_iter()
            .map(|(name, superuser, ours)| (name, (superuser, ours)))
            .collect();
    let missing: HashSet<String> =
        roles.iter().filter(|role| !here.contains_key(&role.name)).map(|role| role.name.clone()).collect();
    let was_here = |name: &str| here.get(name).is_some_and(|(_, ours)| !ours);
    for role in &mut roles {
        let merges = was_here(&role.name);
        if let Some((superuser, _)) = here.get(&role.name) {
            (role.here, role.comment) = (true, None);
            role.gains = merges && role.used && !superuser;
            role.settings.clear();
            role.member_of.retain(|of| missing.contains(&of.role));
        }
        for of in &mut role.member_of {
            of.merges = merges || (was_here(&of.role) && !of.is_predefined());
        }
    }
    roles.retain(|role| !role.here || role.gains || !role.member_of.is_empty());
    Ok(roles)
}

/// Password verifiers, where the source's user may read them.
pub fn passwords(source: &mut impl Catalog, superuser: bool) -> Result<HashMap<String, String>> {
    if !superuser {
        return Ok(HashMap::new());
    }
    let rows: Vec<Password> = source.ask(include_str!("../../sql/inventory/role_passwords.sql"))?;
    Ok(rows.into_iter().map(|row| (row.name, row.password)).collect())
}

/// Makes the roles with attributes, settings and memberships, in the current transaction;
/// returns warnings.
pub fn make(roles: &[Role], passwords: &HashMap<String, String>, options: &Options) -> Result<Vec<String>> {
    #[cfg(feature = "pg18")]
    spi::set_local("md5_password_warnings", "off")?;
    for role in roles.iter().filter(|role| !role.here) {
        let create = role.create(passwords.get(&role.name));
        context::making(&format!("role {}", role.name), None, || secret::execute(&create))?;
    }
    let mut warnings = Vec::new();
    for role in roles {
        let name = quoted(&role.name);
        if let Some(comment) = &role.comment {
            spi::execute(&format!("COMMENT ON ROLE {name} IS {}", literal(comment)), &[])?;
        }
        for membership in role.member_of.iter().filter(|of| of.is_made(options)) {
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
    /// What the source's roles get here by their names, or what these may do beyond this database.
    pub fn notices(&self, options: &Options) -> Vec<Notice> {
        const SAME: &str = "If it is not the same, rename one of the two roles first.";
        let mut notices = Vec::new();
        let mut notice = |detail: String, hint| notices.push(Notice { detail, hint });
        if self.gains {
            notice(
                "is here already, and gets what the role of that name owns or is granted on the source".into(),
                SAME,
            );
        }
        if options.roles == Roles::None {
            return notices;
        }
        for of in self.member_of.iter().filter(|of| of.merges) {
            match of.is_made(options) {
                true => notice(format!("becomes a member of {}, and one of the two is here already", of.role), SAME),
                false => notice(
                    format!("does not become a member of {}, as one of the two is here already", of.role),
                    "The option \"roles\": \"merge\" makes it one; or GRANT it afterwards.",
                ),
            }
        }
        if !self.here {
            let rights = [
                (self.superuser, "SUPERUSER"),
                (self.create_role, "CREATEROLE"),
                (self.replication, "REPLICATION"),
                (self.bypass_rls, "BYPASSRLS"),
            ];
            let rights = rights.iter().filter(|(on, _)| *on).map(|(_, name)| name.to_string());
            let groups =
                self.member_of.iter().filter(|of| of.is_predefined()).map(|of| format!("membership in {}", of.role));
            let rights: Vec<String> = rights.chain(groups).collect();
            if !rights.is_empty() {
                let detail = format!("is made with {}, which reaches beyond this database", rights.join(", "));
                notice(detail, "Create it here first if it is to have less.");
            }
        }
        notices
    }

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
    /// Names that begin so are PostgreSQL's own.
    fn is_predefined(&self) -> bool {
        self.role.starts_with("pg_")
    }

    fn is_made(&self, options: &Options) -> bool {
        !self.merges || options.roles == Roles::Merge
    }

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

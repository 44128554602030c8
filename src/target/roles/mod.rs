//! The roles that the database needs and this server lacks. Roles that exist there already stay
//! as they are: they may be somebody else's of the same name, so they become members of none, and
//! none of them, unless the options ask for it. How they differ is said each time.

mod differences;
mod grants;
mod memberships;
mod passwords;

use super::context;
use crate::catalog::Catalog;
use crate::core::inventory::Inventory;
use crate::core::name::{literal, quoted};
use crate::core::options::{Keep, Options, Roles};
use crate::core::settings;
use crate::error::Result;
use crate::pg::catch::subtransaction;
use crate::pg::{secret, spi};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

use memberships::Membership;

pub use differences::settings as setting_differences;
pub use passwords::{PASSWORDS, password, passwords, passwords_here};

/// Of both sides' `roles.sql`.
#[derive(Clone, Debug, Deserialize)]
struct Attributes {
    superuser: bool,
    inherit: bool,
    create_role: bool,
    create_db: bool,
    login: bool,
    replication: bool,
    bypass_rls: bool,
    connection_limit: i32,
    valid_until: Option<String>,
}

/// `target/roles.sql`
#[derive(Deserialize)]
struct Present {
    name: String,
    #[serde(flatten)]
    attributes: Attributes,
    comment: Option<String>,
    settings: Vec<String>,
    member_of: Vec<Membership>,
    ours: bool,
}

/// `inventory/roles.sql`
#[derive(Clone, Debug, Deserialize)]
pub struct Role {
    pub name: String,
    /// The superuser that initdb made.
    bootstrap: bool,
    predefined: bool,
    /// A policy or a user mapping names it, so it is needed whoever owns the objects.
    named: bool,
    /// It owns or is granted something, or is named, or has settings in the database.
    used: bool,
    owns: bool,
    granted: bool,
    #[serde(flatten)]
    attributes: Attributes,
    comment: Option<String>,
    settings: Vec<String>,
    member_of: Vec<Membership>,
    #[serde(skip)]
    pub here: bool,
    /// It existed on the target before the run, and gets what on the source is the role's of its name.
    #[serde(skip)]
    pub gains: bool,
    /// It exists on the target, and may log in on the source.
    #[serde(skip)]
    pub logs_in: bool,
    /// How it differs on the target, but for memberships that it lacks.
    #[serde(skip)]
    differences: Vec<Notice>,
}

/// What somebody has to know of a role before it is made or used.
#[derive(Clone, Debug)]
pub struct Notice {
    pub detail: String,
    pub hint: String,
}

/// What [`needed`] asks the source.
pub fn query(inventory: &Inventory) -> String {
    let owners: Vec<String> = inventory.jobs.iter().filter_map(|job| job["owner"].as_str()).map(literal).collect();
    let (only, unwanted) = (inventory.selection.only.as_ref(), &inventory.selection.unwanted);
    let objects = only.map_or("NULL".to_string(), |only| literal(&serde_json::json!(only).to_string()));
    include_str!("../../../sql/inventory/roles.sql")
        .replace("(:owners)", &format!("(ARRAY[{}]::name[])", owners.join(", ")))
        .replace(":objects::json", &format!("{objects}::json"))
        .replace(":unwanted::json", &format!("{}::json", literal(&serde_json::json!(unwanted).to_string())))
}

/// The roles that what arrives of the source's database needs under these options: those that
/// this server lacks, and of those on the target the ones that gain something, differ or may log in.
pub fn needed(source: &mut impl Catalog, inventory: &Inventory, options: &Options) -> Result<Vec<Role>> {
    let mut roles: Vec<Role> = source.ask(&query(inventory))?;
    // Also of those that are not needed: their memberships are no difference.
    let there: HashMap<String, Vec<Membership>> =
        roles.iter().map(|role| (role.name.clone(), role.member_of.clone())).collect();
    let all = options.owners == Keep::Keep || options.privileges == Keep::Keep;
    roles.retain(|role| (all || role.named) && !role.predefined);
    let here: HashMap<String, Present> =
        spi::json_rows::<Present>(include_str!("../../../sql/inventory/server_roles.sql"), &[])?
            .into_iter()
            .map(|role| (role.name.clone(), role))
            .collect();
    let was_here = |name: &str| here.get(name).is_some_and(|role| !role.ours);
    let made: HashSet<String> = roles.iter().map(|role| role.name.clone()).collect();
    let is_member = |member_of: &[Membership], role: &str| member_of.iter().any(|of| of.role == role);
    let known = |name: &str, role: &str| there.get(name)?.iter().find(|of| of.role == role);
    let grants = grants::here()?;
    for role in &mut roles {
        let merges = was_here(&role.name);
        for of in &mut role.member_of {
            of.known = of.is_predefined() || here.contains_key(&of.role) || made.contains(&of.role);
            of.were_here = u8::from(merges) + u8::from(was_here(&of.role) && !of.is_predefined());
            of.later = !here.contains_key(&role.name) || !here.contains_key(&of.role);
            of.others = grants::of_others(&role.name, &of.role, &grants, |other| known(other, &of.role));
        }
        if let Some(present) = here.get(&role.name) {
            role.meet(present, merges);
            role.differences.extend(differences::surplus(&role.name, &present.member_of, &grants, known));
        }
        if role.gains {
            let here =
                here.values().filter(|other| !other.attributes.superuser && is_member(&other.member_of, &role.name));
            let here = here.map(|other| other.name.as_str());
            let known = |name: &str| known(name, &role.name);
            let surplus = here.filter(|name| known(name).is_none()).collect();
            role.differences.extend(differences::members(&role.name, surplus, &grants, known));
        }
    }
    roles.retain(|role| !role.here || role.gains || role.logs_in || role.differs());
    Ok(roles)
}

/// The names of the roles that exist on the target, and these, which a run makes.
pub fn known(made: impl IntoIterator<Item = String>) -> Result<HashSet<String>> {
    let here: Vec<String> = spi::json_rows("SELECT to_json(rolname)::text FROM pg_catalog.pg_roles", &[])?;
    Ok(here.into_iter().chain(made).collect())
}

/// Makes the roles with attributes, settings and memberships, in the current transaction, and enters how
/// those of roles that existed before are taken back; returns warnings.
pub fn make(run: i64, roles: &[Role], passwords: &HashMap<String, String>, options: &Options) -> Result<Vec<String>> {
    spi::execute(&settings::set_known(&[("md5_password_warnings", "off")], true), &[])?;
    for role in roles.iter().filter(|role| !role.here) {
        let create = role.create(passwords.get(&role.name));
        context::making(&format!("role {}", role.name), None, || secret::execute(&create))?;
    }
    let mut warnings = memberships::make(run, roles, options)?;
    for role in roles {
        let name = quoted(&role.name);
        if let Some(comment) = &role.comment {
            spi::execute(&format!("COMMENT ON ROLE {name} IS {}", literal(comment)), &[])?;
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

/// Runs a statement whose failure is only a warning; whether it has worked.
pub fn attempt(statement: &str, warnings: &mut Vec<String>, otherwise: &str) -> Result<bool> {
    match subtransaction(|| spi::execute(statement, &[]).map(drop)) {
        Ok(()) => Ok(true),
        Err(error) if error.code == crate::error::SqlState::QUERY_CANCELED => Err(error),
        Err(error) => {
            warnings.push(format!("{otherwise}: {error}"));
            Ok(false)
        }
    }
}

impl Role {
    pub fn login(&self) -> bool {
        self.attributes.login
    }

    /// Compares it with the role of its name on the target; what is left is to be done or told.
    fn meet(&mut self, here: &Present, merges: bool) {
        let mut differences: Vec<Notice> =
            differences::attributes(&self.name, &self.attributes, &here.attributes).into_iter().collect();
        differences.extend(differences::comment(&self.name, self.comment.as_deref(), here.comment.as_deref()));
        let role = format!("ROLE {}", quoted(&self.name));
        differences.extend(differences::settings(&role, &self.settings, &here.settings));
        self.member_of.retain_mut(|of| {
            let found = here.member_of.iter().find(|found| found.role == of.role);
            (of.changes, of.granted) = (found.is_some(), found.and_then(|found| found.granted.clone()));
            !found.is_some_and(|found| of.is_like(found))
        });
        self.gains = merges && self.used && !here.attributes.superuser;
        self.logs_in = self.attributes.login && !self.bootstrap;
        (self.here, self.comment, self.settings, self.differences) = (true, None, Vec::new(), differences);
    }

    fn differs(&self) -> bool {
        !self.differences.is_empty() || !self.member_of.is_empty()
    }

    /// What the source's roles get on the target by their names, or what these may do beyond this database.
    pub fn notices(&self, options: &Options) -> Vec<Notice> {
        let name = quoted(&self.name);
        let same = |name: &str| {
            let other = quoted(&format!("{name}_target"));
            format!("ALTER ROLE {} RENAME TO {other}; -- before the run, if it is not the same role", quoted(name))
        };
        let mut notices = self.differences.clone();
        let mut notice = |detail: String, hint: String| notices.push(Notice { detail, hint });
        if self.gains {
            let owns = (self.owns && options.owners == Keep::Keep).then_some("owns");
            let granted = (self.granted && options.privileges == Keep::Keep).then_some("is granted");
            let gets: Vec<&str> = owns.into_iter().chain(granted).collect();
            if !gets.is_empty() {
                let gets = gets.join(" or ");
                notice(
                    format!("exists on the target, and gets what the role of that name {gets} on the source"),
                    same(&self.name),
                );
            } else if self.named {
                let named = "row-level security policies or user mappings of the source name a role of that name";
                notice(format!("exists on the target, and {named}"), same(&self.name));
            }
        }
        // What is missing then is an error.
        if options.roles == Roles::None && !self.here {
            return notices;
        }
        for of in self.member_of.iter().filter(|of| of.were_here > 0 || !of.known || options.roles == Roles::None) {
            let grant = format!("{};", of.grant(&name));
            // A role that is missing then is an error, with the statement that makes it.
            let when = match of.later {
                true if options.roles == Roles::None => format!(" -- when role {} exists", of.role),
                true => " -- after the run,".to_string(),
                false if options.roles == Roles::None => String::new(),
                false => " --".to_string(),
            };
            let which = if of.were_here == 2 { "both roles exist" } else { "one of the two roles exists" };
            match of.is_made(options) {
                true if of.changes => notice(
                    format!("its membership in {} gets the options that it has on the source", of.role),
                    same(&self.name),
                ),
                true => {
                    let existing = if self.here { &self.name } else { &of.role };
                    notice(format!("becomes a member of {}, and {which} on the target", of.role), same(existing));
                }
                false if of.changes => {
                    let hint = format!("{grant} {}", of.others).trim_end().to_string();
                    notice(format!("is a member of {} with other options than on the source", of.role), hint)
                }
                false if !of.known => notice(
                    format!("does not become a member of {}, which is not made", of.role),
                    format!("CREATE ROLE {}; -- before the run; after it: {grant}", quoted(&of.role)),
                ),
                false if options.roles == Roles::None => {
                    notice(format!("does not become a member of {}", of.role), format!("{grant}{when}"))
                }
                false => notice(
                    format!("does not become a member of {}, because {which} on the target", of.role),
                    format!("{grant}{when} or the option \"roles\": \"merge\""),
                ),
            }
        }
        if !self.here {
            let rights = [
                (self.attributes.superuser, "SUPERUSER"),
                (self.attributes.create_role, "CREATEROLE"),
                (self.attributes.replication, "REPLICATION"),
                (self.attributes.bypass_rls, "BYPASSRLS"),
            ];
            let rights = rights.iter().filter(|(on, _)| *on).map(|(_, name)| name.to_string());
            let groups =
                self.member_of.iter().filter(|of| of.is_predefined()).map(|of| format!("membership in {}", of.role));
            let rights: Vec<String> = rights.chain(groups).collect();
            if !rights.is_empty() {
                let detail = format!("is made with {}, which reaches beyond this database", rights.join(", "));
                let login = if self.attributes.login { " LOGIN" } else { "" };
                notice(detail, format!("CREATE ROLE {name}{login}; -- before the run, if it is to have fewer rights"));
            }
        }
        notices
    }

    /// What the role is made with, besides its attributes.
    pub fn missing(&self, options: &Options) -> String {
        let list = |what: &str, names: Vec<&str>| match names.as_slice() {
            [] => String::new(),
            names => format!("; {what} {}", names.join(", ")),
        };
        let groups = self.member_of.iter().filter(|of| of.is_made(options)).map(|of| of.role.as_str()).collect();
        let settings = self.settings.iter().map(|setting| settings::name(setting)).collect();
        format!("missing on the target{}{}", list("member of", groups), list("sets", settings))
    }

    pub fn create(&self, password: Option<&String>) -> String {
        let mut sql = format!("CREATE ROLE {} WITH {}", quoted(&self.name), self.attributes.words().join(" "));
        if let Some(until) = &self.attributes.valid_until {
            sql.push_str(&format!(" VALID UNTIL {}", literal(until)));
        }
        if let Some(password) = password {
            sql.push_str(&format!(" PASSWORD {}", literal(password)));
        }
        sql
    }
}

//! Privileges on the database, on schemas, languages and large objects: given as on the source, taken back, compared.

use crate::catalog::{Catalog, Local};
use crate::core::name::quoted;
use crate::core::options::{Keep, Options};
use crate::error::Result;
use crate::libpq::Connection;
use crate::pg::spi;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A privilege in an ACL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// None is PUBLIC.
    pub grantee: Option<String>,
    pub privilege: String,
    pub grantable: bool,
}

/// `privileges.sql`
#[derive(Deserialize)]
struct Granted {
    kind: String,
    name: String,
    owner: String,
    stored: bool,
    acl: Vec<Given>,
}

#[derive(Deserialize)]
struct Given {
    #[serde(flatten)]
    grant: Grant,
    /// None is the owner.
    grantor: Option<String>,
}

impl Grant {
    /// The privilege in SQL: what a hostile source sends instead of one is made harmless.
    fn keyword(&self) -> String {
        self.privilege.chars().filter(|c| c.is_ascii_uppercase() || *c == ' ').collect()
    }
}

/// `REVOKE` of the defaults and `GRANT` of what the source has, on any kind of object.
pub fn grants(object: &str, acl: &[Grant], owner: Option<&str>) -> Vec<String> {
    let mut statements = vec![format!("REVOKE ALL ON {object} FROM PUBLIC")];
    if let Some(owner) = owner {
        statements.push(format!("REVOKE ALL ON {object} FROM {}", quoted(owner)));
    }
    for grant in acl {
        let option = if grant.grantable && grant.grantee.is_some() { " WITH GRANT OPTION" } else { "" };
        let (privilege, grantee) = (grant.keyword(), role_sql(grant.grantee.as_deref()));
        statements.push(format!("GRANT {privilege} ON {object} TO {grantee}{option}"));
    }
    statements
}

/// Takes the privileges that there are now, and grants those of before: the `initial` ones, each
/// with its grantee, where they were never changed.
pub(super) fn give_back(
    object: &str,
    now: &Option<Vec<Grant>>,
    before: &Option<Vec<Grant>>,
    initial: &[(Option<&str>, &str)],
) -> Result<()> {
    if now == before {
        return Ok(());
    }
    for grantee in now.iter().flatten().filter_map(|grant| grant.grantee.as_deref()) {
        spi::execute(&format!("REVOKE ALL ON {object} FROM {}", quoted(grantee)), &[])?;
    }
    let grant = |(grantee, privilege): &(Option<&str>, &str)| Grant {
        grantee: grantee.map(str::to_string),
        privilege: privilege.to_string(),
        grantable: false,
    };
    let before = before.clone().unwrap_or_else(|| initial.iter().map(grant).collect());
    grants(object, &before, None).iter().try_for_each(|statement| spi::execute(statement, &[]).map(drop))
}

/// What this database, and those of its schemas and languages that the source has too, will grant that the source does
/// not, and the other way round, and whose the schemas are; and what the caller's default privileges add to what is
/// made: a subject, a detail and a hint.
pub fn differences(source: &mut Connection, options: &Options) -> Result<Vec<(String, String, String)>> {
    let (there, here): (Vec<Granted>, Vec<Granted>) = (source.ask(QUERY)?, Local.ask(QUERY)?);
    let mut found = defaults()?;
    for here in &here {
        let is_same = |there: &&Granted| there.kind == here.kind && (here.is_database() || there.name == here.name);
        let Some(there) = there.iter().find(is_same) else { continue };
        let place = match here.kind.as_str() {
            "DATABASE" => "the database".to_string(),
            kind => format!("{} {}", kind.to_lowercase(), here.name),
        };
        let object = format!("{} {}", here.kind, quoted(&here.name));
        if here.kind == "SCHEMA" && options.owners == Keep::Keep && here.owner != there.owner {
            let detail = format!("belongs to {} on the target, and to {} on the source", here.owner, there.owner);
            let hint = format!("ALTER {object} OWNER TO {}; -- before the run or after it", quoted(&there.owner));
            found.push((place.clone(), detail, hint));
        }
        if options.privileges == Keep::Drop {
            continue;
        }
        let stays = there.lacks(here).filter(|given| !there.takes(&given.grant));
        // Those of other grantors come first: the owner's may be what they depend on.
        for ((grantor, grantee), list) in grouped(stays).into_iter().rev() {
            let revoke = format!("REVOKE {list} ON {object} FROM {};", role_sql(grantee));
            let hint = match grantor.map(quoted) {
                None => revoke,
                Some(grantor) => format!("SET ROLE {grantor}; {revoke} RESET ROLE;"),
            };
            found.push((shown(grantee), format!("has {list} on {place} on the target, but not on the source"), hint));
        }
        let missing = here.lacks(there).filter(|given| !there.gives(&given.grant));
        for ((_, grantee), list) in grouped(missing) {
            let hint = format!("GRANT {list} ON {object} TO {};", role_sql(grantee));
            found.push((shown(grantee), format!("has {list} on {place} on the source, but not on the target"), hint));
        }
    }
    Ok(found)
}

/// `default_privileges.sql`
#[derive(Deserialize)]
struct Default {
    objects: String,
    schema: Option<String>,
    role: String,
    given: bool,
    grantee: Option<String>,
    privileges: String,
}

/// What the caller has decided about all that it makes. `pg_dump` writes privileges as they differ from PostgreSQL's own
/// defaults, so that this stays.
fn defaults() -> Result<Vec<(String, String, String)>> {
    let found: Vec<Default> = Local.ask(include_str!("../../sql/preflight/default_privileges.sql"))?;
    let told = |Default { objects, schema, role, given, grantee, privileges }: Default| {
        let (gets, change, to) = if given { ("gets", "REVOKE", "FROM") } else { ("does not get", "GRANT", "TO") };
        let place = schema.as_ref().map_or(String::new(), |schema| format!(" in schema {schema}"));
        let within = schema.as_ref().map_or(String::new(), |schema| format!(" IN SCHEMA {}", quoted(schema)));
        let made = objects.to_lowercase();
        let detail =
            format!("{gets} {privileges} on {made} that the run makes{place}, by the default privileges of {role}");
        let of = role_sql(grantee.as_deref());
        let hint =
            format!("ALTER DEFAULT PRIVILEGES{within} {change} {privileges} ON {objects} {to} {of}; -- before the run");
        (shown(grantee.as_deref()), detail, hint)
    };
    Ok(found.into_iter().map(told).collect())
}

/// What [`differences`] asks both sides.
pub const QUERY: &str = include_str!("../../sql/preflight/privileges.sql");

impl Granted {
    fn is_database(&self) -> bool {
        self.kind == "DATABASE"
    }

    /// What the other one grants, and this one does not; owners have what they need.
    fn lacks<'a>(&'a self, other: &'a Granted) -> impl Iterator<Item = &'a Given> {
        let is_owner = |role: &String| *role == self.owner || *role == other.owner;
        let has = |grant: &Grant| self.acl.iter().any(|given| given.grant == *grant);
        other.acl.iter().filter(move |given| !has(&given.grant) && !given.grant.grantee.as_ref().is_some_and(is_owner))
    }

    /// Of the source: whether a run revokes it, if it is not granted there.
    fn takes(&self, grant: &Grant) -> bool {
        self.is_initial(grant) || (self.is_database() && self.stored && grant.grantee.is_none())
    }

    /// Of the source: whether a run grants it.
    fn gives(&self, grant: &Grant) -> bool {
        if self.is_database() { self.stored } else { !self.is_initial(grant) }
    }

    /// What `pg_dump` takes for granted of schema public and of languages.
    fn is_initial(&self, grant: &Grant) -> bool {
        let is_known = self.kind == "LANGUAGE" || (self.kind == "SCHEMA" && self.name == "public");
        is_known && grant.grantee.is_none() && grant.privilege == "USAGE"
    }
}

/// The privileges of each grantor and grantee, as in GRANT.
fn grouped<'a>(given: impl Iterator<Item = &'a Given>) -> BTreeMap<(Option<&'a str>, Option<&'a str>), String> {
    let mut found = BTreeMap::<_, Vec<String>>::new();
    for Given { grant, grantor } in given {
        found.entry((grantor.as_deref(), grant.grantee.as_deref())).or_default().push(grant.keyword());
    }
    found.into_iter().map(|(roles, list)| (roles, list.join(", "))).collect()
}

fn shown(grantee: Option<&str>) -> String {
    grantee.unwrap_or("PUBLIC").to_string()
}

/// As in GRANT; without a name it is PUBLIC.
fn role_sql(grantee: Option<&str>) -> String {
    grantee.map_or("PUBLIC".to_string(), quoted)
}

//! How a role that exists on the target differs from the source's of its name. It stays as it is: each
//! difference is named, with the statement that makes up for it.

use super::grants::{Grant, revocation};
use super::{Attributes, Membership, Notice};
use crate::core::name::{literal, quoted};
use crate::core::settings;
use std::collections::BTreeMap;

/// Those of the attributes that differ.
pub(super) fn attributes(name: &str, there: &Attributes, here: &Attributes) -> Option<Notice> {
    let all = |role: &Attributes| {
        let until = role.valid_until.as_deref().unwrap_or("infinity");
        role.words().into_iter().chain([format!("VALID UNTIL {}", literal(until))])
    };
    let (wanted, found): (Vec<String>, Vec<String>) =
        all(there).zip(all(here)).filter(|(there, here)| there != here).unzip();
    (!wanted.is_empty()).then(|| Notice {
        detail: format!("has {} on the target, and {} on the source", found.join(" "), wanted.join(" ")),
        hint: format!("ALTER ROLE {} WITH {};", quoted(name), wanted.join(" ")),
    })
}

/// Settings of a role, or of all roles, in whatever database; `role` as in ALTER. Values are shown only of PostgreSQL's own
/// parameters: of the others nobody knows how secret they are.
pub fn settings(role: &str, there: &[String], here: &[String]) -> Vec<Notice> {
    let by_name = |list: &[String]| -> BTreeMap<String, String> {
        list.iter().map(|setting| (settings::name(setting).to_string(), setting.clone())).collect()
    };
    let (there, here) = (by_name(there), by_name(here));
    let known = |setting: &str| !setting.contains('.');
    let mut notices = Vec::new();
    for (setting, wanted) in there.iter().filter(|(setting, wanted)| here.get(*setting) != Some(wanted)) {
        let place =
            if here.contains_key(setting) { "has another value on the target" } else { "is not set on the target" };
        let statement = settings::statement(role, wanted).filter(|_| known(setting));
        let hint = statement.unwrap_or_else(|| {
            let name = settings::quoted_name(setting);
            format!("-- its value, which is not shown as it may be secret, is in pg_db_role_setting on the source: ALTER {role} SET {name} = ...")
        });
        notices.push(Notice { detail: format!("the setting {setting} {place}"), hint: format!("{hint};") });
    }
    for setting in here.keys().filter(|setting| !there.contains_key(*setting)) {
        notices.push(Notice {
            detail: format!("has the setting {setting} on the target, but not on the source"),
            hint: format!("ALTER {role} RESET {setting};"),
        });
    }
    notices
}

/// Memberships on the target that the source does not have. `known`: what a role's membership in another is there.
pub(super) fn surplus<'a>(
    name: &str,
    here: &[Membership],
    grants: &[Grant],
    known: impl Fn(&str, &str) -> Option<&'a Membership>,
) -> Vec<Notice> {
    let more = here.iter().filter(|of| known(name, &of.role).is_none());
    more.map(|of| Notice {
        detail: format!("is a member of {} on the target, but not on the source", of.role),
        hint: revocation(&of.role, &[name], grants, |other| known(other, &of.role)),
    })
    .collect()
}

/// A comment that differs.
pub(super) fn comment(name: &str, there: Option<&str>, here: Option<&str>) -> Option<Notice> {
    let detail = match (there, here) {
        (there, here) if there == here => return None,
        (Some(_), Some(_)) => "has another comment on the target than on the source",
        (Some(_), None) => "has a comment on the source, but none on the target",
        (None, _) => "has a comment on the target, but none on the source",
    };
    let wanted = there.map_or("NULL".to_string(), literal);
    Some(Notice { detail: detail.into(), hint: format!("COMMENT ON ROLE {} IS {wanted};", quoted(name)) })
}

/// Members on the target that the source's role does not have: they get what it gets.
pub(super) fn members<'a>(
    name: &str,
    mut here: Vec<&str>,
    grants: &[Grant],
    known: impl Fn(&str) -> Option<&'a Membership>,
) -> Option<Notice> {
    here.sort_unstable();
    (!here.is_empty()).then(|| Notice {
        detail: format!("has members on the target that it does not have on the source: {}", here.join(", ")),
        hint: revocation(name, &here, grants, known),
    })
}

impl Attributes {
    /// As `CREATE ROLE` and `ALTER ROLE` take them, always as many; without `VALID UNTIL`.
    pub(super) fn words(&self) -> Vec<String> {
        let flags = [
            (self.superuser, "SUPERUSER"),
            (self.inherit, "INHERIT"),
            (self.create_role, "CREATEROLE"),
            (self.create_db, "CREATEDB"),
            (self.login, "LOGIN"),
            (self.replication, "REPLICATION"),
            (self.bypass_rls, "BYPASSRLS"),
        ];
        let mut words: Vec<String> =
            flags.iter().map(|(on, name)| format!("{}{name}", if *on { "" } else { "NO" })).collect();
        words.push(format!("CONNECTION LIMIT {}", self.connection_limit));
        words
    }
}

//! How a role that exists on the target differs from the source's of its name. It stays as it is: each
//! difference is named, with the statement that makes up for it.

use super::{Attributes, Membership, Notice};
use crate::core::name::{literal, quoted};
use crate::core::settings;
use std::collections::{BTreeMap, HashMap};

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
        let hint = statement.unwrap_or_else(|| format!("ALTER {role} SET {} = '...'", settings::quoted_name(setting)));
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

/// Memberships on the target that the source does not have.
pub(super) fn surplus(name: &str, there: &[Membership], here: &[Membership]) -> Vec<Notice> {
    let more = here.iter().filter(|of| !there.iter().any(|other| other.role == of.role));
    more.map(|of| Notice {
        detail: format!("is a member of {} on the target, but not on the source", of.role),
        hint: format!("REVOKE {} FROM {};", quoted(&of.role), quoted(name)),
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
pub(super) fn members(name: &str, mut here: Vec<&str>) -> Option<Notice> {
    here.sort_unstable();
    let members: Vec<String> = here.iter().map(|member| quoted(member)).collect();
    (!here.is_empty()).then(|| Notice {
        detail: format!("has members on the target that it does not have on the source: {}", here.join(", ")),
        hint: format!("REVOKE {} FROM {};", quoted(name), members.join(", ")),
    })
}

/// What is known of the passwords of a role that may log in on both sides. `there` is none where they
/// cannot be read.
pub fn password(name: &str, there: Option<&HashMap<String, String>>, here: &HashMap<String, String>) -> Option<Notice> {
    let (wanted, found) = (there.map(|all| all.get(name)), here.get(name));
    let detail = match (wanted, found) {
        (Some(None), _) => return None,
        (_, None) => "may log in, but has no password on the target".to_string(),
        (Some(Some(wanted)), Some(found)) if wanted == found => return None,
        (Some(Some(wanted)), Some(found)) => format!("keeps the password that it has on the target, {}", unlike(wanted, found)),
        (None, _) => {
            "keeps the password that it has on the target, which may differ from the source's: only a superuser of the source could compare them".to_string()
        }
    };
    Some(Notice { detail, hint: format!("In psql: \\password {}", quoted(name)) })
}

/// How two stored passwords differ. A hash with a salt tells nothing about one with another salt.
fn unlike(there: &str, here: &str) -> &'static str {
    // All but the hash: the name of the method, and of SCRAM the iterations and the salt.
    let form = |stored: &str| stored.rsplit_once('$').map(|(form, _)| form.to_string());
    match (form(there), form(here)) {
        (wanted, found) if wanted == found => "which is not the source's",
        (Some(_), Some(_)) => {
            "which may be the same as the source's or not: SCRAM verifiers with different salts cannot be compared"
        }
        _ => "which may be the same as the source's or not: a SCRAM verifier and an MD5 hash cannot be compared",
    }
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

#[cfg(test)]
mod tests {
    use super::unlike;

    #[test]
    fn stored_passwords() {
        let scram = |salt: &str, hash: &str| format!("SCRAM-SHA-256$4096:{salt}${hash}:{hash}");
        let md5 = |hash: &str| format!("md5{hash}");
        for (there, here, told) in [
            (md5("1"), md5("2"), "is not the source's"),
            (scram("s", "1"), scram("s", "2"), "is not the source's"),
            (scram("s", "1"), scram("t", "1"), "different salts"),
            (scram("s", "1"), md5("1"), "an MD5 hash"),
            (md5("1"), scram("s", "1"), "an MD5 hash"),
        ] {
            assert!(unlike(&there, &here).contains(told), "{there} {here}");
        }
    }
}

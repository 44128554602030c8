//! Passwords of roles on both sides.

use super::Notice;
use crate::catalog::{Catalog, Local};
use crate::core::name::quoted;
use crate::error::Result;
use serde::Deserialize;
use std::collections::HashMap;

/// What [`passwords`] asks.
pub const PASSWORDS: &str = include_str!("../../../sql/inventory/role_passwords.sql");

#[derive(Deserialize)]
struct Password {
    name: String,
    password: String,
}

/// Password verifiers, where the source's user may read them.
pub fn passwords(source: &mut impl Catalog, superuser: bool) -> Result<HashMap<String, String>> {
    if !superuser {
        return Ok(HashMap::new());
    }
    let rows: Vec<Password> = source.ask(PASSWORDS)?;
    Ok(rows.into_iter().map(|row| (row.name, row.password)).collect())
}

/// The same of this server.
pub fn passwords_here() -> Result<HashMap<String, String>> {
    passwords(&mut Local, true)
}

/// What is known of the passwords of a role that may log in on both sides. `there` is none where they
/// cannot be read.
pub fn password(name: &str, there: Option<&HashMap<String, String>>, here: &HashMap<String, String>) -> Option<Notice> {
    let (wanted, found) = (there.map(|all| all.get(name)), here.get(name));
    let detail = match (wanted, found) {
        (Some(None), None) => return None,
        (Some(None), Some(_)) => {
            let detail = "has a password on the target, and none on the source".to_string();
            return Some(Notice { detail, hint: format!("ALTER ROLE {} PASSWORD NULL;", quoted(name)) });
        }
        (_, None) => "may log in, but has no password on the target".to_string(),
        (Some(Some(wanted)), Some(found)) if wanted == found => return None,
        (Some(Some(wanted)), Some(found)) => format!("keeps the password that it has on the target, {}", unlike(wanted, found)),
        (None, _) => {
            "keeps the password that it has on the target, which may differ from the source's: only a superuser of the source could compare them".to_string()
        }
    };
    Some(Notice { detail, hint: format!("\\password {}", quoted(name)) })
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

//! The statements that take memberships away. Since PostgreSQL 16 a membership belongs to its grantor: who revokes it has
//! to name him, and what its member has granted further has to be revoked first.

use super::Membership;
use crate::core::name::quoted;
use crate::error::Result;
use crate::pg::spi;
use serde::Deserialize;

/// `memberships.sql`
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Grant {
    member: String,
    grantor: String,
    /// Its grantor is the one that a superuser's GRANT has.
    own: bool,
    #[serde(flatten)]
    of: Membership,
}

/// All of this server.
pub(super) fn here() -> Result<Vec<Grant>> {
    spi::json_rows(include_str!("../../../sql/preflight/memberships.sql"), &[])
}

/// What takes these members away from a role, as a hint. Members that are to be kept, as `stays` has them, and to whom
/// one of these has granted the role, get it from whoever executes the statements.
pub(super) fn revocation<'a>(
    role: &str,
    members: &[&str],
    all: &[Grant],
    stays: impl Fn(&str) -> Option<&'a Membership>,
) -> String {
    let name = quoted(role);
    if cfg!(feature = "pg15") {
        let members: Vec<String> = members.iter().map(|member| quoted(member)).collect();
        return format!("REVOKE {name} FROM {};", members.join(", "));
    }
    let all: Vec<&Grant> = all.iter().filter(|grant| grant.of.role == role).collect();
    let revoked = all.iter().copied().filter(|grant| members.contains(&&*grant.member));
    in_order(&name, revoked.collect(), &all, stays)
}

/// What takes away of a membership what others than a superuser have granted.
pub(super) fn of_others<'a>(
    member: &str,
    role: &str,
    all: &[Grant],
    stays: impl Fn(&str) -> Option<&'a Membership>,
) -> String {
    // Before PostgreSQL 16 there is one grantor.
    if cfg!(feature = "pg15") {
        return String::new();
    }
    let all: Vec<&Grant> = all.iter().filter(|grant| grant.of.role == role).collect();
    let revoked = all.iter().copied().filter(|grant| grant.member == member && !grant.own);
    in_order(&quoted(role), revoked.collect(), &all, stays)
}

/// The statements, with those for what depends on these memberships.
fn in_order<'a, 'b>(
    role: &str,
    mut revoked: Vec<&'b Grant>,
    all: &[&'b Grant],
    stays: impl Fn(&str) -> Option<&'a Membership>,
) -> String {
    let mut statements = Vec::new();
    let mut next = 0;
    while let Some(grant) = revoked.get(next) {
        let further = all.iter().filter(|other| other.grantor == grant.member);
        let known = |other: &&Grant| revoked.iter().any(|known| std::ptr::eq(*known, *other));
        let further: Vec<&Grant> = further.copied().filter(|other| !known(other)).collect();
        let kept = further.iter().filter_map(|other| Some((other, stays(&other.member)?)));
        statements.extend(kept.map(|(other, of)| format!("{};", of.grant(&quoted(&other.member)))));
        revoked.extend(further);
        next += 1;
    }
    while !revoked.is_empty() {
        let depend = |grant: &Grant| revoked.iter().any(|other| other.grantor == grant.member);
        let (later, now): (Vec<&Grant>, Vec<&Grant>) = revoked.iter().copied().partition(|grant| depend(grant));
        // PostgreSQL lets nobody grant a role to his own grantor.
        let (now, later) = if now.is_empty() { (later, now) } else { (now, later) };
        statements.extend(now.iter().map(|grant| {
            let by = if grant.own { String::new() } else { format!(" GRANTED BY {}", quoted(&grant.grantor)) };
            format!("REVOKE {role} FROM {}{by};", quoted(&grant.member))
        }));
        revoked = later;
    }
    statements.join(" ")
}

#[cfg(all(test, not(feature = "pg15")))]
mod tests {
    use super::*;

    fn grant(member: &str, grantor: &str, admin: bool) -> Grant {
        let value = serde_json::json!({"role": "r", "member": member, "grantor": grantor, "own": grantor == "boss", "admin": admin, "inherit": true, "set": true});
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_depends_comes_first() {
        let nobody = |_: &str| None;
        let all = [grant("g", "boss", true), grant("z", "g", true), grant("x", "z", false), grant("y", "boss", true)];
        let by = |member: &str, grantor: &str| format!("REVOKE \"r\" FROM \"{member}\" GRANTED BY \"{grantor}\";");
        let own = |member: &str| format!("REVOKE \"r\" FROM \"{member}\";");
        assert_eq!(revocation("r", &["y"], &all, nobody), own("y"));
        let chain = [by("x", "z"), by("z", "g"), own("g")].join(" ");
        assert_eq!(revocation("r", &["g", "z", "x"], &all, nobody), chain);
        assert_eq!(revocation("r", &["g"], &all, nobody), chain);
        let again = "GRANT \"r\" TO \"x\" WITH ADMIN false, INHERIT true, SET true;";
        let kept = &all[2].of;
        assert_eq!(revocation("r", &["g"], &all, |member| (member == "x").then_some(kept)), format!("{again} {chain}"));
    }

    #[test]
    fn one_membership_by_two() {
        let nobody = |_: &str| None;
        let all = [grant("g", "boss", true), grant("g", "chief", false)];
        assert_eq!(
            revocation("r", &["g"], &all, nobody),
            "REVOKE \"r\" FROM \"g\"; REVOKE \"r\" FROM \"g\" GRANTED BY \"chief\";"
        );
        assert_eq!(of_others("g", "r", &all, nobody), "REVOKE \"r\" FROM \"g\" GRANTED BY \"chief\";");
    }
}

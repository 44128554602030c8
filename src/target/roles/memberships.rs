//! Memberships between roles.

use super::{Role, attempt};
use crate::core::name::quoted;
use crate::core::options::{Options, Roles};
use crate::error::Result;
use crate::pg::spi;
use serde::Deserialize;
use std::collections::HashSet;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Membership {
    pub(super) role: String,
    pub(super) admin: bool,
    pub(super) inherit: Option<bool>,
    pub(super) set: Option<bool>,
    /// Of the source: who has granted it, if it was one role that may, and not the superuser that initdb made.
    #[serde(default)]
    pub(super) grantor: Option<String>,
    /// Those of the two roles that existed before the run.
    #[serde(skip)]
    pub(super) were_here: u8,
    /// The role exists on the target, or is made.
    #[serde(skip)]
    pub(super) known: bool,
    /// It exists on the target, with other options.
    #[serde(skip)]
    pub(super) changes: bool,
    /// One of the two roles is still to be made on the target.
    #[serde(skip)]
    pub(super) later: bool,
    /// If its options change: what takes away the same membership by other grantors, whose options would stay.
    #[serde(skip)]
    pub(super) others: String,
    /// What a superuser has granted of it on the target.
    #[serde(default)]
    pub(super) granted: Option<Box<Membership>>,
}

/// Those that a role has granted come after the one that lets it.
pub(super) fn make(run: i64, roles: &[Role], options: &Options) -> Result<Vec<String>> {
    let all = roles.iter().flat_map(|role| role.member_of.iter().map(move |of| (role, of)));
    let mut open: Vec<(&Role, &Membership)> = all.filter(|(_, of)| of.is_made(options)).collect();
    let (mut warnings, mut admins) = (Vec::new(), HashSet::new());
    while !open.is_empty() {
        let is_ready =
            |of: &Membership| of.grantor.as_ref().is_none_or(|grantor| admins.contains(&(&of.role, grantor)));
        let (mut ready, mut rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, of)| is_ready(of));
        let by_caller = ready.is_empty();
        if by_caller {
            // One that lets others follow, if there is any.
            let first = rest.iter().position(|(_, of)| of.admin).unwrap_or(0);
            ready.push(rest.remove(first));
        }
        for (role, of) in ready {
            let (name, what) = (quoted(&role.name), format!("role {} was not made a member of {}", role.name, of.role));
            let by = of.grantor.as_ref().filter(|_| !by_caller && of.were_here == 0);
            let by_sql = by.map_or(String::new(), |grantor| format!(" GRANTED BY {}", quoted(grantor)));
            let made = attempt(&format!("{}{by_sql}", of.grant(&name)), &mut warnings, &what)?;
            if let (true, None, Some(grantor)) = (made, by, &of.grantor) {
                warnings.push(format!(
                    "role {} is a member of {} by the caller's grant, not by {grantor}'s",
                    role.name, of.role
                ));
            }
            if made && of.admin {
                admins.insert((&of.role, &role.name));
            }
            // With a role that the run made, they go by themselves.
            if made && role.here {
                spi::execute(
                    "UPDATE timescale_migrate.run_log SET memberships = memberships || $2 WHERE id = $1",
                    &[run.into(), of.undo(&name).into()],
                )?;
            }
        }
        open = rest;
    }
    Ok(warnings)
}

impl Membership {
    /// Names that begin so are PostgreSQL's own.
    pub(super) fn is_predefined(&self) -> bool {
        self.role.starts_with("pg_")
    }

    pub(super) fn is_made(&self, options: &Options) -> bool {
        self.known
            && match options.roles {
                Roles::None => false,
                Roles::Used => self.were_here == 0,
                Roles::Merge => true,
            }
    }

    /// Whether it has the same options; those that PostgreSQL 16 brought, where both servers have them.
    pub(super) fn is_like(&self, other: &Membership) -> bool {
        let same = |a: Option<bool>, b: Option<bool>| a.is_none() || b.is_none() || a == b;
        self.admin == other.admin && same(self.inherit, other.inherit) && same(self.set, other.set)
    }

    /// What takes the grant back.
    pub(super) fn undo(&self, member: &str) -> String {
        let of = quoted(&self.role);
        match &self.granted {
            None => format!("REVOKE {of} FROM {member}"),
            // There GRANT takes no option away.
            Some(before) if cfg!(feature = "pg15") && !before.admin => {
                format!("REVOKE ADMIN OPTION FOR {of} FROM {member}")
            }
            Some(before) => before.grant(member),
        }
    }

    pub(super) fn grant(&self, member: &str) -> String {
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

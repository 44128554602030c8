//! Connection parameters: libpq's keywords and values.

use super::ffi;
use crate::error::{Error, Result, SqlState};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fmt;

/// One connection parameter of this libpq, as `PQconndefaults` lists it.
pub struct Keyword {
    pub name: String,
    /// Its value is to be hidden, as a password's.
    pub secret: bool,
    /// A debugging option, not for users.
    pub debug: bool,
    /// What it is unless a connection says otherwise: by this process's environment, else by libpq.
    default: Option<String>,
}

/// Every connection parameter that the libpq in use knows.
pub fn keywords() -> Vec<Keyword> {
    // SAFETY: the array ends with a null keyword and is freed as libpq asks.
    unsafe {
        let options = libpq_sys::PQconndefaults();
        let list = walk(options, |option| {
            let shown = ffi::string(option.dispchar).unwrap_or_default();
            Some(Keyword {
                name: ffi::string(option.keyword)?,
                secret: shown.contains('*'),
                debug: shown.contains('D'),
                default: ffi::string(option.val),
            })
        });
        libpq_sys::PQconninfoFree(options);
        list
    }
}

/// # Safety
/// `options` is null or an array of libpq's, ended by a null keyword.
unsafe fn walk<T>(
    options: *mut libpq_sys::PQconninfoOption,
    mut take: impl FnMut(&libpq_sys::PQconninfoOption) -> Option<T>,
) -> Vec<T> {
    let mut list = Vec::new();
    let mut next = options;
    // SAFETY: the caller's.
    unsafe {
        while !next.is_null() && !(*next).keyword.is_null() {
            list.extend(take(&*next));
            next = next.add(1);
        }
    }
    list
}

/// Parameters for one server. Debug and Display hide the secret ones.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The value of a parameter, if it is given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Sets a value; an earlier one of that name is replaced.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(n, _)| n != name);
        self.0.push((name.to_string(), value.to_string()));
    }

    /// Sets a value that the user did not give.
    pub fn set_default(&mut self, name: &str, value: &str) {
        if self.get(name).is_none() {
            self.set(name, value);
        }
    }

    /// Every parameter with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// The parameter of that name in seconds, which libpq heeds only where it connects by itself.
    /// `None` where it asks for no limit, which there is not.
    pub fn connect_timeout(&self) -> Result<Option<u32>> {
        let Some(value) = self.get("connect_timeout") else { return Ok(None) };
        let seconds: i32 = value.trim().parse().map_err(|_| {
            let message = format!("invalid integer value \"{value}\" for connection option \"connect_timeout\"");
            Error::new(SqlState::INVALID_PARAMETER, message)
        })?;
        Ok(u32::try_from(seconds).ok().filter(|seconds| *seconds > 0))
    }

    /// Unless the user says how to authenticate, or who answers is known by a certificate, nobody at a
    /// network's other end gets a password in clear by asking for it. A service has parameters of its
    /// own, which this would overrule; libpq before 16 cannot do it.
    pub fn refuse_clear_password(&mut self) {
        let known = keywords();
        let value = |name: &str| {
            let default = || known.iter().find(|keyword| keyword.name == name)?.default.as_deref();
            self.get(name).or_else(default).unwrap_or_default()
        };
        let is_known = known.iter().any(|keyword| keyword.name == "require_auth");
        let is_local = value("hostaddr").is_empty()
            && value("host").split(',').all(|host| host.is_empty() || host.starts_with(['/', '@']));
        let is_certain = ["verify-ca", "verify-full"].contains(&value("sslmode"));
        let is_said =
            self.get("require_auth").is_some() || !value("require_auth").is_empty() || !value("service").is_empty();
        if is_known && !is_local && !is_certain && !is_said {
            self.set("require_auth", "!password");
        }
    }

    fn is_secret(name: &str) -> bool {
        ["password", "secret", "scram_"].iter().any(|part| name.contains(part))
    }

    /// Whether a password is among them.
    pub fn has_secret(&self) -> bool {
        self.iter().any(|(name, _)| Self::is_secret(name))
    }

    /// A conninfo string without the secrets: for messages, tables and argument lists.
    pub fn public_conninfo(&self) -> String {
        let quoted = |value: &str| format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
        let mut parts = Vec::new();
        for (name, value) in self.iter().filter(|(name, _)| !Self::is_secret(name)) {
            parts.push(format!("{name}={}", quoted(value)));
        }
        parts.join(" ")
    }

    /// The arrays that `PQconnectStartParams` takes, without their closing nulls.
    pub(super) fn c_strings(&self) -> Result<Vec<(CString, CString)>> {
        let convert = |text: &str| {
            CString::new(text)
                .map_err(|_| Error::new(SqlState::INVALID_PARAMETER, "a connection parameter contains a NUL byte"))
        };
        self.iter().map(|(name, value)| Ok((convert(name)?, convert(value)?))).collect()
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public_conninfo())
    }
}

/// Reads a conninfo string or URI as libpq does (`service`, `passfile` and all).
pub fn parse_conninfo(text: &str) -> Result<Params> {
    let malformed = |why: String| {
        let detail = match may_hold_secret(text) && has_word_of(&why, text) {
            // libpq quotes the part that it stopped at, whatever that is.
            true => "The cause is not shown because it may contain a password.",
            false => why.trim(),
        };
        Error::new(SqlState::INVALID_PARAMETER, "malformed connection string").detail(detail)
    };
    let is_uri = text.contains("://");
    let text = CString::new(text).map_err(|_| malformed("It contains a NUL byte.".into()))?;
    let mut message = std::ptr::null_mut();
    // SAFETY: libpq fills either the result or the message; both are freed as it asks.
    unsafe {
        let options = libpq_sys::PQconninfoParse(text.as_ptr(), &mut message);
        if options.is_null() {
            let why = ffi::string(message).unwrap_or_default();
            libpq_sys::PQfreemem(message.cast());
            return Err(malformed(why));
        }
        let list = walk(options, |option| Some((ffi::string(option.keyword)?, ffi::string(option.val)?)));
        libpq_sys::PQconninfoFree(options);
        let params = Params(list);
        // What libpq takes for a host or a database is shown, and would be part of a password.
        let has_at = |name: &str| params.get(name).is_some_and(|value| value.contains('@'));
        if is_uri && (has_at("host") || has_at("dbname")) {
            return Err(malformed("It has one \"@\" too many.".into())
                .hint("In a user name or password, write \"%40\" for \"@\" and \"%2F\" for \"/\"."));
        }
        Ok(params)
    }
}

fn may_hold_secret(conninfo: &str) -> bool {
    let conninfo = conninfo.to_lowercase();
    ["pass", "pwd", "secret", "scram_", "@"].iter().any(|sign| conninfo.contains(sign))
}

fn has_word_of(message: &str, text: &str) -> bool {
    let words = |text| str::split(text, |c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words(message).any(|word| words(text).any(|other| word == other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_string_is_not_repeated_where_it_may_hold_a_password() {
        let detail = |text| parse_conninfo(text).unwrap_err().detail.unwrap();
        let hidden = "The cause is not shown because it may contain a password.";
        for text in ["host=h password=my own=word", "password=my own word", "postgresql://u:my@[own word"] {
            assert_eq!(detail(text), hidden, "{text}");
        }
        assert_eq!(detail("host=h nonsense=1"), "invalid connection option \"nonsense\"");
        assert_eq!(detail("password='my own"), "unterminated quoted string in connection info string");
    }

    #[test]
    fn every_secret_stays_out_of_what_is_shown() {
        for keyword in keywords() {
            let mut params = Params::default();
            params.set(&keyword.name, "it's \\ here");
            let shown = parse_conninfo(&params.public_conninfo()).unwrap();
            let is_shown = shown.get(&keyword.name) == Some("it's \\ here");
            assert_eq!(is_shown, !(keyword.secret || keyword.name.starts_with("scram_")), "{}", keyword.name);
        }
    }
}

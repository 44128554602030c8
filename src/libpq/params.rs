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

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    fn is_secret(name: &str) -> bool {
        name.contains("password") || name == "oauth_client_secret"
    }

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
    // The text may hold a password: no message repeats it.
    let malformed = |why: Option<String>| {
        let error = Error::new(SqlState::INVALID_PARAMETER, "malformed connection string");
        match why {
            Some(why) => error.detail(why.trim().to_string()),
            None => error,
        }
    };
    let text = CString::new(text).map_err(|_| malformed(None))?;
    let mut message = std::ptr::null_mut();
    // SAFETY: libpq fills either the result or the message; both are freed as it asks.
    unsafe {
        let options = libpq_sys::PQconninfoParse(text.as_ptr(), &mut message);
        if options.is_null() {
            // libpq repeats parts of the text, which might be a password; a keyword is none.
            let why = ffi::string(message).map(|m| match m.starts_with("invalid connection option") {
                true => m,
                false => m.split('"').next().unwrap_or_default().to_string(),
            });
            libpq_sys::PQfreemem(message.cast());
            return Err(malformed(why.filter(|w| !w.trim().is_empty())));
        }
        let list = walk(options, |option| Some((ffi::string(option.keyword)?, ffi::string(option.val)?)));
        libpq_sys::PQconninfoFree(options);
        Ok(Params(list))
    }
}

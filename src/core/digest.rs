//! What tells whether something has changed, without saying what it is.

use md5::{Digest, Md5};
use std::collections::BTreeMap;

/// MD5 digests by name.
pub type Digests = BTreeMap<String, String>;

/// The MD5 of a text in hexadecimal digits, as PostgreSQL's `md5()` returns it.
pub fn md5(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Which options a foreign server and a user mapping may have.

use crate::core::options;
use crate::error::{Error, Result, SqlState};
use crate::libpq::{self, Keyword};

/// What a run sets itself, or cannot work under.
pub const NOT_TAKEN: [&str; 3] = ["client_encoding", "options", "replication"];

const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// The wrapper's validator: server options are connection parameters without credentials,
/// user mapping options are credentials. `catalog` is the catalog that the options are for.
pub fn validate(given: &[String], catalog: &str) -> Result<()> {
    let keywords = libpq::keywords();
    let valid: Vec<&str> = keywords.iter().filter(|k| is_valid(k, catalog)).map(|k| k.name.as_str()).collect();
    let name_of = |option: &String| option.split('=').next().unwrap_or_default().to_string();
    match given.iter().map(name_of).find(|name| !valid.contains(&name.as_str())) {
        None => given.iter().try_for_each(|option| check_value(option)),
        Some(name) => {
            let elsewhere = keywords.iter().any(|k| k.name == name && is_valid(k, "pg_user_mapping"));
            let hint = match (valid.as_slice(), options::meant(&name, valid.iter().copied())) {
                ([], _) => "This wrapper has no options of its own.".to_string(),
                _ if elsewhere => "It is an option of the user mapping.".to_string(),
                (_, Some(option)) => format!("Perhaps you meant the option \"{option}\"."),
                (valid, None) => format!("Valid options: {}.", valid.join(", ")),
            };
            Err(Error::new(SqlState(*b"HV00D"), format!("invalid option \"{name}\"")).hint(hint))
        }
    }
}

/// Refuses what libpq would refuse only when a connection is made.
fn check_value(option: &str) -> Result<()> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let expected = match name {
        "sslmode" if !SSL_MODES.contains(&value) => format!("Expected one of {}.", SSL_MODES.join(", ")),
        // Each host may have its own.
        "port" if !value.split(',').all(|port| port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0)) => {
            "Expected a number from 1 to 65535.".to_string()
        }
        _ => return Ok(()),
    };
    let message = format!("invalid value for option \"{name}\": \"{value}\"");
    Err(Error::new(SqlState::INVALID_PARAMETER, message).hint(expected))
}

fn is_valid(keyword: &Keyword, catalog: &str) -> bool {
    let name = keyword.name.as_str();
    match catalog {
        _ if keyword.debug => false,
        "pg_foreign_server" => !keyword.secret && name != "user" && !NOT_TAKEN.contains(&name),
        "pg_user_mapping" => keyword.secret || ["user", "passfile", "sslcert", "sslkey", "service"].contains(&name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_as_valid_is_taken() {
        let hint = |catalog: &str| validate(&["x=1".into()], catalog).unwrap_err().hint.unwrap();
        for catalog in ["pg_foreign_server", "pg_user_mapping"] {
            let hint = hint(catalog);
            let list = hint.strip_prefix("Valid options: ").unwrap().trim_end_matches('.');
            let of = |name| if name == "sslmode" { "prefer" } else { "1" };
            let options: Vec<String> = list.split(", ").map(|name| format!("{name}={}", of(name))).collect();
            assert!(options.len() > 3 && validate(&options, catalog).is_ok(), "{hint}");
        }
        assert_eq!(hint("pg_foreign_data_wrapper"), "This wrapper has no options of its own.");
        let misplaced = |option: &str| validate(&[option.into()], "pg_foreign_server").unwrap_err().hint.unwrap();
        assert_eq!(misplaced("password=1"), "It is an option of the user mapping.");
        assert_eq!(misplaced("user=1"), "It is an option of the user mapping.");
        assert_eq!(misplaced("hots=1"), "Perhaps you meant the option \"host\".");
        assert!(validate(&["password=1".into()], "pg_user_mapping").is_ok());
        for (option, taken) in [
            ("port=5432", true),
            ("port=5432,,5433", true),
            ("port=abc", false),
            ("port=65536", false),
            ("port=0", false),
            ("sslmode=verify-full", true),
            ("sslmode=verify_full", false),
        ] {
            assert_eq!(validate(&[option.into()], "pg_foreign_server").is_ok(), taken, "{option}");
        }
        assert!(validate(&["host=1".into()], "pg_user_mapping").is_err());
    }
}

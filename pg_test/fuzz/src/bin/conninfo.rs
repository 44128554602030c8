//! Connection strings and URIs, and the options of servers and user mappings.
#![no_main]

use fuzz::libpq::{Params, keywords, parse_conninfo};
use fuzz::validator::validate;
use libfuzzer_sys::fuzz_target;

/// Stands for a password in the seeds.
const SECRET: &str = "hunter2";

fuzz_target!(|text: &str| {
    match text.strip_prefix("options:") {
        Some(options) => options_of(options),
        None => conninfo(text),
    }
});

fn conninfo(text: &str) {
    match parse_conninfo(text) {
        Err(error) => {
            let said = [error.message, error.detail.unwrap_or_default(), error.hint.unwrap_or_default()].concat();
            let is_password = text.to_lowercase().contains("pass");
            assert!(!is_password || !said.contains(SECRET), "{said}");
        }
        Ok(params) => {
            let public = parse_conninfo(&params.public_conninfo()).expect("what is written can be read");
            assert!(!public.has_secret());
            let open = |params: &Params| -> Vec<(String, String)> {
                let is_public = |name: &str| public.get(name).is_some();
                params.iter().filter(|(n, _)| is_public(n)).map(|(n, v)| (n.into(), v.into())).collect()
            };
            assert_eq!(open(&public), open(&params));
            let mut hidden = params.iter().filter(|(name, _)| public.get(name).is_none()).peekable();
            assert_eq!(params.has_secret(), hidden.peek().is_some());
            assert!(hidden.all(|(name, _)| is_secret(name)));
            let stored = serde_json::to_string(&params).expect("parameters are JSON");
            let again: Params = serde_json::from_str(&stored).expect("what was stored can be read");
            assert!(again.iter().eq(params.iter()));
        }
    }
}

fn is_secret(name: &str) -> bool {
    keywords().iter().any(|keyword| keyword.name == name && (keyword.secret || keyword.name.starts_with("scram_")))
}

fn options_of(text: &str) {
    let options: Vec<String> = text.lines().map(str::to_owned).collect();
    for catalog in ["pg_foreign_server", "pg_user_mapping", "pg_foreign_data_wrapper"] {
        match validate(&options, catalog) {
            Err(error) => {
                // Only what is listed as valid is taken, and all of that.
                let hint = error.hint.unwrap_or_default();
                let list =
                    hint.strip_prefix("Valid options: ").map(|list| list.trim_end_matches('.')).unwrap_or_default();
                // Of those whose values are looked at, sslmode alone cannot be 1.
                let of = |name: &str| if name == "sslmode" { "prefer" } else { "1" };
                let names = list.split(", ").filter(|name| !name.is_empty());
                let valid: Vec<String> = names.map(|name| format!("{name}={}", of(name))).collect();
                assert!(validate(&valid, catalog).is_ok(), "{valid:?}");
            }
            Ok(()) => {
                let has_secret = options.iter().any(|option| is_secret(option.split('=').next().unwrap_or_default()));
                assert!(options.is_empty() || catalog != "pg_foreign_data_wrapper");
                assert!(!has_secret || catalog == "pg_user_mapping", "{options:?}");
            }
        }
    }
}

//! Settings of roles and databases (`pg_db_role_setting.setconfig`) and of sessions, as statements.

use super::name::{literal, quoted};

/// Settings whose stored value is a list of identifiers, quoted where needed. The same names as
/// `variable_is_guc_list_quote` in PostgreSQL's dumputils.c.
const LISTS: [&str; 7] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
    "restrict_nonsystem_relation_kind",
];

/// Splits a list of identifiers, of which some are in double quotes.
fn split(list: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut chars = list.chars().peekable();
    let mut inside = false;
    while let Some(c) = chars.next() {
        let Some(item) = items.last_mut() else { break };
        match c {
            '"' if inside && chars.peek() == Some(&'"') => {
                item.push('"');
                chars.next();
            }
            '"' => inside = !inside,
            ',' if !inside => items.push(String::new()),
            c if !inside && c.is_whitespace() => {}
            c => item.push(c),
        }
    }
    items
}

/// The schemas of a stored `search_path`.
pub fn schemas(list: &str) -> Vec<String> {
    split(list)
}

/// The name alone of a stored `name=value`, for messages: of the value nobody knows how secret it is.
pub fn name(setting: &str) -> &str {
    setting.split('=').next().unwrap_or_default()
}

/// `ALTER <what> SET name = value` for a stored `name=value`; None for anything else.
pub fn statement(what: &str, setting: &str) -> Option<String> {
    let (name, value) = setting.split_once('=')?;
    let value = if LISTS.contains(&name.to_ascii_lowercase().as_str()) {
        split(value).iter().map(|item| literal(item)).collect::<Vec<_>>().join(", ")
    } else {
        literal(value)
    };
    Some(format!("ALTER {what} SET {} = {value}", quoted_name(name)))
}

/// A setting's name in SQL; that of an extension's is two names.
pub fn quoted_name(name: &str) -> String {
    name.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

/// A query that gives the settings that the server has these values, for the session or, if `local`, the transaction.
/// Not every version has each.
pub fn set_known(settings: &[(&str, &str)], local: bool) -> String {
    let values = settings.iter().map(|(name, value)| format!("({}, {})", literal(name), literal(value)));
    format!(
        "SELECT pg_catalog.set_config(v.name, v.value, {local})
         FROM (VALUES {}) v(name, value) WHERE pg_catalog.current_setting(v.name, true) IS NOT NULL;",
        values.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_quoted_item_by_item() {
        assert_eq!(
            statement("ROLE \"r\"", "search_path=\"$user\", public, \"a\"\"b,c\"").unwrap(),
            "ALTER ROLE \"r\" SET \"search_path\" = '$user', 'public', 'a\"b,c'"
        );
        assert_eq!(
            statement("DATABASE \"d\"", "timescaledb.x=a'; DROP").unwrap(),
            "ALTER DATABASE \"d\" SET \"timescaledb\".\"x\" = 'a''; DROP'"
        );
        assert_eq!(statement("ROLE r", "novalue"), None);
    }
}

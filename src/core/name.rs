//! Names in SQL text. Every name and literal that goes into a statement goes through here.

use postgres_protocol::escape;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A name, quoted always: a keyword or a capital letter then needs no thought.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// For messages: quoted only where it has to be.
pub fn shown(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_string() } else { quoted(name) }
}

/// A string constant.
pub fn literal(text: &str) -> String {
    escape::escape_literal(text).trim_start().to_string()
}

/// A schema-qualified name; its display form is quoted and ready for a statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    pub schema: String,
    pub name: String,
}

impl Name {
    /// From both parts as the catalog has them, unquoted.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Name { schema: schema.into(), name: name.into() }
    }

    /// For messages, as [`shown`].
    pub fn shown(&self) -> String {
        format!("{}.{}", shown(&self.schema), shown(&self.name))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

/// Names for a column list.
pub fn column_list(columns: &[String]) -> String {
    columns.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out() {
        assert_eq!(Name::new("a\"b", "x.y; DROP").to_string(), "\"a\"\"b\".\"x.y; DROP\"");
        assert_eq!(literal("it's \\ here"), "E'it''s \\\\ here'");
        assert_eq!(Name::new("public", "Mixed Case").shown(), "public.\"Mixed Case\"");
        assert_eq!(Name::new("public", "flights_2").shown(), "public.flights_2");
    }
}

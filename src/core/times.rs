//! The ends of time ranges, as the option `time_range` has them.

use serde::{Deserialize, Serialize};

/// Option `time_range`: from this time on, and up to that one, which is not part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Times {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<End>,
}

/// A number for integer columns; a time; or `-` and an interval before now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum End {
    Number(i64),
    Text(String),
}

impl End {
    /// As in a literal.
    pub fn text(&self) -> String {
        match self {
            End::Number(number) => number.to_string(),
            End::Text(text) => text.clone(),
        }
    }

    /// The interval before now, if it is one.
    pub fn before_now(&self) -> Option<&str> {
        match self {
            End::Text(text) => text.strip_prefix('-').filter(|rest| rest.contains(|c: char| !c.is_ascii_digit())),
            End::Number(_) => None,
        }
    }
}

/// What an end may be, as a hint.
pub const EXPECTED: &str =
    "Expected a time, an integer, or an interval before now, which begins with a minus sign, such as \"-1 year\".";

/// What stands for all hypertables in `time_range`.
pub const ALL: &str = "*";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_before_now() {
        let end = |text: &str| End::Text(text.to_string()).before_now().map(str::to_string);
        assert_eq!(end("-1 year"), Some("1 year".to_string()));
        assert_eq!((end("-15"), end("2025-01-01"), End::Number(-15).before_now()), (None, None, None));
    }
}

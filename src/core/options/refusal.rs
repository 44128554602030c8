//! Why a value that serde does not take is refused, in the words of the options.

use super::invalid;
use crate::core::times::EXPECTED;
use crate::error::Error;

/// The error for what serde says, for instance "unknown variant `all`, expected `used` or `none`
/// at line 1 column 15": names of Rust's types and places in a text mean nothing to a user.
pub(super) fn refused(key: &str, said: &str) -> Error {
    let said = said.split(" at line ").next().unwrap_or(said);
    // Words are quoted so, and numbers; strings are in quotes already.
    let said = said.replace('`', if said.starts_with("invalid") { "" } else { "\"" });
    if said.starts_with("pattern ") {
        return invalid(format!("invalid value for option \"{key}\": {said}")).hint(
            "A pattern is schema.name, with * for any characters and ? for one; capitals and dots need double quotes.",
        );
    }
    if said.starts_with("data did not match") {
        return invalid(format!("invalid value for option \"{key}\"")).hint(EXPECTED);
    }
    if said.starts_with("interval ") {
        return invalid(format!("invalid value for option \"{key}\": {said}")).hint(
            "Expected an interval of whole units such as \"7 days\", of at most 1000 years, or a positive integer for a column of integers.",
        );
    }
    if said.starts_with("order by ") {
        return invalid(format!("invalid value for option \"{key}\": {said}"))
            .hint("Expected a column, optionally followed by desc, and by nulls first or nulls last.");
    }
    let (wrong, expected) = said.split_once(", expected ").unwrap_or((&said, "a string"));
    let expected = match (key, expected) {
        ("jobs", "u16") => "a whole number from 1 to 1000",
        (_, "u16") => "a whole number from 0 to 65535",
        (_, "u32") => "a whole number of seconds",
        (_, "i64") => "a whole number of bytes",
        (key, "a sequence") if key.starts_with("hypertables.") => "an array",
        (_, "a sequence") => "an array of patterns",
        _ => expected,
    };
    let value = wrong.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
    let message = match wrong.strip_prefix("unknown field ") {
        Some(name) => {
            let error = invalid(format!("unknown option {name}"));
            return match meant(
                name,
                expected.trim_start_matches("one of ").split(", ").flat_map(|words| words.split(" or ")),
            ) {
                Some(option) => error.hint(format!("Perhaps you meant the option {option}.")),
                None => error.hint(format!("Expected {expected}.")),
            };
        }
        None if wrong == "expected value" => format!("invalid value for option \"{key}\""),
        None => format!("invalid value for option \"{key}\": {}", value.trim_start_matches("unknown variant ")),
    };
    invalid(message).hint(format!("Expected {expected}."))
}

/// The word that was most likely misspelt, if any is like it.
pub fn meant<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &&str| strsim::damerau_levenshtein(word, other);
    known.min_by_key(distance).filter(|other| distance(other) <= 2 && distance(other) * 2 < word.len())
}

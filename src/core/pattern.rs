//! Patterns for names of objects, by psql's rules: `*` and `?` stand for any characters and for one;
//! letters are folded to lower case unless they are in double quotes. Unlike in psql, the schema is
//! always named: what a search path shows depends on who asks.
//!
//! Source of the rules: "Patterns" in the manual's page of psql.

use serde::{Deserialize, Serialize};

/// A pattern such as `app.*`, `public.reading*` or `"Mixed"."Case"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    schema: Vec<Piece>,
    name: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Piece {
    /// `*`
    Any,
    /// `?`
    One,
    Letter(char),
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Pattern, String> {
        let wrong = |why: &str| format!("pattern '{text}' {why}");
        let mut parts = vec![Vec::new()];
        let mut quoted = false;
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let piece = match letter {
                '"' if quoted && letters.next_if_eq(&'"').is_some() => Piece::Letter('"'),
                '"' => {
                    quoted = !quoted;
                    continue;
                }
                _ if quoted => Piece::Letter(letter),
                '.' => {
                    parts.push(Vec::new());
                    continue;
                }
                '*' => Piece::Any,
                '?' => Piece::One,
                // As PostgreSQL folds names: letters of ASCII alone.
                _ => Piece::Letter(letter.to_ascii_lowercase()),
            };
            parts.last_mut().expect("one at least").push(piece);
        }
        if quoted {
            return Err(wrong("has a double quote that is not closed"));
        }
        match <[Vec<Piece>; 2]>::try_from(parts) {
            Ok([schema, name]) if !schema.is_empty() && !name.is_empty() => Ok(Pattern { text, schema, name }),
            Ok(_) => Err(wrong("has an empty part")),
            Err(parts) if parts.len() == 1 => Err(wrong("names no schema")),
            Err(_) => Err(wrong("has more than two parts")),
        }
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.text
    }
}

impl Pattern {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether an object of this name is meant. Without a name it is meant if its whole schema is.
    pub fn fits(&self, schema: &str, name: Option<&str>) -> bool {
        let is_whole = self.name.iter().all(|piece| *piece == Piece::Any);
        fits(&self.schema, schema) && name.map_or(is_whole, |name| fits(&self.name, name))
    }
}

/// Each `*` takes as little as it can; only the last one has to be taken back to try another length.
fn fits(pieces: &[Piece], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut piece, mut letter) = (0, 0);
    // Where to go on if what follows the last `*` does not fit.
    let mut retry = None;
    while letter < text.len() {
        match pieces.get(piece) {
            Some(Piece::Any) => {
                piece += 1;
                retry = Some((piece, letter));
            }
            Some(Piece::One) => (piece, letter) = (piece + 1, letter + 1),
            Some(Piece::Letter(other)) if *other == text[letter] => (piece, letter) = (piece + 1, letter + 1),
            _ => {
                let Some((after, from)) = retry else { return false };
                retry = Some((after, from + 1));
                (piece, letter) = (after, from + 1);
            }
        }
    }
    pieces[piece..].iter().all(|piece| *piece == Piece::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Result<Pattern, String> {
        Pattern::try_from(text.to_string())
    }

    #[test]
    fn names_fit() {
        for (text, schema, name, does) in [
            ("app.*", "app", "anything", true),
            ("app.*", "app", "", true),
            ("app.*", "apps", "x", false),
            ("*.*", "Any", "Thing at all", true),
            ("public.reading*", "public", "reading", true),
            ("public.reading*", "public", "readings_2024", true),
            ("public.reading*", "public", "the_reading", false),
            ("public.*reading", "public", "reading_reading", true),
            ("public.*_?_*", "public", "a_b_c", true),
            ("public.*_?_*", "public", "a__c", false),
            ("Public.READING", "public", "reading", true),
            ("public.\"Reading\"", "public", "Reading", true),
            ("public.\"Reading\"", "public", "reading", false),
            ("public.\"a.b*\"", "public", "a.b*", true),
            ("public.\"a.b*\"", "public", "a.bc", false),
            ("public.\"say \"\"x\"\"\"", "public", "say \"x\"", true),
            ("public.a$(b|c)", "public", "a$(b|c)", true),
            ("public.gr??e", "public", "groe", false),
            ("public.gr??e", "public", "grüße", true),
            // Upper case outside ASCII is not folded.
            ("public.Ä", "public", "ä", false),
        ] {
            assert_eq!(pattern(text).unwrap().fits(schema, Some(name)), does, "{text} {name}");
        }
    }

    #[test]
    fn only_a_whole_schema_means_what_has_no_name() {
        for (text, does) in [("app.*", true), ("a*.**", true), ("app.a*", false), ("app.\"*\"", false), ("b.*", false)]
        {
            assert_eq!(pattern(text).unwrap().fits("app", None), does, "{text}");
        }
    }

    #[test]
    fn refusals() {
        for (text, why) in [
            ("reading", "pattern 'reading' names no schema"),
            ("", "pattern '' names no schema"),
            ("a.b.c", "pattern 'a.b.c' has more than two parts"),
            ("a.", "pattern 'a.' has an empty part"),
            (".b", "pattern '.b' has an empty part"),
            ("a.\"b", "pattern 'a.\"b' has a double quote that is not closed"),
        ] {
            assert_eq!(pattern(text).unwrap_err(), why);
        }
    }
}

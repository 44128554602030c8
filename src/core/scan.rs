//! SQL text taken apart as PostgreSQL's lexer does with `standard_conforming_strings` on: always from its
//! start, since only that tells what is inside of quotes and comments. It is for what the server itself has
//! written, which never continues a constant on another line by a second pair of quotes.

/// The statements of a text, each up to its semicolon, with the white space and comments before it. Put
/// together they are the text. None if a quote or a comment is not closed.
pub fn statements(text: &str) -> Option<Vec<&str>> {
    let bytes = text.as_bytes();
    let (mut statements, mut start, mut at) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        at = match bytes[at] {
            b'"' => quoted(bytes, at, false)?,
            b'\'' => quoted(bytes, at, has_escapes(bytes, at))?,
            b'-' if bytes[at..].starts_with(b"--") => {
                bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(bytes.len(), |end| at + end)
            }
            b'/' if bytes[at..].starts_with(b"/*") => comment(bytes, at)?,
            b'$' if at == 0 || !is_word(bytes[at - 1]) => dollar_quoted(text, at)?,
            b';' => {
                statements.push(&text[start..=at]);
                start = at + 1;
                start
            }
            _ => at + 1,
        };
    }
    if start < bytes.len() {
        statements.push(&text[start..]);
    }
    Some(statements)
}

/// The definition of a unique key or of an index with further columns at the end of its list, which is what the first
/// parentheses hold. None if it has none.
pub fn with_columns(definition: &str, columns: &str) -> Option<String> {
    let bytes = definition.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at < bytes.len() {
        at = match bytes[at] {
            b'"' => quoted(bytes, at, false)?,
            b'\'' => quoted(bytes, at, has_escapes(bytes, at))?,
            b'(' => {
                depth += 1;
                at + 1
            }
            b')' if depth == 1 => return Some(format!("{}, {columns}{}", &definition[..at], &definition[at..])),
            b')' => {
                depth -= 1;
                at + 1
            }
            _ => at + 1,
        };
    }
    None
}

/// The definition of a partitioned table without the clause that makes it one, which is the last of its first statement.
/// None if it has none.
pub fn without_partitions(definition: &str) -> Option<String> {
    const CLAUSE: &str = "\nPARTITION BY ";
    let bytes = definition.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at = match bytes[at] {
            b'"' => quoted(bytes, at, false)?,
            b'\'' => quoted(bytes, at, has_escapes(bytes, at))?,
            b'\n' if definition[at..].starts_with(CLAUSE) => {
                let rest = at + statements(&definition[at..])?.first()?.len();
                return Some(format!("{};{}", &definition[..at], &definition[rest..]));
            }
            _ => at + 1,
        };
    }
    None
}

/// Of a name or a number, which a dollar may continue.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

/// Whether the constant whose quote is here is one of the form `E'...'`.
fn has_escapes(bytes: &[u8], quote: usize) -> bool {
    let before = |back: usize| quote.checked_sub(back).map(|at| bytes[at]);
    matches!(before(1), Some(b'E' | b'e')) && !before(2).is_some_and(is_word)
}

/// Behind the quote that closes the one here; a doubled one closes and opens.
fn quoted(bytes: &[u8], open: usize, escapes: bool) -> Option<usize> {
    let quote = bytes[open];
    let mut at = open + 1;
    loop {
        match *bytes.get(at)? {
            b'\\' if escapes => at += 2,
            byte if byte != quote => at += 1,
            // Doubled: the constant goes on, with escapes if it has them.
            _ if bytes.get(at + 1) == Some(&quote) => at += 2,
            _ => return Some(at + 1),
        }
    }
}

/// Behind a comment, which may hold others.
fn comment(bytes: &[u8], open: usize) -> Option<usize> {
    let (mut at, mut depth) = (open + 2, 1);
    while depth > 0 {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        (at, depth) = match rest {
            [b'/', b'*', ..] => (at + 2, depth + 1),
            [b'*', b'/', ..] => (at + 2, depth - 1),
            _ => (at + 1, depth),
        };
    }
    Some(at)
}

/// Behind a constant of the form `$tag$...$tag$`, or behind the dollar if it is of a parameter.
fn dollar_quoted(text: &str, open: usize) -> Option<usize> {
    let rest = &text[open + 1..];
    let length = rest.bytes().take_while(|byte| is_word(*byte) && *byte != b'$').count();
    let is_tag = rest.as_bytes().get(length) == Some(&b'$') && !rest.starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return Some(open + 1);
    }
    let (tag, inside) = (&text[open..open + length + 2], open + length + 2);
    text[inside..].find(tag).map(|end| inside + end + tag.len())
}

//! SQL text taken apart as PostgreSQL's lexer does (scan.l), to see that what was quoted comes
//! out as it went in and nothing beside it.

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A keyword or an unquoted name, as it is written, or a number.
    Word(String),
    /// A name in double quotes.
    Name(String),
    /// A string constant, plain or with escapes.
    Literal(String),
    Other(char),
}

/// Panics at a quote that is never closed.
pub fn tokens(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        rest = match c {
            '"' => {
                let (text, after) = quoted(&rest[1..], '"', false);
                tokens.push(Token::Name(text));
                after
            }
            '\'' => {
                let (text, after) = quoted(&rest[1..], '\'', false);
                tokens.push(Token::Literal(text));
                after
            }
            'E' if rest[1..].starts_with('\'') => {
                let (text, after) = quoted(&rest[2..], '\'', true);
                tokens.push(Token::Literal(text));
                after
            }
            c if is_word(c) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_owned()));
                &rest[end..]
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token::Other(c));
                }
                &rest[c.len_utf8()..]
            }
        };
    }
    tokens
}

/// What is inside of the quotes, and what follows them.
fn quoted(text: &str, quote: char, escapes: bool) -> (String, &str) {
    let mut inside = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, c)| *c);
        if c == '\\' && escapes {
            assert_eq!(next, Some('\\'), "an escape that is not a backslash's: {text:?}");
        } else if c == quote && next != Some(quote) {
            return (inside, &text[at + 1..]);
        }
        inside.push(c);
        if c == quote || (c == '\\' && escapes) {
            chars.next();
        }
    }
    panic!("a quote is not closed: {text:?}");
}

/// The tokens of text that is written with words and punctuation, where `?` stands for one of
/// the tokens given.
pub fn pattern(text: &str, given: &[Token]) -> Vec<Token> {
    let mut given = given.iter().cloned();
    let fill = |token| if token == Token::Other('?') { given.next().expect("one for each ?") } else { token };
    let filled: Vec<Token> = tokens(text).into_iter().map(fill).collect();
    filled
}

pub fn name(text: &str) -> Token {
    Token::Name(text.to_owned())
}

pub fn literal(text: &str) -> Token {
    Token::Literal(text.to_owned())
}

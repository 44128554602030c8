//! Bytes to entries. The archive is foreign input: every read is bounded by what is there,
//! nothing is allocated by a length or a count alone, and what does not fit is an error that
//! tells where.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use super::{Archive, Entry, Section};

/// What is wrong with an archive, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveError {
    pub offset: usize,
    pub expected: String,
    pub found: String,
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ArchiveError { offset, expected, found } = self;
        write!(f, "byte {offset} of the pg_dump archive: expected {expected}, found {found}")
    }
}

impl std::error::Error for ArchiveError {}

type Result<T> = std::result::Result<T, ArchiveError>;

/// No entry is shorter: 15 integers and lengths of 5 bytes. Bounds what a false count reserves.
const SHORTEST_ENTRY: usize = 15 * 5;

pub(super) fn read(bytes: &[u8]) -> Result<Archive> {
    let mut reader = Reader { bytes, at: 0 };
    let head = reader.head()?;
    let start = reader.at;
    let count = reader.int("the number of entries")?;
    let count = usize::try_from(count).map_err(|_| reader.error(start, "the number of entries", count))?;
    let mut entries = Vec::with_capacity(count.min(reader.rest() / SHORTEST_ENTRY));
    let mut ids = HashSet::new();
    for _ in 0..count {
        let start = reader.at;
        let entry = reader.entry(&head)?;
        if entry.dump_id <= 0 || !ids.insert(entry.dump_id) {
            return Err(reader.error(start, "a positive dump id of its own", entry.dump_id));
        }
        entries.push(entry);
    }
    Ok(Archive { server_version: head.server_version, dump_version: head.dump_version, entries })
}

struct Head {
    minor: u8,
    offset_size: usize,
    server_version: String,
    dump_version: String,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn head(&mut self) -> Result<Head> {
        let magic = &self.bytes[..self.bytes.len().min(5)];
        if magic != b"PGDMP" {
            return Err(self.error(
                0,
                "PGDMP, the start of a custom-format archive",
                format!("\"{}\"", magic.escape_ascii()),
            ));
        }
        self.at = 5;
        let [major, minor, _] = self.array("an archive version")?;
        if major != 1 || !(14..=16).contains(&minor) {
            return Err(self.error(5, "archive version 1.14 to 1.16", format!("{major}.{minor}")));
        }
        let [int_size, offset_size, format] = self.array("integer size, offset size and format")?;
        if int_size != 4 {
            return Err(self.error(8, "integers of 4 bytes", int_size));
        }
        if !matches!(offset_size, 4 | 8) {
            return Err(self.error(9, "offsets of 4 or 8 bytes", offset_size));
        }
        if format != 1 {
            let name = match format {
                3 => "tar",
                5 => "directory",
                _ => "another",
            };
            return Err(self.error(10, "format 1 (custom)", format!("{format} ({name})")));
        }
        if minor >= 15 {
            self.byte("the compression algorithm")?;
        } else {
            self.int("the compression level")?;
        }
        for _ in 0..7 {
            self.int("the time of the dump")?;
        }
        // The database's name is in no known encoding, and not needed.
        self.bytes("the name of the database")?;
        Ok(Head {
            minor,
            offset_size: offset_size.into(),
            server_version: self.text("the version of the server")?,
            dump_version: self.text("the version of pg_dump")?,
        })
    }

    fn entry(&mut self, head: &Head) -> Result<Entry> {
        let dump_id = self.int("a dump id")?;
        self.int("the mark of an entry with data")?;
        let class_oid = self.number("the OID of a catalog")?;
        let oid = self.number("the OID of an object")?;
        let tag = self.text("the tag of an entry")?;
        let desc = self.text("the kind of an entry")?;
        let section = self.section()?;
        let start = self.at;
        let definition = self.text("a definition")?;
        // Texts in another encoding could be valid UTF-8 by chance and would be misread.
        if desc == "ENCODING" && !definition.contains("'UTF8'") {
            return Err(self.error(start, "encoding UTF8 (pg_dump --encoding=UTF8)", definition.trim_end()));
        }
        let drop_statement = self.text("a drop statement")?;
        self.bytes("a COPY statement")?;
        let namespace = self.string("a schema")?.filter(|name| !name.is_empty());
        let tablespace = self.string("a tablespace")?;
        let access_method = self.string("a table access method")?.filter(|name| !name.is_empty());
        let relkind = if head.minor >= 16 { self.relkind()? } else { None };
        let owner = self.string("an owner")?.filter(|name| !name.is_empty());
        self.bytes("the mark of a table with OIDs")?;
        let dependencies = self.dependencies()?;
        let start = self.at;
        let flag = self.byte("a data offset")?;
        if !(1..=3).contains(&flag) {
            return Err(self.error(start, "the flag of a data offset, 1 to 3", flag));
        }
        self.take(head.offset_size, "a data offset")?;
        Ok(Entry {
            dump_id,
            class_oid,
            oid,
            tag,
            desc,
            section,
            definition,
            drop_statement,
            namespace,
            tablespace,
            access_method,
            relkind,
            owner,
            dependencies,
        })
    }

    fn section(&mut self) -> Result<Section> {
        let start = self.at;
        Ok(match self.int("a section")? {
            1 => Section::None,
            2 => Section::PreData,
            3 => Section::Data,
            4 => Section::PostData,
            other => return Err(self.error(start, "a section, 1 to 4", other)),
        })
    }

    fn relkind(&mut self) -> Result<Option<char>> {
        let start = self.at;
        match self.int("a relation kind")? {
            0 => Ok(None),
            code => match u8::try_from(code) {
                Ok(letter) if letter.is_ascii_graphic() => Ok(Some(letter.into())),
                _ => Err(self.error(start, "a relation kind", code)),
            },
        }
    }

    fn dependencies(&mut self) -> Result<Vec<i32>> {
        let mut ids = Vec::new();
        loop {
            let start = self.at;
            match self.string("a dependency")? {
                None => return Ok(ids),
                Some(text) => ids.push(self.parsed(start, &text, "the dump id of a dependency")?),
            }
        }
    }

    /// A number that is written as a string.
    fn number<T: FromStr>(&mut self, expected: &str) -> Result<T> {
        let start = self.at;
        let text = self.text(expected)?;
        self.parsed(start, &text, expected)
    }

    fn parsed<T: FromStr>(&self, start: usize, text: &str, expected: &str) -> Result<T> {
        text.parse().map_err(|_| self.error(start, expected, format!("{text:?}")))
    }

    /// A string; an absent one is empty.
    fn text(&mut self, expected: &str) -> Result<String> {
        self.string(expected).map(Option::unwrap_or_default)
    }

    fn string(&mut self, expected: &str) -> Result<Option<String>> {
        let start = self.at;
        let Some(bytes) = self.bytes(expected)? else {
            return Ok(None);
        };
        match std::str::from_utf8(bytes) {
            // PostgreSQL writes C strings: a zero byte is damage, and would cut a statement.
            Ok(text) if !text.contains('\0') => Ok(Some(text.to_owned())),
            _ => Err(self.error(start, &format!("{expected} in UTF-8"), "other bytes")),
        }
    }

    /// A length and as many bytes; None where the length is negative.
    fn bytes(&mut self, expected: &str) -> Result<Option<&'a [u8]>> {
        match usize::try_from(self.int(expected)?) {
            Ok(length) => self.take(length, expected).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// A sign byte and the magnitude, least significant byte first.
    fn int(&mut self, expected: &str) -> Result<i32> {
        let start = self.at;
        let [sign, magnitude @ ..] = self.array::<5>(expected)?;
        let magnitude = u32::from_le_bytes(magnitude);
        match (sign, i32::try_from(magnitude)) {
            (0, Ok(value)) => Ok(value),
            (1, Ok(value)) => Ok(-value),
            _ => Err(self.error(
                start,
                &format!("an integer for {expected}"),
                format!("sign {sign} and magnitude {magnitude}"),
            )),
        }
    }

    fn byte(&mut self, expected: &str) -> Result<u8> {
        self.array::<1>(expected).map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self, expected: &str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, expected)?);
        Ok(array)
    }

    fn take(&mut self, length: usize, expected: &str) -> Result<&'a [u8]> {
        if length > self.rest() {
            let expected = format!("{expected} of {length} bytes");
            return Err(self.error(self.at, &expected, format!("{} bytes before the end", self.rest())));
        }
        let taken = &self.bytes[self.at..self.at + length];
        self.at += length;
        Ok(taken)
    }

    fn rest(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn error(&self, offset: usize, expected: &str, found: impl ToString) -> ArchiveError {
        ArchiveError { offset, expected: expected.to_owned(), found: found.to_string() }
    }
}

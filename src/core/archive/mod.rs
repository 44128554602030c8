//! The table of contents of a `pg_dump` custom-format archive, as pg_dump 15 to 18 write it
//! (archive versions 1.14 to 1.16), and the order in which its entries are to be run.
//!
//! Why not pg_restore's script: a script has to be cut into statements again, by comment lines
//! that a function's body can forge. An archive keeps each object's statement apart, so that it
//! is run alone and an error names its object.
//!
//! The format is PostgreSQL's own and documented by its source only, where these facts are from:
//! * `src/bin/pg_dump/pg_backup_archiver.c`: `WriteHead` and `ReadHead` (header), `WriteToc` and
//!   `ReadToc` (entries), `ReadInt`, `ReadStr` and `ReadOffset` (values), `_printTocEntry` and
//!   `_getObjectDescription` (what is run for an entry, owners), `_tocEntryRestorePass` (order),
//!   `_tocEntryRequired` (what counts as data);
//! * `pg_backup_custom.c`, `_ReadExtraToc`; `pg_backup_archiver.h`: versions, restore passes;
//!   `pg_backup.h`: formats, sections;
//! * `pg_dump.c` and `pg_dump_sort.c`: kinds of entries, their tags and dependencies
//!   (`BuildArchiveDependencies`), and what is postponed to the post-data section.

mod contents;
mod group;
mod parts;
mod reader;
mod statement;
#[cfg(test)]
mod tests;

pub use contents::{Contents, Filter, Why, contents};
pub use group::Group;
pub use reader::ArchiveError;

/// An archive's header and table of contents; the data blocks that may follow are not read.
#[derive(Debug, Default)]
pub struct Archive {
    /// Version of the server that was dumped.
    pub server_version: String,
    /// Version of the pg_dump that wrote the archive.
    pub dump_version: String,
    /// In the order of the table of contents, which respects dependencies within a restore pass.
    pub entries: Vec<Entry>,
}

/// One object (or one thing said about an object) and the statements that make and drop it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub dump_id: i32,
    /// The source's catalog that the object is in; 0 for what is no catalog row, such as an ACL.
    pub class_oid: u32,
    pub oid: u32,
    /// The name, for parts of a table after the table's: `flights flights_pkey`. Names in it are
    /// quoted only where it is a COMMENT, SECURITY LABEL or ACL.
    pub tag: String,
    /// The kind: `TABLE`, `FK CONSTRAINT`, `ACL`, ...
    pub desc: String,
    pub section: Section,
    /// May hold several statements, or only a comment (schema public, which is there already).
    pub definition: String,
    pub drop_statement: String,
    pub namespace: Option<String>,
    /// Empty: the database's default tablespace. None: the object is not in a tablespace.
    pub tablespace: Option<String>,
    pub access_method: Option<String>,
    /// Written from version 1.16 on, for tables and their like.
    pub relkind: Option<char>,
    pub owner: Option<String>,
    /// Dump ids; some lead nowhere, for instance to members of extensions, which have no entry.
    pub dependencies: Vec<i32>,
}

/// The part of the dump that an entry is in; None for comments, security labels and ACLs, which
/// follow their objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    None,
    PreData,
    Data,
    PostData,
}

impl Archive {
    /// Reads the header and the table of contents of an archive made with
    /// `pg_dump --format=custom --encoding=UTF8`.
    pub fn parse(bytes: &[u8]) -> Result<Archive, ArchiveError> {
        reader::read(bytes)
    }
}

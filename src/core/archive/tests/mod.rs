//! Archives made by hand: a writer of the format, and entries in few words.

mod planning;
mod reading;
mod statements;
mod writer;

use super::{Archive, Entry, Section};
use writer::Writer;

/// An entry in schema public, in the section where pg_dump puts its kind.
fn entry(dump_id: i32, desc: &str, tag: &str) -> Entry {
    let section = match desc {
        "COMMENT" | "ACL" | "SECURITY LABEL" => Section::None,
        "TABLE DATA" | "SEQUENCE SET" | "BLOBS" => Section::Data,
        "INDEX" | "INDEX ATTACH" | "CONSTRAINT" | "CHECK CONSTRAINT" | "FK CONSTRAINT" | "RULE" | "TRIGGER"
        | "POLICY" | "ROW SECURITY" | "STATISTICS" | "PUBLICATION" | "PUBLICATION TABLE" | "SUBSCRIPTION"
        | "EVENT TRIGGER" | "DEFAULT ACL" => Section::PostData,
        _ => Section::PreData,
    };
    Entry {
        dump_id,
        class_oid: 1259,
        oid: dump_id as u32 + 10_000,
        tag: tag.into(),
        desc: desc.into(),
        section,
        definition: format!("CREATE {desc} {tag};\n"),
        drop_statement: format!("DROP {desc} {tag};\n"),
        namespace: Some("public".into()),
        tablespace: None,
        access_method: None,
        relkind: None,
        owner: Some("app".into()),
        dependencies: Vec::new(),
    }
}

impl Entry {
    fn needing(mut self, dependencies: &[i32]) -> Entry {
        self.dependencies = dependencies.to_vec();
        self
    }

    fn within(mut self, schema: Option<&str>) -> Entry {
        self.namespace = schema.map(str::to_owned);
        self
    }

    fn in_section(mut self, section: Section) -> Entry {
        self.section = section;
        self
    }
}

fn archive(entries: Vec<Entry>) -> Archive {
    Archive { server_version: "17.5".into(), dump_version: "17.6".into(), entries }
}

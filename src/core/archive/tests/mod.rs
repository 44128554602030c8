//! Archives made by hand: a writer of the format, and entries in few words.

mod planning;
mod reading;
mod statements;

use super::{Archive, Entry, Section};

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

/// Writes what pg_dump would.
struct Writer {
    minor: u8,
    bytes: Vec<u8>,
}

impl Writer {
    fn archive(minor: u8, entries: &[Entry]) -> Vec<u8> {
        let mut writer = Writer { minor, bytes: Vec::new() };
        writer.bytes.extend(b"PGDMP");
        writer.bytes.extend([1, minor, 0, 4, 8, 1]);
        if minor >= 15 {
            writer.bytes.push(1);
        } else {
            writer.int(-1);
        }
        for field in [31, 59, 23, 28, 1, 126, 0] {
            writer.int(field);
        }
        writer.string(Some("db"));
        writer.string(Some("17.5"));
        writer.string(Some("17.6"));
        writer.int(entries.len() as i32);
        entries.iter().for_each(|entry| writer.entry(entry));
        writer.bytes
    }

    fn entry(&mut self, entry: &Entry) {
        self.int(entry.dump_id);
        self.int(0);
        self.string(Some(&entry.class_oid.to_string()));
        self.string(Some(&entry.oid.to_string()));
        self.string(Some(&entry.tag));
        self.string(Some(&entry.desc));
        self.int(match entry.section {
            Section::None => 1,
            Section::PreData => 2,
            Section::Data => 3,
            Section::PostData => 4,
        });
        self.string(Some(&entry.definition));
        self.string(Some(&entry.drop_statement));
        self.string(None);
        self.string(entry.namespace.as_deref());
        self.string(entry.tablespace.as_deref());
        self.string(entry.access_method.as_deref());
        if self.minor >= 16 {
            self.int(entry.relkind.map_or(0, |kind| kind as i32));
        }
        self.string(entry.owner.as_deref());
        self.string(Some("false"));
        for id in &entry.dependencies {
            self.string(Some(&id.to_string()));
        }
        self.string(None);
        self.bytes.push(3);
        self.bytes.extend([0; 8]);
    }

    fn int(&mut self, value: i32) {
        self.bytes.push(value.is_negative().into());
        self.bytes.extend(value.unsigned_abs().to_le_bytes());
    }

    fn string(&mut self, value: Option<&str>) {
        self.int(value.map_or(-1, |text| text.len() as i32));
        self.bytes.extend(value.unwrap_or_default().as_bytes());
    }
}

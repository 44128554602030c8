//! A writer of the format, for the unit tests and for fuzzing.

use crate::core::archive::{Entry, Section};

/// Writes the bytes that pg_dump would.
pub struct Writer {
    minor: u8,
    bytes: Vec<u8>,
}

impl Writer {
    pub fn archive(minor: u8, entries: &[Entry]) -> Vec<u8> {
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

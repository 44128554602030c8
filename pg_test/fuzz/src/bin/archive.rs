//! A pg_dump archive's bytes.
#![no_main]

use fuzz::core::archive::{Archive, Entry, Section};
use fuzz::within;
use fuzz::writer::Writer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: write_seeds(), |bytes: &[u8]| {
    // An entry is written in 75 bytes at least, and a dependency in 6.
    match within(32, bytes.len(), || Archive::parse(bytes)) {
        Err(error) => assert!(error.offset <= bytes.len(), "{error}"),
        Ok(archive) => {
            let again = Archive::parse(&Writer::archive(16, &archive.entries)).expect("what was read can be written");
            assert_eq!(again.entries, archive.entries);
        }
    }
});

/// What to begin with: an archive of each version of the format.
fn write_seeds() {
    let text = |text: &str| Some(text.to_owned());
    let table = Entry {
        dump_id: 7,
        class_oid: 1259,
        oid: 16385,
        tag: "flights".into(),
        desc: "TABLE".into(),
        section: Section::PreData,
        definition: "CREATE TABLE public.flights (n integer);\n".into(),
        drop_statement: "DROP TABLE public.flights;\n".into(),
        namespace: text("public"),
        tablespace: text(""),
        access_method: text("heap"),
        relkind: None,
        owner: text("app"),
        dependencies: vec![3, 99],
    };
    let encoding = Entry {
        dump_id: 8,
        desc: "ENCODING".into(),
        definition: "SET client_encoding = 'UTF8';\n".into(),
        dependencies: Vec::new(),
        ..table.clone()
    };
    for minor in 14..=16 {
        let relkind = (minor == 16).then_some('r');
        let bytes = Writer::archive(minor, &[Entry { relkind, ..table.clone() }, encoding.clone()]);
        fuzz::seed(&minor.to_string(), &bytes);
    }
}

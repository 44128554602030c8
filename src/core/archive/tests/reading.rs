use super::{Archive, Entry, Section, Writer, entry};

fn sample() -> Vec<Entry> {
    let mut encoding = entry(1, "ENCODING", "ENCODING").within(None);
    encoding.definition = "SET client_encoding = 'UTF8';\n".into();
    let mut path = entry(2, "SEARCHPATH", "SEARCHPATH").within(None);
    path.definition = "SELECT pg_catalog.set_config('search_path', '', false);\n".into();
    let mut table = entry(3, "TABLE", "Flüge \"2\"").needing(&[99, 2]);
    table.tablespace = Some(String::new());
    table.access_method = Some("heap".into());
    table.relkind = Some('r');
    let mut data = entry(4, "TABLE DATA", "Flüge \"2\"");
    data.owner = None;
    data.oid = u32::MAX;
    let comment = entry(5, "COMMENT", "TABLE \"Flüge \"\"2\"\"\"").needing(&[3]);
    let index = entry(6, "INDEX", "flights_idx");
    vec![encoding, path, table, data, comment, index]
}

fn error(bytes: &[u8]) -> String {
    Archive::parse(bytes).expect_err("a broken archive").to_string()
}

/// A sample with a place found by what stands there, and the place's bytes replaced.
fn spoilt(minor: u8, found: &[u8], replaced: &[u8]) -> Vec<u8> {
    let mut bytes = Writer::archive(minor, &sample());
    let at = bytes.windows(found.len()).position(|window| window == found).expect("the place");
    bytes.splice(at..at + found.len(), replaced.iter().copied());
    bytes
}

#[test]
fn reads_every_version() {
    for minor in 14..=16 {
        let mut entries = sample();
        let read = Archive::parse(&Writer::archive(minor, &entries)).unwrap();
        if minor < 16 {
            entries.iter_mut().for_each(|entry| entry.relkind = None);
        }
        assert_eq!(read.entries, entries);
        assert_eq!((&*read.server_version, &*read.dump_version), ("17.5", "17.6"));
    }
}

#[test]
fn absent_and_empty_are_told_apart_where_it_matters() {
    let mut entries = sample();
    entries[2].namespace = Some(String::new());
    entries[2].owner = Some(String::new());
    let read = Archive::parse(&Writer::archive(16, &entries)).unwrap();
    assert_eq!(read.entries[2].namespace, None);
    assert_eq!(read.entries[2].owner, None);
    assert_eq!(read.entries[2].tablespace.as_deref(), Some(""));
    assert_eq!(read.entries[3].tablespace, None);
    assert_eq!(read.entries[4].section, Section::None);
}

#[test]
fn ignores_data_after_the_table_of_contents() {
    let mut bytes = Writer::archive(16, &sample());
    bytes.extend([1, 0, 0, 0, 0, 0xff, 0xff]);
    assert_eq!(Archive::parse(&bytes).unwrap().entries.len(), 6);
}

#[test]
fn refuses_an_archive_cut_anywhere() {
    for minor in 14..=16 {
        let bytes = Writer::archive(minor, &sample());
        for end in 0..bytes.len() {
            let error = Archive::parse(&bytes[..end]).expect_err("a cut archive");
            assert!(error.offset <= end, "{error}");
        }
    }
}

#[test]
fn survives_any_spoilt_byte_and_any_false_length() {
    let bytes = Writer::archive(16, &sample());
    for at in 0..bytes.len() {
        for value in [0, 1, 2, 4, 0x20, 0x7f, 0x80, 0xff] {
            let mut spoilt = bytes.clone();
            spoilt[at] = value;
            let _ = Archive::parse(&spoilt);
        }
        let mut spoilt = bytes.clone();
        for (byte, high) in spoilt[at..].iter_mut().zip([0xff, 0xff, 0xff, 0x7f]) {
            *byte = high;
        }
        let _ = Archive::parse(&spoilt);
    }
}

#[test]
fn refuses_what_is_no_custom_format_archive() {
    let magic = "byte 0 of the pg_dump archive: expected PGDMP, the start of a custom-format archive";
    assert_eq!(error(b""), format!("{magic}, found \"\""));
    assert_eq!(error(b"--\n-- PostgreSQL"), format!("{magic}, found \"--\\n--\""));
    // A tar file starts with the name of its first member.
    let mut tar = b"toc.dat".to_vec();
    tar.resize(1024, 0);
    assert_eq!(error(&tar), format!("{magic}, found \"toc.d\""));
    // The toc.dat inside.
    assert_eq!(
        error(&spoilt(16, &[1, 16, 0, 4, 8, 1], &[1, 16, 0, 4, 8, 3])),
        "byte 10 of the pg_dump archive: expected format 1 (custom), found 3 (tar)"
    );
    assert!(error(&spoilt(16, &[1, 16, 0, 4, 8, 1], &[1, 16, 0, 4, 8, 5])).contains("directory"));
}

#[test]
fn refuses_other_versions_and_sizes() {
    let head = [1, 16, 0, 4, 8, 1];
    for (version, shown) in [([1, 13], "1.13"), ([1, 17], "1.17"), ([2, 14], "2.14")] {
        let bytes = spoilt(16, &head[..2], &version);
        let expected = "byte 5 of the pg_dump archive: expected archive version 1.14 to 1.16, found";
        assert_eq!(error(&bytes), format!("{expected} {shown}"));
    }
    assert!(error(&spoilt(16, &head, &[1, 16, 0, 8, 8, 1])).contains("integers of 4 bytes, found 8"));
    assert!(error(&spoilt(16, &head, &[1, 16, 0, 4, 9, 1])).contains("offsets of 4 or 8 bytes"));
}

#[test]
fn reads_short_offsets() {
    let mut bytes = Writer::archive(16, &sample());
    bytes[9] = 4;
    let mut whole = Vec::new();
    let (mark, long, short) = ([&[3][..], &[0; 8]].concat(), 9, 5);
    let mut at = 0;
    while at < bytes.len() {
        let is_offset = bytes[at..].starts_with(&mark) && whole.ends_with(&[1, 1, 0, 0, 0]);
        whole.extend(&bytes[at..at + if is_offset { short } else { 1 }]);
        at += if is_offset { long } else { 1 };
    }
    assert_eq!(Archive::parse(&whole).unwrap().entries.len(), 6);
}

#[test]
fn reserves_nothing_for_a_false_count() {
    let bytes = Writer::archive(16, &[]);
    let start = bytes.len() - 5;
    let with_count = |count: [u8; 5]| [&bytes[..start], &count].concat();
    assert!(error(&with_count([0, 0xff, 0xff, 0xff, 0x7f])).contains("a dump id of 5 bytes"));
    assert!(error(&with_count([1, 1, 0, 0, 0])).contains("expected the number of entries, found -1"));
    assert!(error(&with_count([2, 1, 0, 0, 0])).contains("found sign 2 and magnitude 1"));
    assert!(error(&with_count([0, 0, 0, 0, 0x80])).contains("magnitude 2147483648"));
}

#[test]
fn tells_where_and_what() {
    // The length of the tag "flights_idx".
    let bytes = spoilt(16, b"\x0b\0\0\0flights_idx", b"\xff\xff\xff\x7fflights_idx");
    let at = bytes.windows(11).position(|window| window == b"flights_idx").unwrap();
    let rest = bytes.len() - at;
    assert_eq!(
        error(&bytes),
        format!(
            "byte {at} of the pg_dump archive: expected the tag of an entry of 2147483647 bytes, \
             found {rest} bytes before the end"
        )
    );
}

#[test]
fn refuses_dump_ids_that_do_not_identify() {
    let mut entries = sample();
    entries[5].dump_id = 3;
    assert!(error(&Writer::archive(16, &entries)).contains("a positive dump id of its own, found 3"));
    entries[5].dump_id = 0;
    assert!(error(&Writer::archive(16, &entries)).contains("found 0"));
}

#[test]
fn refuses_damaged_fields() {
    assert!(error(&spoilt(16, b"flights_idx", b"flights\xffidx")).contains("the tag of an entry in UTF-8"));
    assert!(error(&spoilt(16, b"flights_idx", b"flights\0idx")).contains("in UTF-8"));
    assert!(error(&spoilt(16, b"\x02\0\0\099", b"\x02\0\0\0x9")).contains("the dump id of a dependency, found \"x9\""));
    assert!(error(&spoilt(16, b"4294967295", b"4294967296")).contains("the OID of an object, found \"4294967296\""));
    assert!(error(&spoilt(16, b"\0r\0\0\0", b"\0\n\0\0\0")).contains("a relation kind, found 10"));
    let mut bytes = Writer::archive(16, &sample());
    let flag = bytes.len() - 9;
    bytes[flag] = 4;
    assert!(error(&bytes).contains("the flag of a data offset, 1 to 3, found 4"));
}

#[test]
fn refuses_another_encoding() {
    let bytes = spoilt(16, b"'UTF8'", b"'SJIS'");
    assert!(error(&bytes).contains("pg_dump --encoding=UTF8"));
    assert!(error(&bytes).contains("found SET client_encoding = 'SJIS';"));
}

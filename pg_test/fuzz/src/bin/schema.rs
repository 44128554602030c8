//! An archive's entries: written and read back, sorted out, and what is run for them.
#![no_main]

use fuzz::core::archive::{Archive, Entry, Filter, Group, Section, Why, contents};
use fuzz::core::name::quoted;
use fuzz::core::scan;
use fuzz::sql::{self, name};
use fuzz::writer::Writer;
use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::collections::{HashMap, HashSet};

#[derive(Debug)]
struct Input {
    minor: u8,
    items: Vec<Item>,
    /// Positions of entries.
    objects: Vec<u8>,
    provided: Vec<u8>,
    extension: u8,
    schema: u8,
}

impl<'a> Arbitrary<'a> for Input {
    /// Derived, it would seldom have more than a few items.
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Input> {
        let (minor, extension, schema) = u.arbitrary()?;
        let few = |u: &mut Unstructured<'a>| -> arbitrary::Result<Vec<u8>> {
            (0..u.int_in_range(0..=3)?).map(|_| u.arbitrary()).collect()
        };
        let (objects, provided) = (few(u)?, few(u)?);
        let items = (0..u.int_in_range(1..=MOST_ITEMS)?).map(|_| u.arbitrary()).collect::<arbitrary::Result<_>>()?;
        Ok(Input { minor, items, objects, provided, extension, schema })
    }
}

#[derive(Arbitrary, Debug)]
struct Item {
    kind: u8,
    tag: Tag,
    namespace: Option<u8>,
    section: u8,
    definition: String,
    drop_statement: String,
    tablespace: Option<String>,
    access_method: Option<String>,
    is_partitioned: bool,
    owner: Option<String>,
    /// Positions of entries.
    needs: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
enum Tag {
    Short(u8),
    /// `flights flights_pkey`, of an entry before.
    Part(u8, u8),
    /// `TRIGGER stamp ON flights`.
    On(u8, u8),
    Any(String),
}

const MOST_ITEMS: usize = 30;

const KINDS: [&str; 40] = [
    "TABLE",
    "VIEW",
    "MATERIALIZED VIEW",
    "FOREIGN TABLE",
    "DOMAIN",
    "SEQUENCE",
    "SEQUENCE OWNED BY",
    "INDEX",
    "INDEX ATTACH",
    "TABLE ATTACH",
    "CONSTRAINT",
    "CHECK CONSTRAINT",
    "FK CONSTRAINT",
    "DEFAULT",
    "TRIGGER",
    "RULE",
    "POLICY",
    "ROW SECURITY",
    "STATISTICS",
    "PUBLICATION",
    "PUBLICATION TABLE",
    "SUBSCRIPTION",
    "EVENT TRIGGER",
    "SCHEMA",
    "EXTENSION",
    "FUNCTION",
    "AGGREGATE",
    "OPERATOR",
    "TYPE",
    "COMMENT",
    "SECURITY LABEL",
    "ACL",
    "DEFAULT ACL",
    "ENCODING",
    "SEARCHPATH",
    "DATABASE",
    "TABLE DATA",
    "BLOB",
    "SERVER",
    "MATERIALIZED VIEW DATA",
];
const NAMES: [&str; 8] = ["a", "b", "a b", "B", "a\"b", "_RETURN", "ä", "a ON b"];
const WHAT: [&str; 8] =
    ["TABLE", "COLUMN", "SCHEMA", "TRIGGER", "CONSTRAINT", "EVENT TRIGGER", "DATABASE", "ÄX DOMAIN"];

fn pick<'a>(list: &[&'a str], choice: u8) -> &'a str {
    list[usize::from(choice) % list.len()]
}

/// Texts of an archive have no NUL.
fn clean(text: &str) -> String {
    text.replace('\0', "")
}

fn entries(input: &Input) -> Vec<Entry> {
    let count = input.items.len().max(1);
    let entry = |(at, item): (usize, &Item)| {
        let desc = pick(&KINDS, item.kind);
        let named = |text: &Option<String>| text.as_deref().map(clean).filter(|text| !text.is_empty());
        Entry {
            dump_id: at as i32 + 1,
            class_oid: 1259,
            oid: at as u32,
            tag: match &item.tag {
                Tag::Short(name) => pick(&NAMES, *name).to_owned(),
                Tag::Part(whole, name) => format!("{} {}", pick(&NAMES, *whole), pick(&NAMES, *name)),
                Tag::On(what, name) => format!("{} {}", pick(&WHAT, *what), pick(&NAMES, *name)),
                Tag::Any(text) => clean(text),
            },
            desc: desc.to_owned(),
            section: [Section::None, Section::PreData, Section::Data, Section::PostData][usize::from(item.section) % 4],
            definition: match desc {
                "ENCODING" => "SET client_encoding = 'UTF8';\n".to_owned(),
                _ => clean(&item.definition),
            },
            drop_statement: clean(&item.drop_statement),
            namespace: item.namespace.map(|choice| pick(&NAMES, choice).to_owned()),
            tablespace: item.tablespace.as_deref().map(clean),
            access_method: named(&item.access_method),
            relkind: (input.minor % 3 == 2 && item.is_partitioned).then_some('p'),
            owner: named(&item.owner),
            dependencies: item.needs.iter().map(|need| i32::from(*need) % (count as i32 + 2)).collect(),
        }
    };
    input.items.iter().enumerate().map(entry).collect()
}

fuzz_target!(init: write_seeds(), |input: Input| {
    let entries = entries(&input);
    let bytes = Writer::archive(14 + input.minor % 3, &entries);
    let archive = Archive::parse(&bytes).expect("what is written can be read");
    assert_eq!(archive.entries, entries);

    let some = |list: &[u8]| list.iter().map(|at| (1259, u32::from(*at))).collect();
    let filter = Filter {
        objects: some(&input.objects),
        provided: some(&input.provided),
        extensions: vec![pick(&NAMES, input.extension).to_owned()],
        schemas: vec![pick(&NAMES, input.schema).to_owned()],
        ..Filter::default()
    };
    is_sorted_out(&archive, &filter);
    entries.iter().for_each(statements);
});

/// What to begin with: long inputs, which libFuzzer would take its time to arrive at.
fn write_seeds() {
    let mut state = 1_u32;
    for length in [300, 600, 1000] {
        let random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        fuzz::seed(&length.to_string(), &std::iter::repeat_with(random).take(length).collect::<Vec<u8>>());
    }
}

fn is_sorted_out(archive: &Archive, filter: &Filter) {
    let contents = contents(archive, filter);
    // Each entry is in one place.
    let mut made = HashMap::new();
    let mut places: Vec<i32> = Vec::new();
    for (place, group) in Group::MADE.iter().enumerate() {
        let ids: Vec<i32> = contents.group(*group).iter().map(|entry| entry.dump_id).collect();
        assert!(*group == Group::Rest || ids.is_sorted(), "out of the archive's order");
        made.extend(ids.iter().map(|id| (*id, place)));
        places.extend(ids);
    }
    let excluded: HashMap<i32, Why> = contents.excluded.iter().map(|e| (e.entry.dump_id, e.why)).collect();
    let stranded: HashSet<i32> = contents.stranded.iter().map(|s| s.entry.dump_id).collect();
    places.extend(contents.group(Group::Skip).iter().map(|entry| entry.dump_id));
    places.extend(excluded.keys().chain(&stranded));
    places.sort_unstable();
    assert!(places.iter().eq(archive.entries.iter().map(|entry| &entry.dump_id)), "lost or doubled");

    // What is made has what it needs, and not after it.
    for entry in &archive.entries {
        assert_eq!(contents.makes(entry.dump_id), places_of(&contents, entry.dump_id));
        let Some(place) = made.get(&entry.dump_id) else { continue };
        for need in &entry.dependencies {
            assert!(!stranded.contains(need), "{} needs what cannot be made", entry.object());
            assert!(made.get(need).is_none_or(|needed| needed <= place), "{} comes too early", entry.object());
            match excluded.get(need) {
                None | Some(Why::Extension | Why::Provided) => {}
                Some(Why::Schema) if archive.entries[*need as usize - 1].desc == "SCHEMA" => {}
                Some(why) => panic!("{} needs what is left out: {why:?}", entry.object()),
            }
        }
    }
}

fn places_of(contents: &fuzz::core::archive::Contents, id: i32) -> bool {
    Group::MADE.iter().any(|group| contents.group(*group).iter().any(|entry| entry.dump_id == id))
}

fn statements(entry: &Entry) {
    assert!(entry.object().starts_with(&entry.desc));
    let definition = entry.portable_definition();
    match scan::statements(&entry.definition) {
        None => assert_eq!(definition, entry.definition),
        Some(whole) => {
            assert_eq!(whole.concat(), entry.definition);
            let kept = scan::statements(&definition).expect("whole statements were left out");
            let mut kept = kept.into_iter().peekable();
            for statement in whole {
                if kept.next_if_eq(&statement).is_none() {
                    assert!(statement.trim_start().starts_with("ALTER "), "{statement}");
                    assert!(statement.contains(" SET (pg_attver="), "{statement}");
                }
            }
            assert_eq!(kept.next(), None);
        }
    }

    let qualified: Vec<_> = entry.namespace.iter().chain([&entry.tag]).map(|part| name(part)).collect();
    let place = ["?", "?.?"][qualified.len() - 1];
    if let Some(statement) = entry.access_method_statement() {
        let method = entry.access_method.as_deref().expect("it is set");
        let text = format!("ALTER TABLE {place} SET ACCESS METHOD ?");
        assert_eq!(sql::tokens(&statement), sql::pattern(&text, &[&qualified[..], &[name(method)]].concat()));
    }
    let Some(statement) = entry.owner_statement() else { return };
    let owner = entry.owner.as_deref().expect("it has one");
    match entry.desc.as_str() {
        // The rest of these is as pg_dump wrote it.
        "AGGREGATE" | "FUNCTION" | "OPERATOR" => {
            assert!(statement.ends_with(&format!(" OWNER TO {}", quoted(owner))), "{statement}");
        }
        "BLOB" => assert!(sql::tokens(&statement).len() == 7, "{statement}"),
        kind => {
            let text = format!("ALTER {kind} {place} OWNER TO ?");
            assert_eq!(sql::tokens(&statement), sql::pattern(&text, &[&qualified[..], &[name(owner)]].concat()));
        }
    }
}

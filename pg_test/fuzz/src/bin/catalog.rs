//! What the inventory's queries answer, and the plan that is made of it. The first line is the
//! server's, each further one a letter for the query and a row.
#![no_main]

use fuzz::core::inventory::{
    Cagg, Chunk, Collation, CompressedChunk, Compression, Excluded, Hypertable, Inventory, Key, Relation, Server, Size,
    Skipping,
};
use fuzz::core::name::Name;
use fuzz::core::options::Options;
use fuzz::core::plan::{self, CopyTask, Destination, Target, Task, Work};
use fuzz::core::plan::{analyze, keys};
use fuzz::core::{checksum, settings};
use fuzz::sql::{self, Token, literal, name};
use fuzz::within;
use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashSet;

fuzz_target!(init: DOCUMENTS.iter().for_each(|good| assert!(read(good).is_some(), "cannot be read: {good}")), |bytes: &[u8]| {
    // Either text as it is, or what is to be changed in good text.
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if text.starts_with('{') => text.to_owned(),
        _ => Changes::arbitrary(&mut Unstructured::new(bytes)).map(Changes::made).unwrap_or_default(),
    };
    if let Some((source, target)) = within(64, text.len(), || read(&text)) {
        for split_bytes in [0, 1 << 20] {
            let options = Options { split_bytes, ..Options::default() };
            planned(&source, &target, &options);
        }
    }
});

#[derive(Arbitrary, Debug)]
struct Changes {
    document: u8,
    /// The rows, besides the first, by their places; all if there are none.
    rows: Vec<u8>,
    values: Vec<(u8, u8, New)>,
}

/// What comes in place of a value.
#[derive(Arbitrary, Debug)]
enum New {
    Number(i64),
    Extreme(u8),
    Small(u8),
    Text(String),
    Name(u8),
    Flag(bool),
    Null,
    Empty,
}

const DOCUMENTS: [&str; 3] = [
    include_str!("../../seeds/catalog/plain"),
    include_str!("../../seeds/catalog/hypertable"),
    include_str!("../../seeds/catalog/cagg"),
];

impl Changes {
    fn made(self) -> String {
        let lines: Vec<&str> = DOCUMENTS[usize::from(self.document) % DOCUMENTS.len()].lines().collect();
        let (first, all) = (lines[0], &lines[1..]);
        let picked = self.rows.iter().map(|at| all[usize::from(*at) % all.len()]);
        let mut rows: Vec<String> = [first].into_iter().chain(picked).map(str::to_owned).collect();
        if self.rows.is_empty() {
            rows.extend(all.iter().map(|row| row.to_string()));
        }
        for (row, place, new) in self.values {
            let at = usize::from(row) % rows.len();
            let (kind, json) = rows[at].split_at(usize::from(at > 0));
            let Ok(mut row) = serde_json::from_str(json) else { continue };
            let mut places = usize::from(place) % 32;
            put(&mut row, &mut places, &new.into_json());
            rows[at] = format!("{kind}{row}");
        }
        rows.join("\n")
    }
}

impl New {
    fn into_json(self) -> Value {
        let of = |list: [i64; 6], choice: u8| list[usize::from(choice) % list.len()].into();
        match self {
            New::Number(number) => number.into(),
            New::Extreme(choice) => {
                of([i64::MIN, i64::MAX, -1, u32::MAX.into(), i32::MAX.into(), i32::MIN.into()], choice)
            }
            New::Small(number) => number.into(),
            New::Text(text) => text.into(),
            New::Name(choice) => ["a\"b", "x'y\\", "A b", "", "\0", "2.19.3"][usize::from(choice) % 6].into(),
            New::Flag(flag) => flag.into(),
            New::Null => Value::Null,
            New::Empty => Value::Array(Vec::new()),
        }
    }
}

/// Puts a value in the place of the one that so many come before.
fn put(into: &mut Value, before: &mut usize, new: &Value) {
    match into {
        Value::Array(list) if !list.is_empty() => list.iter_mut().for_each(|value| put(value, before, new)),
        Value::Object(fields) => fields.values_mut().for_each(|value| put(value, before, new)),
        value => {
            if *before == 0 {
                *value = new.clone();
            }
            *before = before.wrapping_sub(1);
        }
    }
}

/// A row that is kept whole besides.
fn whole<T: DeserializeOwned>(json: &str, keep: impl FnOnce(&mut T, Value)) -> Option<T> {
    let spec: Value = serde_json::from_str(json).ok()?;
    let mut row: T = serde_json::from_value(spec.clone()).ok()?;
    keep(&mut row, spec);
    Some(row)
}

/// None if any row is refused, as it ends a run.
fn read(text: &str) -> Option<(Inventory, Target)> {
    fn row<T: DeserializeOwned>(json: &str) -> Option<T> {
        serde_json::from_str(json).ok()
    }
    let (first, rest) = text.split_once('\n')?;
    let server: Server = row(first)?;
    let mut target =
        Target { server: server.clone(), collations: Vec::new(), tablespaces: Default::default(), arrivals: None };
    let mut source = Inventory::new(server);
    for line in rest.lines() {
        let (kind, json) = line.split_at_checked(1)?;
        match kind {
            "r" => source.relations.push(row::<Relation>(json)?),
            "h" => source.hypertables.push(whole(json, |h: &mut Hypertable, spec| h.spec = spec)?),
            "c" => source.chunks.push(row::<Chunk>(json)?),
            "a" => source.caggs.push(whole(json, |c: &mut Cagg, spec| c.spec = spec)?),
            "m" => source.compressions.push(whole(json, |c: &mut Compression, spec| c.spec = spec)?),
            "k" => source.compressed_chunks.push(row::<CompressedChunk>(json)?),
            "s" => source.skipping.push(row::<Skipping>(json)?),
            "l" => source.collations.push(row::<Collation>(json)?),
            "L" => target.collations.push(row::<Collation>(json)?),
            "z" => {
                let (oid, pages, bytes, rows) = row(json)?;
                source.sizes.insert(oid, Size { pages, bytes, rows });
            }
            "u" => source.keys.push(row::<Key>(json)?),
            "x" => source.excluded.push(row::<Excluded>(json)?),
            "t" => target.server = row(json)?,
            "g" => is_setting(json),
            _ => return None,
        }
    }
    Some((source, target))
}

fn planned(source: &Inventory, target: &Target, options: &Options) {
    source.of_chunks();
    assert!(source.server.major() <= source.server.version_num.max(0) && source.server.lock_capacity() < i64::MAX);
    let tasks = plan::copies(source, target, options);
    for table in source.plain_tables() {
        is_whole(table, source.size(table.oid).pages, &tasks);
    }
    for hypertable in &source.hypertables {
        let chunks = source.chunks.iter().filter(|chunk| chunk.hypertable_id == hypertable.id);
        let copied = |chunk: &Chunk| {
            copies(&tasks).filter(|copy| is_chunk(copy) && copy.source.name == chunk.qualified()).count()
        };
        assert!(source.root(hypertable).is_none() || chunks.clone().all(|chunk| copied(chunk) >= 1), "not copied");
    }
    plan::compressed_early(&tasks);
    let mut all = tasks;
    all.extend(analyze::tasks(source, target, options.jobs, &HashSet::new()));
    plan::cagg_indexes(source).iter().take(50).for_each(|(_, made, _)| is_quoted(made));
    for key in source.keys.iter().take(50) {
        is_quoted(&keys::index(key));
        is_quoted(&keys::constraint(key));
    }
    // Of many the first ones: they are alike.
    for task in all.iter().take(50) {
        is_stored(task);
        match &task.work {
            Work::Copy(copy) => is_statement(copy),
            Work::Sql(work) => work.statements.iter().for_each(|statement| is_quoted(statement)),
            other => panic!("{other:?}"),
        }
    }
}

fn copies(tasks: &[Task]) -> impl Iterator<Item = &CopyTask> {
    tasks.iter().filter_map(|task| match &task.work {
        Work::Copy(copy) => Some(copy),
        _ => None,
    })
}

fn is_chunk(copy: &CopyTask) -> bool {
    matches!(copy.destination, Destination::Chunk { .. } | Destination::Routed { .. })
}

/// The table's pages are copied, each once.
fn is_whole(table: &Relation, pages: u32, tasks: &[Task]) {
    let parts =
        copies(tasks).filter(|copy| copy.source.name == table.qualified() && !is_chunk(copy) && !copy.source.root);
    let mut at = Some(0);
    for part in parts {
        match part.filter {
            plan::Filter::All | plan::Filter::Condition(_) => at = None,
            plan::Filter::Pages(from, to) => {
                // A name may be on several rows: then it starts anew.
                assert!(at.is_none() || at == Some(from) || from == 0, "a gap before page {from}");
                assert!(to.is_none_or(|to| to > from || pages == 0), "pages {from} to {to:?}");
                at = to;
            }
        }
    }
    assert_eq!(at, None, "the last pages of {}", table.qualified());
}

/// A task goes through the database.
fn is_stored(task: &Task) {
    let stored = serde_json::to_value(task).expect("a task is JSON");
    let again: Task = serde_json::from_value(stored.clone()).expect("what was stored can be read");
    assert_eq!(serde_json::to_value(&again).expect("a task is JSON"), stored);
}

fn names(of: &Name) -> [Token; 2] {
    [name(&of.schema), name(&of.name)]
}

/// The statement for the source holds the names it has to, and nothing else of theirs.
fn is_statement(copy: &CopyTask) {
    copy.method();
    copy.note();
    // These two are SQL of the source's own.
    if copy.source.query.is_some() || copy.condition().is_some() {
        copy.statement();
        return;
    }
    let list = vec!["?"; copy.columns.len()].join(", ");
    let form = if copy.binary() { "binary" } else { "text" };
    let tokens = sql::tokens(&copy.statement());
    let mut expected: Vec<Token> = copy.columns.iter().map(|column| name(column)).collect();
    let text = match (&copy.filter, &copy.recipe) {
        (plan::Filter::All, plan::Recipe::Rows) => {
            expected.splice(0..0, names(&copy.source.name));
            let list = if copy.columns.is_empty() { String::new() } else { format!("({list})") };
            format!("COPY ?.? {list} TO STDOUT (FORMAT {form})")
        }
        _ => {
            expected.extend(names(&copy.source.name));
            let got: Vec<&Token> = tokens.iter().filter(|token| matches!(token, Token::Name(_))).collect();
            assert!(expected.iter().all(|name| got.contains(&name)) && got.len() == expected.len());
            return;
        }
    };
    assert_eq!(tokens, sql::pattern(&text, &expected));
    let columns = &copy.columns;
    let rows = checksum::table(&copy.source.name, true, None);
    let query = sql::tokens(&checksum::query(&rows, &checksum::Sum::of(columns)));
    let quoted = query.iter().filter(|token| matches!(token, Token::Name(_))).count();
    assert_eq!(quoted, columns.len() + 2);
}

/// What is run here: names and constants end where they are meant to.
fn is_quoted(statement: &str) {
    for token in sql::tokens(statement) {
        if let Token::Literal(text) = token
            && text.starts_with("BEGIN EXECUTE ")
        {
            is_quoted(&text);
        }
    }
}

/// A role's or database's setting as a statement.
fn is_setting(setting: &str) {
    let Some(statement) = settings::statement("ROLE \"r\"", setting) else {
        return assert!(!setting.contains('='));
    };
    let (key, value) = setting.split_once('=').expect("name=value");
    let parts: Vec<Token> = key.split('.').map(name).collect();
    let tokens = sql::tokens(&statement);
    let head = format!("ALTER ROLE ? SET {} =", vec!["?"; parts.len()].join("."));
    let head = sql::pattern(&head, &[&[name("r")], &parts[..]].concat());
    let values = tokens.strip_prefix(&head[..]).expect("ALTER ROLE r SET name =");
    // A list has constants with commas between them.
    let is_list = values.len() > 1 || values[0] != literal(value);
    assert!(values.iter().step_by(2).all(|token| matches!(token, Token::Literal(_))));
    assert!(values.iter().skip(1).step_by(2).all(|token| *token == Token::Other(',')));
    assert!(!is_list || value.contains([',', '"']) || value.contains(char::is_whitespace), "{statement}");
}

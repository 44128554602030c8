//! Whether two databases are the same: a picture of each is made, by means that have nothing in
//! common with the extension's own verification, and the pictures are compared.

use crate::cluster::run;
use crate::db::{describe, rows};
use crate::{Db, Pair, quote};
use postgres::Client;
use std::collections::{BTreeMap, BTreeSet};

/// What there is, each under a key that is the same on both sides.
type Picture = BTreeMap<String, String>;

/// The target holds the source: rows, chunks, compression, continuous aggregates, jobs, schema,
/// sequences, large objects.
#[track_caller]
pub fn assert_same(pair: &Pair) {
    assert_same_but(pair, &[]);
}

/// The same, but for what is kept under keys that begin with one of these.
#[track_caller]
pub fn assert_same_but(pair: &Pair, left_out: &[&str]) {
    let mut found = differences(pair);
    found.retain(|text| !left_out.iter().any(|start| text.starts_with(start)));
    // Of many that are alike the first few say enough.
    let some: Vec<_> = found.iter().take(6).map(String::as_str).collect();
    assert!(found.is_empty(), "{} differences\n{}", found.len(), some.join("\n"));
}

/// What differs between the two sides, one text each; it begins with its key.
pub fn differences(pair: &Pair) -> Vec<String> {
    let (source, target) = (picture(pair, &pair.source), picture(pair, &pair.target));
    let keys: BTreeSet<_> = source.keys().chain(target.keys()).collect();
    let side = |picture: &Picture, key: &str| picture.get(key).cloned().unwrap_or("absent".into());
    keys.into_iter()
        .filter(|key| source.get(*key) != target.get(*key))
        .map(|key| format!("{key}\n  source: {}\n  target: {}", side(&source, key), side(&target, key)))
        .collect()
}

/// The target holds the source's rows, relation by relation, in as many transactions: never is
/// more than a chunk locked.
#[track_caller]
pub fn assert_same_rows(pair: &Pair) {
    let [source, target] = [&pair.source, &pair.target].map(|db| {
        let mut client = connect(db);
        let (chunks, mut rows) = (chunks_query(&mut client), Picture::new());
        own_rows(&mut client, chunks, &mut rows);
        if has_community(&mut client) {
            compressed_rows(&mut client, chunks, &mut rows);
        }
        rows
    });
    let different: Vec<_> = source.iter().filter(|(key, value)| target.get(*key) != Some(value)).take(6).collect();
    assert!(different.is_empty(), "not the same on the target: {different:?}");
    assert_eq!(source.len(), target.len());
}

fn connect(db: &Db) -> Client {
    let mut client = db.connect();
    // The text of a value is to depend on the value alone. Starting parallel workers would take
    // longer than reading a small chunk.
    let settings = "SET search_path = ''; SET TimeZone = 'UTC'; SET DateStyle = 'ISO';
        SET IntervalStyle = 'iso_8601'; SET bytea_output = 'hex'; SET extra_float_digits = 1;
        SET max_parallel_workers_per_gather = 0";
    client.batch_execute(settings).unwrap();
    client
}

fn has_community(client: &mut Client) -> bool {
    ask(client, "SELECT pg_catalog.to_regclass('_timescaledb_catalog.chunk_column_stats') IS NOT NULL")[0][0] == "t"
}

/// Restoring turns TimescaleDB's hooks off: each chunk, and a hypertable's root, then gives its
/// own rows and no others.
fn own_rows(client: &mut Client, chunks: &str, picture: &mut Picture) {
    client.batch_execute("SET timescaledb.restoring = on").unwrap();
    for relation in ask(client, &relations(chunks)) {
        let value = checksum(client, &format!("ONLY {}", relation[1]), &relation[2]);
        picture.insert(format!("rows of {}", relation[0]), value);
    }
    client.batch_execute("SET timescaledb.restoring = off").unwrap();
}

fn relations(chunks: &str) -> String {
    include_str!("sql/relations.sql").replace(":chunks", chunks)
}

fn compressed_rows(client: &mut Client, chunks: &str, picture: &mut Picture) {
    for mut chunk in ask(client, &include_str!("sql/compressed.sql").replace(":chunks", chunks)) {
        let how = chunk.pop().unwrap_or_default();
        let [key, name, columns, batches, batch_columns] = &chunk[..] else { panic!("{chunk:?}") };
        picture.insert(format!("rows seen in {key}"), checksum(client, name, columns));
        picture.insert(format!("batches of {key}"), checksum(client, batches, batch_columns));
        picture.insert(format!("compressed {key}"), how);
    }
}

fn picture(pair: &Pair, db: &Db) -> Picture {
    let mut client = connect(db);
    let chunks = chunks_query(&mut client);
    let mut picture = Picture::new();
    let has_community = has_community(&mut client);
    own_rows(&mut client, chunks, &mut picture);
    for sequence in ask(&mut client, include_str!("sql/sequences.sql")) {
        let state = format!("SELECT last_value || ' ' || is_called FROM {}", sequence[0]);
        picture.insert(format!("sequence {}", sequence[0]), ask(&mut client, &state)[0][0].clone());
    }
    let mut pairs = include_str!("sql/large_objects.sql").to_owned();
    if chunks != NO_CHUNKS {
        pairs += include_str!("sql/hypertables.sql");
        pairs += &include_str!("sql/chunk_make.sql").replace(":chunks", chunks);
    }
    if has_community {
        pairs += &include_str!("sql/compression.sql").replace(":chunks", chunks);
        pairs += include_str!("sql/caggs.sql");
        pairs += include_str!("sql/jobs.sql");
    }
    picture.extend(ask(&mut client, &pairs).into_iter().map(|mut row| (row.remove(0), row.remove(0))));

    // The same once more as a user sees it: through the hypertable, with the hooks on.
    for relation in ask(&mut client, &relations(chunks)) {
        if !relation[0].contains(" chunk ") {
            let value = checksum(&mut client, &relation[1], &relation[2]);
            picture.insert(format!("rows seen in {}", relation[0]), value);
        }
    }
    if has_community {
        compressed_rows(&mut client, chunks, &mut picture);
        for view in ask(&mut client, include_str!("sql/cagg_views.sql")) {
            picture.insert(format!("rows seen in {}", view[0]), checksum(&mut client, &view[0], &view[1]));
        }
    }
    picture.extend(schema(pair, db, &ask(&mut client, chunks)));
    picture
}

/// Count and checksum of a relation's rows, whatever their order.
fn checksum(client: &mut Client, relation: &str, columns: &str) -> String {
    let query = format!(
        "SELECT count(*), coalesce(sum(('x' || left(sum, 15))::bit(60)::bigint), 0),
                coalesce(sum(('x' || right(sum, 15))::bit(60)::bigint), 0)
         FROM (SELECT md5((ROW({columns}))::text) AS sum FROM {relation}) AS row"
    );
    ask(client, &query)[0].join(" ")
}

const NO_CHUNKS: &str = include_str!("sql/chunks_none.sql");

/// The query that lists chunks in the shape of the catalog that the server has.
fn chunks_query(client: &mut Client) -> &'static str {
    let shape = "SELECT count(*), count(*) FILTER (WHERE attname = 'relid') FROM pg_catalog.pg_attribute
        WHERE attrelid = pg_catalog.to_regclass('_timescaledb_catalog.chunk')";
    match ask(client, shape)[0].iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["0", _] => NO_CHUNKS,
        [_, "0"] => include_str!("sql/chunks_2_11.sql"),
        _ => include_str!("sql/chunks_2_29.sql"),
    }
}

/// The schema as the target's pg_dump puts it, one entry for each object: without chunks,
/// TimescaleDB's own objects and what the migration itself needs.
fn schema(pair: &Pair, db: &Db, chunks: &[Vec<String>]) -> Picture {
    let mut dump = pair.target.cluster.program("pg_dump");
    dump.args(["--schema-only", "--exclude-schema=_timescaledb_*"]);
    dump.arg("--exclude-schema=timescale_migrate").arg("--dbname").arg(&db.name);
    dump.env("PGHOST", &db.cluster.dir).env("PGPORT", db.cluster.port.to_string());
    let mut names = BTreeSet::new();
    if !chunks.is_empty() {
        let list = "SELECT chunk_schema, chunk_name FROM timescaledb_information.chunks";
        for chunk in ask(&mut db.connect(), list) {
            names.insert(format!("{}.{}", quote(&chunk[0]), quote(&chunk[1])));
        }
    }
    // Those of TimescaleDB's own schema are left out already.
    for name in names.iter().filter(|name| !name.starts_with("\"_timescaledb_")) {
        dump.arg(format!("--exclude-table={name}"));
    }
    entries(&run(&mut dump))
}

/// Splits a plain dump at the comments that head its entries.
fn entries(dump: &str) -> Picture {
    // The migration's own objects, and triggers that TimescaleDB made until 2.22.
    let left_out = [
        "EXTENSION ",
        "; Type: EXTENSION",
        "; Type: USER MAPPING",
        "old; Type: SERVER",
        " ts_insert_blocker; Type: TRIGGER",
        " ts_cagg_invalidation_trigger; Type: TRIGGER",
    ];
    let settings = ["--", "SET ", "\\", "SELECT pg_catalog.set_config"];
    let mut picture = Picture::new();
    for entry in dump.split("\n-- Name: ").skip(1) {
        let (head, body) = entry.split_once('\n').unwrap_or((entry, ""));
        if left_out.iter().any(|part| head.contains(part)) {
            continue;
        }
        let lines: Vec<_> = body
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty() && !settings.iter().any(|start| line.starts_with(start)))
            // What newer minor releases keep for themselves, and older ones' pg_dump shows.
            .filter(|line| !line.contains(" SET (pg_attver="))
            .collect();
        picture.entry(format!("schema {head}")).or_default().push_str(&without_numbers(&lines.join("\n")));
    }
    picture
}

/// A continuous aggregate is a view whose text holds the number of its hypertable.
fn without_numbers(text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["_materialized_hypertable_", "cagg_watermark("] {
        let mut parts = text.split(name);
        let first = parts.next().unwrap_or_default().to_owned();
        text = parts.fold(first, |text, part| text + name + part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    text
}

/// A query's rows as text; NULL is empty.
fn ask(client: &mut Client, query: &str) -> Vec<Vec<String>> {
    let found = rows(client, query).unwrap_or_else(|error| panic!("{}\n{query}", describe(&error)));
    let text =
        |row: &postgres::SimpleQueryRow| (0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect();
    found.iter().map(text).collect()
}

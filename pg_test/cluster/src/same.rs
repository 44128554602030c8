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
    let (mut source, mut target) = (picture(pair, &pair.source), picture(pair, &pair.target));
    if pair.source.major() != pair.target.major() {
        source = in_any_major(source);
        target = in_any_major(target);
    }
    // Until 2.14 only those of variable width were listed, and otherwise.
    if [&pair.source, &pair.target].map(|db| Catalog::of(&mut connect(db)).buckets).contains(&NO_BUCKETS) {
        for picture in [&mut source, &mut target] {
            picture.retain(|key, _| !key.starts_with("bucket of "));
        }
    }
    let keys: BTreeSet<_> = source.keys().chain(target.keys()).collect();
    let side = |picture: &Picture, key: &str| picture.get(key).cloned().unwrap_or("absent".into());
    keys.into_iter()
        .filter(|key| source.get(*key) != target.get(*key))
        .map(|key| format!("{key}\n  source: {}\n  target: {}", side(&source, key), side(&target, key)))
        .collect()
}

/// What does not depend on the server's version: 14 and newer say IN of a procedure's arguments, 16 and
/// newer qualify no column of a view's text that needs it not, and 17 has one more privilege of owners.
fn in_any_major(mut picture: Picture) -> Picture {
    let worded = ["definition of ", "; Type: VIEW", "; Type: MATERIALIZED VIEW"];
    picture.retain(|key, _| !worded.iter().any(|part| key.contains(part)));
    let plain = |text: String| text.replace("=arwdDxtm/", "=arwdDxt/").replace("(IN ", "(").replace(", IN ", ", ");
    picture.into_iter().map(|(key, value)| (key, plain(value))).collect()
}

/// The target holds the source's rows, relation by relation, in as many transactions: never is
/// more than a chunk locked.
#[track_caller]
pub fn assert_same_rows(pair: &Pair) {
    let [source, target] = [&pair.source, &pair.target].map(|db| {
        let mut client = connect(db);
        let (catalog, mut rows) = (Catalog::of(&mut client), Picture::new());
        own_rows(&mut client, catalog, &mut rows);
        if catalog.has_timescaledb() {
            compressed_rows(&mut client, catalog, &mut rows);
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

/// Restoring turns TimescaleDB's hooks off: each chunk, and a hypertable's root, then gives its
/// own rows and no others.
fn own_rows(client: &mut Client, catalog: Catalog, picture: &mut Picture) {
    client.batch_execute("SET timescaledb.restoring = on").unwrap();
    for relation in ask(client, &catalog.query(RELATIONS)) {
        let value = checksum(client, &format!("ONLY {}", relation[1]), &relation[2]);
        picture.insert(format!("rows of {}", relation[0]), value);
    }
    client.batch_execute("SET timescaledb.restoring = off").unwrap();
}

const RELATIONS: &str = include_str!("sql/relations.sql");

fn compressed_rows(client: &mut Client, catalog: Catalog, picture: &mut Picture) {
    for mut chunk in ask(client, &catalog.query(include_str!("sql/compressed.sql"))) {
        let how = chunk.pop().unwrap_or_default();
        let [key, name, columns, batches, batch_columns] = &chunk[..] else { panic!("{chunk:?}") };
        picture.insert(format!("rows seen in {key}"), checksum(client, name, columns));
        picture.insert(format!("batches of {key}"), checksum(client, batches, batch_columns));
        picture.insert(format!("compressed {key}"), how);
    }
}

fn picture(pair: &Pair, db: &Db) -> Picture {
    let mut client = connect(db);
    let catalog = Catalog::of(&mut client);
    let mut picture = Picture::new();
    own_rows(&mut client, catalog, &mut picture);
    for sequence in ask(&mut client, include_str!("sql/sequences.sql")) {
        let state = format!("SELECT last_value || ' ' || is_called FROM {}", sequence[0]);
        picture.insert(format!("sequence {}", sequence[0]), ask(&mut client, &state)[0][0].clone());
    }
    let mut pairs = include_str!("sql/large_objects.sql").to_owned();
    if catalog.has_timescaledb() {
        pairs += include_str!("sql/hypertables.sql");
        pairs += &catalog.query(include_str!("sql/chunk_make.sql"));
        pairs += &catalog.query(include_str!("sql/compression.sql"));
        pairs += &catalog.query(include_str!("sql/caggs.sql"));
        pairs += include_str!("sql/jobs.sql");
    }
    picture.extend(ask(&mut client, &pairs).into_iter().map(|mut row| (row.remove(0), row.remove(0))));

    // The same once more as a user sees it: through the hypertable, with the hooks on.
    for relation in ask(&mut client, &catalog.query(RELATIONS)) {
        if !relation[0].contains(" chunk ") {
            let value = checksum(&mut client, &relation[1], &relation[2]);
            picture.insert(format!("rows seen in {}", relation[0]), value);
        }
    }
    if catalog.has_timescaledb() {
        compressed_rows(&mut client, catalog, &mut picture);
        for view in ask(&mut client, include_str!("sql/cagg_views.sql")) {
            picture.insert(format!("rows seen in {}", view[0]), checksum(&mut client, &view[0], &view[1]));
        }
    }
    picture.extend(schema(pair, db, &ask(&mut client, catalog.chunks)));
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
const NO_SKIPPING: &str =
    "SELECT 0 AS hypertable_id, 0 AS chunk_id, '' AS column_name, 0 AS range_start, 0 AS range_end, true AS valid
    WHERE false";
const NO_BUCKETS: &str = "SELECT 0 AS mat_hypertable_id WHERE false";

/// What the queries above put together depending on the catalog that the server has.
#[derive(Clone, Copy)]
struct Catalog {
    chunks: &'static str,
    settings: &'static str,
    skipping: &'static str,
    buckets: &'static str,
}

impl Catalog {
    fn of(client: &mut Client) -> Catalog {
        let shape = "SELECT to_regclass('_timescaledb_catalog.chunk') IS NULL,
            EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('_timescaledb_catalog.chunk') AND attname = 'relid'),
            to_regclass('_timescaledb_catalog.compression_settings') IS NULL,
            to_regclass('_timescaledb_catalog.chunk_column_stats') IS NULL,
            EXISTS (SELECT FROM pg_attribute
                    WHERE attrelid = to_regclass('_timescaledb_catalog.continuous_aggs_bucket_function') AND attname = 'bucket_func')";
        let shape = &ask(client, shape)[0];
        let is = |i: usize| shape[i] == "t";
        Catalog {
            chunks: match (is(0), is(1)) {
                (true, _) => NO_CHUNKS,
                (false, false) => include_str!("sql/chunks_2_11.sql"),
                (false, true) => include_str!("sql/chunks_2_29.sql"),
            },
            settings: match is(2) {
                true => include_str!("sql/settings_2_11.sql"),
                false => include_str!("sql/settings_2_14.sql"),
            },
            skipping: match is(3) {
                true => NO_SKIPPING,
                false => "TABLE _timescaledb_catalog.chunk_column_stats",
            },
            buckets: match is(4) {
                true => "TABLE _timescaledb_catalog.continuous_aggs_bucket_function",
                false => NO_BUCKETS,
            },
        }
    }

    fn has_timescaledb(self) -> bool {
        self.chunks != NO_CHUNKS
    }

    fn query(self, text: &str) -> String {
        let parts = [
            (":chunks", self.chunks),
            (":settings", self.settings),
            (":skipping", self.skipping),
            (":buckets", self.buckets),
        ];
        parts.into_iter().fold(text.to_owned(), |text, (name, part)| text.replace(name, part))
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

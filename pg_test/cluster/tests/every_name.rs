//! Names may hold anything that PostgreSQL lets them hold.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, quote};

pub const TESTS: &[Test] = &[Test::both("of everything", of_everything)];

/// As a name of everything at once, with what is special to SQL, COPY, connection strings,
/// format strings and shells.
const NAMES: &[&str] = &[
    "quo\"te",
    "apo'strophe",
    "sp ace ",
    "CamelCase",
    "d.o.t",
    "Größe 東京 🐘",
    "back\\slash",
    "new\nline",
    "per%cent %s $1 ${x}",
    "select",
    "a-b;--c/*d",
    "E'x'",
    "exactly_sixty_three_bytes_long_as_names_in_PostgreSQL_may_be_63",
];

fn of_everything(edition: Edition) {
    let pair = Pair::new("Data 'base' \"ö\"", edition);
    for (number, name) in NAMES.iter().enumerate() {
        assert!(name.len() <= 63);
        let id = quote(name);
        let text = name.replace('\'', "''").replace('\\', "\\\\");
        pair.source.sql(&format!(
            "CREATE SCHEMA {id};
             SET search_path = {id}, public;
             CREATE TYPE {kind} AS ENUM ('a', E'{text}');
             CREATE TABLE {id} ({id} int, at timestamptz NOT NULL, kind {kind}, CONSTRAINT {id} CHECK ({id} > 0));
             SELECT create_hypertable('{table}', by_range('at', INTERVAL '1 day'));
             CREATE INDEX {index} ON {id} ({id}) WHERE {id} > 3;
             CREATE SEQUENCE {sequence};
             COMMENT ON TABLE {id} IS E'{text}';
             INSERT INTO {id} SELECT n, timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours', E'{text}'
             FROM generate_series(1, 9) n;
             CREATE TABLE {plain} ({id} text PRIMARY KEY, {key} text REFERENCES {plain});
             INSERT INTO {plain} VALUES (E'{text}', E'{text}');
             CREATE VIEW {view} AS SELECT {id} AS {id} FROM {id}.{id};
             CREATE FUNCTION {id}({id} int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            table = format!("{id}.{id}").replace('\'', "''"),
            index = quote(&format!("{number} {}", shortened(name))),
            sequence = quote(&format!("s {}", shortened(name))),
            plain = quote(&format!("p {}", shortened(name))),
            key = quote(&format!("k {}", shortened(name))),
            kind = quote(&format!("t {}", shortened(name))),
            view = quote(&format!("v {}", shortened(name))),
        ));
    }
    // Names that fold to one another are different names.
    pair.source.sql(
        "CREATE TABLE \"Fold\" (x int); INSERT INTO \"Fold\" VALUES (1);
         CREATE TABLE fold (\"X\" int, x int); INSERT INTO fold VALUES (2, 3)",
    );
    pair.migrate();
    assert_same(&pair);
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
}

/// Room for a prefix within the 63 bytes.
fn shortened(name: &str) -> String {
    name.chars().take(57).collect()
}

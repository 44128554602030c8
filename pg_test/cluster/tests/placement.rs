//! Tablespaces are kept where the target has them.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};

pub const TESTS: &[Test] = &[
    Test::both("tablespaces that the target has", kept),
    Test::apache("tablespaces that it lacks", lacking),
    Test::apache("dropped on demand", dropped),
];

/// Makes a tablespace on a server; needs no directory of its own.
pub fn tablespace(db: &cluster::Db, name: &str) {
    let mut client = db.connect();
    client.batch_execute("SET allow_in_place_tablespaces = on").unwrap();
    client.batch_execute(&format!("CREATE TABLESPACE {name} LOCATION ''")).unwrap();
}

fn fill(pair: &Pair, space: &str) {
    pair.source.sql(&format!(
        "CREATE TABLE p (n int PRIMARY KEY USING INDEX TABLESPACE {space}) TABLESPACE {space};
         CREATE TABLE q (n int); CREATE INDEX ON q (n) TABLESPACE {space};
         CREATE TABLE h (t timestamptz NOT NULL); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         SELECT attach_tablespace('{space}', 'h');
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours' FROM generate_series(1, 9) n"
    ));
}

const PLACES: &str = "SELECT string_agg(concat_ws(' ', relname, t.spcname), ', ' ORDER BY relname)
    FROM pg_class c LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')";

fn kept(edition: Edition) {
    let space = format!("kept_space_{}", edition.name());
    let pair = Pair::new("place_kept", edition);
    tablespace(&pair.source, &space);
    tablespace(&pair.target, &space);
    fill(&pair, &space);
    pair.migrate();
    assert_eq!(pair.source.value(PLACES), pair.target.value(PLACES));
    let attached = "SELECT string_agg(t::text, ' ') FROM show_tablespaces('h') t";
    assert_eq!(pair.target.value(attached), space);
    assert_same(&pair);
}

fn lacking(edition: Edition) {
    let pair = Pair::new("place_lacking", edition);
    tablespace(&pair.source, "lacking_space");
    fill(&pair, "lacking_space");
    let summary = pair.migrate();
    assert_ne!(summary.get("warnings"), Some("0"));
    assert!(pair.messages().contains("lacking_space"), "{}", pair.messages());
    let elsewhere = "SELECT count(*) FROM pg_class WHERE reltablespace <> 0 AND relnamespace = 'public'::regnamespace";
    assert_eq!(pair.target.value(elsewhere), "0");
    assert_eq!(pair.target.value("SELECT count(*) FROM h"), "9");
}

fn dropped(edition: Edition) {
    let pair = Pair::new("place_dropped", edition);
    tablespace(&pair.source, "dropped_space");
    tablespace(&pair.target, "dropped_space");
    fill(&pair, "dropped_space");
    pair.migrate_with(r#"'{"tablespaces": "drop"}'"#);
    let placed = "SELECT count(*) FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE spcname = 'dropped_space'";
    assert_eq!(pair.target.value(placed), "0");
}

//! What users make of TimescaleDB's own views, tables and functions, and beside its chunks, arrives where
//! the target's version has what it needs, and is named before anything is made where it has not.

use cluster::suite::Test;
use cluster::{Pair, Versions, assert_same};

pub const TESTS: &[Test] = &[
    Test::between("what both versions have arrives", &SAME, in_both),
    Test::between("what the target lacks is named and left out", &NEWER, lacking),
    Test::between("a child of a hypertable arrives", &SAME, child),
    Test::between("a child of a hypertable is refused", &NEWER, child_refused),
];

const SAME: [Versions; 1] = [Versions::new("2.19.3", "2.19.3")];
const NEWER: [Versions; 1] = [Versions::new("2.19.3", "2.29.2")];

/// In every version.
const COMMON: &str = "CREATE TABLE h (t timestamptz NOT NULL, n int); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
    INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '5 hours', n FROM generate_series(0, 29) n;
    CREATE VIEW ranges AS SELECT hypertable_name, count(*) AS chunks, max(range_end) AS last FROM timescaledb_information.chunks GROUP BY 1;
    CREATE VIEW jobs AS SELECT id, owner::text FROM _timescaledb_config.bgw_job WHERE id >= 1000;
    CREATE MATERIALIZED VIEW sizes AS SELECT hypertable_name::text, num_dimensions FROM timescaledb_information.hypertables;
    CREATE FUNCTION all_chunks() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM _timescaledb_catalog.chunk; END;
    CREATE FUNCTION later() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM _timescaledb_catalog.chunk WHERE NOT dropped); END';
    CREATE INDEX ON h (time_bucket('1 day', t))";

/// Of 2.19: a function and columns.
const OLD: &str = "CREATE SCHEMA old;
    CREATE VIEW old.tables AS SELECT id, schema_name, table_name FROM _timescaledb_catalog.chunk WHERE NOT dropped;
    CREATE VIEW old.upon AS SELECT count(*) FROM old.tables; COMMENT ON VIEW old.upon IS 'upon the other';
    CREATE VIEW old.finalized AS SELECT view_name, finalized FROM timescaledb_information.continuous_aggregates;
    CREATE VIEW old.monthly AS SELECT timescaledb_experimental.time_bucket_ng('1 month', t, 'Europe/Berlin') AS month, sum(n) FROM h GROUP BY 1;
    CREATE FUNCTION old.names() RETURNS SETOF text LANGUAGE sql BEGIN ATOMIC SELECT table_name::text FROM _timescaledb_catalog.chunk; END";

fn in_both(versions: Versions) {
    let pair = Pair::of("upon_in_both", versions);
    pair.source.sql(COMMON);
    pair.source.sql(OLD);
    assert_eq!(pair.preflight("objects"), ["ok | all objects | can be migrated"]);
    pair.migrate();
    assert_same(&pair);
}

fn lacking(versions: Versions) {
    let pair = Pair::of("upon_lacking", versions);
    pair.source.sql(COMMON);
    assert_eq!(pair.preflight("objects"), ["ok | all objects | can be migrated"]);
    pair.source.sql(OLD);
    let hint = "Drop it on the source, or change it to use only what both versions have. Or leave it out: \"on_unsupported\": \"skip\".";
    let found = [
        ("function old.names()", "column table_name of _timescaledb_catalog.chunk"),
        ("view old.finalized", "column finalized of timescaledb_information.continuous_aggregates"),
        ("view old.monthly", "function timescaledb_experimental.time_bucket_ng(interval,timestamp with time zone,text)"),
        (
            "view old.tables",
            "column dropped of _timescaledb_catalog.chunk, column schema_name of _timescaledb_catalog.chunk, \
             column table_name of _timescaledb_catalog.chunk",
        ),
    ];
    let said = |status: &str, end: &str| -> Vec<String> {
        let line = |(subject, lacks): &(&str, &str)| {
            format!("{status} | dependence on TimescaleDB {subject} | It needs {lacks}, which TimescaleDB 2.29.2 does not have.{end}")
        };
        found.iter().map(line).collect()
    };
    assert_eq!(pair.preflight("objects").iter().filter(|row| row.ends_with(" | as above")).count(), 3);
    let mut preflight = pair.preflight_in_full("objects", "{}");
    preflight.sort();
    assert_eq!(preflight, said("error", &format!(" | {hint}")));
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["4 checks failed", "old.tables"]);
    assert_eq!(pair.target.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = 'h'"), "0");

    let skip = r#"{"on_unsupported": "skip"}"#;
    let mut preflight = pair.preflight_with("objects", skip);
    preflight.sort();
    assert_eq!(preflight, said("warning", " Left out: objects that depend on it are left out too."));
    let schema = pair.preflight_with("schema", skip);
    assert_eq!(schema, ["warning | VIEW old.upon | It depends on VIEW old.tables, which does not arrive. Left out: objects that depend on it are left out too."]);
    pair.migrate_with(&format!("options => '{skip}'"));
    // As it would be without them.
    pair.source.sql("DROP VIEW old.upon, old.tables, old.finalized, old.monthly; DROP FUNCTION old.names");
    assert_same(&pair);
    assert!(pair.messages().contains("view old.monthly"), "{}", pair.messages());
}

const CHILD: &str = "CREATE TABLE h (t timestamptz NOT NULL, n int CHECK (n >= 0)); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
    CREATE INDEX ON h (n); CREATE TABLE old_h (source text) INHERITS (h); CREATE TABLE older_h () INHERITS (old_h);
    INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '5 hours', n FROM generate_series(0, 29) n;
    INSERT INTO old_h SELECT timestamptz '2023-01-01 UTC' + n * INTERVAL '5 hours', n, 'old' FROM generate_series(0, 29) n;
    INSERT INTO older_h VALUES ('2022-01-01 UTC', 1, 'older'); CREATE INDEX ON old_h (source);
    CREATE VIEW all_h AS SELECT t FROM h UNION ALL SELECT t FROM old_h";

fn child(versions: Versions) {
    let pair = Pair::of("upon_child", versions);
    pair.source.sql(CHILD);
    let expected = "warning | child table public.old_h | It inherits from the hypertable public.h without being one of its chunks; \
                    queries on the hypertable do not return its rows.";
    assert_eq!(pair.preflight("objects"), [expected]);
    pair.migrate();
    assert_same(&pair);
    let counts = "SELECT concat_ws(' ', (SELECT count(*) FROM h), (SELECT count(*) FROM old_h), (SELECT count(*) FROM ONLY older_h))";
    assert_eq!(pair.target.value(counts), "30 31 1");
}

fn child_refused(versions: Versions) {
    let pair = Pair::of("upon_child_refused", versions);
    pair.source.sql(CHILD);
    let expected = "error | child table public.old_h | It inherits from the hypertable public.h without being one of its chunks; \
                    queries on the hypertable do not return its rows. | \
                    Run ALTER TABLE ... NO INHERIT ... on the source; the table then arrives as an ordinary one.";
    assert_eq!(pair.preflight("objects"), [expected]);
    pair.target.refuses("SELECT * FROM migrate_from('old', options => '{\"on_unsupported\": \"skip\"}')", &["old_h", "NO INHERIT"]);
    assert_eq!(pair.target.value("SELECT count(*) FROM pg_class WHERE relname IN ('h', 'old_h')"), "0");
    pair.source.sql("ALTER TABLE old_h NO INHERIT h");
    pair.migrate();
    assert_same(&pair);
}

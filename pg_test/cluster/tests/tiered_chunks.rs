//! The rows of a chunk in tiered storage arrive in ordinary chunks. Tiered storage is its vendor's alone; here a foreign table of another
//! kind stands in for it, as in TimescaleDB's own tests.

use cluster::suite::Test;
use cluster::{Db, Edition, Pair, Versions, assert_same_but, poll};

pub const TESTS: &[Test] = &[
    Test::versions("arrive in ordinary chunks", arrive),
    Test::community("arrive in the other edition", other_edition),
    Test::community("that cannot be read are refused", unreadable),
    Test::community("are looked at again by a resume", resumed),
];

/// A hypertable `reading` with chunks of other widths than it makes now, one of them compressed, and with older rows in tiered storage;
/// the database that stores these.
fn make(pair: &Pair) -> Db {
    let source = &pair.source;
    let store = Db::create(source.cluster.clone(), &format!("store of {}", source.name));
    store.sql(
        "CREATE TABLE stored (t timestamptz NOT NULL, device int, n int, twice int, number int);
         INSERT INTO stored SELECT timestamptz '2023-11-30 13:00 UTC' + i * INTERVAL '1 hour', i % 5, i, 2 * i, -i FROM generate_series(1, 754) i",
    );
    let functions = source.functions();
    source.sql(&format!("SELECT {functions}.stop_background_workers(); CREATE EXTENSION postgres_fdw"));
    source.sql(&format!(
        "CREATE SERVER storage FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{}', port '{}', dbname '{}');
         CREATE USER MAPPING FOR postgres SERVER storage OPTIONS (user 'postgres')",
        source.cluster.dir.display(),
        source.cluster.port,
        store.name
    ));
    source.sql(&format!(
        "CREATE TABLE reading (gone int, t timestamptz NOT NULL, device int, n int, twice int GENERATED ALWAYS AS (2 * n) STORED,
                               number int GENERATED ALWAYS AS IDENTITY, UNIQUE (t, device));
         ALTER TABLE reading DROP COLUMN gone;
         SELECT create_hypertable('reading', 't', chunk_time_interval => INTERVAL '1 day');
         CREATE INDEX ON reading (n);
         INSERT INTO reading (t, device, n) SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 hour', i % 5, i FROM generate_series(0, 99) i;
         SELECT set_chunk_time_interval('reading', INTERVAL '8 days');
         ALTER TABLE reading SET (timescaledb.compress, timescaledb.compress_segmentby = 'device');
         SELECT compress_chunk(c) FROM show_chunks('reading') c LIMIT 2;
         CREATE FOREIGN TABLE tiered (t timestamptz NOT NULL, device int, n int, twice int GENERATED ALWAYS AS (2 * n) STORED, number int NOT NULL) SERVER storage OPTIONS (table_name 'stored');
         SELECT {functions}.attach_osm_table_chunk('reading', 'tiered')"
    ));
    assert_eq!(source.value("SELECT count(*) FROM reading"), "854");
    store
}

/// All but the chunks, which are others, and what TimescaleDB notes of them.
fn assert_same_rows(pair: &Pair, others: &[&str]) {
    let chunks = ["public.reading chunk", "rows of public.reading chunk", "rows seen in public.reading chunk", "batches of public.reading chunk",
        "compressed public.reading chunk", "status of public.reading chunk", "sparse indexes of ", "schema tiered"];
    assert_same_but(pair, &[&chunks, others].concat());
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
}

fn arrive(versions: Versions) {
    let pair = Pair::of("tiered", versions);
    let _store = make(&pair);
    let source = &pair.source;
    source.sql(
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', t) AS day, sum(n) AS n FROM reading GROUP BY 1 WITH NO DATA",
    );
    source.each(&[
        "CALL refresh_continuous_aggregate('daily', NULL, '2024-01-03 UTC')",
        "INSERT INTO reading (t, device, n) VALUES ('2024-01-01 00:30 UTC', 1, 1)",
    ]);
    // As if the extension were there: with a job of its own.
    source.sql(
        "INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) VALUES (1, 'timescaledb_osm', 10, 11, false, '1.0');
         CREATE PROCEDURE tier_more(int, jsonb) LANGUAGE sql AS 'SELECT 1'; SELECT add_job('tier_more', '1 day');
         INSERT INTO pg_depend VALUES ('pg_proc'::regclass, 'tier_more'::regproc, 0, 'pg_extension'::regclass, 1, 0, 'e')",
    );
    let planned = pair.target.rows("SELECT method, note FROM migrate_plan('old') WHERE phase = 'tiered'");
    assert_eq!((planned.len(), planned[0].get(0), planned[0].get(1)), (1, Some("COPY binary, INSERT"), Some("in tiered storage on the source")));
    // A newer PostgreSQL has that extension in another version, or not at all.
    let warnings = "SELECT string_agg(subject, ', ' ORDER BY subject) FROM migrate_preflight('old') WHERE status = 'warning' AND subject <> 'postgres_fdw' AND topic <> 'scheduler'";
    assert_eq!(pair.target.value(warnings), "job User-Defined Action [1000], tiered chunk public.tiered of public.reading, timescaledb_osm");
    pair.migrate_with("'{\"verify\": \"checksum\"}', jobs => 3");
    source.sql("DELETE FROM pg_depend WHERE refobjid = 1 AND deptype = 'e'; DELETE FROM pg_extension WHERE oid = 1; SELECT delete_job(1000); DROP PROCEDURE tier_more");
    assert_same_rows(&pair, &[]);
    let made = "SELECT count(*) || ' ' || count(*) FILTER (WHERE c.relkind <> 'r') || ' ' || min(x.n) || ' ' || max(x.n)
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        CROSS JOIN LATERAL (SELECT count(*) AS n FROM pg_index WHERE indrelid = c.oid) x WHERE i.inhparent = 'reading'::regclass";
    assert_eq!(pair.target.value(made), "10 0 3 3", "five chunks more, ordinary ones, with all indexes");
    assert!(pair.target.is("SELECT status & 3 = 0 FROM _timescaledb_catalog.hypertable WHERE table_name = 'reading'"));
    pair.target.refuses("INSERT INTO reading (t, device) VALUES ('2023-11-30 14:00 UTC', 1)", &["duplicate"]);
    pair.target.sql("INSERT INTO reading (t, device) VALUES ('2023-11-30 14:01 UTC', 1); DELETE FROM reading WHERE t < '2023-12-10 UTC'");
}

fn other_edition(_: Edition) {
    let pair = Pair::across("tiered_apache", Edition::Community, Edition::Apache);
    let _store = make(&pair);
    pair.migrate_with("'{\"on_unsupported\": \"skip\"}', jobs => 2");
    assert_same_rows(&pair, &["compression of "]);
}

fn unreadable(edition: Edition) {
    let pair = Pair::new("tiered_unreadable", edition);
    let store = make(&pair);
    store.sql("ALTER TABLE stored RENAME TO elsewhere");
    for options in ["{}", "{\"on_unsupported\": \"skip\"}"] {
        let told = pair.target.value(&format!("SELECT concat(subject, ' ', detail) FROM migrate_preflight('old', '{options}') WHERE status = 'error'"));
        assert!(told.contains("public.tiered") && told.contains("\"public.stored\" does not exist"), "{told}");
        pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{options}')"), &["public.tiered", "public.reading"]);
    }
    store.sql("ALTER TABLE elsewhere RENAME TO stored");
    // The rows come in with an ordinary owner's rights.
    pair.source.sql("CREATE ROLE tiered_owner; ALTER TABLE reading OWNER TO tiered_owner");
    pair.migrate();
    assert_same_rows(&pair, &[]);
}

fn resumed(edition: Edition) {
    let pair = Pair::new("tiered_resumed", edition);
    let store = make(&pair);
    let slowly = |body: &str| format!("CREATE OR REPLACE FUNCTION slowly(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN {body} RETURN n; END'");
    pair.source.sql(&slowly(""));
    // Nothing else is to wait for the function.
    pair.source.sql("CREATE TABLE plain (n int) WITH (autovacuum_enabled = off); INSERT INTO plain SELECT generate_series(1, 2000); CREATE INDEX ON plain (slowly(n))");
    pair.source.sql(&slowly("PERFORM pg_sleep(0.1);"));
    let run = pair.start("");
    let state = |phase: &str| pair.target.value(&format!("SELECT coalesce(string_agg(DISTINCT state, ' '), '') FROM timescale_migrate.task WHERE phase = '{phase}'"));
    poll("the rows to be there, and an index to be under way", || state("tiered") == "done" && state("index").contains("running"));
    assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, 'immediate')")));
    pair.wait_for_state(&run, "cancelled");
    pair.wait_for_silence();
    for side in [&pair.source, &pair.target] {
        side.sql(&slowly(""));
    }
    // More than there were, and further back.
    store.sql("INSERT INTO stored SELECT timestamptz '2023-10-01 UTC' + i * INTERVAL '1 hour', i % 5, i, 2 * i, -i FROM generate_series(1, 50) i");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    assert!(pair.messages().contains("public.tiered has 804 rows on the source now, 754 were copied"), "{}", pair.messages());
    assert_same_rows(&pair, &[]);
}

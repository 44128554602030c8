//! A resume, and a cleanup, of a run that has made hypertables of tables.

use crate::hypertables_option::{AT_THE_END, NO_MORE};
use crate::resume::resume;
use cluster::suite::Test;
use cluster::{Db, Edition, Pair, of_edition, shared_source};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::community("copied again under whatever keeps rows out", kept_out),
    Test::community("many chunks under a small lock table", many_chunks),
    Test::community("chunks and partitions of one table at the same time", at_the_same_time),
    Test::both("an error that passes while chunks are dropped", tried_again),
    Test::community("another table takes the name of one with a constraint that is NOT VALID", name_taken),
];

const RUN: &str = "(SELECT max(id) FROM timescale_migrate.run WHERE kind = 'migrate')";

/// What users put on a table that would keep its own rows out: each is there when a resume copies the table again.
const BARRIERS: [(&str, &str); 4] = [
    ("forced", "ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"),
    ("revoked", "REVOKE ALL ON %s FROM barriers_owner"),
    ("lax", "ALTER TABLE %s ADD CONSTRAINT lax CHECK (n > 5) NOT VALID; COMMENT ON CONSTRAINT lax ON %s IS 'not yet'"),
    (
        "fired",
        "CREATE TRIGGER never BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION vanish(); ALTER TABLE %s ENABLE ALWAYS TRIGGER never;
         CREATE TRIGGER idle BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION vanish(); ALTER TABLE %s DISABLE TRIGGER idle",
    ),
];

fn kept_out(edition: Edition) {
    let pair = Pair::new("hypertables_kept_out", edition);
    pair.source.sql(
        "CREATE ROLE barriers_owner;
         CREATE FUNCTION vanish() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    );
    // Ordinary tables, hypertables of the source, and tables that become hypertables with few and with many chunks.
    let mut entries = Vec::new();
    let mut tables = Vec::new();
    for (form, days) in [("plain", 3), ("hyper", 3), ("few", 3), ("many", 20)] {
        for (name, barrier) in BARRIERS {
            let table = format!("{form}_{name}");
            pair.source.sql(&format!(
                "CREATE TABLE {table} (t timestamptz NOT NULL, n int); ALTER TABLE {table} OWNER TO barriers_owner"
            ));
            if form == "hyper" {
                pair.source.sql(&format!("SELECT create_hypertable('{table}', by_range('t', INTERVAL '1 day'))"));
            }
            pair.source.sql(&format!(
                "INSERT INTO {table} SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '{days} days' / 100, n FROM generate_series(0, 99) n"
            ));
            pair.source.each(&barrier.replace("%s", &table).split("; ").collect::<Vec<_>>());
            if ["few", "many"].contains(&form) {
                entries.push(format!(r#""public.{table}": {{"time": "t", "chunk_interval": "1 day"}}"#));
            }
            tables.push(table);
        }
    }
    let options = format!(r#"{{"hypertables": {{{}}}, "on_error": "continue", "verify": "checksum"}}"#, entries.join(", "));
    pair.target.sql(AT_THE_END);
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{options}', jobs => 2)"), &["not yet"]);
    for table in &tables {
        pair.source.sql(&format!("UPDATE {table} SET n = 1007 WHERE n = 7"));
    }
    pair.target.refuses(&format!("SELECT * FROM migrate_resume({RUN})"), &["not yet"]);
    pair.target.sql(NO_MORE);
    resume(&pair, &pair.target.value(&format!("SELECT {RUN}")));
    let rows = |table: &String| format!("SELECT string_agg(q::text, ' ' ORDER BY n) FROM {table} q");
    for table in &tables {
        assert_eq!(pair.target.value(&rows(table)), pair.source.value(&rows(table)), "{table}");
    }
    // What keeps rows out is there again, on each chunk as well.
    let kept = "SELECT string_agg(concat_ws(' ', c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relacl, k.convalidated, obj_description(k.oid)), ', ' ORDER BY c.relname)
        FROM pg_class c LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.conname = 'lax' WHERE c.relname ~ '^(plain|hyper|few|many)_' AND c.relkind = 'r'";
    assert_eq!(pair.target.value(kept), pair.source.value(kept));
    let of_chunks = "SELECT string_agg(DISTINCT concat_ws(' ', i.inhparent::regclass, k.convalidated, k.coninhcount, k.conislocal), ', ')
        FROM pg_inherits i JOIN pg_constraint k ON k.conrelid = i.inhrelid AND k.conname = 'lax'";
    assert_eq!(pair.target.value(of_chunks), "few_lax f 1 f, hyper_lax f 1 f, many_lax f 1 f");
    let triggers = "SELECT string_agg(DISTINCT concat_ws(' ', i.inhparent::regclass, g.tgname, g.tgenabled), ', ')
        FROM pg_inherits i JOIN pg_trigger g ON g.tgrelid = i.inhrelid AND NOT g.tgisinternal WHERE g.tgname IN ('never', 'idle')";
    assert_eq!(
        pair.target.value(triggers),
        "few_fired idle D, few_fired never A, hyper_fired idle D, hyper_fired never A, many_fired idle D, many_fired never A"
    );
}

fn many_chunks(edition: Edition) {
    // Room for 160 locks, by the documented formula; the server adds some for processes of its own.
    let settings = [("max_locks_per_transaction", "10"), ("max_connections", "16"), ("max_worker_processes", "20")];
    let pair = Pair::between("hypertables_many", shared_source(edition), Arc::new(of_edition(edition, &settings)));
    pair.source.sql(
        "CREATE TABLE many (t timestamptz NOT NULL, n int, filler text, PRIMARY KEY (t, n));
         ALTER TABLE many ALTER filler SET STORAGE PLAIN; CREATE INDEX ON many (n);
         INSERT INTO many SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n, repeat('f', 1000) FROM generate_series(1, 1200) n;
         CREATE TABLE few (t timestamptz NOT NULL, n int); INSERT INTO few SELECT t, n FROM many WHERE n < 100",
    );
    let options = r#"{"hypertables": {
        "public.many": {"time": "t", "chunk_interval": "3 hours", "compress": {"after": "1 year"}},
        "public.few": {"time": "t", "chunk_interval": "5 hours"}}, "split_bytes": 20000, "verify": "checksum"}"#;
    pair.target.sql(AT_THE_END);
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{options}', jobs => 2)"), &["not yet"]);
    assert!(pair.target.is("SELECT count(*) = 401 AND bool_and(is_compressed) FROM timescaledb_information.chunks WHERE hypertable_name = 'many'"));
    let statistics = "SELECT count(*) = 401 AND every(EXISTS (SELECT FROM pg_statistic WHERE starelid = compress_relid))
        FROM _timescaledb_catalog.compression_settings WHERE compress_relid IS NOT NULL";
    assert!(pair.target.is(statistics));
    let whole = "SELECT string_agg(DISTINCT starelid::regclass::text, ' ') FROM pg_statistic WHERE stainherit AND NOT starelid::regclass::text ~ 'timescale'";
    assert_eq!(pair.target.value(whole), "few");
    let warned = pair.messages();
    assert!(warned.contains("hypertable public.many: its 401 chunks are analyzed one by one"), "{warned}");
    // Everything is copied again.
    pair.source.sql("UPDATE many SET n = -n WHERE n = 1100");
    pair.target.sql(NO_MORE);
    resume(&pair, &pair.target.value(&format!("SELECT {RUN}")));
    assert!(pair.target.is(statistics));
    assert!(pair.target.is(&format!("SELECT every(same) AND count(*) = 2 FROM migrate_verify({RUN}, 'checksum')")));
    assert!(pair.target.is(&format!("SELECT every(same) FROM migrate_verify('old', options => '{options}')")));
    pair.target.sql("UPDATE many SET filler = 'other' WHERE t = '2024-01-30 04:00 UTC'");
    let differs = ["public.many: 1200 rows on the source, 1200 on the target, checksums differ"];
    pair.target.refuses(&format!("SELECT * FROM migrate_verify({RUN}, 'checksum')"), &differs);
    assert!(pair.target.is(&format!("SELECT every(same) FROM migrate_verify({RUN}, 'count')")));
    // A run that is not finished is removed.
    let other = Db::create(pair.target.cluster.clone(), "hypertables_many_removed");
    other.sql("CREATE EXTENSION timescaledb");
    let other = Pair::server(&pair.source, other);
    other.sql(AT_THE_END);
    other.refuses(&format!("SELECT * FROM migrate_from('old', '{options}', jobs => 2)"), &["not yet"]);
    other.sql(&format!("SELECT migrate_cleanup({RUN})"));
    assert!(other.is("SELECT to_regclass('many') IS NULL AND NOT EXISTS (SELECT FROM _timescaledb_catalog.chunk)"));
}

fn at_the_same_time(edition: Edition) {
    let pair = Pair::new("hypertables_same_time", edition);
    let rows = "SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n FROM generate_series(0, 71) n";
    let lax = |table: &str| format!("ALTER TABLE {table} ADD CONSTRAINT lax CHECK (n > 5) NOT VALID; COMMENT ON CONSTRAINT lax ON {table} IS 'not yet'");
    pair.source.sql(&format!(
        "CREATE TABLE h (t timestamptz NOT NULL, n int); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day')); INSERT INTO h {rows};
         CREATE TABLE p (t timestamptz NOT NULL, n int) PARTITION BY RANGE (n);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (30); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (30) TO (2000);
         INSERT INTO p {rows}"
    ));
    pair.source.each(&["h", "p"].map(lax));
    pair.target.sql(AT_THE_END);
    pair.target.refuses("SELECT * FROM migrate_from('old', jobs => 3)", &["not yet"]);
    // Who drops a constraint keeps its table for so long that the others wait for it.
    let slowly = "CREATE FUNCTION slowly() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
            IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE object_identity ~ '^lax on public.[hp]$') THEN PERFORM pg_sleep(0.5); END IF;
        END $$; CREATE EVENT TRIGGER slowly ON sql_drop EXECUTE FUNCTION slowly()";
    pair.target.sql(slowly);
    let statements = "SELECT string_agg(jsonb_array_length(work->'statements')::text, ' ') FROM timescale_migrate.task_log WHERE phase = 'constraint' AND work ? 'unvalidated'";
    let mut known = Vec::new();
    for _ in 0..2 {
        pair.source.sql("UPDATE h SET n = n + 100; UPDATE p SET t = t + INTERVAL '1 minute' WHERE n > 5");
        pair.target.refuses(&format!("SELECT * FROM migrate_resume({RUN})"), &["not yet"]);
        known.push(pair.target.value(statements));
    }
    assert_eq!(known[0], known[1], "the comment is kept once");
    pair.target.sql(&format!("DROP EVENT TRIGGER slowly; DROP FUNCTION slowly; {NO_MORE}"));
    resume(&pair, &pair.target.value(&format!("SELECT {RUN}")));
    cluster::assert_same(&pair);
}

fn tried_again(edition: Edition) {
    let pair = Pair::plain("hypertables_again", edition);
    pair.source.sql("CREATE TABLE h (t timestamptz NOT NULL, n int); INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 day', n FROM generate_series(1, 20) n");
    pair.target.sql(AT_THE_END);
    let options = r#"{"hypertables": {"public.h": {"time": "t", "chunk_interval": "1 day"}}}"#;
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{options}')"), &["not yet"]);
    pair.source.sql("UPDATE h SET n = -n WHERE n = 7");
    pair.target.sql(
        "CREATE SEQUENCE drops; CREATE FUNCTION once() RETURNS event_trigger LANGUAGE plpgsql AS
             $$ BEGIN IF nextval('public.drops') = 1 THEN RAISE 'not now' USING ERRCODE = 'serialization_failure'; END IF; END $$;
         CREATE EVENT TRIGGER once ON sql_drop WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION once()",
    );
    pair.target.refuses(&format!("SELECT * FROM migrate_resume({RUN})"), &["not yet"]);
    let told = pair.messages();
    assert!(pair.target.is("SELECT last_value > 1 FROM drops") && told.contains("public.h is copied again"), "{told}");
    pair.target.sql(&format!("DROP EVENT TRIGGER once; {NO_MORE}"));
    resume(&pair, &pair.target.value(&format!("SELECT {RUN}")));
    let rows = "SELECT count(*) || ' ' || sum(n) FROM h";
    assert_eq!(pair.target.value(rows), pair.source.value(rows));
}

fn name_taken(edition: Edition) {
    let pair = Pair::new("hypertables_name_taken", edition);
    pair.source.sql(
        "CREATE TABLE h (t timestamptz NOT NULL, n int); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h VALUES ('2024-01-01 UTC', 1); ALTER TABLE h ADD CONSTRAINT lax CHECK (n > 5) NOT VALID",
    );
    pair.target.sql(AT_THE_END);
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["not yet"]);
    pair.source.sql("INSERT INTO h VALUES ('2024-02-01 UTC', 7)");
    pair.target.sql("ALTER TABLE h RENAME TO first; CREATE TABLE h (t timestamptz NOT NULL, n int); ALTER TABLE h ADD CONSTRAINT lax CHECK (n > 5) NOT VALID");
    let resumed = format!("SELECT * FROM migrate_resume({RUN})");
    pair.target.refuses(&resumed, &["relation public.h is not the one that run"]);
    let kept = "SELECT string_agg(conrelid::regclass::text, ' ' ORDER BY conrelid) FROM pg_constraint WHERE conname = 'lax' AND conislocal";
    assert_eq!(pair.target.value(kept), "first h");
    pair.target.sql(&format!("DROP TABLE h; ALTER TABLE first RENAME TO h; {NO_MORE}"));
    pair.target.sql(&resumed);
    cluster::assert_same(&pair);
}

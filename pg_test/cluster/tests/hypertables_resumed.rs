//! A resume, and a cleanup, of a run that has made hypertables of tables.

use crate::hypertables_option::{AT_THE_END, NO_MORE};
use crate::resume::resume;
use cluster::suite::Test;
use cluster::{Db, Edition, Pair, of_edition, shared_source};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::community("copied again under whatever keeps rows out", kept_out),
    Test::community("many chunks under a small lock table", many_chunks),
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

//! What users put on the tables that TimescaleDB makes for itself arrives, or is named before anything is made.

use cluster::suite::Test;
use cluster::{Db, Pair, Versions, assert_same, assert_same_but, poll};

pub const TESTS: &[Test] = &[
    Test::between("chunks with a name, a schema and settings", &PAIRS, own_chunks),
    Test::between("triggers of single chunks", &NEWEST, triggers),
    Test::between("what no chunk can be given", &NEWEST, named),
    Test::between("materialization hypertables", &PAIRS, materialization_hypertables),
    Test::between("foreign keys to them", &PAIRS, foreign_keys),
];

const PAIRS: [Versions; 3] = [
    Versions::new("2.19.3", "2.19.3"),
    Versions::new("2.19.3", "2.29.2"),
    Versions::new("2.29.2", "2.29.2"),
];
const NEWEST: [Versions; 2] = [Versions::new("2.19.3", "2.29.2"), Versions::new("2.29.2", "2.29.2")];

/// Everything of chunks that is one's own, by the chunk's first slice.
const OWN: &str = "SELECT string_agg(concat_ws(' ', i.inhparent::regclass, pg_get_constraintdef(k.oid),
        CASE WHEN c.relname !~ '_\\d+_chunk$' THEN c.relname END, c.relnamespace::regnamespace, c.relrowsecurity, c.reloptions, t.reloptions, obj_description(c.oid),
        (SELECT string_agg(o.conname || ' ' || pg_get_constraintdef(o.oid), ' ' ORDER BY o.conname) FROM pg_constraint o WHERE o.conrelid = c.oid AND o.conname ~ 'few'),
        (SELECT split_part(pg_get_indexdef(x.indexrelid), ' USING ', 2) FROM pg_index x WHERE x.indrelid = c.oid AND x.indisclustered),
        (SELECT string_agg(concat_ws(' ', a.attname, nullif(a.attstattarget, -1), (SELECT string_agg(o, ' ') FROM unnest(a.attoptions) o WHERE o !~ 'pg_attver'), a.attstorage, a.attcompression, col_description(c.oid, a.attnum)), ', ' ORDER BY a.attname)
         FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)), E'\\n'
        ORDER BY i.inhparent::regclass::text, pg_get_constraintdef(k.oid))
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
    JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'c' AND k.conname LIKE 'constraint%'
    WHERE i.inhparent::regclass::text !~ 'compressed'";

/// The n-th chunk of a hypertable in the order of time.
fn chunk(db: &Db, n: usize) -> String {
    let chunks = "SELECT c FROM show_chunks('h') WITH ORDINALITY s(c, n) ORDER BY (regexp_match(pg_get_constraintdef((
        SELECT k.oid FROM pg_constraint k WHERE k.conrelid = c AND k.contype = 'c' AND k.conname ~ '^constraint_' LIMIT 1)), '''(.*?)'''))[1]";
    db.rows(chunks)[n].get(0).unwrap().to_owned()
}

fn hypertable(pair: &Pair) {
    pair.source.sql(
        "CREATE SCHEMA archive; CREATE TABLE h (t timestamptz NOT NULL, dev int, v float8, note text) WITH (fillfactor = 90, toast.autovacuum_enabled = false);
         SELECT create_hypertable('h', 't', chunk_time_interval => INTERVAL '1 day'); CREATE INDEX ON h (dev, t);
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '20 minutes', i % 4, i, 'n' || i FROM generate_series(0, 8 * 72 - 1) i;
         ALTER TABLE h SET (timescaledb.compress, timescaledb.compress_segmentby = 'dev', timescaledb.compress_orderby = 't')",
    );
}

fn own_chunks(versions: Versions) {
    let pair = Pair::of("own_chunks", versions);
    hypertable(&pair);
    // A chunk that is made later has it valid.
    pair.source.sql("ALTER TABLE h ADD CONSTRAINT newer_few CHECK (dev > -1) NOT VALID; INSERT INTO h (t, dev) VALUES ('2024-05-05 UTC', 1)");
    for (n, change) in [
        (0, "ALTER TABLE %s RENAME TO january_first"),
        (1, "ALTER TABLE %s SET SCHEMA archive"),
        (2, "ALTER TABLE %s SET (autovacuum_enabled = false, fillfactor = 70, toast.autovacuum_enabled = true)"),
        (2, "COMMENT ON TABLE %s IS 'it''s read only'"),
        (3, "ALTER TABLE %s RESET (fillfactor, toast.autovacuum_enabled)"),
        (3, "ALTER TABLE %s ALTER v SET STATISTICS 999, ALTER note SET (n_distinct = 5), ALTER note SET STORAGE EXTERNAL, ALTER note SET COMPRESSION pglz"),
        (4, "COMMENT ON COLUMN %s.v IS 'of a chunk'"),
        (4, "SELECT reorder_chunk('%s', 'h_dev_t_idx')"),
        (5, "SELECT reorder_chunk('%s', 'h_dev_t_idx')"),
        (5, "ALTER TABLE %s ENABLE ROW LEVEL SECURITY"),
        (6, "ALTER TABLE %s ADD CONSTRAINT \"few devices\" CHECK (dev < 100)"),
        (5, "ALTER TABLE %s RENAME TO \"Odd name\""),
        (5, "ALTER TABLE %s SET SCHEMA archive"),
        (0, "SELECT compress_chunk('%s')"),
        (1, "SELECT compress_chunk('%s')"),
        (2, "SELECT compress_chunk('%s')"),
        (5, "SELECT compress_chunk('%s')"),
    ] {
        pair.source.sql(&change.replace("%s", &chunk(&pair.source, n)));
    }
    assert_eq!(pair.preflight("objects"), ["ok | all objects | can be migrated"]);
    pair.migrate();
    // Since 2.29 compressed rows are beside their chunk.
    let beside = ["rows of archive.", "rows seen in archive.", "schema Odd name_compressed", "schema _hyper_", "sparse indexes of "];
    assert_same_but(&pair, &beside);
    let own = pair.target.value(OWN);
    assert_eq!(pair.source.value(OWN), own);
    let valid = "newer_few CHECK ((dev > '-1'::integer))";
    assert!(own.matches(valid).count() == 9 && own.matches("newer_few CHECK ((dev > '-1'::integer)) NOT VALID").count() == 8, "{own}");
    assert!(own.contains("few devices") && own.contains("btree (dev, t)") && own.contains("read only"), "{own}");
    // TimescaleDB continues to use them.
    pair.both(&[
        "INSERT INTO h SELECT timestamptz '2024-01-01 00:01 UTC' + i * INTERVAL '20 minutes', i % 4, i, 'late' FROM generate_series(0, 8 * 72 - 1) i",
        "SELECT count(compress_chunk(c, true)) FROM show_chunks('h') c",
        "SELECT count(decompress_chunk(c, true)) FROM show_chunks('h', older_than => timestamptz '2024-01-03 UTC') c",
        "SELECT count(*) FROM drop_chunks('h', timestamptz '2024-01-02 UTC')",
    ]);
    assert_same_but(&pair, &[&beside[..], &["batches of ", "compressed ", "rows of "]].concat());
    assert_eq!(pair.source.value(OWN), pair.target.value(OWN));
}

/// TimescaleDB lets a chunk have triggers of its own, and lack those of its hypertable. One that is made after the
/// hypertable's were disabled has them enabled.
fn triggers(versions: Versions) {
    let pair = Pair::of("own_triggers", versions);
    pair.source.each(&[
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        // A run waits after it has made triggers.
        "CREATE FUNCTION waits() RETURNS int LANGUAGE plpgsql AS $$
         BEGIN IF to_regclass('timescale_migrate.run_log') IS NOT NULL THEN PERFORM pg_advisory_xact_lock_shared(4711); END IF; RETURN 1; END $$",
        "CREATE MATERIALIZED VIEW late AS SELECT public.waits()",
    ]);
    hypertable(&pair);
    pair.source.each(&[
        "CREATE TRIGGER each BEFORE INSERT ON h FOR EACH ROW EXECUTE FUNCTION noted()",
        "CREATE TRIGGER other AFTER UPDATE ON h FOR EACH ROW EXECUTE FUNCTION noted('an ON argument')",
        "CREATE TRIGGER of_all AFTER INSERT ON h FOR EACH STATEMENT EXECUTE FUNCTION noted()",
        // Its chunks are made in another way on the target.
        "CREATE TABLE placed (t timestamptz NOT NULL, n int); SELECT create_hypertable('placed', 't', associated_schema_name => 'archive')",
        "CREATE TRIGGER each BEFORE INSERT ON placed FOR EACH ROW EXECUTE FUNCTION noted(); INSERT INTO placed VALUES ('2024-01-01 UTC', 1)",
    ]);
    for (n, change) in [
        (0, "DROP TRIGGER each ON %s"),
        (1, "DROP TRIGGER each ON %s; DROP TRIGGER other ON %s"),
        (2, "CREATE OR REPLACE TRIGGER each BEFORE INSERT ON %s FOR EACH ROW WHEN (new.v > 3) EXECUTE FUNCTION noted()"),
        (3, "CREATE CONSTRAINT TRIGGER \"own ON it\" AFTER UPDATE OF v ON %s DEFERRABLE FOR EACH ROW EXECUTE FUNCTION noted()"),
        (3, "COMMENT ON TRIGGER \"own ON it\" ON %s IS 'of a chunk'"),
        (4, "ALTER TRIGGER other ON %s RENAME TO renamed"),
        (5, "SET timescaledb.restoring = on; ALTER TABLE %s DISABLE TRIGGER other, ENABLE ALWAYS TRIGGER each; RESET timescaledb.restoring"),
        (6, "COMMENT ON TRIGGER each ON %s IS 'of a chunk'"),
        (0, "SELECT compress_chunk('%s')"),
        (3, "SELECT compress_chunk('%s')"),
        (4, "SELECT compress_chunk('%s'); SELECT _timescaledb_functions.freeze_chunk('%s')"),
        (5, "SELECT _timescaledb_functions.freeze_chunk('%s')"),
    ] {
        let mut client = pair.source.connect();
        client.batch_execute(&change.replace("%s", &chunk(&pair.source, n))).unwrap();
    }
    if versions.source >= "2.29" {
        pair.source.sql("ALTER TABLE h DISABLE TRIGGER other, ENABLE ALWAYS TRIGGER each; ALTER TABLE placed ENABLE ALWAYS TRIGGER each");
        pair.source.sql("INSERT INTO h VALUES ('2024-03-01 UTC', 1, 1)");
        let states = "SELECT count(DISTINCT tgenabled) FROM pg_trigger WHERE tgname = 'other'";
        assert_eq!(pair.source.value(states), "2");
    }
    assert_eq!(pair.preflight("objects"), ["ok | all objects | can be migrated"]);
    let mut gate = pair.target.connect();
    gate.batch_execute("SELECT pg_advisory_lock(4711)").unwrap();
    let run = pair.start("");
    let waits = "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
                                WHERE l.locktype = 'advisory' AND l.objid = 4711 AND NOT l.granted)";
    poll("the refresh to wait", || pair.target.is(waits));
    pair.target.sql(&format!("SELECT migrate_cancel({run}, 'immediate')"));
    pair.wait_for_state(&run, "cancelled");
    drop(gate);
    let list = "SELECT string_agg(concat_ws(' ', pg_get_constraintdef(k.oid),
            (SELECT string_agg(concat_ws(' ', replace(pg_get_triggerdef(g.oid), c.oid::regclass::text, 'it'), g.tgenabled, obj_description(g.oid)), ', ' ORDER BY g.tgname)
             FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal)), E'\n' ORDER BY pg_get_constraintdef(k.oid))
        FROM (SELECT show_chunks('h') UNION ALL SELECT show_chunks('placed')) c(oid) JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'c'";
    assert_eq!(pair.source.value(list), pair.target.value(list));
    // The chunks that are copied again are made anew.
    pair.source.sql("UPDATE h SET v = v + 1 WHERE t BETWEEN timestamptz '2024-01-02 UTC' AND '2024-01-04 UTC' OR t > '2024-01-07 UTC'; UPDATE placed SET n = 2");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    assert_eq!(pair.source.value(list), pair.target.value(list));
    assert_same_but(&pair, &["sparse indexes of "]);
    pair.both(&["INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 day', 1, i FROM generate_series(0, 3) i"]);
    pair.both(&["SELECT count(compress_chunk(c, true)) FROM show_chunks('h', older_than => timestamptz '2024-01-04 UTC') c"]);
}

/// Each of these is lost, and said to be.
fn named(versions: Versions) {
    let pair = Pair::of("own_named", versions);
    hypertable(&pair);
    let role = format!("own_named_{}", versions.suffix());
    pair.source.sql(&format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role}"));
    pair.source.sql("SELECT compress_chunk(c) FROM show_chunks('h', older_than => timestamptz '2024-01-02 UTC') c");
    pair.source.sql(
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', t) AS day, sum(v) AS v FROM h GROUP BY 1 WITH NO DATA",
    );
    let compressed = pair.source.value("SELECT compress_relid FROM _timescaledb_catalog.compression_settings WHERE compress_relid IS NOT NULL");
    let materialization = pair.source.value("SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) FROM timescaledb_information.continuous_aggregates");
    let chunk = chunk(&pair.source, 3);
    pair.source.sql("CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE PUBLICATION own");
    for (what, on_chunk, on_compressed, on_materialization) in [
        ("privileges", "GRANT SELECT ON %s TO :role", "GRANT SELECT ON %s TO :role", "GRANT SELECT ON %s TO :role"),
        ("row security", "", "ALTER TABLE %s ENABLE ROW LEVEL SECURITY", ""),
        ("a policy", "CREATE POLICY own ON %s USING (true)", "CREATE POLICY own ON %s USING (true)", "CREATE POLICY own ON %s USING (true)"),
        ("a constraint", "ALTER TABLE %s ADD CONSTRAINT own CHECK (dev > 2) NOT VALID", "ALTER TABLE %s ADD CONSTRAINT own CHECK (dev < 100)", ""),
        ("extended statistics", "CREATE STATISTICS own_c ON dev, v FROM %s", "CREATE STATISTICS own_z ON dev, _ts_meta_count FROM %s", "CREATE STATISTICS own_m ON day, v FROM %s"),
        ("a place in a publication", "ALTER PUBLICATION own ADD TABLE ONLY %s", "ALTER PUBLICATION own ADD TABLE ONLY %s", "ALTER PUBLICATION own ADD TABLE %s"),
        ("an index to cluster on", "CREATE INDEX own_index ON %s (note); ALTER TABLE %s CLUSTER ON own_index", "", ""),
        ("a trigger", "", "CREATE TRIGGER own BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION noted()", ""),
        ("a setting of a column", "", "ALTER TABLE %s ALTER dev SET (n_distinct = 5)", ""),
        ("privileges on a column", "GRANT SELECT (dev) ON %s TO :role", "GRANT SELECT (dev) ON %s TO :role", "GRANT SELECT (v) ON %s TO :role"),
        ("a comment", "", "COMMENT ON TABLE %s IS 'own'", ""),
        ("a comment on an index", "SELECT format('COMMENT ON INDEX %%s IS ''own''', indexrelid::regclass) FROM pg_index WHERE indrelid = '%s'::regclass LIMIT 1", "", ""),
        ("a name like those that TimescaleDB chooses", "ALTER TABLE %s RENAME TO own_1_chunk", "", ""),
    ] {
        let mut expected = Vec::new();
        for (on, statement, sentence) in [
            (&chunk, on_chunk, format!("chunks of public.h | 1 of them have {what} of their own. Those that are made on the target have the hypertable's.")),
            (&compressed, on_compressed, format!("tables for the compressed rows of public.h | 1 of them have {what} of their own. Those that are made on the target do not.")),
            (&materialization, on_materialization, format!("materialization hypertable of public.daily | It has {what} of its own. The one that is made on the target does not.")),
        ] {
            if statement.is_empty() {
                continue;
            }
            let mut statement = statement.replace("%s", on).replace(":role", &role);
            if statement.starts_with("SELECT format") {
                statement = pair.source.value(&statement.replace(&format!("%{on}"), "%s"));
            }
            pair.source.sql(&statement);
            expected.push(format!("warning | {sentence}"));
        }
        let found = pair.preflight("objects");
        for line in expected {
            assert!(found.contains(&line), "{line}\n{found:#?}");
        }
    }
    // What the aggregate has as well arrives with it.
    pair.source.sql(&format!("GRANT SELECT (v) ON daily TO {role}"));
    let found = pair.preflight("objects");
    assert!(!found.iter().any(|line| line.contains("public.daily | It has privileges on a column")), "{found:#?}");
    // An extension's function may have other arguments in the target's version.
    pair.source.sql("REVOKE EXECUTE ON PROCEDURE refresh_continuous_aggregate FROM PUBLIC");
    let refresh = pair.source.value("SELECT format('public.%s', oid::regprocedure) FROM pg_proc WHERE proname = 'refresh_continuous_aggregate'");
    let line = format!("warning | privileges on function {refresh} | do not arrive: it does not exist on the target");
    let is_there = pair.target.is(&format!("SELECT to_regprocedure('{refresh}') IS NOT NULL"));
    assert_eq!(pair.preflight("objects").contains(&line), !is_there, "{line}");
    pair.migrate();
    let its_own = "SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass FROM timescaledb_information.continuous_aggregates";
    for table in ["SELECT 'daily'::regclass", its_own] {
        let granted = format!("SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = ({table}) AND attacl::text LIKE '%{role}=r/%'");
        assert_eq!((pair.target.value(&granted).as_str(), pair.source.value(&granted).as_str()), ("v", "v"), "{table}");
    }
}

fn materialization_hypertables(versions: Versions) {
    let pair = Pair::of("own_materialization", versions);
    pair.source.sql(
        "CREATE TABLE metric (t timestamptz NOT NULL, dev int, v float8); SELECT create_hypertable('metric', 't', chunk_time_interval => INTERVAL '1 day');
         INSERT INTO metric SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 hour', i % 3, i FROM generate_series(0, 239) i;
         CREATE TABLE told (day timestamptz, v float8); CREATE SCHEMA \"Odd s\";
         CREATE FUNCTION \"Odd s\".tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.told VALUES (new.day, new.v); RETURN new; END'",
    );
    pair.source.sql(
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS
         SELECT time_bucket('1 day', t) AS day, dev, sum(v) AS v FROM metric GROUP BY 1, 2 WITH NO DATA",
    );
    pair.source.sql("CALL refresh_continuous_aggregate('daily', NULL, NULL)");
    let name = "SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) FROM timescaledb_information.continuous_aggregates";
    let table = pair.source.value(name);
    pair.source.sql(&format!(
        "CREATE TRIGGER \"a ON trigger\" AFTER INSERT OR UPDATE OF v ON {table} FOR EACH ROW WHEN (new.v > 0) EXECUTE FUNCTION \"Odd s\".tell();
         COMMENT ON TRIGGER \"a ON trigger\" ON {table} IS 'tells';
         COMMENT ON TABLE {table} IS 'the rows of daily'; COMMENT ON COLUMN {table}.v IS 'a sum';
         CREATE INDEX \"by USING v\" ON {table} (v) WHERE v > 100; COMMENT ON INDEX {}.\"by USING v\" IS 'large ones';
         ALTER TABLE {table} REPLICA IDENTITY FULL; ALTER TABLE {table} SET (fillfactor = 80, toast.autovacuum_enabled = false)",
        table.split('.').next().unwrap()
    ));
    assert_eq!(pair.preflight("objects"), ["ok | all objects | can be migrated"]);
    pair.migrate();
    assert_same(&pair);
    let [here, there] = [&pair.source, &pair.target].map(|db| {
        let table = db.value(name);
        db.value(&format!(
            "SELECT replace(concat_ws(E'\\n', obj_description(c.oid), col_description(c.oid, 3), c.relreplident, c.reloptions, t.reloptions,
                 (SELECT string_agg(pg_get_triggerdef(g.oid) || obj_description(g.oid), E'\\n' ORDER BY g.tgname) FROM pg_trigger g
                  WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgname !~ '^ts_'),
                 (SELECT count(*) FROM pg_trigger g WHERE g.tgname = 'a ON trigger'),
                 (SELECT string_agg(pg_get_indexdef(i.indexrelid) || obj_description(i.indexrelid), E'\\n') FROM pg_index i WHERE i.indrelid = c.oid)),
                 '{table}', 'daily')
             FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.oid = '{table}'::regclass"
        ))
    });
    assert_eq!(here, there);
    assert!(here.contains("tells") && here.contains("large ones") && here.contains("a sum"), "{here}");
    pair.both(&["INSERT INTO metric VALUES ('2024-02-01 UTC', 1, 5)", "CALL refresh_continuous_aggregate('daily', NULL, NULL)"]);
    assert!(pair.target.is("SELECT count(*) > 0 FROM told"));
    assert_same(&pair);
}

/// Numbers of chunks and jobs differ on the target.
fn foreign_keys(versions: Versions) {
    let pair = Pair::of("own_keys", versions);
    hypertable(&pair);
    pair.source.sql("ALTER TABLE h SET (timescaledb.compress = false); SELECT drop_chunks('h', timestamptz '2024-01-03 UTC')");
    pair.source.sql("ALTER TABLE h ADD PRIMARY KEY (t, v)");
    let jobs = if versions.source >= "2.25" { "_timescaledb_catalog.bgw_job" } else { "_timescaledb_config.bgw_job" };
    let chunk = chunk(&pair.source, 0);
    pair.source.sql(&format!(
        "CREATE TABLE of_chunk (id int NOT NULL, top float8, CONSTRAINT known FOREIGN KEY (id) REFERENCES _timescaledb_catalog.chunk (id) ON DELETE CASCADE);
         COMMENT ON CONSTRAINT known ON of_chunk IS 'goes with it';
         INSERT INTO of_chunk SELECT id, 1 FROM _timescaledb_catalog.chunk;
         CREATE TABLE of_job (id int NOT NULL CONSTRAINT known REFERENCES {jobs} (id)) PARTITION BY RANGE (id);
         CREATE TABLE of_job_all PARTITION OF of_job DEFAULT;
         INSERT INTO of_job SELECT min(id) FROM {jobs};
         CREATE TABLE of_row (t timestamptz, v float8, CONSTRAINT known FOREIGN KEY (t, v) REFERENCES {chunk} (t, v));
         CREATE TABLE of_rows AS SELECT t, v FROM h LIMIT 9"
    ));
    pair.source.sql("ALTER TABLE of_rows ADD CONSTRAINT whole FOREIGN KEY (t, v) REFERENCES h (t, v)");
    let tables = ["of_chunk", "of_job", "of_row"];
    let errors = pair.preflight_in_full("objects", "{}");
    assert_eq!(errors.len(), 3, "{errors:#?}");
    for (error, table) in errors.iter().zip(tables) {
        assert!(error.starts_with(&format!("error | foreign key to an internal table known on public.{table} | ")), "{error}");
        assert!(error.contains("on_unsupported"), "{error}");
    }
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["of_chunk", "of_job", "of_row"]);
    assert!(pair.target.is("SELECT to_regclass('of_chunk') IS NULL"));
    pair.migrate_with("options => '{\"on_unsupported\": \"skip\"}'");
    for table in tables {
        assert!(pair.messages().contains(&format!("known on public.{table}")));
        assert_eq!(pair.source.value(&format!("SELECT count(*) FROM {table}")), pair.target.value(&format!("SELECT count(*) FROM {table}")));
    }
    let keys = "SELECT string_agg(conname || convalidated, ' ') FROM pg_constraint
        WHERE contype = 'f' AND (conname = 'known' OR confrelid = 'h'::regclass)";
    assert_eq!(pair.target.value(keys), "wholetrue");
}

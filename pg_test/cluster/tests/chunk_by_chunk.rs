//! What workers make on the chunks of a hypertable one by one is what TimescaleDB makes in one
//! statement.

use crate::placement::tablespace;
use cluster::suite::Test;
use cluster::{Db, Edition, Pair, Versions, assert_same, of_edition, shared_source};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::apache("indexes and constraints", apache_indexes),
    Test::between("indexes and constraints", &Versions::TARGETS, versions_indexes),
    Test::both("a stop between the chunks of an index", stopped),
    Test::between("statistics", &Versions::TARGETS, statistics),
    Test::both("more chunks than the lock table holds", many_chunks),
];

/// What drops and what makes each.
const INDEXES: [(&str, &str); 14] = [
    (r#"DROP INDEX "Odd s"."i ON h (""a"")""#, r#"CREATE INDEX "i ON h (""a"")" ON "Odd s"."h ON t USING"
        (d DESC NULLS LAST, "A b" COLLATE "POSIX" text_pattern_ops) INCLUDE (v) WITH (fillfactor = 70) WHERE d > 3 AND "A b" <> ' ON '"#),
    (r#"DROP INDEX "Odd s"."h ON t USING_twice_t_idx""#, r#"CREATE INDEX ON "Odd s"."h ON t USING" ("Odd s".twice(d), t)"#),
    (r#"DROP INDEX "Odd s".u"#, r#"CREATE UNIQUE INDEX u ON "Odd s"."h ON t USING" (t, d "Odd s".backwards, lower("A b")) NULLS NOT DISTINCT TABLESPACE :b"#),
    (r#"DROP INDEX "Odd s"."h ON t USING_r_idx""#, r#"CREATE INDEX ON "Odd s"."h ON t USING" USING gist (r)"#),
    (r#"DROP INDEX "Odd s"."h ON t USING_t_idx""#, r#"CREATE INDEX ON "Odd s"."h ON t USING" USING brin (t) WITH (pages_per_range = 16)"#),
    ("", r#"ALTER TABLE "Odd s"."h ON t USING" CLUSTER ON u"#),
    ("DROP INDEX an_index_with_a_name_so_long_that_it_is_cut_on_each_chunk_1", "CREATE INDEX an_index_with_a_name_so_long_that_it_is_cut_on_each_chunk_1 ON l (n)"),
    ("DROP INDEX an_index_with_a_name_so_long_that_it_is_cut_on_each_chunk_2", "CREATE INDEX an_index_with_a_name_so_long_that_it_is_cut_on_each_chunk_2 ON l (n DESC)"),
    ("DROP INDEX ident", "CREATE UNIQUE INDEX ident ON l (t)"),
    ("", "ALTER TABLE l REPLICA IDENTITY USING INDEX ident"),
    (r#"ALTER TABLE "Odd s"."h ON t USING" DROP CONSTRAINT "p ON k""#, r#"ALTER TABLE "Odd s"."h ON t USING" ADD CONSTRAINT "p ON k" PRIMARY KEY (t, d) INCLUDE (v) USING INDEX TABLESPACE :a"#),
    (r#"ALTER TABLE "Odd s"."h ON t USING" DROP CONSTRAINT later"#, r#"ALTER TABLE "Odd s"."h ON t USING" ADD CONSTRAINT later
        UNIQUE NULLS NOT DISTINCT (d, t, "A b") WITH (fillfactor = 50) DEFERRABLE INITIALLY DEFERRED"#),
    (r#"ALTER TABLE "Odd s"."h ON t USING" DROP CONSTRAINT "x""#, r#"ALTER TABLE "Odd s"."h ON t USING" ADD CONSTRAINT "x" EXCLUDE (t WITH =, d WITH =) WHERE (d > 5)"#),
    ("ALTER TABLE l DROP CONSTRAINT a_constraint_with_a_name_so_long_that_it_is_cut_on_each_chunk", "ALTER TABLE l ADD CONSTRAINT a_constraint_with_a_name_so_long_that_it_is_cut_on_each_chunk UNIQUE (n, t)"),
];

fn apache_indexes(edition: Edition) {
    indexes(&Pair::new("chunk_indexes", edition), "apache");
}

fn versions_indexes(versions: Versions) {
    indexes(&Pair::of("chunk_indexes", versions), &versions.suffix());
}

fn indexes(pair: &Pair, suffix: &str) {
    let spaces = [format!("space_a_{suffix}"), format!("space_b_{suffix}")];
    for space in &spaces {
        tablespace(&pair.source, space);
        tablespace(&pair.target, space);
    }
    let make = |db: &Db, statement: &str| {
        db.sql(&statement.replace(":a", &spaces[0]).replace(":b", &spaces[1]));
    };
    // Columns that are gone stand before, and between, those of the first chunks.
    pair.source.sql(
        r#"CREATE SCHEMA "Odd s";
           CREATE OPERATOR CLASS "Odd s".backwards FOR TYPE int USING btree AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =,
               OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 btint4cmp(int, int);
           CREATE FUNCTION "Odd s".twice(n int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT n * 2';
           CREATE TABLE "Odd s"."h ON t USING" (gone int, t timestamptz NOT NULL, d int NOT NULL, gone_too text, "A b" text COLLATE "C", v float8, r int4range);
           ALTER TABLE "Odd s"."h ON t USING" DROP COLUMN gone;
           SELECT create_hypertable('"Odd s"."h ON t USING"', 't', chunk_time_interval => INTERVAL '1 day', create_default_indexes => false);
           CREATE TABLE l (t int NOT NULL, n int) TABLESPACE pg_default;
           SELECT create_hypertable('l', 't', chunk_time_interval => 10, create_default_indexes => false,
                                    associated_table_prefix => 'chunks_with_a_name_that_is_long_ä');
           INSERT INTO l SELECT n, n FROM generate_series(1, 35) n"#,
    );
    let fill = |columns: &str, from: &str| {
        format!(
            r#"INSERT INTO "Odd s"."h ON t USING" ({columns}) SELECT timestamptz '{from} UTC' + n * INTERVAL '2 hours', n % 10, 'x' || n % 5, n
               FROM generate_series(0, 30) n"#
        )
    };
    pair.source.sql(&format!(
        r#"SELECT attach_tablespace('{}', '"Odd s"."h ON t USING"'), attach_tablespace('{}', '"Odd s"."h ON t USING"')"#,
        spaces[0], spaces[1]
    ));
    pair.source.sql(&fill("t, d, gone_too, v", "2024-01-01"));
    pair.source.sql(r#"ALTER TABLE "Odd s"."h ON t USING" DROP COLUMN gone_too"#);
    pair.source.sql(&fill(r#"t, d, "A b", v"#, "2024-02-01"));
    // Before 2.12 a hypertable had no replica identity.
    let replicates = pair.source.functions() == "_timescaledb_functions";
    let indexes = INDEXES.iter().filter(|(_, statement)| replicates || !statement.contains("REPLICA IDENTITY"));
    // Nor were NULLs the same to any index before 15.
    let distinct = if pair.source.major() < 15 { "NULLS NOT DISTINCT" } else { "not there" };
    let known: Vec<_> = indexes.map(|(drop, statement)| (*drop, statement.replace(distinct, ""))).collect();
    for (_, statement) in &known {
        make(&pair.source, statement);
    }
    pair.migrate();
    assert_same(pair);

    let db = &pair.target;
    let table = r#""Odd s"."h ON t USING""#;
    // Chunks of whose making this run knows nothing.
    db.sql(&fill(r#"t, d, "A b", v"#, "2024-03-01"));
    db.sql("INSERT INTO l VALUES (1000, 1)");
    // The one mark that TimescaleDB does not give to new chunks.
    db.sql(&format!("ALTER TABLE {table} CLUSTER ON u"));
    db.refuses(&format!("INSERT INTO {table} (t, d) VALUES ('2024-01-01 UTC', 0)"), &["duplicate key"]);
    db.refuses(&format!("INSERT INTO {table} (t, d) VALUES ('2024-03-01 UTC', 0)"), &["duplicate key"]);
    let upsert = format!("INSERT INTO {table} (t, d) VALUES ('2024-01-01 UTC', 0), ('2024-03-01 UTC', 0) ON CONFLICT (t, d) DO NOTHING RETURNING t");
    assert_eq!(db.rows(&upsert).len(), 0);

    let ours = (picture(db), exercised(db, &spaces[0]));
    for (drop, _) in known.iter().rev().filter(|(drop, _)| !drop.is_empty()) {
        db.sql(drop);
    }
    assert_eq!(picture(db), "", "something stayed on chunks");
    for (_, statement) in &known {
        make(db, statement);
    }
    assert_same_lines(&ours.0, &picture(db));
    assert_same_lines(&ours.1, &exercised(db, &spaces[0]));
}

#[track_caller]
fn assert_same_lines(ours: &str, theirs: &str) {
    let only = |a: &str, b: &str| {
        let lines: Vec<_> = a.lines().filter(|line| !b.lines().any(|other| other == *line)).take(4).collect();
        lines.join("\n")
    };
    assert!(ours == theirs, "ours:\n{}\nTimescaleDB's:\n{}", only(ours, theirs), only(theirs, ours));
}

/// What is known of all indexes and constraints of hypertables and chunks.
fn picture(db: &Db) -> String {
    let mut picture = db.value(include_str!("sql/chunk_indexes.sql"));
    let name = |column: &str| {
        let numbers = format!("regexp_replace({column}, '^(\\d+)_\\d+_', '\\1_N_')");
        format!("left(regexp_replace({numbers}, '^(.{{20}}).*_an_index.*|_\\d+$', '\\1'), 56)")
    };
    let rows = [
        ("chunk_index", format!("chunk_id, {}, hypertable_id, hypertable_index_name", name("index_name")), "true"),
        ("chunk_constraint", format!("chunk_id, {}, hypertable_constraint_name", name("constraint_name")), "dimension_slice_id IS NULL"),
    ];
    for (table, columns, condition) in rows {
        if db.is(&format!("SELECT count(*) = 1 FROM pg_class WHERE oid = to_regclass('_timescaledb_catalog.{table}') AND relkind = 'r'")) {
            picture += &db.value(&format!(
                "SELECT string_agg(line, E'\\n' ORDER BY line) FROM (SELECT concat_ws(' ', {columns}) FROM _timescaledb_catalog.{table} WHERE {condition}) l(line)"
            ));
        }
    }
    picture
}

/// The same after statements on hypertables that TimescaleDB hands on to the chunks; they are taken back.
fn exercised(db: &Db, space: &str) -> String {
    let table = r#""Odd s"."h ON t USING""#;
    let rename = |from: &str, to: &str| {
        db.sql(&format!(r#"ALTER INDEX "Odd s".{from} RENAME TO {to}"#));
        db.sql(&format!("ALTER TABLE {table} RENAME CONSTRAINT {from}_p TO {to}_p"));
    };
    db.sql(&format!(r#"ALTER TABLE {table} RENAME CONSTRAINT "p ON k" TO u_p"#));
    rename("u", "another");
    db.sql(&format!(r#"ALTER INDEX "Odd s"."i ON h (""a"")" SET TABLESPACE {space}"#));
    db.sql(&format!("CLUSTER {table}"));
    let picture = picture(db);
    db.sql(r#"ALTER INDEX "Odd s"."i ON h (""a"")" SET TABLESPACE pg_default"#);
    rename("another", "u");
    db.sql(&format!(r#"ALTER TABLE {table} RENAME CONSTRAINT u_p TO "p ON k""#));
    picture
}

/// Each row's place in the index takes its time on the target.
fn stopped(edition: Edition) {
    let pair = Pair::new("chunk_stopped", edition);
    let slowly = |sleep: &str| format!("CREATE OR REPLACE FUNCTION placed(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN {sleep} RETURN n; END'");
    pair.source.sql(&slowly(""));
    pair.source.sql(
        "CREATE TABLE h (t bigint NOT NULL, n int, PRIMARY KEY (t)); SELECT create_hypertable('h', 't', chunk_time_interval => 4);
         INSERT INTO h SELECT n, n FROM generate_series(1, 999) n; CREATE INDEX slow ON h (public.placed(n)); CREATE INDEX fast ON h (n)",
    );
    pair.source.sql(&slowly("PERFORM pg_sleep(0.005);"));
    pair.wait_for_older_transactions();
    let run = pair.start(", jobs => 2");
    let done = "FROM timescale_migrate.task WHERE phase = 'index' AND state = 'done'";
    cluster::poll("some chunks to have their index", || pair.target.is("SELECT count(*) FILTER (WHERE state = 'done') BETWEEN 1 AND count(*) - 2 FROM timescale_migrate.task WHERE phase = 'index'"));
    assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, 'immediate')")));
    pair.wait_for_state(&run, "cancelled");
    pair.wait_for_silence();
    let times = format!("SELECT string_agg(id || ' ' || ended_at, ', ' ORDER BY id) {done}");
    let (tasks, before) = (pair.target.value(&format!("SELECT array_agg(id) {done}")), pair.target.value(&times));
    pair.both(&[slowly("")]);
    // A chunk that did not exist when the others' share was laid down.
    pair.source.sql("INSERT INTO h VALUES (5000, 1)");
    pair.target.rows(&format!("SELECT * FROM migrate_resume({run}, wait => true)"));
    assert_eq!(before, pair.target.value(&times.replace("WHERE", &format!("WHERE id = ANY ('{tasks}') AND"))));
    assert_same(&pair);
    assert!(pair.target.is("SELECT every(n = 3) FROM (SELECT count(*) AS n FROM pg_index JOIN pg_inherits ON inhrelid = indrelid GROUP BY inhrelid) x"));
    for (count, statement) in [("2", "DROP INDEX slow"), ("1", "DROP INDEX fast"), ("0", "ALTER TABLE h DROP CONSTRAINT h_pkey")] {
        pair.target.sql(statement);
        let left = pair.target.value("SELECT count(DISTINCT indexrelid)::float8 / count(DISTINCT inhrelid) FROM pg_inherits LEFT JOIN pg_index ON indrelid = inhrelid");
        assert_eq!(left, count, "after {statement}");
    }
}

fn statistics(versions: Versions) {
    let pair = Pair::of("chunk_statistics", versions);
    pair.source.sql(
        "CREATE TABLE h (t timestamptz NOT NULL, device int NOT NULL, v float8, s text);
         SELECT create_hypertable('h', 't', chunk_time_interval => INTERVAL '1 day');
         CREATE INDEX doubled ON h ((v * 2));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '2 minutes', n % 9, n / 7.0, 's' || n % 5
         FROM generate_series(0, 6 * 720 - 1) n;
         ALTER TABLE h SET (timescaledb.compress, timescaledb.compress_segmentby = 'device');
         SELECT count(compress_chunk(c)) FROM show_chunks('h', older_than => timestamptz '2024-01-03 UTC') c;
         INSERT INTO h SELECT timestamptz '2024-01-02 00:01 UTC' + n * INTERVAL '10 minutes', 3, n, 'late' FROM generate_series(0, 99) n;
         CREATE TABLE \"Odd h\" (\"a t\" bigint NOT NULL); SELECT create_hypertable('\"Odd h\"', 'a t', chunk_time_interval => 10);
         INSERT INTO \"Odd h\" SELECT generate_series(1, 35)",
    );
    pair.source.sql(
        "CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS
         SELECT time_bucket('1 day', t) AS day, device, sum(v) AS v FROM h GROUP BY 1, 2 WITH NO DATA",
    );
    pair.source.sql("CALL refresh_continuous_aggregate('daily', NULL, NULL)");
    // So that it depends on nothing when ANALYZE is run once more.
    pair.target.sql("SELECT _timescaledb_functions.stop_background_workers()");
    pair.migrate();
    let found = include_str!("sql/statistics.sql");
    let ours = pair.target.value(found);
    assert!(ours.contains("1 t ") && ours.contains("compress"), "{ours}");
    let materialized = pair.target.value(
        "SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) FROM timescaledb_information.continuous_aggregates",
    );
    for table in ["h", "\"Odd h\"", &materialized] {
        pair.target.sql(&format!("ANALYZE {table}"));
    }
    assert_eq!(ours, pair.target.value(found));
    // Each chunk has been taken once, and roots and chunks in tasks of their own.
    let tasks = "SELECT string_agg(regexp_replace(object, '^.*_chunk of', '1 of'), ', ' ORDER BY object) FROM timescale_migrate.task WHERE phase = 'analyze'";
    let expected = "4 chunks of public.\"Odd h\", 6 chunks of public.h, 1 of public.daily, public.\"Odd h\", public.daily, public.h";
    assert_eq!(pair.target.value(tasks), expected);
}

fn many_chunks(edition: Edition) {
    // Room for 160 locks, by the documented formula; the server adds some for processes of its own.
    let settings = [("max_locks_per_transaction", "10"), ("max_connections", "16"), ("max_worker_processes", "20")];
    let small = Arc::new(of_edition(edition, &settings));
    let pair = Pair::between("many_chunks", shared_source(edition), small);
    pair.source.sql(
        "CREATE EXTENSION timescaledb;
         CREATE TABLE few (t bigint NOT NULL, n int); SELECT create_hypertable('few', 't', chunk_time_interval => 10, create_default_indexes => false);
         INSERT INTO few SELECT n, n FROM generate_series(1, 700) n;
         CREATE TABLE many (t bigint NOT NULL, n int, PRIMARY KEY (t, n)); SELECT create_hypertable('many', 't', chunk_time_interval => 10);
         INSERT INTO many SELECT n, n FROM generate_series(1, 4000) n; CREATE INDEX ON many (n)",
    );
    pair.migrate();
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
    assert!(pair.target.is("SELECT every(reltuples > 0) FROM pg_class JOIN pg_inherits ON inhrelid = oid"));
    let whole = "SELECT string_agg(DISTINCT starelid::regclass::text, ' ') FROM pg_statistic WHERE stainherit";
    assert_eq!(pair.target.value(whole), "few");
    let warned = pair.messages();
    assert!(warned.contains("public.many") && warned.contains("max_locks_per_transaction"), "{warned}");
}

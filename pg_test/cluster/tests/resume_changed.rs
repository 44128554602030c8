//! A run is continued on a source that has changed meanwhile: the target then holds the source as it
//! is at that call.

use crate::resume::{COPIED, SLOW, cancel, cancelled, resume};
use crate::slow::{self, FAST};
use crate::hypertables_option::{AT_THE_END, NO_MORE};
use cluster::suite::Test;
use cluster::{Edition, Pair, Versions, assert_same, assert_same_but, of_edition, poll, shared_target};
use std::sync::Arc;

pub const TESTS: &[Test] = &[
    Test::both("rows come and go in between", rows_change),
    Test::apache("as many rows, but others", same_count),
    Test::between("compressed chunks are written to in between", &OLD_AND_NEW, compressed_change),
    Test::between("chunks are merged while one of them is copied", &[Versions::new("2.29.2", "2.29.2")], merged_meanwhile),
    Test::apache("the source lost transactions in a crash", lost_transactions),
    Test::community("triggers that fire always come to a hypertable with rows of its own", always_triggers),
    Test::community("frozen chunks are written to after they were frozen on the target", frozen_change),
    Test::apache("chunks come and go in between", chunks_change),
    Test::apache("the schema has changed on the source", changed_schema),
    Test::apache("what is not made yet is made as the source has it now", not_made_yet),
    Test::apache("roles and what only TimescaleDB keeps have changed on the source", changed_besides),
    Test::community("a continuous aggregate with another query is refused", other_query),
    Test::apache("what an option chose has another name", chosen),
];

/// Where what holds compressed rows has another name each time, and where it has the same.
const OLD_AND_NEW: [Versions; 4] = [
    Versions { from: Edition::Previous, ..Versions::new("2.15.3", "2.29.2") },
    Versions::new("2.19.3", "2.29.2"),
    Versions::new("2.25.2", "2.29.2"),
    Versions::new("2.29.2", "2.29.2"),
];

fn rows_change(edition: Edition) {
    let pair = Pair::new("resume_rows", edition);
    slow::fill(&pair);
    // Too large to share a transaction with others.
    pair.source.sql(slow::FAST);
    pair.source.sql("ALTER TABLE slow_too ADD filler text; UPDATE slow_too SET filler = repeat('x', 1900)");
    pair.source.sql(SLOW);
    // The largest, and so the first.
    pair.source.sql(
        "CREATE TABLE first (n int PRIMARY KEY, filler text);
         INSERT INTO first SELECT n, repeat('x', 1500) FROM generate_series(1, 3000) n;
         CREATE TABLE emptied (n int); INSERT INTO emptied SELECT generate_series(1, 5000);
         CREATE SEQUENCE counted; SELECT nextval('counted');
         CREATE MATERIALIZED VIEW sums AS SELECT count(*), sum(n) FROM slow",
    );
    let run = pair.start(", jobs => 2");
    let some_chunk = format!("SELECT count(*) > 0 {COPIED} AND object LIKE '%of public.slow'");
    cluster::poll("a chunk to be copied", || pair.target.is(&some_chunk));
    cancel(&pair, &run);
    let done = pair.target.value(&format!("SELECT string_agg(object, ' ') {COPIED}"));
    assert!(done.contains("public.first") && !done.contains("slow_too"), "{done}");
    // Some chunks are done and some are not: each gains more than it loses.
    pair.source.sql(
        "DELETE FROM first WHERE n % 7 = 0; INSERT INTO first SELECT n, 'new' FROM generate_series(5001, 5010) n;
         INSERT INTO slow SELECT t + INTERVAL '1 second', n FROM slow WHERE n % 20 = 0; DELETE FROM slow WHERE n % 77 = 1;
         INSERT INTO slow_too SELECT generate_series(2001, 2100); DELETE FROM slow_too WHERE n < 50;
         TRUNCATE emptied; SELECT nextval('counted'); REFRESH MATERIALIZED VIEW sums",
    );
    resume(&pair, &run);
    assert_same(&pair);
    let messages = pair.messages();
    assert!(messages.contains("public.first was written to on the source since it was copied"), "{messages}");
    assert!(!messages.contains("public.slow_too was"), "{messages}");
}

/// A count tells nothing of these, but the ages of the rows do, whatever the statistics know.
fn same_count(edition: Edition) {
    let pair = Pair::new("resume_same_count", edition);
    slow::fill(&pair);
    pair.source.sql("CREATE TABLE first (n int, filler text); INSERT INTO first SELECT n, repeat('x', 500) FROM generate_series(1, 3000) n");
    let run = cancelled(&pair, ", options => '{\"verify\": \"checksum\"}'");
    assert!(pair.target.is(&format!("SELECT count(*) = 1 {COPIED} AND object = 'public.first'")));
    pair.source.sql("UPDATE first SET filler = 'y' WHERE n = 7; DELETE FROM first WHERE n = 8; INSERT INTO first VALUES (9)");
    pair.source.sql("SELECT pg_stat_reset()");
    resume(&pair, &run);
    assert_same(&pair);
    let messages = pair.messages();
    assert!(messages.contains("public.first was written to on the source since it was copied"), "{messages}");
}

fn compressed_change(versions: Versions) {
    let pair = Pair::of("resume_compressed", versions);
    slow::fill(&pair);
    // Each chunk is larger than all that is slow.
    pair.source.sql(
        "CREATE TABLE packed (t timestamptz NOT NULL, device int, v text);
         SELECT create_hypertable('packed', by_range('t', INTERVAL '1 day'));
         ALTER TABLE packed SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't');
         INSERT INTO packed SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 minute', n % 5, md5(n::text) || md5(n + 1 || '')
         FROM generate_series(0, 6 * 1440 - 1) n;
         SELECT count(compress_chunk(c)) FROM show_chunks('packed', older_than => timestamptz '2024-01-06 UTC') c",
    );
    let run = pair.start("");
    cluster::poll("the compressed chunks to be copied", || {
        pair.target.is(&format!("SELECT count(*) = 6 {COPIED} AND object LIKE '%public.packed'"))
    });
    cancel(&pair, &run);
    let chunk = |day: u32| {
        pair.source.value(&format!(
            "SELECT c FROM show_chunks('packed', newer_than => timestamptz '2024-01-0{day} UTC', older_than => timestamptz '2024-01-0{} UTC') c",
            day + 1
        ))
    };
    let (decompressed, again) = (chunk(2), chunk(3));
    for statement in [
        "INSERT INTO packed SELECT timestamptz '2024-01-01 00:00:30 UTC' + n * INTERVAL '1 hour', 1, 'late' FROM generate_series(0, 9) n",
        &format!("SELECT decompress_chunk('{decompressed}')"),
        &format!("DELETE FROM {decompressed} WHERE device = 3"),
        &format!("SELECT decompress_chunk('{again}')"),
        &format!("INSERT INTO {again} SELECT t + INTERVAL '1 second', 1, 'new' FROM {again} LIMIT 20"),
        &format!("SELECT compress_chunk('{again}')"),
        &format!("SELECT compress_chunk('{}')", chunk(6)),
        "INSERT INTO packed VALUES ('2024-01-06 00:00:30 UTC', 1, 'later')",
    ] {
        pair.source.sql(statement);
    }
    resume(&pair, &run);
    // Older versions list none.
    assert_same_but(&pair, if versions.same() { &[] } else { &["sparse indexes of "] });
    // No relation of what was copied first is left.
    let internal = "SELECT count(*) FROM pg_class WHERE relnamespace = '_timescaledb_internal'::regnamespace AND relkind = 'r'";
    if versions.same() {
        assert_eq!(pair.source.value(internal), pair.target.value(internal));
    }
}

/// The chunk whose copy was interrupted exists, without rows, and its range belongs to another chunk by now.
fn merged_meanwhile(versions: Versions) {
    let pair = Pair::of("resume_merged", versions);
    slow::fill(&pair);
    let run = pair.start(", jobs => 1");
    let copying = "SELECT split_part(object, ' ', 1) FROM timescale_migrate.task
                   WHERE phase = 'copy' AND state = 'running' AND object LIKE '%of public.slow'";
    let mut chunk = String::new();
    cluster::poll("a chunk that is being copied beside one that is not", || {
        chunk = pair.target.try_value(copying).unwrap_or_default();
        !chunk.is_empty() && pair.target.is(&format!("SELECT count(*) > 1 {COPIED} AND object LIKE '%of public.slow'"))
    });
    cancel(&pair, &run);
    let next = pair.source.value(&format!(
        "SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks WHERE range_start = (
             SELECT range_end FROM timescaledb_information.chunks WHERE format('%I.%I', chunk_schema, chunk_name) = '{chunk}')"
    ));
    let before = pair.source.value(&format!(
        "SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks WHERE range_end = (
             SELECT range_start FROM timescaledb_information.chunks WHERE format('%I.%I', chunk_schema, chunk_name) = '{chunk}')"
    ));
    pair.source.sql(&format!("CALL merge_chunks(ARRAY['{before}', '{chunk}', '{next}']::regclass[])"));
    resume(&pair, &run);
    assert_same(&pair);
}

/// The ids of lost transactions are given out again: neither the number nor the age of the rows tells.
fn lost_transactions(edition: Edition) {
    let source = of_edition(edition, &[("synchronous_commit", "off"), ("wal_writer_delay", "10s"), ("autovacuum", "off")]);
    let pair = Pair::between("resume_lost", Arc::new(source), shared_target(edition));
    pair.source.sql(SLOW);
    pair.source.sql(
        "CREATE TABLE first (n int, filler text); INSERT INTO first SELECT n, repeat('x', 500) FROM generate_series(1, 3000) n;
         CREATE TABLE last (n int CHECK (public.slowly(n)))",
    );
    pair.source.sql(FAST);
    pair.source.sql("INSERT INTO last SELECT generate_series(1, 1000)");
    pair.source.sql(SLOW);
    pair.source.sql("CHECKPOINT");
    pair.source.sql("INSERT INTO first SELECT n, 'lost' FROM generate_series(3001, 3010) n");
    let run = pair.start(", jobs => 1");
    cluster::poll("the first table to be copied", || pair.target.is(&format!("SELECT count(*) > 0 {COPIED} AND object = 'public.first'")));
    assert!(pair.target.is("SELECT count(*) = 3010 FROM first"), "the copy has rows that can be lost");
    assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, 'immediate')")));
    pair.source.cluster.stop_immediately();
    pair.wait_for_state(&run, "cancelled");
    pair.source.cluster.start_again();
    assert_eq!(pair.source.value("SELECT count(*) FROM first"), "3000", "nothing was lost");
    pair.source.sql("INSERT INTO first SELECT n, 'kept' FROM generate_series(3001, 3010) n");
    pair.both(&[FAST]);
    resume(&pair, &run);
    assert_same(&pair);
    assert!(pair.messages().contains("may have lost rows of public.first"), "{}", pair.messages());
}

fn always_triggers(edition: Edition) {
    let pair = Pair::new("resume_always", edition);
    pair.source.sql("SELECT _timescaledb_functions.stop_background_workers()");
    slow::fill(&pair);
    pair.source.sql(
        "CREATE TABLE noted (n int);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.noted VALUES (NEW.n); RETURN NEW; END';
         CREATE TABLE rooted (t timestamptz NOT NULL, n int);
         CREATE TRIGGER note BEFORE INSERT ON rooted FOR EACH ROW EXECUTE FUNCTION note();
         SELECT create_hypertable('rooted', by_range('t', INTERVAL '1 day'));
         INSERT INTO rooted VALUES ('2024-02-01 UTC', 2); ALTER TABLE rooted ENABLE ALWAYS TRIGGER note",
    );
    // Rows in the root itself, as restored from an old dump.
    pair.source.sql("SET timescaledb.restoring = on; SET session_replication_role = replica; INSERT INTO rooted VALUES ('2024-03-01 UTC', 3)");
    pair.target.sql(
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not yet''; END';
         CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('REFRESH MATERIALIZED VIEW', 'COMMENT') EXECUTE FUNCTION refuse()",
    );
    pair.source.sql("COMMENT ON TABLE rooted IS 'comes late'");
    pair.source.sql(FAST);
    let run = pair.start("");
    pair.wait_for_state(&run, "failed");
    pair.wait_for_silence();
    pair.target.sql("DROP EVENT TRIGGER refuse; DROP FUNCTION refuse");
    pair.source.sql("SET timescaledb.restoring = on; SET session_replication_role = replica; INSERT INTO rooted VALUES ('2024-03-02 UTC', 4)");
    resume(&pair, &run);
    assert_same(&pair);
}

fn frozen_change(edition: Edition) {
    let pair = Pair::new("resume_frozen", edition);
    pair.source.sql(
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TABLE last (n int);
         CREATE TRIGGER noted BEFORE INSERT ON last FOR EACH ROW EXECUTE FUNCTION noted();
         CREATE TABLE stiff (t timestamptz NOT NULL, device int);
         SELECT create_hypertable('stiff', by_range('t', INTERVAL '1 day'));
         ALTER TABLE stiff SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't');
         INSERT INTO stiff SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n % 5 FROM generate_series(0, 4 * 24 - 1) n;
         SELECT count(compress_chunk(c)) FROM show_chunks('stiff', older_than => timestamptz '2024-01-03 UTC') c;
         SELECT count(_timescaledb_functions.freeze_chunk(c)) FROM show_chunks('stiff') c",
    );
    pair.target.sql(
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not yet''; END';
         CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE TRIGGER') EXECUTE FUNCTION refuse()",
    );
    pair.wait_for_older_transactions();
    let run = pair.start("");
    pair.wait_for_state(&run, "failed");
    pair.wait_for_silence();
    assert!(pair.target.is("SELECT count(*) = 4 FROM timescale_migrate.task WHERE phase = 'compression' AND state = 'done'"));
    pair.target.sql("DROP EVENT TRIGGER refuse; DROP FUNCTION refuse");
    // The first of either kind; the others stay as they were.
    for day in [1, 3] {
        let chunk = pair.source.value(&format!(
            "SELECT c FROM show_chunks('stiff', newer_than => timestamptz '2024-01-0{day} UTC', older_than => timestamptz '2024-01-0{} UTC') c",
            day + 1
        ));
        pair.source.sql(&format!("SELECT _timescaledb_functions.unfreeze_chunk('{chunk}')"));
        pair.source.sql(&format!("INSERT INTO stiff VALUES ('2024-01-0{day} 12:30 UTC', 7)"));
        pair.source.sql(&format!("SELECT _timescaledb_functions.freeze_chunk('{chunk}')"));
    }
    resume(&pair, &run);
    assert_same(&pair);
    let copied_again = pair.messages().matches("it is copied again").count();
    assert_eq!(copied_again, 2, "{}", pair.messages());
}

fn chunks_change(edition: Edition) {
    let pair = Pair::new("resume_chunks", edition);
    slow::fill(&pair);
    let run = cancelled(&pair, ", jobs => 2");
    let chunks = |state: &str| {
        format!(
            "SELECT split_part(object, ' ', 1), target FROM timescale_migrate.task
             WHERE object LIKE '%of public.slow' AND {state} ORDER BY id DESC LIMIT 1"
        )
    };
    let done = pair.target.rows(&chunks("state = 'done'"));
    let done = (done[0].get(0).unwrap(), done[0].get(1).unwrap());
    let open = pair.target.value(&chunks("started_at IS NULL"));
    pair.source.sql(&format!("DROP TABLE {}; DROP TABLE {open}", done.0));
    pair.source.sql(
        "INSERT INTO slow VALUES ('2023-12-01 UTC', 1), ('2024-03-01 UTC', 2), ('2024-03-02 UTC', 3);
         CREATE TABLE other (n int)",
    );
    pair.source.sql("DROP TABLE other");
    resume(&pair, &run);
    let messages = pair.messages();
    for expected in [
        format!("{} no longer exists on the source: its copy on the target is removed", done.0),
        format!("{open} no longer exists on the source: it is left out"),
    ] {
        assert!(messages.contains(&expected), "no \"{expected}\":\n{messages}");
    }
    assert_eq!(pair.target.value("SELECT count(*) FROM slow WHERE t < '2024-01-01 UTC' OR t > '2024-02-01 UTC'"), "3");
    assert!(pair.target.is(&format!("SELECT to_regclass('{}') IS NULL", done.1)));
    assert_same(&pair);
}

fn changed_schema(edition: Edition) {
    let pair = Pair::new("resume_changed_schema", edition);
    slow::fill(&pair);
    let run = cancelled(&pair, ", jobs => 2");
    let error = |message: &str| {
        let error = pair.target.refuses(&format!("SELECT * FROM migrate_resume({run}, wait => true)"), &["migrate_from"]);
        assert_eq!((error.message(), error.code().code()), (message, "55000"));
        pair.wait_for_silence();
        let status = pair.target.value(&format!("SELECT concat_ws(' ', state, message) FROM migrate_status({run})"));
        assert!(status.starts_with(&format!("failed {message}. Undo the change on the source and call migrate_resume({run})")), "{status}");
    };
    pair.source.sql(
        "DROP ROLE IF EXISTS resume_late_role; CREATE ROLE resume_late_role; CREATE TABLE too_late (n int); GRANT SELECT ON too_late TO resume_late_role;
         ALTER TABLE slow_too ADD COLUMN more int",
    );
    error("the columns of public.slow_too have changed on the source since the run began: \"more\" is new");
    // What would have come along has not.
    assert!(pair.target.is("SELECT to_regclass('too_late') IS NULL AND to_regrole('resume_late_role') IS NULL"));
    pair.source.sql("ALTER TABLE slow_too DROP COLUMN more; ALTER TABLE slow RENAME TO slower");
    error("public.slow was renamed to public.slower on the source since the run began");
    pair.source.sql("ALTER TABLE slower RENAME TO slow");
    // What is new comes along: tables with all that they have, hypertables, and what is made of old ones.
    pair.source.sql(
        "CREATE TABLE \"Too late\" (n int PRIMARY KEY, of_it int REFERENCES \"Too late\"); INSERT INTO \"Too late\" VALUES (1, 1);
         CREATE TABLE late_hyper (t timestamptz NOT NULL, n int REFERENCES \"Too late\");
         SELECT create_hypertable('late_hyper', by_range('t', INTERVAL '1 day')); CREATE INDEX ON late_hyper (n);
         INSERT INTO late_hyper SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '6 hours', 1 FROM generate_series(1, 20) n;
         CREATE VIEW late AS SELECT n FROM \"Too late\"; CREATE INDEX late_too ON slow_too (n); CREATE INDEX late_three ON slow (n)",
    );
    resume(&pair, &run);
    let messages = pair.target.value("SELECT string_agg(message, E'\\n') FROM timescale_migrate.message WHERE level = 'warning'");
    for what in ["VIEW public.late is new", "INDEX public.late_too is new", "TABLE public.\"Too late\" is new"] {
        assert!(messages.contains(&format!("{what} on the source since the run began")), "no {what}:\n{messages}");
    }
    // What was undone on the source after it was refused is no warning.
    assert!(!messages.contains("TABLE public.slow_too has changed"), "{messages}");
    assert_same(&pair);
}

/// Indexes, constraints and triggers follow the rows, which need not fulfil what the source has dropped.
fn not_made_yet(edition: Edition) {
    let pair = Pair::new("resume_not_made", edition);
    slow::fill(&pair);
    pair.source.sql(
        "CREATE TABLE late (a int PRIMARY KEY, b int, c int, CONSTRAINT late_b UNIQUE (b));
         CREATE UNIQUE INDEX late_c ON late (c); CREATE INDEX late_i ON late (a, b); INSERT INTO late SELECT n, n, n FROM generate_series(1, 50) n;
         CREATE TABLE refers (a int CONSTRAINT refers_a REFERENCES late, b int); INSERT INTO refers SELECT n, n FROM generate_series(1, 50) n;
         CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER noted BEFORE INSERT ON late FOR EACH ROW EXECUTE FUNCTION noted();
         CREATE INDEX slow_late ON slow (t, n); CREATE SCHEMA early",
    );
    let run = cancelled(&pair, ", options => '{\"owners\": \"drop\"}', jobs => 2");
    pair.source.sql(
        "ALTER TABLE refers DROP CONSTRAINT refers_a; INSERT INTO refers VALUES (77, 77); ALTER TABLE late DROP CONSTRAINT late_b; DROP INDEX late_c;
         INSERT INTO late VALUES (51, 1, 1); DROP INDEX late_i; CREATE INDEX late_i ON late (b DESC);
         ALTER TABLE late DROP CONSTRAINT late_pkey; ALTER TABLE late ADD CONSTRAINT late_pkey PRIMARY KEY (a, c);
         DROP TRIGGER noted ON late; DROP INDEX slow_late; CREATE UNIQUE INDEX brand_new ON refers (b)",
    );
    // So is what a resume has planned, by the next.
    pair.both(&[SLOW]);
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run}, wait => false)"));
    let planned = "SELECT EXISTS (SELECT FROM timescale_migrate.task WHERE object = 'INDEX public.brand_new')";
    poll("the new index to be planned", || pair.target.is(planned));
    cancel(&pair, &run);
    pair.source.sql("DROP INDEX brand_new; INSERT INTO refers VALUES (78, 77)");
    resume(&pair, &run);
    let messages = pair.messages();
    for object in ["INDEX public.brand_new", "INDEX public.late_c", "CONSTRAINT public.late late_b", "FK CONSTRAINT public.refers refers_a", "TRIGGER public.late noted", "INDEX public.slow_late"] {
        let told = format!("{object} was dropped on the source since the run began: it is not made");
        assert!(messages.contains(&told), "{told}\n{messages}");
    }
    for object in ["INDEX public.late_i", "CONSTRAINT public.late late_pkey"] {
        let told = format!("{object} has changed on the source since the run began: it is made as it is now");
        assert!(messages.contains(&told), "{told}\n{messages}");
    }
    assert!(!messages.contains("SCHEMA early"), "{messages}");
    assert_same(&pair);
}

/// Without any object that is new: roles come along all the same, and what stays as it was is named.
fn changed_besides(edition: Edition) {
    let pair = Pair::new("resume_besides", edition);
    pair.source.sql("DROP ROLE IF EXISTS besides_a, besides_b, besides_new; CREATE ROLE besides_a; CREATE ROLE besides_b");
    slow::fill(&pair);
    pair.source.sql("GRANT SELECT ON slow TO besides_a, besides_b");
    let run = cancelled(&pair, ", jobs => 2");
    pair.source.sql("CREATE ROLE besides_new; GRANT besides_new TO besides_a; GRANT besides_a TO besides_b; SELECT set_chunk_time_interval('slow', INTERVAL '2 days')");
    resume(&pair, &run);
    assert!(pair.target.is("SELECT pg_has_role('besides_b', 'besides_a', 'MEMBER') AND pg_has_role('besides_a', 'besides_new', 'MEMBER')"));
    let changed = "HYPERTABLE public.slow has changed on the source since the run began; the target's schema is not changed";
    assert!(pair.messages().contains(changed), "{}", pair.messages());
    // Given once for all changes.
    let hints = "SELECT count(*) FROM timescale_migrate.message WHERE hint LIKE 'Compare pg_dump --schema-only of both databases%'";
    assert_eq!(pair.target.value(hints), "1");
    let days = "SELECT interval_length FROM _timescaledb_catalog.dimension";
    assert_eq!((pair.source.value(days).as_str(), pair.target.value(days).as_str()), ("172800000000", "86400000000"));
    assert_eq!(pair.messages().matches("HYPERTABLE").count(), 1);
}

/// Its new rows would be among those of the old query.
fn other_query(edition: Edition) {
    let pair = Pair::new("resume_query", edition);
    let aggregate = |value: &str| {
        format!("CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', t) AS day, {value} AS v FROM h GROUP BY 1")
    };
    pair.source.each(&[
        "CREATE TABLE h (t timestamptz NOT NULL, n int)",
        "SELECT create_hypertable('h', 't')",
        "INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n FROM generate_series(1, 100) n",
        &aggregate("sum(n)"),
    ]);
    pair.target.sql(AT_THE_END);
    pair.target.refuses("SELECT * FROM migrate_from('old')", &["not yet"]);
    pair.source.each(&["DROP MATERIALIZED VIEW daily", &aggregate("sum(n * 10)")]);
    let changed = "the query of CONTINUOUS AGGREGATE public.daily has changed on the source since the run began";
    let refused = pair.target.refuses("SELECT * FROM migrate_resume(1)", &["migrate_from"]);
    assert_eq!(refused.message(), changed);
    pair.source.each(&["DROP MATERIALIZED VIEW daily", &aggregate("sum(n)")]);
    pair.source.sql("ALTER MATERIALIZED VIEW daily SET (timescaledb.materialized_only = false)");
    pair.target.sql(NO_MORE);
    resume(&pair, "1");
    assert_eq!(pair.target.value("SELECT sum(v) FROM daily"), pair.source.value("SELECT sum(v) FROM daily"));
    let told = "CONTINUOUS AGGREGATE public.daily has changed on the source since the run began; the target's schema is not changed";
    assert!(pair.messages().contains(told), "{}", pair.messages());
}

/// An option that names a table chooses by the names of the run's beginning.
fn chosen(edition: Edition) {
    let pair = Pair::plain("resume_chosen", edition);
    pair.source.sql(
        "CREATE TABLE a (n int); INSERT INTO a VALUES (1); CREATE TABLE b (n int); INSERT INTO b VALUES (2); CREATE SCHEMA other;
         CREATE INDEX ON a (n)",
    );
    pair.target.sql(
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not yet''; END';
         CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION refuse()",
    );
    let run = pair.start(r#", options => '{"include": ["public.*"]}'"#);
    pair.wait_for_state(&run, "failed");
    pair.wait_for_silence();
    for (change, back, message) in [
        ("ALTER TABLE b SET SCHEMA other", "ALTER TABLE other.b SET SCHEMA public", "public.b was renamed to other.b"),
        ("ALTER TABLE b RENAME TO c", "ALTER TABLE c RENAME TO b", "public.b was renamed to public.c"),
    ] {
        pair.source.sql(change);
        pair.target.refuses(&format!("SELECT * FROM migrate_resume({run})"), &[message]);
        pair.source.sql(back);
    }
    pair.target.sql("DROP EVENT TRIGGER refuse; DROP FUNCTION refuse");
    resume(&pair, &run);
    assert!(pair.target.is("SELECT n = 2 FROM b"));
}

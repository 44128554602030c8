//! Foreign keys are made when all that they read has arrived, and NOT VALID only if the source's own rows
//! violate them.

use crate::resume_late::{CRAWL, stopped};
use cluster::suite::Test;
use cluster::{Edition, Pair, Versions, assert_same, assert_same_but, poll};

pub const TESTS: &[Test] = &[
    Test::between("to, from and beside hypertables with compressed chunks", &VERSIONS, of_hypertables),
    Test::between("chunks that are compressed again are referenced", &VERSIONS, compressed_again),
    Test::between("a resume takes chunks anew that keys reference", &VERSIONS, resumed),
    Test::both("rows of the source violate them", violated),
    Test::apache("rows of the target alone violate one", violated_here),
    Test::both("a copy that has failed is waited for", copy_failed),
    Test::between("compressed chunks wait for a key that has to come before them", &VERSIONS, chunks_wait),
    Test::apache("tables that reference each other", circle),
];

const VERSIONS: [Versions; 3] = [
    Versions::new("2.19.3", "2.19.3"),
    Versions::new("2.19.3", "2.29.2"),
    Versions::new("2.29.2", "2.29.2"),
];

/// Compressed chunks of `sample`; the keys to it come after them, as TimescaleDB demands it.
const SAMPLES: [&str; 6] = [
    "CREATE TABLE sample (device int NOT NULL, t timestamptz NOT NULL, v float8, CONSTRAINT sample_key PRIMARY KEY (device, t))",
    "SELECT create_hypertable('sample', by_range('t', INTERVAL '1 day'))",
    "INSERT INTO sample SELECT n % 5, timestamptz '2024-03-01 UTC' + n * INTERVAL '1 hour', n FROM generate_series(0, 119) n",
    "ALTER TABLE sample SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't')",
    "SELECT count(compress_chunk(c)) FROM show_chunks('sample', older_than => timestamptz '2024-03-04 UTC') c",
    // One chunk is partly compressed.
    "INSERT INTO sample VALUES (7, '2024-03-01 00:30 UTC', -1)",
];

/// All keys but those that TimescaleDB and partitions copy.
const KEYS: &str = "SELECT string_agg(concat_ws(' ', conrelid::regclass, conname, confrelid::regclass, convalidated, pg_get_constraintdef(oid)), E'\\n'
        ORDER BY conrelid::regclass::text, conname)
    FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND connamespace = 'public'::regnamespace AND confrelid::regclass::text !~ '_chunk$'";

fn of_hypertables(versions: Versions) {
    let pair = Pair::of("keys_of_hypertables", versions);
    pair.source.each(&SAMPLES);
    pair.source.each(&[
        "CREATE TABLE maker (n int PRIMARY KEY, owner int REFERENCES maker DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO maker SELECT n, 4 - n FROM generate_series(1, 3) n",
        "CREATE TABLE model (line text, n int, PRIMARY KEY (line, n)) PARTITION BY LIST (line)",
        "CREATE TABLE model_x PARTITION OF model FOR VALUES IN ('x'); CREATE TABLE model_y PARTITION OF model FOR VALUES IN ('y')",
        "INSERT INTO model VALUES ('x', 1), ('y', 1), ('y', 2)",
        // From a hypertable, which is compressed later.
        "CREATE TABLE event (t timestamptz NOT NULL, maker int REFERENCES maker ON DELETE SET NULL, line text, n int, what text,
             FOREIGN KEY (line, n) REFERENCES model ON UPDATE CASCADE ON DELETE SET NULL (n))",
        "SELECT create_hypertable('event', by_range('t', INTERVAL '1 day'))",
        "INSERT INTO event SELECT timestamptz '2024-03-01 UTC' + n * INTERVAL '3 hours', 1 + n % 3, 'y', 1 + n % 2, 'e' FROM generate_series(0, 29) n",
        "ALTER TABLE event SET (timescaledb.compress, timescaledb.compress_segmentby = 'maker, line, n')",
        "SELECT count(compress_chunk(c)) FROM show_chunks('event', older_than => timestamptz '2024-03-03 UTC') c",
        // To a hypertable: with the columns in another order, deferred, from a partitioned table, not valid.
        "CREATE TABLE note (t timestamptz, device int, text text); INSERT INTO note SELECT t, device, 'n' FROM sample WHERE v < 100",
        r#"ALTER TABLE note ADD CONSTRAINT "to key" FOREIGN KEY (t, device) REFERENCES sample (t, device) ON DELETE CASCADE"#,
        "CREATE TABLE mark (device int, t timestamptz); INSERT INTO mark SELECT device, t FROM sample WHERE v < 0",
        "ALTER TABLE mark ADD FOREIGN KEY (device, t) REFERENCES sample ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED",
        "CREATE TABLE flag (day int, device int, t timestamptz) PARTITION BY LIST (day)",
        "CREATE TABLE flag_1 PARTITION OF flag FOR VALUES IN (1, 2); CREATE TABLE flag_2 PARTITION OF flag DEFAULT",
        "INSERT INTO flag SELECT extract(day FROM t), device, t FROM sample WHERE v BETWEEN 10 AND 110",
        "ALTER TABLE flag ADD FOREIGN KEY (device, t) REFERENCES sample ON DELETE SET NULL (device)",
        "CREATE TABLE lax (device int, t timestamptz); INSERT INTO lax VALUES (99, '2030-01-01 UTC')",
        "ALTER TABLE lax ADD CONSTRAINT lax FOREIGN KEY (device, t) REFERENCES sample NOT VALID",
    ]);
    pair.migrate();
    assert!(!pair.messages().contains("violated"), "{}", pair.messages());
    assert_eq!(pair.source.value(KEYS), pair.target.value(KEYS));
    // No other way of compressing is at stake.
    assert_same_but(&pair, &["batches of ", "sparse indexes of "]);
    for side in [&pair.source, &pair.target] {
        side.refuses("INSERT INTO note VALUES ('2031-01-01 UTC', 1, 'none')", &["violates foreign key"]);
        side.refuses("INSERT INTO event VALUES ('2024-03-01 UTC', 77)", &["violates foreign key"]);
        side.each(&["DELETE FROM sample WHERE device = 1 AND t < '2024-03-03 UTC'", "DELETE FROM maker WHERE n = 2"]);
    }
    let counts = "SELECT concat_ws(' ', (SELECT count(*) FROM note), (SELECT count(*) FROM sample), (SELECT count(device) FROM flag), (SELECT count(maker) FROM event))";
    assert_eq!(pair.source.value(counts), pair.target.value(counts));
}

/// Of a type that no compressed chunk can bring along.
const TAGGED: [&str; 4] = [
    "CREATE EXTENSION hstore",
    "ALTER TABLE sample ADD tags hstore",
    "CREATE TABLE note AS SELECT device, t FROM sample",
    "ALTER TABLE note ADD CONSTRAINT to_sample FOREIGN KEY (device, t) REFERENCES sample",
];

fn compressed_again(versions: Versions) {
    let pair = Pair::of("keys_compressed_again", versions);
    pair.source.each(&SAMPLES);
    pair.source.each(&TAGGED);
    pair.migrate();
    assert!(pair.target.is("SELECT count(*) = 3 FROM timescale_migrate.task WHERE method LIKE '%compressed again'"));
    let compressed = "SELECT count(*) FROM timescaledb_information.chunks WHERE is_compressed";
    assert_eq!((pair.source.value(compressed), pair.target.value(compressed)), ("3".into(), "3".into()));
    assert_eq!(pair.source.value(KEYS), pair.target.value(KEYS));
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
}

/// Both sides of the keys are written to after they were made, so that chunks are dropped, made and compressed under them.
fn resumed(versions: Versions) {
    let pair = Pair::of("keys_resumed", versions);
    pair.source.each(&SAMPLES);
    pair.source.each(&TAGGED);
    pair.source.each(&[
        "CREATE TABLE device (n int PRIMARY KEY); INSERT INTO device SELECT generate_series(0, 9)",
        "CREATE TABLE visit (t timestamptz NOT NULL, device int REFERENCES device); SELECT create_hypertable('visit', by_range('t', INTERVAL '1 day'))",
        "INSERT INTO visit SELECT timestamptz '2024-03-01 UTC' + n * INTERVAL '3 hours', n % 5 FROM generate_series(0, 29) n",
        "ALTER TABLE visit SET (timescaledb.compress, timescaledb.compress_segmentby = 'device')",
        "SELECT count(compress_chunk(c)) FROM show_chunks('visit', older_than => timestamptz '2024-03-03 UTC') c",
        "CREATE TABLE still (n int REFERENCES device); INSERT INTO still VALUES (1)",
        CRAWL,
    ]);
    let run = stopped(&pair, "{}");
    let made = "SELECT string_agg(object || ' ' || started_at, ', ' ORDER BY object) FROM timescale_migrate.task WHERE phase LIKE '%key' AND object LIKE '%still%'";
    let before = pair.target.value(made);
    pair.source.each(&[
        "INSERT INTO sample VALUES (8, '2024-03-02 00:30 UTC', 8), (8, '2024-03-05 00:30 UTC', 8), (8, '2024-04-01 UTC', 8)",
        "INSERT INTO note SELECT device, t FROM sample WHERE device = 8",
        "INSERT INTO visit VALUES ('2024-03-01 00:30 UTC', 9), ('2024-03-04 UTC', 9), ('2024-04-01 UTC', 9)",
    ]);
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    assert_eq!(pair.source.value(KEYS), pair.target.value(KEYS));
    assert_eq!(before, pair.target.value(made), "a key was made again without need");
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
    let written = "SELECT concat_ws(' ', count(*), count(*) FILTER (WHERE device = 8)) FROM note JOIN sample USING (device, t)";
    assert_eq!(pair.source.value(written), pair.target.value(written));
    for side in [&pair.source, &pair.target] {
        side.refuses("INSERT INTO note VALUES (1, '2031-01-01 UTC')", &["violates foreign key"]);
        side.refuses("INSERT INTO visit VALUES ('2024-04-01 UTC', 77)", &["violates foreign key"]);
    }
}

fn violated(edition: Edition) {
    let pair = Pair::new("keys_violated", edition);
    // As rows got in while triggers were off.
    pair.source.sql(
        r#"CREATE TABLE "A" (n int, "Name" text COLLATE "C", PRIMARY KEY (n, "Name")); INSERT INTO "A" VALUES (1, 'a'), (2, 'b');
           CREATE TABLE b (n int, name text, CONSTRAINT b_in_a FOREIGN KEY (n, name) REFERENCES "A");
           CREATE TABLE c (n int, name text, CONSTRAINT c_in_a FOREIGN KEY (n, name) REFERENCES "A"); INSERT INTO c VALUES (2, 'b'), (NULL, 'x');
           CREATE TABLE f (n int, name text, CONSTRAINT f_in_a FOREIGN KEY (n, name) REFERENCES "A" MATCH FULL);
           CREATE TABLE p (k int, n int, name text, CONSTRAINT p_in_a FOREIGN KEY (n, name) REFERENCES "A" ON DELETE CASCADE) PARTITION BY LIST (k);
           CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2);
           CREATE TABLE h (t timestamptz NOT NULL, n int, name text, CONSTRAINT h_in_a FOREIGN KEY (n, name) REFERENCES "A");
           SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
           CREATE TABLE g (t timestamptz NOT NULL, d int NOT NULL, PRIMARY KEY (t, d)); SELECT create_hypertable('g', by_range('t', INTERVAL '1 day'));
           INSERT INTO g SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours', n FROM generate_series(1, 9) n;
           CREATE TABLE r (t timestamptz, d int); ALTER TABLE r ADD CONSTRAINT r_in_g FOREIGN KEY (t, d) REFERENCES g"#,
    );
    pair.source.sql(
        "SET session_replication_role = replica;
         INSERT INTO b VALUES (1, 'a'), (99, 'it''s'); INSERT INTO f VALUES (1, NULL); INSERT INTO p VALUES (1, 1, 'a'), (2, 2, 'x');
         INSERT INTO h VALUES ('2024-01-01 UTC', 1, 'a'), ('2024-01-02 UTC', 1, 'b'); INSERT INTO r VALUES ('2024-01-01 UTC', 5)",
    );
    let summary = pair.migrate();
    assert_eq!(summary.get("state"), Some("done"));
    let messages = pair.messages();
    assert_eq!(pair.warnings_of_run(), 5, "{messages}");
    for said in [
        r#"b b_in_a is violated by the source's own rows and was made NOT VALID: Key (n, name)=(99, it's) is not present in public."A"."#,
        "f f_in_a is violated by the source's own rows and was made NOT VALID: Key (n, name)=(1, null) is not present",
        "h h_in_a is violated by the source's own rows and was made NOT VALID: Key (n, name)=(1, b) is not present",
        "r r_in_g is violated by the source's own rows and was made NOT VALID: Key (t, d)=(2024-01-01 00:00:00+00, 5) is not present in public.g.",
        "p p_in_a is violated by the source's own rows and was made ",
    ] {
        assert!(messages.replace("\"\"", "\"").contains(said), "no \"{said}\" in\n{messages}");
    }
    // PostgreSQL 18 takes it for the whole table.
    let expected = match pair.target.major() {
        ..18 => "b b_in_a false, c c_in_a true, f f_in_a false, h h_in_a false, p_1 p_in_a true, p_2 p_in_a false, r r_in_g false",
        _ => "b b_in_a false, c c_in_a true, f f_in_a false, h h_in_a false, p p_in_a false, r r_in_g false",
    };
    let valid = "SELECT string_agg(concat_ws(' ', conrelid::regclass, conname, convalidated::text), ', ' ORDER BY conrelid::regclass::text)
        FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND confrelid IN ('\"A\"'::regclass, 'g'::regclass) AND conrelid::regclass::text !~ 'chunk$'";
    assert_eq!(pair.target.value(valid), expected);
    pair.target.refuses("INSERT INTO p VALUES (2, 7, 'none')", &["violates foreign key"]);
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
}

/// Keeps the build of an index upon it waiting while the test has the lock.
const HELD: &str = "CREATE FUNCTION held(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN n; END'";

fn violated_here(edition: Edition) {
    let pair = Pair::plain("keys_violated_here", edition);
    pair.source.sql(HELD);
    pair.source.sql(
        "CREATE TABLE parent (n int PRIMARY KEY); INSERT INTO parent VALUES (1), (2);
         CREATE TABLE child (n int CONSTRAINT to_parent REFERENCES parent); INSERT INTO child VALUES (1), (2);
         CREATE INDEX ON child (public.held(n))",
    );
    let mut holder = pair.target.connect();
    holder.batch_execute("SELECT pg_advisory_lock(77)").unwrap();
    let run = pair.start("");
    poll("the index to be built", || pair.target.is("SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted"));
    pair.target.sql("DELETE FROM parent WHERE n = 2");
    holder.batch_execute("SELECT pg_advisory_unlock(77)").unwrap();
    pair.wait_for_state(&run, "failed");
    pair.wait_for_silence();
    let error = format!("SELECT concat_ws(' | ', sqlstate, object, detail, hint) FROM timescale_migrate.run WHERE id = {run}");
    assert_eq!(
        pair.target.value(&error),
        format!(
            "23503 | FK CONSTRAINT public.child to_parent | Key (n)=(2) is not present in table \"parent\". | \
             No row of the source violates it now. migrate_resume({run}) copies what has changed since, and then adds the key."
        )
    );
    assert_eq!(pair.target.value("SELECT count(*) FROM pg_constraint WHERE conname = 'to_parent'"), "0");
    pair.target.sql("INSERT INTO parent VALUES (2)");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    assert_same(&pair);
}

/// Fails on the target alone, as long as the obstacle is there.
const FITS: &str = "CREATE FUNCTION fits(n int) RETURNS boolean LANGUAGE plpgsql AS
    'BEGIN IF EXISTS (SELECT FROM pg_tables WHERE tablename = ''obstacle'') THEN RAISE ''it does not fit''; END IF; RETURN true; END'";

/// A run that goes on behind it makes no key upon an empty table.
fn copy_failed(edition: Edition) {
    let pair = Pair::new("keys_copy_failed", edition);
    pair.source.sql(FITS);
    pair.source.sql(
        "CREATE TABLE parent (n int PRIMARY KEY CHECK (public.fits(n))); INSERT INTO parent SELECT generate_series(1, 5);
         CREATE TABLE child (n int CONSTRAINT to_parent REFERENCES parent); INSERT INTO child VALUES (1);
         CREATE TABLE part (k int, n int CONSTRAINT part_to_parent REFERENCES parent) PARTITION BY LIST (k);
         CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1); INSERT INTO part VALUES (1, 3);
         CREATE TABLE h (t timestamptz NOT NULL, n int CHECK (public.fits(n)), PRIMARY KEY (t)); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h VALUES ('2024-01-01 UTC', 1); CREATE TABLE upon (t timestamptz); INSERT INTO upon SELECT t FROM h;
         ALTER TABLE upon ADD CONSTRAINT upon_to_h FOREIGN KEY (t) REFERENCES h;
         CREATE TABLE a (n int PRIMARY KEY); CREATE TABLE b (n int CONSTRAINT b_to_a REFERENCES a); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)",
    );
    pair.target.sql("CREATE SCHEMA beside; CREATE TABLE beside.obstacle ()");
    let run = pair.start(r#", options => '{"on_error": "continue"}'"#);
    pair.wait_for_state(&run, "failed");
    pair.wait_for_silence();
    let failed = "SELECT string_agg(concat_ws(' ', phase, regexp_replace(object, '^.*chunk', 'chunk')), ', ' ORDER BY phase, regexp_replace(object, '^.*chunk', 'chunk')) FROM timescale_migrate.task WHERE state = 'failed'";
    assert_eq!(
        pair.target.value(failed),
        "copy chunk of public.h, copy public.parent, foreign_key FK CONSTRAINT public.child to_parent, \
         foreign_key FK CONSTRAINT public.part part_to_parent, foreign_key FK CONSTRAINT public.upon upon_to_h"
    );
    let error = "SELECT concat_ws(' | ', sqlstate, error) FROM timescale_migrate.task WHERE object LIKE '%child to_parent'";
    let expected = "55000 | FK CONSTRAINT public.child to_parent cannot be made without the rows of public.parent";
    assert_eq!(pair.target.value(error), expected);
    pair.target.sql("DROP SCHEMA beside CASCADE");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    assert_same(&pair);
    assert!(pair.target.is("SELECT every(convalidated) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"));
}

/// Once a chunk is compressed, TimescaleDB before 2.20 takes neither the key nor the constraint, which a resume has to make.
fn chunks_wait(versions: Versions) {
    let pair = Pair::of("keys_chunks_wait", versions);
    pair.source.sql(FITS);
    pair.source.each(&[
        "CREATE TABLE device (n int PRIMARY KEY CHECK (public.fits(n))); INSERT INTO device SELECT generate_series(0, 4)",
        "CREATE TABLE visit (t timestamptz NOT NULL, device int CONSTRAINT to_device REFERENCES device); SELECT create_hypertable('visit', by_range('t', INTERVAL '1 day'))",
        "INSERT INTO visit SELECT timestamptz '2024-03-01 UTC' + n * INTERVAL '3 hours', n % 5 FROM generate_series(0, 29) n",
        "ALTER TABLE visit SET (timescaledb.compress, timescaledb.compress_segmentby = 'device')",
        "SELECT count(compress_chunk(c)) FROM show_chunks('visit', older_than => timestamptz '2024-03-03 UTC') c",
    ]);
    pair.target.sql("CREATE SCHEMA beside; CREATE TABLE beside.obstacle ()");
    let run = pair.start(r#", options => '{"on_error": "continue"}'"#);
    pair.wait_for_state(&run, "failed");
    pair.wait_for_silence();
    let failed = "SELECT string_agg(object, ', ' ORDER BY id) FROM timescale_migrate.task WHERE state = 'failed'";
    assert_eq!(pair.target.value(failed), "public.device, FK CONSTRAINT public.visit to_device");
    pair.target.sql("DROP SCHEMA beside CASCADE");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run})"));
    assert_eq!(pair.source.value(KEYS), pair.target.value(KEYS));
    assert_same_but(&pair, &["batches of ", "sparse indexes of "]);
}

/// Each key locks both tables, and several workers make them at once.
fn circle(edition: Edition) {
    let pair = Pair::plain("keys_circle", edition);
    for n in 0..8 {
        pair.source.sql(&format!("CREATE TABLE t{n} (n int PRIMARY KEY, next int, other int); INSERT INTO t{n} VALUES (1, 1, 1)"));
    }
    for n in 0..8 {
        pair.source.sql(&format!("ALTER TABLE t{n} ADD FOREIGN KEY (next) REFERENCES t{}, ADD FOREIGN KEY (other) REFERENCES t{}", (n + 1) % 8, (n + 7) % 8));
    }
    pair.migrate_with("jobs => 4");
    assert_same(&pair);
}

//! Workers take any task that is ready: what it needs is there, and nobody else works on its tables under a lock that conflicts.

use cluster::suite::Test;
use cluster::{Db, Edition, Pair, assert_same, poll};

pub const TESTS: &[Test] = &[
    Test::both("what is ready is done beside a long index, and a resume does the rest", beside_an_index),
    Test::apache("keys made upon an index are those of the source", exact_keys),
    Test::apache("what needs a failed task is named, and not begun", failed),
];

/// Keeps the build of an index upon it waiting while the test has the lock.
const HELD: &str = "CREATE FUNCTION held(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN n; END'";

/// The state of tasks, by phase and object.
fn states(pair: &Pair, objects: &str) -> String {
    pair.target.value(&format!(
        "SELECT string_agg(concat_ws(' ', phase, object, state), ', ' ORDER BY phase, object) FROM timescale_migrate.task WHERE object ~ '{objects}'"
    ))
}

fn beside_an_index(edition: Edition) {
    let pair = Pair::new("beside_an_index", edition);
    pair.source.sql(HELD);
    pair.source.sql(
        "CREATE TABLE large (n int CONSTRAINT large_key PRIMARY KEY, m int CONSTRAINT large_m UNIQUE); INSERT INTO large SELECT n, n FROM generate_series(1, 5000) n;
         CREATE INDEX large_held ON large (public.held(n)); CREATE INDEX large_marked ON large (m, n); ALTER TABLE large CLUSTER ON large_marked;
         CREATE TABLE parent (n int CONSTRAINT parent_key PRIMARY KEY); INSERT INTO parent SELECT generate_series(1, 50);
         CREATE TABLE child (n int CONSTRAINT to_parent REFERENCES parent, m int CONSTRAINT to_large REFERENCES large); INSERT INTO child SELECT n, n FROM generate_series(1, 50) n;
         CREATE TABLE idle (n int); CREATE TABLE pair (a int, b int); CREATE STATISTICS pair_ab ON a, b FROM pair; INSERT INTO pair SELECT n, n FROM generate_series(1, 50) n;
         CREATE TABLE part (n int CONSTRAINT part_key PRIMARY KEY) PARTITION BY RANGE (n); CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (9);
         INSERT INTO part VALUES (1); CREATE TABLE to_part (n int CONSTRAINT to_part REFERENCES part); INSERT INTO to_part VALUES (1)",
    );
    pair.source.sql(
        "CREATE TABLE device (n int PRIMARY KEY); INSERT INTO device SELECT generate_series(1, 5);
         CREATE TABLE h (t timestamptz NOT NULL, n int CONSTRAINT h_to_device REFERENCES device, CONSTRAINT h_key PRIMARY KEY (t));
         SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours', 1 + n % 5 FROM generate_series(1, 30) n",
    );
    // pg_dump puts the function, and so the index, behind the primary key.
    pair.source.sql(
        "CREATE TABLE named (n int PRIMARY KEY, name text);
         CREATE FUNCTION name_of(int) RETURNS text IMMUTABLE LANGUAGE sql BEGIN ATOMIC SELECT named.name FROM named WHERE named.n = $1 GROUP BY named.n; END;
         CREATE TABLE late (n int); INSERT INTO late SELECT n % 2 FROM generate_series(1, 50) n; CREATE INDEX late_name ON late (name_of(n))",
    );
    if edition == Edition::Community {
        pair.source.sql("ALTER TABLE h SET (timescaledb.compress); SELECT compress_chunk(c) FROM show_chunks('h') c LIMIT 4");
    }
    let mut holder = pair.target.connect();
    holder.batch_execute("SELECT pg_advisory_lock(77)").unwrap();
    let run = pair.start(", jobs => 2");
    poll("the other worker to have nothing left that is ready", || states(&pair, "public.idle$").contains("analyze public.idle done"));
    // A table's other indexes are built meanwhile; what locks it waits, and so does what needs that.
    let large = "constraint CONSTRAINT public.large large_key pending, constraint CONSTRAINT public.large large_m pending, \
         constraint INDEX public.large_marked pending, foreign_key FK CONSTRAINT public.child to_large pending, \
         index CONSTRAINT public.large large_key done, index CONSTRAINT public.large large_m done, index INDEX public.large_held running, index INDEX public.large_marked done";
    assert_eq!(states(&pair, "large_|to_large"), large);
    let others = "constraint CONSTRAINT public.parent parent_key done, index CONSTRAINT public.parent parent_key done";
    assert_eq!(states(&pair, "parent_key"), others);
    assert_eq!(states(&pair, "[.]child to_parent"), "foreign_key FK CONSTRAINT public.child to_parent done");
    assert_eq!(states(&pair, "^FK.*(to_part|h_to_device)$").matches("pending").count(), 2);
    assert_eq!(states(&pair, "public.(pair|large|child)$").replace("copy public.", ""), "analyze public.child pending, analyze public.large pending, analyze public.pair pending, child done, large done, pair done");
    assert_eq!(pair.target.value(&format!("SELECT phase FROM timescale_migrate.run WHERE id = {run}")), "index");
    assert!(pair.target.is(&format!("SELECT migrate_cancel({run}, 'immediate')")));
    pair.wait_for_state(&run, "cancelled");
    pair.wait_for_silence();
    holder.batch_execute("SELECT pg_advisory_unlock(77)").unwrap();
    // What is copied again gets new statistics.
    pair.source.sql("INSERT INTO idle SELECT generate_series(1, 7)");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run}, wait => true)"));
    assert_same(&pair);
    assert_eq!(keys(&pair.source), keys(&pair.target));
    assert!(pair.target.is("SELECT reltuples = 7 FROM pg_class WHERE oid = 'idle'::regclass"));
    assert!(pair.target.is("SELECT deadlocks = 0 FROM pg_stat_database WHERE datname = current_database()"));
    assert!(pair.target.is("SELECT stanullfrac = 1 FROM pg_statistic WHERE starelid = 'late_name'::regclass"));
    assert!(pair.target.is("SELECT count(*) > 0 FROM pg_stats_ext WHERE statistics_name = 'pair_ab' AND dependencies IS NOT NULL"));
}

/// What the catalogs have of the constraints of ordinary tables, and of their indexes.
fn keys(db: &Db) -> String {
    db.value(
        "SELECT string_agg(concat_ws(' ', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid), k.contype, k.condeferrable, k.condeferred, k.convalidated,
             k.conislocal, k.coninhcount, k.connoinherit AND k.conparentid = 0, k.conparentid <> 0, k.conkey, k.conindid::regclass, pg_get_indexdef(k.conindid),
             x.indisunique, x.indisprimary, x.indisexclusion, x.indimmediate, x.indisclustered, x.indisvalid, x.indisready, x.indislive, x.indisreplident,
             x.indnkeyatts, x.indkey, x.indcollation::oid[]::regcollation[], x.indclass, x.indoption, i.reloptions, i.relowner::regrole, s.spcname, obj_description(k.oid, 'pg_constraint'),
             (SELECT string_agg(concat_ws(' ', d.deptype, d.refclassid::regclass, d.refobjsubid), ', ' ORDER BY d.refclassid, d.refobjsubid, d.deptype) FROM pg_depend d WHERE d.objid = k.conindid AND d.classid = 'pg_class'::regclass),
             (SELECT string_agg(a.attname || a.attnotnull, ' ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum > 0)), E'\\n'
             ORDER BY k.conrelid::regclass::text, k.conname)
         FROM pg_constraint k JOIN pg_index x ON x.indexrelid = k.conindid JOIN pg_class i ON i.oid = k.conindid LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
         WHERE k.contype IN ('p', 'u', 'x') AND k.connamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_|timescale')",
    )
}

fn exact_keys(edition: Edition) {
    let pair = Pair::plain("exact_keys", edition);
    pair.source.sql("CREATE COLLATION other (provider = icu, locale = 'und'); CREATE DOMAIN word AS text COLLATE \"C\"");
    pair.source.sql(
        r#"CREATE TABLE plain (n int, CONSTRAINT "Odd ""key" PRIMARY KEY (n) INCLUDE ("Odd ,c", w) WITH (fillfactor = 70, deduplicate_items = off), "Odd ,c" text COLLATE other, w word);
           ALTER TABLE plain ADD CONSTRAINT nulls UNIQUE NULLS NOT DISTINCT ("Odd ,c", w) DEFERRABLE INITIALLY DEFERRED;
           ALTER TABLE plain ADD CONSTRAINT later UNIQUE (w, n) DEFERRABLE; COMMENT ON CONSTRAINT later ON plain IS 'later';
           ALTER TABLE plain CLUSTER ON "Odd ""key"; ALTER TABLE plain REPLICA IDENTITY USING INDEX "Odd ""key";
           INSERT INTO plain SELECT n, n, n FROM generate_series(1, 500) n; INSERT INTO plain VALUES (0, NULL, NULL);
           CREATE TABLE marked (n int NOT NULL); CREATE UNIQUE INDEX "ALTER TABLE marked" ON marked (n); ALTER TABLE marked REPLICA IDENTITY USING INDEX "ALTER TABLE marked";
           CREATE TABLE ranges (r int4range PRIMARY KEY, EXCLUDE USING gist (r WITH &&)); INSERT INTO ranges SELECT int4range(n, n + 1) FROM generate_series(1, 50) n;
           CREATE TABLE part (n int, w text, PRIMARY KEY (n) INCLUDE (w), UNIQUE (n, w)) PARTITION BY RANGE (n); CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (9);
           CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (9) TO (99) PARTITION BY RANGE (n); CREATE TABLE part_2_1 PARTITION OF part_2 FOR VALUES FROM (9) TO (99);
           INSERT INTO part SELECT n, n FROM generate_series(1, 50) n;
           CREATE TABLE base (n int PRIMARY KEY); CREATE TABLE heir (m int UNIQUE) INHERITS (base); INSERT INTO heir SELECT n, n FROM generate_series(1, 50) n"#,
    );
    pair.source.sql("CREATE ROLE keeper_of_keys; CREATE TABLE owned (n int PRIMARY KEY); ALTER TABLE owned OWNER TO keeper_of_keys");
    pair.migrate();
    assert_same(&pair);
    assert_eq!(keys(&pair.source), keys(&pair.target));
    assert!(pair.target.is("SELECT count(*) > 5 FROM timescale_migrate.task WHERE phase = 'index' AND object ~ '^CONSTRAINT '"));
    assert!(pair.target.is("SELECT deadlocks = 0 FROM pg_stat_database WHERE datname = current_database()"));
}

fn failed(edition: Edition) {
    let pair = Pair::plain("ready_failed", edition);
    pair.source.sql(HELD);
    pair.source.sql(
        "CREATE TABLE large (n int); INSERT INTO large SELECT generate_series(1, 5000); CREATE INDEX large_held ON large (public.held(n));
         CREATE TABLE t (n int CONSTRAINT t_key PRIMARY KEY); INSERT INTO t VALUES (1), (2);
         CREATE TABLE u (n int CONSTRAINT to_t REFERENCES t, m int CONSTRAINT u_key UNIQUE); INSERT INTO u VALUES (1, 1)",
    );
    let mut holder = pair.target.connect();
    holder.batch_execute("SELECT pg_advisory_lock(77)").unwrap();
    let run = pair.start(r#", jobs => 1, options => '{"on_error": "continue"}'"#);
    poll("the index to be built", || states(&pair, "large_held") == "index INDEX public.large_held running");
    pair.target.sql("INSERT INTO t VALUES (2)");
    holder.batch_execute("SELECT pg_advisory_unlock(77)").unwrap();
    pair.wait_for_state(&run, "failed");
    pair.wait_for_silence();
    let failures = "SELECT string_agg(concat_ws(' ', phase, object, sqlstate, error), E'\\n' ORDER BY id) FROM timescale_migrate.task WHERE state <> 'done'";
    let failures = pair.target.value(failures);
    let expected = [
        "index CONSTRAINT public.t t_key 23505 could not create unique index \"t_key\"",
        "constraint CONSTRAINT public.t t_key 55000 CONSTRAINT public.t t_key cannot be made without its index",
        "foreign_key FK CONSTRAINT public.u to_t 42830 there is no unique constraint matching given keys for referenced table \"t\"",
    ];
    assert!(expected.iter().all(|line| failures.contains(line)), "{failures}");
    assert_eq!(states(&pair, "u_key").matches("done").count(), 2);
    pair.target.sql("DELETE FROM t WHERE ctid = (SELECT max(ctid) FROM t)");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run}, wait => true)"));
    assert_same(&pair);
    assert_eq!(keys(&pair.source), keys(&pair.target));
}

//! A hypertable that has lost columns between its chunks, with everything that names columns by their number.

use cluster::suite::Test;
use cluster::{Pair, Versions, assert_same, assert_same_but};

pub const TESTS: &[Test] = &[Test::between("checks, keys, indexes, triggers, policies", &VERSIONS, all)];

const VERSIONS: [Versions; 3] = [
    Versions::new("2.19.3", "2.19.3"),
    Versions::new("2.19.3", "2.29.2"),
    Versions::new("2.29.2", "2.29.2"),
];

fn fill(day: &str, note: &str) -> String {
    format!(
        "INSERT INTO h (t, a, k, span, tags, doc) SELECT timestamptz '{day} UTC' + n * INTERVAL '1 hour', n, {note},
             tstzrange(timestamptz '{day} UTC' + n * INTERVAL '1 hour', timestamptz '{day} UTC' + (n + 1) * INTERVAL '1 hour'),
             ARRAY['x', 'y' || n % 3], jsonb_build_object('k', n % 5) FROM generate_series(0, 47) n"
    )
}

fn all(versions: Versions) {
    let pair = Pair::of("dropped_columns", versions);
    pair.source.each(&[
        "CREATE EXTENSION btree_gist",
        "CREATE TABLE log (what text, n bigint)",
        "CREATE TABLE h (gone_1 text, gone_2 int, t timestamptz NOT NULL, gone_3 int, a int DEFAULT 0 CHECK (a >= 0), id bigint GENERATED ALWAYS AS IDENTITY,
             twice int GENERATED ALWAYS AS (a * 2) STORED, doc jsonb, gone_4 numeric, span tstzrange, tags text[], k int, CHECK (a < gone_2 OR gone_2 IS NULL))",
        "SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'), create_default_indexes => false)",
        &fill("2024-01-01", "n"),
        "ALTER TABLE h DROP COLUMN gone_1, DROP COLUMN gone_2; ALTER TABLE h DROP COLUMN gone_3",
        &fill("2024-01-03", "-n"),
        "ALTER TABLE h DROP COLUMN gone_4; ALTER TABLE h ADD added int DEFAULT 5 CHECK (added > 0), ADD again text",
        "ALTER TABLE h ADD CONSTRAINT \"a, k\" CHECK (a <> k + 1000)",
        "ALTER TABLE h ADD CONSTRAINT one UNIQUE NULLS NOT DISTINCT (t, again, a) INCLUDE (k) DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE h ADD CONSTRAINT two UNIQUE (a, t)",
        "ALTER TABLE h ADD CONSTRAINT apart EXCLUDE USING gist (t WITH =, span WITH &&) WHERE (a < 40)",
        "CREATE INDEX clustered ON h (added, t); CREATE INDEX ON h ((doc->>'k'), upper(again)) WHERE added = 5; CREATE INDEX ON h USING gin (tags)",
        "CREATE INDEX ON h USING brin (t) WITH (pages_per_range = 4); CREATE UNIQUE INDEX ident ON h (id, t); CREATE INDEX ON h (time_bucket('1 day', t), a DESC)",
        "ALTER TABLE h CLUSTER ON clustered; ALTER TABLE h ALTER id SET NOT NULL; ALTER TABLE h REPLICA IDENTITY USING INDEX ident",
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN IF TG_OP = ''INSERT'' AND TG_WHEN = ''BEFORE'' THEN NEW.again := coalesce(NEW.again, TG_NAME); END IF;
              INSERT INTO public.log VALUES (TG_NAME || TG_WHEN, NEW.k); RETURN NEW; END'",
        "CREATE TRIGGER above_40 BEFORE INSERT OR UPDATE OF k ON h FOR EACH ROW WHEN (NEW.k > 40) EXECUTE FUNCTION noted()",
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON h DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION noted()",
        &fill("2024-01-05", "30 + n"),
        "ALTER TABLE h ADD CONSTRAINT \"not yet\" CHECK (k >= 0) NOT VALID, ADD CONSTRAINT \"nor this\" CHECK (k > -2000) NOT VALID",
        "ALTER TABLE h ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON h USING (added > 0) WITH CHECK (k > 0)",
        // Each mark is made with its index, at the same time as the others.
        "CREATE TABLE plain (n int NOT NULL, m int NOT NULL); INSERT INTO plain SELECT n, n FROM generate_series(1, 10000) n",
        "CREATE INDEX plain_1 ON plain (n); CREATE UNIQUE INDEX plain_2 ON plain (m); CREATE INDEX plain_3 ON plain (m, n)",
        "ALTER TABLE plain CLUSTER ON plain_1; ALTER TABLE plain REPLICA IDENTITY USING INDEX plain_2",
    ]);
    pair.migrate_with("jobs => 4");
    assert_same(&pair);
    pair.both(&[
        "INSERT INTO h (t, a, k) SELECT timestamptz '2024-01-02 UTC' + n * INTERVAL '7 minutes', n, 38 + n FROM generate_series(1, 9) n",
        "UPDATE h SET k = 99 WHERE a = 7",
    ]);
    // Which of a deferred trigger's rows comes first is nobody's promise.
    assert_same_but(&pair, &["rows of public.log"]);
    for side in [&pair.source, &pair.target] {
        side.refuses("INSERT INTO h (t, a, k) VALUES ('2024-01-02 UTC', 5, -5)", &["not yet"]);
        side.refuses("INSERT INTO h (t, a, k) VALUES ('2024-01-01 01:00 UTC', 1, 1)", &["duplicate key"]);
    }
    let logged = "SELECT string_agg(concat_ws(' ', what, n), ', ' ORDER BY what, n) FROM log";
    assert_eq!(pair.source.value(logged), pair.target.value(logged));
}

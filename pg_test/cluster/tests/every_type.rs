//! Values of every type arrive as they are, those of user-defined types as well, whose OIDs
//! differ between the two databases.

use cluster::suite::Test;
use cluster::{Edition, Pair, Watch, assert_same, poll};

pub const TESTS: &[Test] = &[
    Test::both("user-defined, and arrays of them", user_defined),
    Test::both("built-in", built_in),
    Test::apache("OID aliases of user objects", oid_aliases),
    Test::apache("types of extensions", of_extensions),
    Test::apache("large values", large_values),
    Test::apache("memory that a row of 200 MB takes", wide_row),
];

fn user_defined(edition: Edition) {
    let pair = Pair::new("user_types", edition);
    // What is made after this has other OIDs than on the target.
    let burn = "DO $$ BEGIN FOR n IN 1..100 LOOP EXECUTE 'CREATE TYPE burnt AS ENUM (''x''); DROP TYPE burnt'; END LOOP; END $$";
    pair.source.sql(burn);
    pair.source.sql(
        "CREATE SCHEMA kinds;
         CREATE TYPE kinds.mood AS ENUM ('sad', 'ok', 'so ''so''', 'happy');
         ALTER TYPE kinds.mood ADD VALUE 'curious' BEFORE 'ok';",
    );
    pair.source.sql(
        "CREATE TYPE kinds.spot AS (x float8, label text, mood kinds.mood);
         CREATE TYPE kinds.trip AS (start kinds.spot, stops kinds.spot[], note text);
         CREATE DOMAIN kinds.positive AS int CHECK (VALUE > 0);
         CREATE DOMAIN kinds.moods AS kinds.mood[] NOT NULL CHECK (cardinality(VALUE) < 9);
         CREATE DOMAIN kinds.place AS kinds.spot CHECK ((VALUE).x IS DISTINCT FROM 1300);
         CREATE TYPE kinds.moodrange AS RANGE (subtype = kinds.mood);
         CREATE TYPE kinds.floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
         CREATE TABLE v (
             t timestamptz NOT NULL, mood kinds.mood, moods kinds.mood[], spot kinds.spot, spots kinds.spot[], trip kinds.trip,
             positive kinds.positive, positives kinds.positive[], many kinds.moods, place kinds.place, places kinds.place[],
             mr kinds.moodrange, mm kinds.moodmultirange, fr kinds.floatrange, frs kinds.floatrange[]);
         SELECT create_hypertable('v', by_range('t', INTERVAL '1 day'));
         INSERT INTO v SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours',
             (enum_range(NULL::kinds.mood))[1 + n % 5], ARRAY['sad', NULL, 'so ''so''']::kinds.mood[],
             ROW(n / 3.0, 'l,\"()' || n, 'happy')::kinds.spot, ARRAY[ROW(n, NULL, 'curious')::kinds.spot, NULL],
             ROW(ROW(1, E'tab\\t', 'ok'), ARRAY[ROW(2, '', NULL)::kinds.spot], 'note')::kinds.trip,
             n, ARRAY[n, 2], '{happy,sad}', ROW(n, 'p', NULL)::kinds.spot, ARRAY[ROW(n, 'p', 'ok')::kinds.spot::kinds.place],
             '[sad,happy)', '{[sad,curious),[happy,happy]}', kinds.floatrange(n, n + 0.1), ARRAY[kinds.floatrange(NULL, n)]
         FROM generate_series(1, 20) n;
         CREATE TABLE p AS TABLE v;
         CREATE TABLE of_type OF kinds.spot; INSERT INTO of_type VALUES (1, 'a', 'sad')",
    );
    pair.migrate();
    assert_same(&pair);
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
}

fn built_in(edition: Edition) {
    let pair = Pair::new("built_in", edition);
    pair.source.sql(
        "CREATE TABLE f (f4 real, f8 float8, n numeric, n2 numeric(12, 4), m money);
         INSERT INTO f VALUES ('NaN', 'NaN', 'NaN', 'NaN', '-12.34'), ('Infinity', '-Infinity', 'Infinity', NULL, NULL),
             ('-0', '-0', 0.000, 0, 0), (1e-40, 5e-324, 1e-300, 1.5, 1), (0.1, 0.1 + 0.2, 1.10, 1.10, 2), (1, 1, 1.1000, 3, 3),
             (16777217, 9007199254740993, 123456789012345678901234567890.123456789, 12345678.1234, 4);
         CREATE TABLE d (tz timestamptz, ts timestamp, d date, t time, ttz timetz, i interval);
         INSERT INTO d VALUES ('infinity', '-infinity', 'infinity', '24:00', '23:59:59.999999+14', '-1 year +2 days -03:04:05.678'),
             ('4713-01-01 BC', '0044-03-15 BC', '4713-01-01 BC', '0:00', '0:00-12', '1 month'), ('294276-12-31', now(), '5874897-12-31', NULL, NULL, NULL);
         CREATE TABLE s (t text, c char(5), v varchar(9), n name, q \"char\", b bytea);
         INSERT INTO s VALUES ('', '', '', '', '', ''), (NULL, NULL, NULL, NULL, NULL, NULL), (E'\\\\.\\n\\t\\r\\b\\\\N', ' a ', '\\N', 'n', 'x', '\\x00ff0a5c');
         CREATE TABLE j (j json, b jsonb, p jsonpath, x xml, u uuid, v tsvector, q tsquery);
         INSERT INTO j VALUES ('{\"a\":  1, \"a\":2.50,\"\\u00e9\":null}', '{\"b\": 1.0, \"a\": [1, \"\\u0041\"]}', '$.a[*] ? (@ > 1)',
             '<a b=\"c\">d</a>', '00112233-4455-6677-8899-aabbccddeeff', 'a:1A fat:2,3 ''it''''s'':4', 'fat & (rat | !cat:B*)');
         CREATE TABLE g (p point, l line, s lseg, b box, pa path, po polygon, c circle);
         INSERT INTO g VALUES ('(1,2.5)', '{1,2,3}', '[(0,0),(1,1)]', '(3,4),(1,2)', '[(0,0),(1,1)]', '((0,0),(1,1),(1,0))', '<(1,2),3>');
         CREATE TABLE n (i inet, c cidr, m macaddr, m8 macaddr8, b bit(5), v bit varying, l pg_lsn, o oid, x xid8, acl aclitem[]);
         INSERT INTO n VALUES ('::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '10101', '1', '16/B374D848', 42, '99', '{=r/postgres}');
         CREATE TABLE r (i int4range, n numrange, t tstzrange, d daterange, m int8multirange, a int4range[]);
         INSERT INTO r VALUES ('empty', '[1.10,2.0)', '[2024-01-01 UTC,)', '(,2024-01-01)', '{[1,2),[5,)}', '{empty,\"[1,3)\"}');
         CREATE TABLE a (i int[], t text[], n int[]);
         INSERT INTO a VALUES ('{}', '{}', NULL), ('[0:1][-1:0]={{1,2},{3,NULL}}', '{NULL,\"NULL\",\"\",\"a,b\",\"\\\\\"}', '[5:6]={1,2}')",
    );
    pair.migrate();
    assert_same(&pair);
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
}

fn oid_aliases(edition: Edition) {
    let pair = Pair::new("oid_alias", edition);
    // Binary COPY would carry the source's OIDs over.
    pair.source.sql(
        "DO $$ BEGIN FOR n IN 1..100 LOOP EXECUTE 'CREATE TYPE burnt AS ENUM (''x''); DROP TYPE burnt'; END LOOP; END $$",
    );
    pair.source.sql(
        "CREATE SCHEMA own; CREATE TABLE own.t (n int); CREATE TYPE own.e AS ENUM ('x');
         CREATE FUNCTION own.f(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
         CREATE TABLE alias (c regclass, t regtype, p regproc, f regprocedure, n regnamespace, r regrole, many regclass[]);
         INSERT INTO alias VALUES ('own.t', 'own.e', 'own.f', 'own.f(int)', 'own', 'postgres', '{own.t,alias}'),
             ('pg_class', 'int', 'now', 'now()', 'public', '-', '{}'), ('-', '-', '-', '-', '-', '-', NULL)",
    );
    pair.migrate();
    assert_same(&pair);
    assert!(pair.target.is("SELECT every(same) FROM migrate_verify('old')"));
}

fn of_extensions(edition: Edition) {
    let pair = Pair::new("extensions", edition);
    pair.source.sql(
        "CREATE SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE EXTENSION citext; CREATE EXTENSION btree_gist;
         CREATE TABLE h (t timestamptz NOT NULL, kv ext.hstore, name citext, names citext[]);
         SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours', ext.hstore('k' || n, NULL), 'Na' || n, ARRAY['A', 'b']::citext[]
         FROM generate_series(1, 9) n;
         CREATE TABLE room (n int, during tstzrange, EXCLUDE USING gist (n WITH =, during WITH &&));
         INSERT INTO room VALUES (1, '[2024-01-01 UTC,2024-01-02 UTC)')",
    );
    pair.migrate();
    assert_same(&pair);
}

fn large_values(edition: Edition) {
    let pair = Pair::new("large_values", edition);
    pair.source.sql(
        "CREATE TABLE big (n int, t text, b bytea);
         ALTER TABLE big ALTER t SET STORAGE EXTERNAL;
         INSERT INTO big SELECT n, repeat('a line' || E'\\n', n * 500000), decode(repeat(md5(n::text), n * 20000), 'hex')
         FROM generate_series(1, 9) n",
    );
    pair.migrate();
    assert_same(&pair);
}

/// PostgreSQL's own COPY FROM has three copies of a value at a time, libpq a fourth, and nobody one afterwards.
fn wide_row(edition: Edition) {
    let pair = Pair::new("wide_row", edition);
    pair.source.sql(
        "CREATE TABLE wide (n int, b bytea);
         ALTER TABLE wide ALTER b SET STORAGE EXTERNAL;
         INSERT INTO wide SELECT 1, decode(repeat('a1b2c3d4', 200 << 18), 'hex');
         CREATE FUNCTION waits(n int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
         CREATE TABLE next (n int CHECK (public.waits(n)));
         INSERT INTO next VALUES (1);
         CREATE OR REPLACE FUNCTION waits(n int) RETURNS boolean LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN true; END'",
    );
    let mut gate = pair.target.connect();
    gate.batch_execute("SELECT pg_advisory_lock(4711)").unwrap();
    let watch = Watch::start(&pair.target);
    let run = pair.start(", jobs => 1");
    let copying = "SELECT EXISTS (SELECT FROM timescale_migrate.task WHERE state = 'running' AND object = 'public.next')";
    poll("the next table to be copied", || pair.target.is(copying));
    let during = watch.end();
    let afterwards = Watch::start(&pair.target).end();
    drop(gate);
    pair.wait_for_state(&run, "done");
    let worker = "timescale_migrate worker";
    assert!((400..850).contains(&during[worker]) && afterwards[worker] < 50, "MB: {during:?}, then {afterwards:?}");
    let sum = "SELECT length(b), md5(b) FROM wide";
    assert_eq!(pair.target.value(sum), pair.source.value(sum));
}

//! What is neither table nor role: sequences, views, functions, rules, large objects and more.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, quote};

pub const TESTS: &[Test] = &[
    Test::apache("sequences keep their values", sequences),
    Test::both("materialized views, in the order of their dependencies", materialized_views),
    Test::apache("large objects", large_objects),
    Test::apache("functions, rules, triggers, statistics, publications", others),
];

fn sequences(edition: Edition) {
    let pair = Pair::plain("sequences", edition);
    pair.source.sql(
        "CREATE SEQUENCE never; CREATE SEQUENCE once; SELECT nextval('once');
         CREATE SEQUENCE down INCREMENT -5 MINVALUE -1000 MAXVALUE 0 START -5 CYCLE CACHE 7; SELECT nextval('down') FROM generate_series(1, 9);
         CREATE SEQUENCE small AS smallint; SELECT setval('small', 32767);
         CREATE SEQUENCE again; SELECT setval('again', 50, false);
         CREATE UNLOGGED SEQUENCE fast; SELECT nextval('fast')",
    );
    pair.migrate();
    assert_same(&pair);
    for side in [&pair.source, &pair.target] {
        assert_eq!(side.value("SELECT nextval('never')"), "1");
        assert_eq!(side.value("SELECT nextval('again')"), "50");
    }
}

fn materialized_views(edition: Edition) {
    let pair = Pair::new("matviews", edition);
    // Made in an order that differs from that of their names, and one of them without data.
    pair.source.sql(
        "CREATE TABLE h (t timestamptz NOT NULL, n int);
         SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours', n FROM generate_series(1, 9) n;
         CREATE MATERIALIZED VIEW z AS SELECT time_bucket('1 day', t) AS day, sum(n) FROM h GROUP BY 1;
         CREATE VIEW y AS SELECT max(sum) AS max FROM z;
         CREATE MATERIALIZED VIEW a AS SELECT max FROM y;
         CREATE UNIQUE INDEX ON z (day);
         CREATE MATERIALIZED VIEW unready AS SELECT * FROM a WITH NO DATA;
         CREATE MATERIALIZED VIEW old AS SELECT count(*) FROM h;
         CREATE FUNCTION biggest() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT max FROM public.y';
         CREATE MATERIALIZED VIEW by_function AS SELECT biggest();
         CREATE FUNCTION at_home() RETURNS int LANGUAGE plpgsql AS
             'BEGIN IF EXISTS (SELECT FROM pg_extension WHERE extname = ''timescale_migrate'') THEN RAISE ''not here''; END IF; RETURN 1; END';
         CREATE MATERIALIZED VIEW hopeless AS SELECT at_home()",
    );
    // What a day is depends on the session that refreshes it.
    pair.source.sql(&format!("ALTER DATABASE {} SET timezone = 'Asia/Kathmandu'", quote(&pair.source.name)));
    pair.source.sql("CREATE MATERIALIZED VIEW local AS SELECT date_trunc('day', t) AS day, count(*) FROM h GROUP BY 1");
    pair.migrate();
    assert!(pair.messages().contains("materialized view public.hopeless could not be refreshed: not here"), "{}", pair.messages());
    pair.target.sql("CREATE OR REPLACE FUNCTION at_home() RETURNS int LANGUAGE sql AS 'SELECT 1'; REFRESH MATERIALIZED VIEW hopeless");
    pair.source.sql("CREATE OR REPLACE FUNCTION at_home() RETURNS int LANGUAGE sql AS 'SELECT 1'");
    // One that was never filled cannot be read on either side.
    for side in [&pair.source, &pair.target] {
        assert_eq!(side.value("SELECT relispopulated FROM pg_class WHERE relname = 'unready'"), "f");
        side.sql("REFRESH MATERIALIZED VIEW unready");
    }
    assert_same(&pair);
}

fn large_objects(edition: Edition) {
    let pair = Pair::plain("large_objects", edition);
    pair.source.sql(
        "SELECT lo_from_bytea(4711, '\\x00ff'), lo_from_bytea(4712, ''), lo_from_bytea(4713, convert_to(repeat('0123456789', 300000), 'UTF8'));
         GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC;
         CREATE TABLE file (name text, content oid); INSERT INTO file VALUES ('a', 4711), ('b', 4713)",
    );
    pair.migrate();
    assert_same(&pair);
}

fn others(edition: Edition) {
    let pair = Pair::new("others", edition);
    pair.source.sql(
        "CREATE TABLE t (n int PRIMARY KEY, a text, b text) ; CREATE TABLE log (n int, what text);
         CREATE RULE noted AS ON DELETE TO t DO ALSO INSERT INTO log VALUES (OLD.n, 'deleted');
         CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.log VALUES (NEW.n, TG_OP); RETURN NULL; END';
         CREATE TRIGGER up AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION count_up();
         CREATE TRIGGER off AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION count_up();
         ALTER TABLE t DISABLE TRIGGER off;
         CREATE TRIGGER always AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION count_up();
         ALTER TABLE t ENABLE ALWAYS TRIGGER always;
         INSERT INTO t VALUES (1, 'x', 'y'), (2, 'x', 'z'); DELETE FROM t WHERE n = 2;
         CREATE STATISTICS ab (dependencies, ndistinct) ON a, b FROM t;
         CREATE PROCEDURE wipe() LANGUAGE sql AS 'TRUNCATE public.log';
         CREATE AGGREGATE product (float8) (SFUNC = float8mul, STYPE = float8, INITCOND = 1);
         CREATE FUNCTION close(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs($1 - $2) < 2';
         CREATE OPERATOR ~~~ (LEFTARG = int, RIGHTARG = int, FUNCTION = close);
         CREATE COLLATION german (PROVIDER = icu, LOCALE = 'de');
         CREATE CAST (text AS xid8) WITH INOUT;
         CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);
         CREATE PUBLICATION part FOR TABLE t WHERE (n > 1);
         CREATE VIEW guarded WITH (security_barrier) AS SELECT n FROM t WHERE n > 0 WITH CHECK OPTION;
         CREATE TABLE ddl (tag text); CREATE MATERIALIZED VIEW filled AS SELECT count(*) FROM t;
         CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.ddl VALUES (tg_tag); END';
         CREATE EVENT TRIGGER seen ON ddl_command_end EXECUTE FUNCTION seen();
         COMMENT ON EVENT TRIGGER seen IS 'an event trigger';
         CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER away FOREIGN DATA WRAPPER nothing OPTIONS (a 'b');
         CREATE FOREIGN TABLE far (n int) SERVER away;
         COMMENT ON COLUMN t.a IS 'a column'; COMMENT ON TRIGGER up ON t IS 'a trigger'; COMMENT ON FUNCTION close(int, int) IS 'a function';
         COMMENT ON SCHEMA public IS 'ours'; ALTER SCHEMA public OWNER TO CURRENT_USER; COMMENT ON RULE noted ON t IS 'a rule'; COMMENT ON CONSTRAINT t_pkey ON t IS 'a key'",
    );
    pair.source.sql(
        "CREATE TABLE h (t timestamptz NOT NULL, mode text); SELECT create_hypertable('h', by_range('t', INTERVAL '1 day'));
         INSERT INTO h SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours', 'm' FROM generate_series(1, 9) n;
         ALTER TABLE h ADD CONSTRAINT worded CHECK (mode <> 'READ ONLY MODE') NOT VALID;
         CREATE PUBLICATION whole FOR TABLE h",
    );
    pair.migrate();
    assert_same(&pair);
    let published = "SELECT count(*) FROM pg_publication_tables WHERE pubname = 'whole'";
    assert_eq!((pair.source.value(published), pair.target.value(published)), ("5".into(), "5".into()));
}

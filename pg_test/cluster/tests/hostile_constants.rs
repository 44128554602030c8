//! What ordinary users' definitions call while they are made on the target runs with their rights, also where it is PostgreSQL's
//! own: such a function asks who the caller is.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};

pub const TESTS: &[Test] = &[
    Test::apache("constants of domains, constraints and partition bounds", definitions),
    Test::community("continuous aggregates", aggregates),
    Test::apache("PostgreSQL's own functions are not called at all", own_functions),
    Test::apache("rows that TimescaleDB finds the chunks of", routed),
];

/// An expression that makes this large object if whoever evaluates it is a superuser: by a superuser's function, which
/// does what its caller may, as an extension's would.
fn strike(number: u32) -> String {
    format!("public.strike({number})")
}

/// The same by a function of PostgreSQL's own.
const STRIKE: &str = "ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery WHERE has_table_privilege(''pg_authid'', ''SELECT'') AND lo_create(9013) > 0') IS NOT NULL";

/// What the owner of a table may ask in a CHECK constraint, and what is true for the owner alone.
const OWNERS: &str = "current_setting('app.tenant', true) IS NULL AND pg_client_encoding() <> ''
    AND NOT has_table_privilege('pg_authid', 'SELECT')";

#[track_caller]
fn nothing_was_struck(pair: &Pair) {
    let made = "SELECT coalesce(string_agg(oid::text, ', ' ORDER BY oid), '') FROM pg_largeobject_metadata";
    assert_eq!(pair.target.value(made), "");
}

/// An ordinary role of the source, with a schema `n` of its own.
fn prepare(pair: &Pair, role: &str) {
    pair.source.sql(&format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role}; CREATE SCHEMA n AUTHORIZATION {role}"));
    pair.source.sql(
        "CREATE FUNCTION strike(number int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
             RETURN CASE WHEN has_table_privilege('pg_authid', 'SELECT')
                 THEN lo_create(number) > 0 ELSE true END;
         END $$",
    );
    pair.target.sql(&format!("DROP ROLE IF EXISTS {role}"));
}

fn definitions(edition: Edition) {
    let (pair, role) = (Pair::plain("hostile_constants", edition), "hostile_constants");
    prepare(&pair, role);
    let domain = |name: &str, number| format!("CREATE DOMAIN n.{name} AS int CHECK ({})", strike(number));
    pair.source.each(&[
        format!("SET ROLE {role}"),
        "CREATE TABLE n.separate (a int)".into(),
        "CREATE FUNCTION n.fits(n.separate) RETURNS boolean LANGUAGE sql AS 'SELECT true'".into(),
        format!("ALTER TABLE n.separate ADD CHECK (n.fits(separate) AND {})", strike(9001)),
        "INSERT INTO n.separate VALUES (1)".into(),
        "CREATE DOMAIN n.later AS int".into(),
        "CREATE TABLE n.domained (a n.later)".into(),
        "CREATE FUNCTION n.fits(n.domained) RETURNS boolean LANGUAGE sql AS 'SELECT true'".into(),
        format!("ALTER DOMAIN n.later ADD CHECK (n.fits(NULL::n.domained) AND {})", strike(9002)),
        "INSERT INTO n.domained VALUES (1)".into(),
        domain("bound", 9003),
        "CREATE TABLE n.parts (a n.bound) PARTITION BY LIST (a)".into(),
        "CREATE TABLE n.part PARTITION OF n.parts FOR VALUES IN (1)".into(),
        domain("element", 9004),
        "CREATE VIEW n.shown AS SELECT '{1}'::n.element[] AS a".into(),
        domain("initial", 9005),
        "CREATE FUNCTION n.plus(n.initial, int) RETURNS n.initial LANGUAGE sql AS 'SELECT $1'".into(),
        "CREATE AGGREGATE n.counted(int) (sfunc = n.plus, stype = n.initial, initcond = '1')".into(),
        domain("field", 9006),
        "CREATE TYPE n.composite AS (a n.field)".into(),
        "CREATE TABLE n.defaults (a n.composite DEFAULT '(1)')".into(),
        domain("indexed", 9007),
        "CREATE INDEX ON n.separate (a) WHERE a = ANY ('{1}'::n.indexed[])".into(),
        domain("argument", 9008),
        "CREATE FUNCTION n.called(a n.argument[] DEFAULT '{1}') RETURNS int LANGUAGE sql AS 'SELECT 1'".into(),
        domain("ruled", 9009),
        "CREATE TABLE n.rules (a int)".into(),
        "CREATE RULE r AS ON UPDATE TO n.rules WHERE old.a = ANY ('{1}'::n.ruled[]) DO ALSO NOTHING".into(),
        domain("policed", 9010),
        "CREATE POLICY p ON n.rules USING (a = ANY ('{1}'::n.policed[]))".into(),
    ]);
    pair.migrate();
    nothing_was_struck(&pair);
    assert_same(&pair);
}

fn aggregates(edition: Edition) {
    let (pair, role) = (Pair::new("hostile_aggregates", edition), "hostile_aggregates");
    prepare(&pair, role);
    pair.source.each(&[
        format!("SET ROLE {role}"),
        "CREATE TABLE n.m (t timestamptz NOT NULL, a int)".into(),
        "SELECT public.create_hypertable('n.m', 't')".into(),
        "INSERT INTO n.m SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '1 day', i FROM generate_series(1, 20) i".into(),
        format!("CREATE DOMAIN n.constant AS int CHECK ({})", strike(9011)),
        format!(
            "CREATE MATERIALIZED VIEW n.c WITH (timescaledb.continuous) AS
             SELECT public.time_bucket('1 day', t) AS b, bool_and({}) AS s FROM n.m WHERE a <> ALL ('{{100}}'::n.constant[])
             GROUP BY 1 WITH NO DATA",
            strike(9012)
        ),
        "CREATE INDEX ON n.c (b) WHERE s IS NOT NULL".into(),
        "CREATE FUNCTION n.fits(n.m) RETURNS boolean LANGUAGE sql AS 'SELECT true'".into(),
        format!("ALTER TABLE n.m ADD CONSTRAINT late CHECK (n.fits(NULL::n.m) AND {OWNERS})"),
        format!(
            "DO $$ BEGIN EXECUTE format('ALTER TABLE %s ADD CONSTRAINT own CHECK ({})', (SELECT min(c::text) FROM public.show_chunks('n.m') c)); END $$",
            OWNERS.replace('\'', "''")
        ),
    ]);
    pair.migrate_with(r#"'{"caggs": "recompute"}', jobs => 2"#);
    nothing_was_struck(&pair);
    assert_eq!(pair.target.value("SELECT count(*) FROM n.c"), "20");
    let checks = "SELECT count(*), count(DISTINCT conrelid), bool_and(convalidated) FROM pg_constraint WHERE conname IN ('late', 'own')";
    assert_eq!(pair.target.value(checks), pair.source.value(checks));
}

fn own_functions(edition: Edition) {
    let (pair, role) = (Pair::plain("hostile_own", edition), "hostile_own");
    prepare(&pair, role);
    pair.source.each(&[
        format!("SET ROLE {role}"),
        format!("CREATE DOMAIN n.d AS int CHECK ({STRIKE})"),
        "CREATE VIEW n.v AS SELECT '{1}'::n.d[] AS a".into(),
    ]);
    let refused = "would run with a superuser's rights";
    let error = pair.target.refuses("SELECT * FROM migrate_from('old')", &["VIEW n.v", "function pg_catalog.ts_rewrite(", refused, "Change the expression on the source."]);
    assert_eq!(error.code().code(), "42501");
    pair.target.rows("SELECT * FROM migrate_cleanup(1)");
    // What depends on nothing but the moment is called, and rows are checked with the rights of their table's owner.
    pair.source.each(&[
        format!("SET ROLE {role}"),
        "DROP VIEW n.v".into(),
        "CREATE TABLE n.t (a int)".into(),
        "CREATE FUNCTION n.fits(n.t) RETURNS boolean LANGUAGE sql AS 'SELECT true'".into(),
        format!("ALTER TABLE n.t ADD CHECK (n.fits(NULL::n.t) AND {STRIKE} AND {OWNERS})"),
        "CREATE TABLE n.\"an heir\" () INHERITS (n.t)".into(),
        "CREATE FUNCTION n.fits(n.\"an heir\") RETURNS boolean LANGUAGE sql AS 'SELECT true'".into(),
        format!("ALTER TABLE n.\"an heir\" ADD CONSTRAINT \"a \"\" CHECK\" CHECK (n.fits(NULL::n.\"an heir\") AND {OWNERS}) NO INHERIT"),
        "INSERT INTO n.t VALUES (1); INSERT INTO n.\"an heir\" VALUES (2)".into(),
        "ALTER TABLE n.\"an heir\" ADD CONSTRAINT later CHECK (a > 2 AND n.fits(NULL::n.\"an heir\")) NOT VALID".into(),
        "CREATE DOMAIN n.moment AS int CHECK (random() >= 0 AND clock_timestamp() > '2000-01-01' AND now() > '2000-01-01')".into(),
        "CREATE VIEW n.v AS SELECT '{1}'::n.moment[] AS a".into(),
    ]);
    pair.migrate();
    nothing_was_struck(&pair);
    assert_same(&pair);
}

/// TimescaleDB finds the chunks of a table that becomes a hypertable of many.
fn routed(edition: Edition) {
    let (pair, role) = (Pair::new("hostile_routed", edition), "hostile_routed");
    prepare(&pair, role);
    pair.source.each(&[
        format!("SET ROLE {role}"),
        format!("CREATE DOMAIN n.d AS int CHECK ({STRIKE})"),
        "CREATE TABLE n.m (t timestamptz NOT NULL, a n.d)".into(),
        "INSERT INTO n.m SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '8 days', 1 FROM generate_series(1, 20) i".into(),
    ]);
    pair.migrate_with(r#"'{"hypertables": {"n.m": {"time": "t"}}}'"#);
    nothing_was_struck(&pair);
    assert_eq!(pair.target.value("SELECT count(*) FROM n.m"), "20");
}

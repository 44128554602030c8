//! What an ordinary user of the source writes into names and definitions is never run as it stands: it makes nobody superuser here.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};

pub const TESTS: &[Test] = &[
    Test::apache("a column's name of several lines", column_name),
    Test::community("a constant and an index of a continuous aggregate", aggregate),
];

/// Makes an ordinary role on the source and runs the statements as that role.
fn as_ordinary(pair: &Pair, role: &str, statements: &str) {
    pair.source.sql(&format!("CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}"));
    pair.source.sql(&format!("SET ROLE {role}; {statements}"));
}

#[track_caller]
fn is_ordinary(pair: &Pair, role: &str) {
    assert_eq!(pair.target.value(&format!("SELECT rolsuper FROM pg_roles WHERE rolname = '{role}'")), "f");
}

fn column_name(edition: Edition) {
    let pair = Pair::plain("hostile_column", edition);
    let column = "\"c SET (pg_attver=1);\n; ALTER ROLE hostile_column SUPERUSER; --\"";
    as_ordinary(
        &pair,
        "hostile_column",
        &format!(
            "CREATE TABLE t ({column} int);
             ALTER TABLE t ALTER COLUMN {column} SET STATISTICS 100;
             CREATE VIEW v AS SELECT 'first\nALTER TABLE ONLY t ALTER COLUMN c SET (pg_attver=1);\nlast'::text AS several"
        ),
    );
    pair.migrate();
    is_ordinary(&pair, "hostile_column");
    assert_same(&pair);
}

fn aggregate(edition: Edition) {
    let pair = Pair::new("hostile_aggregate", edition);
    as_ordinary(
        &pair,
        "hostile_aggregate",
        "CREATE TABLE m (t timestamptz NOT NULL, \"x)y\" text);
         SELECT create_hypertable('m', 't')",
    );
    pair.source.sql(
        "SET ROLE hostile_aggregate;
         CREATE MATERIALIZED VIEW c WITH (timescaledb.continuous) AS
         SELECT time_bucket('1 day', t) AS b, max('timescaledb_experimental.time_bucket_ng(a,b,foo => \"' || \"x)y\"
             || '))) as mv from public.m group by 1 with no data; ALTER ROLE hostile_aggregate SUPERUSER; create table public.zz as select 1 as x --') AS mv
         FROM m GROUP BY 1 WITH NO DATA",
    );
    pair.source.sql(
        "SET ROLE hostile_aggregate;
         CREATE INDEX \"x USING btree (b); ALTER ROLE hostile_aggregate SUPERUSER; --\" ON c (mv)",
    );
    pair.migrate();
    is_ordinary(&pair, "hostile_aggregate");
    assert_same(&pair);
}

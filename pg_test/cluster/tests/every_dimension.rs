//! Hypertables keep every kind of dimension, and go on making the same chunks.

use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};

pub const TESTS: &[Test] = &[
    Test::both("ranges of every type", ranges_of_every_type),
    Test::both("ranges of a user's own type", ranges_of_own_type),
    Test::both("hash, three dimensions", three_dimensions),
    Test::both("partitioning functions", partitioning_functions),
    Test::both("integer now function", integer_now_function),
    Test::both("changed intervals and partitions", changed_intervals),
    Test::both("chunk schema and prefix", chunk_schema_and_prefix),
];

/// Migrates and compares; then gives both sides the same rows and compares again.
fn migrates_and_goes_on(pair: &Pair, more: &str) {
    pair.migrate();
    assert_same(pair);
    pair.source.sql(more);
    pair.target.sql(more);
    assert_same(pair);
}

fn ranges_of_every_type(edition: Edition) {
    let pair = Pair::new("ranges", edition);
    let types = [
        ("timestamptz", "INTERVAL '1 day'", "timestamptz '2024-02-27 13:00 UTC' + n * INTERVAL '5 hours'"),
        ("timestamp", "INTERVAL '1 month'", "timestamp '1969-12-31 23:00' + n * INTERVAL '5 hours'"),
        ("date", "INTERVAL '3 days'", "date '2024-02-27' + n"),
        ("bigint", "1000", "(n - 10) * 900000000000000000"),
        ("int", "100", "n * 70 - 700"),
        ("smallint", "10", "(n * 3 - 30)::smallint"),
    ];
    for (name, interval, value) in types {
        pair.source.sql(&format!(
            "CREATE TABLE by_{name} (at {name} NOT NULL, n int);
             SELECT create_hypertable('by_{name}', by_range('at', {interval}));
             INSERT INTO by_{name} SELECT {value}, n FROM generate_series(0, 20) n"
        ));
    }
    // The ends of the types are in chunks without a start or an end.
    pair.source.sql(
        "INSERT INTO by_bigint VALUES (9223372036854775807, 1), (-9223372036854775808, 2);
         INSERT INTO by_smallint VALUES (32767, 1), (-32768, 2);
         INSERT INTO by_timestamptz VALUES ('infinity', 1), ('4000-01-01 BC', 3)",
    );
    migrates_and_goes_on(
        &pair,
        "INSERT INTO by_timestamptz VALUES ('2030-01-01 UTC', 1), ('2024-02-27 13:00 UTC', 2);
         INSERT INTO by_timestamp VALUES ('2030-01-01', 1); INSERT INTO by_date VALUES ('2030-01-01', 1);
         INSERT INTO by_bigint VALUES (5, 1); INSERT INTO by_int VALUES (5000, 1);
         INSERT INTO by_smallint VALUES (300, 1)",
    );
}

/// TimescaleDB takes a type whose values are those of bigint. Its operators are where its user has put them, and nothing but its own
/// functions makes text of it.
fn ranges_of_own_type(edition: Edition) {
    let pair = Pair::new("own_type", edition);
    let function = |name: &str, arguments: &str, result: &str, of: &str| {
        pair.source.sql(&format!(
            "CREATE FUNCTION \"Own types\".{name}({arguments}) RETURNS {result} LANGUAGE internal IMMUTABLE STRICT AS '{of}'"
        ));
    };
    pair.source.sql("CREATE SCHEMA \"Own types\"; CREATE TYPE \"Own types\".tick");
    function("tick_in", "cstring", "\"Own types\".tick", "timestamptz_in");
    function("tick_out", "\"Own types\".tick", "cstring", "timestamptz_out");
    pair.source.sql(
        "CREATE TYPE \"Own types\".tick (INPUT = \"Own types\".tick_in, OUTPUT = \"Own types\".tick_out, LIKE = bigint);
         CREATE CAST (\"Own types\".tick AS bigint) WITHOUT FUNCTION",
    );
    for (name, operator) in [("lt", "<"), ("le", "<="), ("eq", "="), ("ge", ">="), ("gt", ">")] {
        function(&format!("tick_{name}"), "\"Own types\".tick, \"Own types\".tick", "bool", &format!("int8{name}"));
        pair.source.sql(&format!(
            "CREATE OPERATOR \"Own types\".{operator}
                 (LEFTARG = \"Own types\".tick, RIGHTARG = \"Own types\".tick, FUNCTION = \"Own types\".tick_{name})"
        ));
    }
    function("tick_cmp", "\"Own types\".tick, \"Own types\".tick", "int", "btint8cmp");
    let operators = ["<", "<=", "=", ">=", ">"].iter().zip(1..).map(|(o, n)| format!("OPERATOR {n} \"Own types\".{o}"));
    pair.source.sql(&format!(
        "CREATE OPERATOR CLASS \"Own types\".tick_ops DEFAULT FOR TYPE \"Own types\".tick USING btree AS {},
             FUNCTION 1 \"Own types\".tick_cmp(\"Own types\".tick, \"Own types\".tick)",
        operators.collect::<Vec<_>>().join(", ")
    ));
    let rows = |from: &str| {
        format!(
            "SET search_path = public, \"Own types\"; SET timezone = 'UTC';
             INSERT INTO event SELECT (timestamptz '{from}' + n * INTERVAL '5 hours')::text::tick, n FROM generate_series(0, 20) n"
        )
    };
    pair.source.sql(
        "SET search_path = public, \"Own types\"; CREATE TABLE event (t tick NOT NULL, n int);
         SELECT create_hypertable('event', 't', chunk_time_interval => 86400000000)",
    );
    pair.source.sql(&rows("2024-01-01 UTC"));
    migrates_and_goes_on(&pair, &rows("2030-01-01 UTC"));
}

fn three_dimensions(edition: Edition) {
    let pair = Pair::new("three", edition);
    pair.source.sql(
        "CREATE TABLE cube (t timestamptz NOT NULL, device text NOT NULL, height int NOT NULL, v float8);
         SELECT create_hypertable('cube', by_range('t', INTERVAL '7 days'));
         SELECT add_dimension('cube', by_hash('device', 3));
         SELECT add_dimension('cube', by_range('height', 50));
         INSERT INTO cube SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '3 hours', 'd' || n % 11, n % 120, n
         FROM generate_series(1, 500) n",
    );
    migrates_and_goes_on(
        &pair,
        "INSERT INTO cube SELECT timestamptz '2025-01-01 UTC' + n * INTERVAL '3 hours', 'e' || n % 11, n % 300, n
         FROM generate_series(1, 100) n",
    );
}

fn partitioning_functions(edition: Edition) {
    let pair = Pair::new("functions", edition);
    pair.source.sql(
        "CREATE SCHEMA part;
         CREATE FUNCTION part.by_length(anyelement) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT length($1::text) * 100000000';
         CREATE FUNCTION part.moment(jsonb) RETURNS timestamptz LANGUAGE sql IMMUTABLE
             AS $$ SELECT timestamptz 'epoch' + ($1->>'s')::int * INTERVAL '1 s' $$;
         CREATE TABLE event (doc jsonb NOT NULL, kind text NOT NULL, n int);
         SELECT create_hypertable('event', 'doc', 'kind', 4, partitioning_func => 'part.by_length',
             chunk_time_interval => INTERVAL '1 hour', time_partitioning_func => 'part.moment', create_default_indexes => false);
         INSERT INTO event SELECT jsonb_build_object('s', n * 700), repeat('x', n % 9), n FROM generate_series(1, 50) n",
    );
    migrates_and_goes_on(
        &pair,
        "INSERT INTO event SELECT jsonb_build_object('s', n * 700), repeat('y', n % 13), n FROM generate_series(40, 90) n",
    );
}

fn integer_now_function(edition: Edition) {
    let pair = Pair::new("integer_now", edition);
    pair.source.sql(
        "CREATE SCHEMA \"Clock\";
         CREATE FUNCTION \"Clock\".\"Now\"() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 1000::bigint';
         CREATE TABLE tick (at bigint NOT NULL, n int);
         SELECT create_hypertable('tick', by_range('at', 100));
         SELECT set_integer_now_func('tick', '\"Clock\".\"Now\"');
         INSERT INTO tick SELECT n, n FROM generate_series(1, 1000, 7) n",
    );
    migrates_and_goes_on(&pair, "SELECT drop_chunks('tick', older_than => 350); INSERT INTO tick VALUES (2000, 1)");
}

fn changed_intervals(edition: Edition) {
    let pair = Pair::new("changed", edition);
    // A wider chunk among narrow ones is cut at its neighbours: its slices fit no grid.
    for statement in [
        "CREATE TABLE log (t timestamptz NOT NULL, host text NOT NULL, n int)",
        "SELECT create_hypertable('log', by_range('t', INTERVAL '1 day'))",
        "SELECT add_dimension('log', by_hash('host', 2))",
        "INSERT INTO log SELECT timestamptz '2024-03-10 UTC' + n * INTERVAL '7 hours', 'h' || n % 5, n FROM generate_series(1, 20) n",
        "SELECT set_chunk_time_interval('log', INTERVAL '5 days')",
        "INSERT INTO log SELECT timestamptz '2024-03-01 UTC' + n * INTERVAL '7 hours', 'h' || n % 5, n FROM generate_series(1, 90) n",
        "SELECT set_number_partitions('log', 5)",
        "SELECT set_chunk_time_interval('log', INTERVAL '36 hours')",
        "INSERT INTO log SELECT timestamptz '2024-02-01 UTC' + n * INTERVAL '7 hours', 'h' || n % 5, n FROM generate_series(1, 150) n",
    ] {
        pair.source.sql(statement);
    }
    migrates_and_goes_on(
        &pair,
        "INSERT INTO log SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '7 hours', 'i' || n % 5, n FROM generate_series(1, 400) n",
    );
}

fn chunk_schema_and_prefix(edition: Edition) {
    let pair = Pair::new("chunk_schema", edition);
    pair.source.sql(
        "CREATE SCHEMA \"Chunks of It\";
         CREATE TABLE reading (t timestamptz NOT NULL, n int);
         SELECT create_hypertable('reading', 't', chunk_time_interval => INTERVAL '1 day',
             associated_schema_name => 'Chunks of It', associated_table_prefix => 'Re.ad');
         CREATE TABLE shared (t timestamptz NOT NULL, n int);
         SELECT create_hypertable('shared', 't', associated_schema_name => 'public');
         INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '9 hours', n FROM generate_series(1, 20) n;
         INSERT INTO shared SELECT * FROM reading;
         CREATE TABLE \"Chunks of It\".not_a_chunk (n int); INSERT INTO \"Chunks of It\".not_a_chunk VALUES (7)",
    );
    migrates_and_goes_on(&pair, "INSERT INTO reading VALUES ('2025-01-01 UTC', 1); INSERT INTO shared VALUES ('2025-01-01 UTC', 1)");
    let prefix = "SELECT every(chunk_name LIKE 'Re.ad\\_%') FROM timescaledb_information.chunks WHERE hypertable_name = 'reading'";
    assert!(pair.target.is(prefix));
}

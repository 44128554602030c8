//! The source databases.

use cluster::Db;

/// A database, which is made by statements, and of which some tables are compared.
pub struct Data {
    name: String,
    about: String,
    statements: Vec<String>,
    /// The tables and aggregates whose content has to arrive.
    tables: &'static [&'static str],
    /// Milliseconds of round trip to the source.
    distances: &'static [u64],
    /// How it is moved by hand, if it is.
    pub by_hand: Option<ByHand>,
    /// What an ordinary table becomes, if it does not stay one.
    pub conversion: Option<Conversion>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// With compressed chunks and a continuous aggregate.
    Standard,
    Wide,
    Chunks,
    /// An ordinary table that becomes a hypertable.
    Table,
    /// The same, with compression.
    PackedTable,
}

/// An ordinary table `metric` that becomes a hypertable.
pub struct Conversion {
    /// The options of the migration.
    pub options: &'static str,
    /// What makes such a hypertable by hand, empty.
    pub hypertable: &'static [&'static str],
    /// Conditions that divide the rows in two.
    pub halves: [&'static str; 2],
    pub packed: bool,
}

/// What somebody enters who moves the rows in CSV files.
pub struct ByHand {
    /// Of which there are files.
    pub tables: &'static [&'static str],
    /// It is made at the end.
    pub aggregate: &'static str,
    /// When the ordinary tables have arrived.
    pub hypertables: &'static [&'static str],
    /// When the rows are.
    pub after: &'static [&'static str],
}

const METRIC: &str =
    "CREATE TABLE metric (time timestamptz NOT NULL, device_id integer NOT NULL, temperature float8, state text)";
const HALVES: [&str; 2] = ["time < '2024-01-16 UTC'", "time >= '2024-01-16 UTC'"];
const OF_METRIC: &str = "SELECT create_hypertable('metric', 'time', chunk_time_interval => INTERVAL '1 day', create_default_indexes => false)";
const PLAIN: Conversion = Conversion {
    options: r#"{"hypertables": {"public.metric": {"time": "time", "chunk_interval": "1 day"}}}"#,
    hypertable: &[METRIC, OF_METRIC],
    halves: HALVES,
    packed: false,
};
const PACKED: Conversion = Conversion {
    options: r#"{"hypertables": {"public.metric": {"time": "time", "chunk_interval": "1 day",
                 "compress": {"segmentby": ["device_id"], "orderby": ["time desc"], "after": "1 day"}}}}"#,
    hypertable: &[
        METRIC,
        OF_METRIC,
        "ALTER TABLE metric SET (timescaledb.compress, timescaledb.compress_segmentby = 'device_id', timescaledb.compress_orderby = 'time DESC')",
    ],
    halves: HALVES,
    packed: true,
};
const HYPERTABLES: &[&str] = &[
    "SELECT create_hypertable('reading', 'time', chunk_time_interval => INTERVAL '1 day', create_default_indexes => false)",
    "SELECT create_hypertable('archived', 'time', chunk_time_interval => INTERVAL '1 day', create_default_indexes => false)",
];
const COMPRESSION: &str = "ALTER TABLE archived SET (timescaledb.compress, timescaledb.compress_segmentby = 'device_id', timescaledb.compress_orderby = 'time DESC')";
const COMPRESS: &str = "SELECT count(compress_chunk(c)) FROM show_chunks('archived') c";
const AGGREGATE: &str =
    "CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS
     SELECT time_bucket('1 hour', time) AS bucket, device_id, count(*) AS readings, min(temperature), max(temperature)
     FROM reading GROUP BY 1, 2 WITH NO DATA";
const BY_HAND: ByHand = ByHand {
    tables: &["device", "reading", "archived", "event"],
    aggregate: "hourly",
    hypertables: HYPERTABLES,
    after: &[COMPRESSION, COMPRESS, AGGREGATE, REFRESH, POLICIES[0], POLICIES[1], POLICIES[2]],
};
const REFRESH: &str = "CALL refresh_continuous_aggregate('hourly', NULL, NULL)";
/// None of them has anything to do for a century.
const POLICIES: [&str; 3] = [
    "SELECT add_compression_policy('archived', INTERVAL '100 years')",
    "SELECT add_retention_policy('reading', INTERVAL '100 years')",
    "SELECT add_continuous_aggregate_policy('hourly', INTERVAL '200 years', INTERVAL '100 years', INTERVAL '100 years')",
];

impl Data {
    /// Every database, in this size.
    pub fn all(factor: f64) -> Vec<Data> {
        vec![
            Data::standard(factor),
            Data::wide(factor),
            Data::chunks(1000, factor),
            Data::chunks(10000, factor),
            Data::table(factor, Kind::Table, PLAIN),
            Data::table(factor, Kind::PackedTable, PACKED),
        ]
    }

    fn standard(factor: f64) -> Data {
        let (rows, plain) = (size(10_000_000, factor), size(3_000_000, factor));
        let mut statements = vec![
            "CREATE TABLE device (id integer PRIMARY KEY, name text NOT NULL)".to_string(),
            "INSERT INTO device SELECT n, 'device ' || n FROM generate_series(0, 999) n".to_string(),
        ];
        for table in ["reading", "archived"] {
            statements.push(format!(
                "CREATE TABLE {table} (time timestamptz NOT NULL, device_id integer NOT NULL,
                     temperature float8, humidity float8, state text)"
            ));
        }
        statements.extend(HYPERTABLES.iter().map(|statement| statement.to_string()));
        for table in ["reading", "archived"] {
            statements.extend((0..30).map(|day| {
                format!(
                    "INSERT INTO {table}
                     SELECT timestamptz '2024-01-01 UTC' + n * (INTERVAL '30 days' / {rows}), n % 1000,
                            (2000 + 500 * sin(n / 1e6) + 100 * random())::int / 100.0::float8,
                            (500 + 200 * random())::int / 10.0::float8, 'ok'
                     FROM generate_series({}, {}) n",
                    rows * day / 30,
                    rows * (day + 1) / 30 - 1,
                )
            }));
        }
        statements.push("CREATE INDEX ON reading (device_id, time DESC)".into());
        statements.push("ALTER TABLE reading ADD FOREIGN KEY (device_id) REFERENCES device".into());
        statements.push(COMPRESSION.into());
        statements.push(COMPRESS.into());
        statements.push(format!(
            "CREATE TABLE event AS
             SELECT n::bigint AS id, timestamptz '2024-01-01 UTC' + n * INTERVAL '1 second' AS at,
                    n % 1000 AS device_id, md5(n::text) AS payload
             FROM generate_series(1, {plain}) n"
        ));
        for statement in [
            "ALTER TABLE event ADD PRIMARY KEY (id)",
            "CREATE INDEX ON event (at)",
            "CREATE INDEX ON event (device_id, at)",
            AGGREGATE,
            REFRESH,
        ] {
            statements.push(statement.into());
        }
        statements.extend(POLICIES.iter().map(|statement| statement.to_string()));
        Data {
            name: "standard".into(),
            about: format!(
                "two hypertables of {rows} rows in 30 chunks, one of them compressed, a continuous aggregate,
                 a table of {plain} rows"
            ),
            statements,
            tables: &["device", "reading", "archived", "event", "hourly"],
            distances: &[0, 20, 50, 100],
            by_hand: Some(BY_HAND),
            conversion: None,
            kind: Kind::Standard,
        }
    }

    fn wide(factor: f64) -> Data {
        let rows = size(2_000_000, factor);
        let statements = vec![
            "CREATE TABLE wide (
                 id bigint PRIMARY KEY, a integer, b smallint, c numeric(12, 4), d float8, e real, f boolean, g date,
                 h timestamptz, i interval, j uuid, k text, l varchar(40), m jsonb, n inet, o bytea)"
                .to_string(),
            format!(
                "INSERT INTO wide
                 SELECT n, n % 100000, n % 1000, n / 7.0, sqrt(n), sqrt(n), n % 2 = 0, date '2024-01-01' + (n % 1000)::int,
                        timestamptz '2024-01-01 UTC' + n * INTERVAL '1 second', n * INTERVAL '1 second', md5(n::text)::uuid,
                        repeat(md5(n::text), 4), md5((n + 1)::text), jsonb_build_object('n', n, 'text', md5(n::text)),
                        '10.0.0.0'::inet + n,
                        CASE WHEN n % 100 = 0 THEN decode(string_agg, 'hex') ELSE decode(md5(n::text), 'hex') END
                 FROM generate_series(1, {rows}) n,
                      (SELECT string_agg(md5(k::text), '') FROM generate_series(1, 500) k) long"
            ),
            "CREATE INDEX ON wide (h)".to_string(),
            "CREATE INDEX ON wide (k)".to_string(),
        ];
        Data {
            name: "wide".into(),
            about: format!("one table of {rows} rows with 16 columns of different types, some of them long"),
            statements,
            tables: &["wide"],
            distances: &[0],
            by_hand: None,
            conversion: None,
            kind: Kind::Wide,
        }
    }

    fn chunks(chunks: u64, factor: f64) -> Data {
        let number = size(chunks, factor).max(3);
        let statements = vec![
            "CREATE TABLE reading (time timestamptz NOT NULL, device_id integer NOT NULL, temperature float8)"
                .to_string(),
            "SELECT create_hypertable('reading', 'time', chunk_time_interval => INTERVAL '1 day')".to_string(),
        ];
        let days = (0..number).step_by(500).map(|day| {
            format!(
                "INSERT INTO reading
                 SELECT timestamptz '2000-01-01 UTC' + n * INTERVAL '864 seconds', n % 10, n
                 FROM generate_series({}, {}) n",
                day * 100,
                (day + 500).min(number) * 100 - 1
            )
        });
        Data {
            name: format!("{chunks} chunks"),
            about: format!("a hypertable of {number} chunks of 100 rows"),
            statements: statements.into_iter().chain(days).collect(),
            tables: &["reading"],
            distances: if chunks == 1000 { &[0, 50] } else { &[0] },
            by_hand: None,
            conversion: None,
            kind: Kind::Chunks,
        }
    }

    fn table(factor: f64, kind: Kind, conversion: Conversion) -> Data {
        let rows = size(5_000_000, factor);
        let statements = vec![
            METRIC.to_string(),
            format!(
                "INSERT INTO metric
                 SELECT timestamptz '2024-01-01 UTC' + n * (INTERVAL '30 days' / {rows}), n % 1000,
                        (2000 + 500 * sin(n / 1e6) + 100 * random())::int / 100.0::float8, 'ok'
                 FROM generate_series(0, {rows} - 1) n"
            ),
        ];
        let what = if conversion.packed { "a hypertable of 30 compressed chunks" } else { "a hypertable of 30 chunks" };
        Data {
            name: if conversion.packed { "to compressed chunks" } else { "to a hypertable" }.into(),
            about: format!("a table of {rows} rows that becomes {what}"),
            statements,
            tables: &["metric"],
            distances: &[0],
            by_hand: None,
            conversion: Some(conversion),
            kind,
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn needs_community(&self) -> bool {
        matches!(self.kind, Kind::Standard | Kind::PackedTable)
    }

    /// The name of a scene: this database at this distance.
    pub fn scene(&self, milliseconds: u64) -> String {
        match milliseconds {
            0 => self.name.clone(),
            _ => format!("{}, {milliseconds} ms", self.name),
        }
    }

    pub fn about(&self) -> String {
        self.about.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub fn distances(&self) -> &'static [u64] {
        self.distances
    }

    pub fn fill(&self, source: &Db) {
        source.sql("CREATE EXTENSION timescaledb");
        source.each(&self.statements);
        source.each(&["VACUUM ANALYZE", "CHECKPOINT"]);
    }

    /// The number of rows and a checksum of their values, of each table.
    pub fn content(&self, database: &Db) -> Vec<String> {
        let content = |table: &&str| {
            let rows = "count(*) || ' rows, checksum ' || coalesce(bit_xor(hash_record_extended(t, 0)), 0)";
            database.try_value(&format!("SELECT {rows} FROM {table} t")).unwrap_or_else(|_| "no table".into())
        };
        self.tables.iter().map(content).collect()
    }

    /// What of the content differs from the source's.
    pub fn differences(&self, expected: &[String], target: &Db) -> Vec<String> {
        let found = self.content(target);
        let pairs = self.tables.iter().zip(expected.iter().zip(&found));
        let different = pairs.filter(|(_, (expected, found))| expected != found);
        different.map(|(table, (expected, found))| format!("{table}: {found} instead of {expected}")).collect()
    }
}

/// At least one.
fn size(full: u64, factor: f64) -> u64 {
    ((full as f64 * factor) as u64).max(30)
}

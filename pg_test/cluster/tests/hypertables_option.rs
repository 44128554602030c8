//! Tables of the source that become hypertables.

use crate::resume::{SLOW, cancelled, resume};
use crate::slow::FAST;
use cluster::suite::Test;
use cluster::{Db, Edition, Pair, Versions};

pub const TESTS: &[Test] = &[
    Test::both("a table becomes a hypertable", table),
    Test::between("compressed, with policies and longer keys", &Versions::TARGETS, compressed),
    Test::community("made empty, then filled", empty),
    Test::apache("resumed, and resumed after changes", resumed),
    Test::community("what cannot become one", refusals),
    Test::both("a time that no chunk has", no_time),
];

const RUN: &str = "(SELECT max(id) FROM timescale_migrate.run WHERE kind = 'migrate')";

/// Rows of a query as one text.
pub fn all(side: &Db, query: &str) -> String {
    side.value(&format!("SELECT md5(string_agg(q::text, ' ' ORDER BY q::text)) FROM ({query}) q"))
}

/// A run stops when all rows have arrived.
pub const AT_THE_END: &str = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not yet''; END';
    CREATE TRIGGER refuse BEFORE UPDATE ON timescale_migrate.run_log FOR EACH ROW WHEN (NEW.state = 'done' AND NEW.kind = 'migrate') EXECUTE FUNCTION refuse()";
pub const NO_MORE: &str = "DROP TRIGGER refuse ON timescale_migrate.run_log; DROP FUNCTION refuse";

fn table(edition: Edition) {
    let pair = Pair::plain("hypertables", edition);
    pair.source.sql(
        r#"
        CREATE ROLE hypertables_owner;
        CREATE SCHEMA "My App" AUTHORIZATION hypertables_owner;
        SET ROLE hypertables_owner;
        CREATE TABLE "My App".device (id int PRIMARY KEY);
        INSERT INTO "My App".device SELECT generate_series(0, 9);
        CREATE TABLE "My App"."Metric" (
            gone int, "a ""Time" timestamptz NOT NULL, "Dev" int REFERENCES "My App".device, v float8 CHECK (v >= 0),
            id bigint GENERATED ALWAYS AS IDENTITY, twice float8 GENERATED ALWAYS AS (v * 2) STORED, note text DEFAULT 'none',
            PRIMARY KEY ("a ""Time", "Dev", id));
        ALTER TABLE "My App"."Metric" DROP COLUMN gone;
        CREATE INDEX "by (v)" ON "My App"."Metric" (v) WHERE v > 3;
        COMMENT ON TABLE "My App"."Metric" IS 'measured';
        INSERT INTO "My App"."Metric" ("a ""Time", "Dev", v, note)
            SELECT timestamptz '2024-01-01 UTC' + i * INTERVAL '7 minutes', i % 10, i / 7.0, repeat('n', i % 300) FROM generate_series(0, 9999) i;
        CREATE FUNCTION "My App".stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := ''stamped''; RETURN NEW; END';
        CREATE TRIGGER stamp BEFORE INSERT ON "My App"."Metric" FOR EACH ROW EXECUTE FUNCTION "My App".stamp();
        CREATE TABLE "My App".remark (t timestamptz, d int, m bigint, FOREIGN KEY (t, d, m) REFERENCES "My App"."Metric");
        INSERT INTO "My App".remark SELECT "a ""Time", "Dev", id FROM "My App"."Metric" WHERE id < 9;
        CREATE TABLE "My App".numbered (n int NOT NULL, t text);
        INSERT INTO "My App".numbered SELECT i, 't' || i FROM generate_series(-50, 149) i;
        CREATE TABLE "My App".empty (t date NOT NULL);
        CREATE TABLE "My App".dates (t date NOT NULL);
        INSERT INTO "My App".dates SELECT date '1969-12-20' + i FROM generate_series(0, 30) i;
        -- Before and after the ends of chunks, and before 2000 and 1970.
        CREATE TABLE "My App".times (t timestamp NOT NULL);
        INSERT INTO "My App".times SELECT day + i * INTERVAL '1 microsecond'
            FROM generate_series(-1, 1) i, unnest('{1850-06-30 04:00, 1969-12-31 12:00, 1970-01-01, 1999-12-31 12:00, 2000-01-01, 2038-01-19 12:00}'::timestamp[]) day;
        -- Those that are no times come as well.
        CREATE TABLE "My App".ends (t timestamptz NOT NULL);
        INSERT INTO "My App".ends VALUES ('infinity'), ('0044-03-15 BC'), ('2024-01-01');
        -- Its indexes keep the names that the new tables' default indexes would have.
        CREATE TABLE "My App".renamed (n int, CONSTRAINT numbered_n_idx UNIQUE (n));
        CREATE INDEX empty_t_idx ON "My App".renamed (n)"#,
    );
    let options = r#"{"hypertables": {
            "\"My App\".\"Metric\"": {"time": "a \"Time", "chunk_interval": "10 days", "hash": {"column": "Dev", "partitions": 2}, "indexes": true},
            "\"My App\".numbered": {"time": "n", "chunk_interval": 100, "indexes": true},
            "\"My App\".empty": {"time": "t", "indexes": true}, "\"My App\".dates": {"time": "t", "chunk_interval": "5 days"},
            "\"My App\".times": {"time": "t", "chunk_interval": "12 hours"}, "\"My App\".ends": {"time": "t"}},
        "verify": "checksum", "split_bytes": 200000}"#;
    assert_eq!(
        pair.preflight_with("objects", options)[0],
        r#"warning | table "My App"."Metric" | Arrives with chunks of 10 days by "a ""Time", in 2 partitions by the hash of "Dev"."#
    );
    pair.migrate_with(&format!("'{options}', jobs => 3"));
    for table in [r#""My App"."Metric""#, r#""My App".numbered"#, r#""My App".empty"#, r#""My App".dates"#, r#""My App".times"#, r#""My App".ends"#] {
        assert_eq!(all(&pair.target, &format!("TABLE {table}")), all(&pair.source, &format!("TABLE {table}")), "{table}");
    }
    let parts = "SELECT count(*) > 3 FROM timescale_migrate.task WHERE method = 'COPY binary, into its chunks' AND object LIKE '%part%'";
    assert!(pair.target.is(parts));
    let chunks = "SELECT string_agg(range, ' ') FROM (
        SELECT concat_ws('..', coalesce((range_start AT TIME ZONE 'UTC')::date::text, range_start_integer::text), coalesce((range_end AT TIME ZONE 'UTC')::date::text, range_end_integer::text)) || ' ' || count(*) AS range
        FROM timescaledb_information.chunks WHERE hypertable_name IN ('Metric', 'numbered') GROUP BY hypertable_name, range_start, range_end, range_start_integer, range_end_integer
        ORDER BY hypertable_name, range_start, range_start_integer) q";
    assert_eq!(
        pair.target.value(chunks),
        "2023-12-29..2024-01-08 2 2024-01-08..2024-01-18 2 2024-01-18..2024-01-28 2 2024-01-28..2024-02-07 2 2024-02-07..2024-02-17 2 2024-02-17..2024-02-27 2 -100..0 1 0..100 1 100..200 1"
    );
    // Each index is on each chunk, and the default ones besides.
    let indexes = "SELECT string_agg(DISTINCT n, ' ') FROM (
        SELECT c::text, count(*)::text AS n FROM show_chunks('\"My App\".\"Metric\"') c JOIN pg_index x ON x.indrelid = c GROUP BY 1) q";
    assert_eq!(pair.target.value(indexes), "3");
    pair.target.sql("INSERT INTO \"My App\".\"Metric\" (\"a \"\"Time\", \"Dev\", v) VALUES ('2030-01-01 UTC', 3, 1)");
    assert!(pair.target.is("SELECT note = 'stamped' AND id = 10001 AND twice = 2 FROM \"My App\".\"Metric\" WHERE \"a \"\"Time\" > '2029-01-01 UTC'"));
    pair.target.refuses("INSERT INTO \"My App\".\"Metric\" (\"a \"\"Time\", \"Dev\", v) VALUES (now(), 77, 1)", &["foreign key"]);
    pair.target.refuses("INSERT INTO \"My App\".remark VALUES (now(), 1, 1)", &["remark_t_d_m_fkey"]);
    pair.target.sql("DELETE FROM \"My App\".\"Metric\" WHERE \"a \"\"Time\" > '2029-01-01 UTC'");
    assert!(pair.target.is(&format!("SELECT every(same) AND count(*) = 9 FROM migrate_verify({RUN})")));
    assert!(pair.target.is(&format!("SELECT every(same) AND count(*) = 9 FROM migrate_verify('old', options => '{options}')")));
    pair.target.sql("UPDATE \"My App\".numbered SET t = 'other' WHERE n = 120");
    let differs = ["\"My App\".numbered: 200 rows on the source, 200 on the target, checksums differ"];
    pair.target.refuses(&format!("SELECT * FROM migrate_verify({RUN}, 'checksum')"), &differs);
}

fn compressed(versions: Versions) {
    let pair = Pair::of("hypertables_packed", versions);
    pair.source.sql(
        "CREATE TABLE metric (id bigserial PRIMARY KEY, ts timestamptz NOT NULL, device text, v float8);
         CREATE UNIQUE INDEX once ON metric USING btree (lower(device), v) WHERE v IS NOT NULL;
         INSERT INTO metric (ts, device, v) SELECT now() - i * INTERVAL '1 hour', 'd' || i % 5, i FROM generate_series(1, 400) i;
         CREATE TABLE gone (t timestamptz NOT NULL); INSERT INTO gone VALUES ('2024-01-01 UTC');
         CREATE TABLE other (t timestamp NOT NULL, n int);
         SELECT create_hypertable('other', 't');
         INSERT INTO other SELECT '2024-01-01', 1",
    );
    let options = r#"{"hypertables": {"public.metric": {"time": "ts", "chunk_interval": "1 day", "keys": "extend",
            "compress": {"segmentby": ["device"], "orderby": ["ts desc", "id"], "after": "7 days"}, "retention": "10 years"},
            "public.gone": {"time": "t", "compress": {"after": "1 day"}}},
        "verify": "checksum"}"#;
    assert!(pair.preflight_with("verdict", options)[0].starts_with("ok"));
    let plan = format!("SELECT string_agg(object || ' ' || method || ' ' || note, '; ') FROM migrate_plan('old', '{options}') WHERE phase = 'compression'");
    assert_eq!(
        pair.target.value(&plan),
        "public.metric compress_chunk chunks older than 7 days; public.gone compress_chunk chunks older than 1 day"
    );
    // A resume loses no chunk that is compressed, and a cleanup leaves none.
    pair.target.sql(AT_THE_END);
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{options}', jobs => 2)"), &["not yet"]);
    // What the source has dropped stays on the target.
    pair.source.sql("DROP TABLE gone");
    pair.target.refuses(&format!("SELECT * FROM migrate_resume({RUN})"), &["not yet"]);
    assert_eq!(all(&pair.target, "TABLE metric"), all(&pair.source, "TABLE metric"));
    assert!(pair.target.is("SELECT count(*) = 1 FROM gone"));
    pair.source.sql("CREATE TABLE gone (t timestamptz NOT NULL)");
    pair.target.sql(&format!("SELECT migrate_cleanup({RUN})"));
    assert!(pair.target.is("SELECT to_regclass('metric') IS NULL AND NOT EXISTS (SELECT FROM _timescaledb_catalog.chunk)"));
    pair.target.sql(NO_MORE);
    let summary = pair.migrate_with(&format!("'{options}', jobs => 2"));
    let chunks = "SELECT sum((SELECT count(*) FROM show_chunks(t))) FROM unnest('{metric,gone,other}'::regclass[]) t";
    assert_eq!(summary.get("chunks"), Some(&*pair.target.value(chunks)));
    // By the source's name alone, without the option, the hypertables are compared with the ordinary tables all the same.
    let run = summary.get("run").unwrap();
    assert!(pair.target.is("SELECT every(same) AND count(*) = 3 FROM migrate_verify('old', 'checksum')"));
    pair.source.sql("UPDATE metric SET v = v + 1000 WHERE id = 7");
    pair.target.refuses("SELECT * FROM migrate_verify('old', 'checksum')", &["public.metric: 400 rows on the source, 400 on the target, checksums differ"]);
    pair.source.sql("UPDATE metric SET v = v - 1000 WHERE id = 7");
    assert!(pair.target.is(&format!("SELECT every(same) FROM migrate_verify({run})")));
    assert_eq!(all(&pair.target, "TABLE metric"), all(&pair.source, "TABLE metric"));
    assert!(pair.target.is(
        "SELECT count(*) > 15 AND every(is_compressed = (range_end < now() - INTERVAL '7 days')) FROM timescaledb_information.chunks WHERE hypertable_name = 'metric'"
    ));
    let definitions = "SELECT string_agg(pg_get_indexdef(indexrelid), '; ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = 'metric'::regclass";
    assert_eq!(
        pair.target.value(definitions),
        "CREATE UNIQUE INDEX metric_pkey ON public.metric USING btree (id, ts); CREATE UNIQUE INDEX once ON public.metric USING btree (lower(device), v, ts) WHERE (v IS NOT NULL)"
    );
    let settings = "SELECT segmentby::text || orderby::text || orderby_desc::text || orderby_nullsfirst::text FROM _timescaledb_catalog.compression_settings WHERE relid = 'metric'::regclass";
    assert_eq!(pair.target.value(settings), "{device}{ts,id}{t,f}{t,f}");
    let jobs = "SELECT string_agg(concat_ws(' ', proc_name, schedule_interval, config->>'compress_after', config->>'drop_after', scheduled), '; ' ORDER BY proc_name)
        FROM timescaledb_information.jobs WHERE hypertable_name = 'metric'";
    assert_eq!(pair.target.value(jobs), "policy_compression 12:00:00 7 days t; policy_retention 1 day 10 years t");
    for policy in ["compression", "retention"] {
        let job = format!("SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = 'policy_{policy}'");
        pair.target.sql(&format!("CALL run_job({})", pair.target.value(&job)));
    }
    assert!(pair.target.is(&format!("SELECT every(same) FROM migrate_verify({RUN}, 'checksum')")));
    pair.target.refuses("INSERT INTO metric SELECT * FROM metric LIMIT 1", &["duplicate key"]);
}

fn empty(edition: Edition) {
    let pair = Pair::plain("hypertables_empty", edition);
    pair.source.sql(
        "CREATE TABLE metric (ts timestamp NOT NULL, device text);
         INSERT INTO metric SELECT timestamp '2024-01-01' + i * INTERVAL '1 hour', 'd' || i % 5 FROM generate_series(1, 400) i",
    );
    let entry = r#"{"public.metric": {"time": "ts", "compress": {"after": "7 days"}}}"#;
    pair.migrate_with(&format!(r#"'{{"mode": "schema", "hypertables": {entry}}}'"#));
    let policies = "SELECT string_agg(scheduled::text, ' ') FROM timescaledb_information.jobs WHERE hypertable_name = 'metric'";
    assert_eq!(pair.target.value(policies), "false");
    let summary = pair.migrate_with(r#"'{"mode": "data", "verify": "checksum"}'"#);
    assert_eq!(summary.get("chunks"), Some(&*pair.target.value("SELECT count(*) FROM show_chunks('metric')")));
    assert_eq!(all(&pair.target, "TABLE metric"), all(&pair.source, "TABLE metric"));
    assert_eq!(pair.target.value(policies), "true");
    assert!(pair.target.is("SELECT count(*) > 2 FROM show_chunks('metric')"));
}

fn resumed(edition: Edition) {
    let pair = Pair::plain("hypertables_resumed", edition);
    // Without a key: a row that comes twice is not refused, only found.
    pair.source.sql(FAST);
    pair.source.sql(
        "CREATE TABLE wide (t timestamptz NOT NULL, n int CHECK (public.slowly(n)), filler text);
         INSERT INTO wide SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n, repeat('x', 700) FROM generate_series(1, 1500) n",
    );
    pair.source.sql(SLOW);
    pair.wait_for_older_transactions();
    let options = r#"{"split_bytes": 100000, "hypertables": {"public.wide": {"time": "t"}}}"#;
    let run = cancelled(&pair, &format!(", options => '{options}'"));
    assert!(pair.target.is("SELECT count(*) > 100 AND count(*) < 1400 FROM wide"), "not in the middle");
    pair.source.sql("UPDATE wide SET t = t + INTERVAL '1 year' WHERE n < 300; DELETE FROM wide WHERE n BETWEEN 600 AND 610");
    pair.target.sql(AT_THE_END);
    pair.target.refuses(&format!("SELECT * FROM migrate_resume({run})"), &["not yet"]);
    assert_eq!(all(&pair.target, "TABLE wide"), all(&pair.source, "TABLE wide"));
    let tasks = "SELECT md5(string_agg(id || ' ' || started_at, ',' ORDER BY id)) FROM timescale_migrate.task WHERE phase = 'copy'";
    let before = pair.target.value(tasks);
    pair.target.refuses(&format!("SELECT * FROM migrate_resume({run})"), &["not yet"]);
    assert_eq!(pair.target.value(tasks), before, "{}", pair.messages());
    // What was written to is copied again.
    pair.source.sql("INSERT INTO wide SELECT now(), 7, 'new'");
    pair.target.sql(NO_MORE);
    resume(&pair, &run);
    assert_eq!(all(&pair.target, "TABLE wide"), all(&pair.source, "TABLE wide"));
    assert_ne!(pair.target.value(tasks), before);
    assert!(pair.target.is(&format!("SELECT every(same) FROM migrate_verify({run})")));
}

fn refusals(edition: Edition) {
    let pair = Pair::across("hypertables_refused", edition, Edition::Apache);
    pair.source.each(&[
        "CREATE TABLE already (t timestamptz NOT NULL, id int PRIMARY KEY)",
        "ALTER TABLE already DROP CONSTRAINT already_pkey",
        "SELECT create_hypertable('already', 't')",
        "CREATE TABLE columns (t text NOT NULL, u timestamptz, j json, d int)",
        "CREATE TABLE nullable (t timestamptz)",
        "CREATE TABLE keyed (t timestamptz NOT NULL, id int PRIMARY KEY, d int, EXCLUDE USING btree (d WITH =))",
        "CREATE TABLE refers (id int REFERENCES keyed)",
        "CREATE TABLE own (t timestamptz PRIMARY KEY, u timestamptz REFERENCES own)",
        "CREATE TABLE ruled (t timestamptz NOT NULL)",
        "CREATE RULE \"a Rule\" AS ON DELETE TO ruled DO INSTEAD NOTHING",
        "CREATE TABLE parent (t timestamptz NOT NULL)",
        "CREATE TABLE child () INHERITS (parent)",
        "CREATE UNLOGGED TABLE quick (t timestamptz NOT NULL CHECK (t > '2000-01-01 UTC') NO INHERIT)",
        "CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TABLE fired (t timestamptz NOT NULL)",
        "CREATE TRIGGER fire AFTER INSERT ON fired REFERENCING NEW TABLE AS n FOR EACH ROW EXECUTE FUNCTION fire()",
        "CREATE TABLE counted (n smallint NOT NULL)",
        "CREATE TABLE packed (t timestamptz NOT NULL, j json)",
        "ALTER TABLE packed ENABLE ROW LEVEL SECURITY",
        "CREATE TABLE parts (t timestamptz NOT NULL) PARTITION BY RANGE (t)",
    ]);
    let options = r#"{"hypertables": {
        "public.already": {"time": "u"}, "public.absent": {"time": "t"}, "public.parts": {"time": "t"},
        "public.columns": {"time": "t", "hash": {"column": "j", "partitions": 2}}, "public.nullable": {"time": "t"},
        "public.keyed": {"time": "t", "keys": "extend"}, "public.own": {"time": "t"}, "public.ruled": {"time": "T"},
        "public.parent": {"time": "t"}, "public.quick": {"time": "t"}, "public.fired": {"time": "t"},
        "public.counted": {"time": "n", "chunk_interval": 40000, "retention": 10},
        "public.packed": {"time": "t", "compress": {"segmentby": ["j"], "orderby": ["x"]}, "chunk_interval": 7}}}"#;
    let found = pair.preflight_in_full("objects", options);
    for row in [
        "table public.already | is a hypertable by \"t\" on the source",
        "option hypertables | No table on the source matches the pattern 'public.absent'.",
        "table public.columns | has the time column \"t\" of type text",
        "table public.columns | has column \"j\" of type json, which has no hash",
        "table public.nullable | has the time column \"t\", which may be NULL",
        "table public.keyed | has the exclusion constraint \"keyed_d_excl\", which lacks \"t\"",
        "table public.keyed | has the unique or primary key \"keyed_pkey\", which lacks \"t\", and is referenced by foreign key \"refers_id_fkey\" of public.refers",
        "table public.own | has the foreign key \"own_u_fkey\", which references itself; foreign keys between hypertables are not supported",
        "table public.ruled | has the rule \"a Rule\", and a hypertable can have none",
        "table public.ruled | has no column \"T\", which time names",
        "table public.parent | inherits from another table, or another table inherits from it",
        "table public.quick | is unlogged",
        "table public.quick | has the constraint \"quick_t_check\", which is NO INHERIT",
        "table public.fired | has \"fire\", a row trigger with a transition table, which no hypertable can have",
        "table public.counted | has the time column \"n\" of type smallint, which needs chunk_interval as a number",
        "table public.counted | has the time column \"n\" of type smallint: retention is not supported",
        "table public.counted | is to have compression or a policy, which exist only in the Community edition",
        "table public.packed | has the time column \"t\" of type timestamp with time zone, and chunk_interval is a number",
        "table public.packed | cannot be segmented by \"j\": type json has no equality",
        "table public.packed | has no column \"x\", which compress.orderby names",
        "table public.packed | has row security, which compression does not allow",
        "table public.packed | is to have compression or a policy, which exist only in the Community edition",
    ] {
        let row = format!("error | {row} | ");
        assert_eq!(found.iter().filter(|found| found.starts_with(&row)).count(), 1, "{row}\n{}", found.join("\n"));
    }
    let errors: Vec<_> = found.iter().filter(|row| row.starts_with("error")).collect();
    assert_eq!(errors.len(), 22, "{errors:?}");
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{options}')"), &["22 checks failed"]);
    assert!(pair.target.is("SELECT to_regclass('public.ruled') IS NULL"));
}

fn no_time(edition: Edition) {
    let pair = Pair::plain("hypertables_no_time", edition);
    let types = [("a", "timestamptz"), ("b", "timestamp"), ("c", "date")];
    for (name, kind) in types {
        pair.source.sql(&format!("CREATE TABLE {name} (t {kind} NOT NULL); INSERT INTO {name} SELECT unnest('{{-infinity, 4714-11-24 BC, 2024-01-01, 294247-01-01 UTC, 294247-01-02 UTC, infinity}}'::{kind}[])"));
    }
    let options = r#"{"hypertables": {"public.?": {"time": "t"}}, "on_error": "continue"}"#;
    pair.target.refuses(&format!("SELECT * FROM migrate_from('old', '{options}')"), &["3 tasks failed"]);
    for (name, _) in types {
        let hint = pair.target.value(&format!("SELECT hint FROM timescale_migrate.task WHERE object = 'public.{name}' AND state = 'failed'"));
        let (query, rest) = hint.split_once("; -- ").unwrap();
        assert!(rest.contains("on the source"), "{hint}");
        // It finds these alone: all others arrive.
        pair.source.sql(&format!("DELETE FROM {name} WHERE t IN ({query})"));
        assert_eq!(pair.source.value(&format!("SELECT count(*) FROM {name}")), "4");
    }
    resume(&pair, &pair.target.value(&format!("SELECT {RUN}")));
    for (name, _) in types {
        assert_eq!(all(&pair.target, &format!("TABLE {name}")), all(&pair.source, &format!("TABLE {name}")), "{name}");
    }
}

//! Partitioned tables of the source that become hypertables.

use crate::hypertables_option::{AT_THE_END, NO_MORE};
use crate::resume::{SLOW, cancelled, resume};
use crate::slow::FAST;
use cluster::suite::Test;
use cluster::{Db, Edition, Pair};

pub const TESTS: &[Test] = &[
    Test::both("the rows of all partitions, whatever form these have", all_partitions),
    Test::apache("resumed, with other partitions than before", resumed),
    Test::apache("changed while it is copied", changed),
    Test::apache("what cannot become one", refusals),
];

/// The rows of a table as one text.
fn rows(side: &Db, table: &str) -> String {
    side.value(&format!("SELECT count(*) || ' ' || md5(string_agg(to_jsonb(t)::text, ' ' ORDER BY to_jsonb(t)::text)) FROM {table} t"))
}

fn all_partitions(edition: Edition) {
    let pair = Pair::plain("partitioned", edition);
    pair.source.sql(
        r#"
        CREATE SCHEMA "My App"; CREATE TABLE "My App".device (id int PRIMARY KEY); INSERT INTO "My App".device SELECT generate_series(0, 9);
        CREATE TABLE "My App"."Metric" (
            gone int, "a ""Time" timestamptz NOT NULL, dev int NOT NULL REFERENCES "My App".device, v float8 CHECK (v >= 0),
            id bigint GENERATED ALWAYS AS IDENTITY, twice float8 GENERATED ALWAYS AS (v * 2) STORED,
            -- The clause that makes it a partitioned table stands there too.
            note text DEFAULT E'\nPARTITION BY RANGE (x);', PRIMARY KEY ("a ""Time", dev, id)) PARTITION BY RANGE ("a ""Time", dev);
        ALTER TABLE "My App"."Metric" DROP COLUMN gone;
        CREATE INDEX "by ON ONLY v" ON "My App"."Metric" (v) WHERE note <> ' ON ONLY ';
        COMMENT ON TABLE "My App"."Metric" IS 'measured'; COMMENT ON COLUMN "My App"."Metric".v IS 'a value';
        CREATE TABLE "My App".january PARTITION OF "My App"."Metric" FOR VALUES FROM ('2024-01-01 UTC', 0) TO ('2024-02-01 UTC', 0);
        CREATE TABLE "My App".february PARTITION OF "My App"."Metric" FOR VALUES FROM ('2024-02-01 UTC', 0) TO ('2024-03-01 UTC', 0)
            PARTITION BY LIST (dev);
        CREATE TABLE "My App"."february 0" PARTITION OF "My App".february FOR VALUES IN (0, 1, 2);
        CREATE TABLE "My App"."february 9" PARTITION OF "My App".february DEFAULT;
        -- Its columns come in another order.
        CREATE TABLE "My App".march (
            note text DEFAULT 'none', v float8 CONSTRAINT "Metric_v_check" CHECK (v >= 0), x int, id bigserial NOT NULL, dev int NOT NULL,
            twice float8 GENERATED ALWAYS AS (v * 2) STORED, "a ""Time" timestamptz NOT NULL);
        ALTER TABLE "My App".march DROP COLUMN x;
        ALTER TABLE "My App"."Metric" ATTACH PARTITION "My App".march FOR VALUES FROM ('2024-03-01 UTC', 0) TO ('2024-04-01 UTC', 0);
        CREATE TABLE "My App"."else" PARTITION OF "My App"."Metric" DEFAULT;
        CREATE TABLE "My App".future PARTITION OF "My App"."Metric" FOR VALUES FROM ('2034-03-01 UTC', 0) TO ('2034-04-01 UTC', 0);
        INSERT INTO "My App"."Metric" ("a ""Time", dev, v)
            SELECT timestamptz '2023-12-20 UTC' + i * INTERVAL '17 minutes', i % 10, i / 7.0 FROM generate_series(0, 9999) i;
        CREATE FUNCTION "My App".stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := ''stamped''; RETURN NEW; END';
        CREATE TRIGGER stamp BEFORE INSERT ON "My App"."Metric" FOR EACH ROW EXECUTE FUNCTION "My App".stamp();
        CREATE INDEX own ON "My App".january (note); ALTER TABLE "My App".march ADD CONSTRAINT small CHECK (v < 1000000);
        CREATE PUBLICATION "a part" FOR TABLE "My App".january; CREATE PUBLICATION whole FOR TABLE "My App"."Metric";
        CREATE VIEW "My App".seen AS SELECT * FROM "My App"."Metric" WHERE v > 3;
        CREATE TABLE "My App"."Empty" (t date NOT NULL) PARTITION BY RANGE (t);
        CREATE TABLE "My App".kept (t date NOT NULL) PARTITION BY RANGE (t);
        CREATE TABLE "My App".kept_1 PARTITION OF "My App".kept DEFAULT; INSERT INTO "My App".kept VALUES ('2024-01-01')"#,
    );
    let options = r#"{"hypertables": {
            "\"My App\".\"Metric\"": {"time": "a \"Time", "chunk_interval": "10 days", "indexes": true},
            "\"My App\".?mpty": {"time": "t"}}, "verify": "checksum", "split_bytes": 100000}"#;
    let told = r#"warning | table "My App"."Metric" | Arrives with chunks of 10 days by "a ""Time". What its partitions have and it has not does not arrive: constraint small on "My App".march, index "My App".own, publication "a part" of "My App".january, sequence "My App".march_id_seq."#;
    assert_eq!(pair.preflight_with("objects", options)[0], told);
    let published = pair.preflight_with("objects", options).into_iter().filter(|row| row.contains("ublication")).collect::<Vec<_>>();
    assert!(published.len() == 2 && published[1].contains("whole") && !published[1].contains("a part"), "{published:?}");
    assert!(pair.preflight_with("verdict", options)[0].starts_with("ok"));
    pair.migrate_with(&format!("'{options}', jobs => 3"));
    for table in [r#""My App"."Metric""#, r#""My App"."Empty""#, r#""My App".kept"#, r#""My App".seen"#] {
        assert_eq!(rows(&pair.target, table), rows(&pair.source, table), "{table}");
    }
    assert_eq!(
        pair.target.value("SELECT string_agg(relname || ' ' || relkind::text, ', ' ORDER BY relname) FROM pg_class WHERE relnamespace = '\"My App\"'::regnamespace AND relkind IN ('r', 'p')"),
        "Empty r, Metric r, device r, kept p, kept_1 r"
    );
    // Chunks of ten days, and both indexes on each: the key serves as the default one.
    let chunks = "SELECT count(DISTINCT c) || ' ' || count(*) FROM show_chunks('\"My App\".\"Metric\"') c JOIN pg_index x ON x.indrelid = c";
    let days = "SELECT count(DISTINCT floor(extract(epoch FROM \"a \"\"Time\") / 864000)) FROM \"My App\".\"Metric\"";
    let count: i32 = pair.source.value(days).parse().unwrap();
    assert_eq!(pair.target.value(chunks), format!("{count} {}", 2 * count));
    assert!(pair.target.is("SELECT obj_description('\"My App\".\"Metric\"'::regclass) = 'measured'"));
    pair.target.sql("INSERT INTO \"My App\".\"Metric\" (\"a \"\"Time\", dev, v) VALUES ('2030-01-01 UTC', 3, 1)");
    assert!(pair.target.is("SELECT note = 'stamped' AND id = 10001 AND twice = 2 FROM \"My App\".\"Metric\" WHERE \"a \"\"Time\" > '2029-01-01 UTC'"));
    pair.target.refuses("INSERT INTO \"My App\".\"Metric\" (\"a \"\"Time\", dev, v) VALUES (now(), 77, 1)", &["foreign key"]);
    pair.target.sql("DELETE FROM \"My App\".\"Metric\" WHERE \"a \"\"Time\" > '2029-01-01 UTC'");
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    for level in ["count", "checksum"] {
        assert!(pair.target.is(&format!("SELECT every(same) AND count(*) = 4 FROM migrate_verify({run}, '{level}')")));
    }
    // Without some of its partitions, and with none at all.
    let part = r#"{"hypertables": {"\"My App\".\"Metric\"": {"time": "a \"Time", "chunk_interval": "10 days"}, "\"My App\".?mpty": {"time": "t"}},
        "exclude": ["\"My App\".january", "\"My App\".seen"], "exclude_data": ["\"My App\".march"]}"#;
    let other = Pair { target: Pair::server(&pair.source, Db::create(pair.target.cluster.clone(), &format!("{} part", pair.target.name))), source: Db { cluster: pair.source.cluster.clone(), name: pair.source.name.clone() } };
    other.target.sql("CREATE EXTENSION timescaledb");
    other.migrate_with(&format!("'{part}'"));
    for arguments in [format!("'old', 'checksum', options => '{part}'"), "(SELECT max(id) FROM timescale_migrate.run), 'checksum'".to_string()] {
        assert!(other.target.is(&format!("SELECT every(same) FROM migrate_verify({arguments})")));
    }
    let rest = "SELECT count(*) FROM (SELECT id FROM \"My App\".\"Metric\" EXCEPT (SELECT id FROM \"My App\".january UNION ALL SELECT id FROM \"My App\".march)) q";
    assert_eq!(other.target.value("SELECT count(*) FROM \"My App\".\"Metric\""), pair.source.value(rest));
    pair.target.sql("UPDATE \"My App\".\"Metric\" SET note = 'other' WHERE id = 120");
    let differs = ["\"My App\".\"Metric\": 10000 rows on the source, 10000 on the target, checksums differ"];
    pair.target.refuses(&format!("SELECT * FROM migrate_verify({run}, 'checksum')"), &differs);
    pair.source.sql("DELETE FROM \"My App\".march WHERE id = (SELECT max(id) FROM \"My App\".march)");
    pair.target.refuses(&format!("SELECT * FROM migrate_verify({run})"), &["9999 rows on the source, 10000 on the target"]);
}

fn resumed(edition: Edition) {
    let pair = Pair::plain("partitioned_resumed", edition);
    pair.source.sql(FAST);
    pair.source.sql(
        "CREATE TABLE wide (t timestamptz NOT NULL, n int CHECK (public.slowly(n)), filler text) PARTITION BY RANGE (t);
         CREATE TABLE wide_1 PARTITION OF wide FOR VALUES FROM ('2024-01-01 UTC') TO ('2024-01-20 UTC');
         CREATE TABLE wide_2 PARTITION OF wide FOR VALUES FROM ('2024-01-20 UTC') TO ('2024-02-10 UTC');
         CREATE TABLE wide_3 PARTITION OF wide FOR VALUES FROM ('2024-02-10 UTC') TO ('2024-04-10 UTC');
         INSERT INTO wide SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n, repeat('x', 700) FROM generate_series(1, 1500) n",
    );
    pair.source.sql(SLOW);
    pair.wait_for_older_transactions();
    let options = r#"{"split_bytes": 100000, "verify": "checksum", "hypertables": {"public.wide": {"time": "t"}}}"#;
    let run = cancelled(&pair, &format!(", options => '{options}'"));
    assert!(pair.target.is("SELECT count(*) > 100 AND count(*) < 1400 FROM wide"), "not in the middle");
    pair.source.sql(
        "CREATE TABLE wide_4 PARTITION OF wide FOR VALUES FROM ('2024-04-10 UTC') TO ('2024-05-10 UTC'); INSERT INTO wide VALUES ('2024-05-01 UTC', -1, '');
         UPDATE wide SET filler = 'new' WHERE n < 20; DELETE FROM wide WHERE n BETWEEN 600 AND 610",
    );
    pair.target.sql(AT_THE_END);
    let refused = || pair.target.refuses(&format!("SELECT * FROM migrate_resume({run})"), &["not yet"]);
    let same = || assert_eq!(rows(&pair.target, "wide"), rows(&pair.source, "wide"), "{}", pair.messages());
    refused();
    same();
    let tasks = "SELECT md5(string_agg(id || ' ' || started_at, ',' ORDER BY id)) FROM timescale_migrate.task WHERE phase = 'copy'";
    let before = pair.target.value(tasks);
    // A partition that has no rows yet makes no difference.
    pair.source.sql("CREATE TABLE wide_5 PARTITION OF wide FOR VALUES FROM ('2024-05-10 UTC') TO ('2024-06-10 UTC')");
    refused();
    assert_eq!(pair.target.value(tasks), before, "{}", pair.messages());
    // One takes the place of another: as many rows, of which none is new.
    pair.source.sql(
        "CREATE TABLE other (LIKE wide INCLUDING CONSTRAINTS); INSERT INTO other SELECT t, n + 1, 'other' FROM wide_4; ALTER TABLE wide DETACH PARTITION wide_4",
    );
    pair.wait_for_older_transactions();
    refused();
    pair.source.sql("ALTER TABLE wide ATTACH PARTITION other FOR VALUES FROM ('2024-04-10 UTC') TO ('2024-05-10 UTC')");
    refused();
    same();
    pair.source.sql("ALTER TABLE wide DETACH PARTITION other; ALTER TABLE wide ATTACH PARTITION wide_4 FOR VALUES FROM ('2024-04-10 UTC') TO ('2024-05-10 UTC')");
    refused();
    same();
    // One that is gone takes its rows along; and a row moves from one to another.
    pair.source.sql("DROP TABLE wide_1; UPDATE wide SET t = '2024-05-20 UTC' WHERE n = 1400");
    refused();
    same();
    assert_ne!(pair.target.value(tasks), before);
    let name = |change: &str, message: &str| {
        pair.source.sql(change);
        let error = pair.target.refuses(&format!("SELECT * FROM migrate_resume({run})"), &["migrate_from"]);
        assert_eq!(error.message(), message);
    };
    name("ALTER TABLE wide ADD COLUMN more int", "the columns of public.wide_2 have changed on the source since the run began: \"more\" is new");
    pair.source.sql("ALTER TABLE wide DROP COLUMN more");
    name("ALTER TABLE wide RENAME TO wider", "public.wide was renamed to public.wider on the source since the run began");
    pair.source.sql("ALTER TABLE wider RENAME TO wide");
    pair.target.sql(NO_MORE);
    // Without any partition it is empty.
    pair.source.sql("DROP TABLE wide_2, wide_3, wide_4, wide_5");
    resume(&pair, &run);
    assert!(pair.target.is("SELECT count(*) = 0 FROM wide"), "{}", pair.messages());
    assert!(pair.target.is(&format!("SELECT every(same) FROM migrate_verify({run}, 'checksum')")));
}

/// What a later snapshot shows cannot become a hypertable any more: nothing that was copied is taken back.
fn changed(edition: Edition) {
    for (name, change, back, message) in [
        ("unlogged", "ALTER TABLE app.wide_3 SET UNLOGGED", "ALTER TABLE app.wide_3 SET LOGGED", "app.wide has changed on the source so that it cannot become a hypertable"),
        ("schema", "ALTER SCHEMA app RENAME TO other", "ALTER SCHEMA other RENAME TO app", "app.wide was renamed to other.wide on the source since the run began"),
    ] {
        let pair = Pair::plain(&format!("partitioned_{name}"), edition);
        pair.source.sql(FAST);
        pair.source.sql(
            "CREATE SCHEMA app; CREATE TABLE app.wide (t timestamptz NOT NULL, n int CHECK (public.slowly(n)), filler text) PARTITION BY RANGE (t);
             CREATE TABLE app.wide_1 PARTITION OF app.wide FOR VALUES FROM ('2024-01-01 UTC') TO ('2024-02-01 UTC');
             CREATE TABLE app.wide_2 PARTITION OF app.wide FOR VALUES FROM ('2024-02-01 UTC') TO ('2024-03-01 UTC');
             CREATE TABLE app.wide_3 PARTITION OF app.wide DEFAULT;
             INSERT INTO app.wide SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n, repeat('x', 700) FROM generate_series(1, 1500) n",
        );
        pair.source.sql(SLOW);
        let run = pair.start(r#", jobs => 1, options => '{"split_bytes": 100000, "hypertables": {"app.wide": {"time": "t"}}}'"#);
        crate::slow::wait_for_the_middle(&pair);
        pair.source.sql(change);
        crate::slow::hurry(&pair);
        pair.wait_for_state(&run, "failed");
        pair.wait_for_silence();
        let error = pair.target.value(&format!("SELECT error FROM timescale_migrate.run WHERE id = {run}"));
        assert!(error.contains(message), "{error}");
        assert!(pair.target.is("SELECT count(*) > 0 FROM app.wide"));
        pair.source.sql(back);
        resume(&pair, &run);
        assert_eq!(rows(&pair.target, "app.wide"), rows(&pair.source, "app.wide"));
    }
}

fn refusals(edition: Edition) {
    let pair = Pair::plain("partitioned_refused", edition);
    pair.source.each(&[
        "CREATE EXTENSION postgres_fdw",
        "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw",
        "CREATE TABLE parts (t timestamptz NOT NULL, id int) PARTITION BY RANGE (t)",
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
        "CREATE FOREIGN TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2024-02-01') TO ('2024-03-01') SERVER far",
        "CREATE UNLOGGED TABLE parts_3 PARTITION OF parts FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')",
        "CREATE TABLE read (t timestamptz NOT NULL) PARTITION BY RANGE (t)",
        "CREATE TABLE read_1 PARTITION OF read DEFAULT",
        "CREATE VIEW reader AS SELECT * FROM read_1",
    ]);
    let errors = |options: &str| {
        let rows = pair.preflight_in_full("objects", options);
        rows.into_iter().filter(|row| row.starts_with("error")).collect::<Vec<_>>()
    };
    assert_eq!(
        errors(r#"{"hypertables": {"public.parts": {"time": "t"}, "public.read_1": {"time": "t"}}}"#),
        [
            "error | table public.parts | has the partition public.parts_2, which is a foreign table | ALTER TABLE \"public\".\"parts\" DETACH PARTITION public.parts_2; -- on the source",
            "error | table public.parts | has the unlogged partition public.parts_3 | ALTER TABLE public.parts_3 SET LOGGED; -- on the source",
            "error | table public.read_1 | is a partition of public.read | Name public.read in the option hypertables, or leave both out of it.",
        ]
    );
    assert_eq!(
        errors(r#"{"hypertables": {"public.read": {"time": "t"}, "public.read_1": {"time": "t"}}}"#),
        ["error | option hypertables | What the pattern 'public.read_1' matches is part of public.read, with which it comes. | Leave it out of the option hypertables, and name public.read there."]
    );
    let error = pair.target.refuses(r#"SELECT * FROM migrate_from('old', '{"hypertables": {"public.read": {"time": "t"}}}')"#, &["VIEW public.reader"]);
    assert!(error.message().contains("It depends on TABLE public.read_1, which does not arrive."), "{error:?}");
}

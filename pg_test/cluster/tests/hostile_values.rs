//! A source whose catalogs say what no server's would: what its answers bring into the target's own catalogs
//! is checked first, and no process of the target crashes.

use cluster::proxy::{Message, Proxy, Strike, frame};
use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same, describe};
use postgres::NoTls;

pub const TESTS: &[Test] = &[Test::community("of compressed chunks", compressed)];

const ROW: u8 = b'D';

/// What of an answer is replaced, by what, and the SQLSTATE and message that come of it.
type Case = (&'static str, &'static str, &'static str, &'static str);

const COMPRESSED: &[Case] = &[
    (r#""value" : "{7}""#, r#""value" : "{}""#, "22023", "is not an array of one element"),
    (r#""value" : "{7}""#, r#""value" : "{NULL}""#, "22023", "is not an array of one element"),
    (r#""value" : "{7}""#, r#""value" : "{7,8}""#, "22023", "is not an array of one element"),
    (r#""value" : "{7}""#, r#""value" : "[2:2]={7}""#, "22023", "is not an array of one element"),
    (r#""value" : "{7}""#, r#""value" : "7""#, "22P02", "malformed array literal"),
    (r#""column" : "added""#, r#""column" : "ctid""#, "42703", "column \"ctid\""),
    (r#""column" : "added""#, r#""column" : "none""#, "42703", "column \"none\""),
    (r#""name" : "device", "type" : "text""#, r#""name" : "device", "type" : "integer""#, "42804", "\"device\""),
    (r#""name" : "n", "type" : "_timescaledb_internal.compressed_data""#, r#""name" : "n", "type" : "bytea""#, "42804", "\"n\""),
    (r#""name" : "_ts_meta_count", "type" : "integer""#, r#""name" : "_ts_meta_count", "type" : "float4""#, "42804", "\"_ts_meta_count\""),
    (r#""orderby_desc" : ["#, r#""orderby_desc" : [true, "#, "23514", "compression_settings"),
    (r#""segmentby" : ["device"]"#, r#""segmentby" : ["n"]"#, "42804", "\"device\""),
];

/// A row of one column, its text changed; None if it does not hold that.
fn rewritten(message: &Message, from: &str, to: &str) -> Option<Strike> {
    let text = std::str::from_utf8(message.body.get(6..)?).ok()?;
    if message.kind != ROW || !text.contains(from) {
        return None;
    }
    let text = text.replace(from, to);
    let head = [&1u16.to_be_bytes()[..], &(text.len() as u32).to_be_bytes()].concat();
    Some(Strike::Send(frame(ROW, &[&head, text.as_bytes()].concat())))
}

fn compressed(edition: Edition) {
    let pair = Pair::new("hostile_values", edition);
    pair.source.each(&[
        "CREATE TABLE m (ts timestamptz NOT NULL, device text, n int)",
        "SELECT create_hypertable('m', 'ts')",
        // In binary form, four letters are a valid integer.
        "INSERT INTO m SELECT timestamptz '2024-01-01 UTC' + i * interval '1 minute', 'four', i FROM generate_series(1, 100) i",
        "ALTER TABLE m SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 'ts')",
        "SELECT compress_chunk(show_chunks('m'))",
        "ALTER TABLE m ADD COLUMN added int DEFAULT 7",
    ]);
    let proxy = Proxy::new(pair.source.cluster.port);
    pair.target.sql(&format!("ALTER SERVER old OPTIONS (SET port '{}')", proxy.port));
    // One connection through it all: the server does not crash.
    let mut witness = pair.target.cluster.config("postgres").connect(NoTls).unwrap();
    for (from, to, code, message) in COMPRESSED {
        proxy.look(|m| rewritten(m, from, to));
        let ended = pair.target.try_value(r#"SELECT * FROM migrate_from('old', '{"retries": 0}')"#);
        let got = ended.map_or_else(|error| describe(&error), |_| "it went through".into());
        assert!(got.contains(code) && got.contains(message), "{to}: {got}");
        pair.wait_for_silence();
        // What ends in the preflight has made nothing.
        pair.target.sql("SELECT migrate_cleanup(max(id)) FROM timescale_migrate.run HAVING count(*) > 0");
    }
    witness.simple_query("SELECT 1").unwrap();
    pair.target.sql(&format!("ALTER SERVER old OPTIONS (SET port '{}')", pair.source.cluster.port));
    pair.migrate();
    assert_same(&pair);
}

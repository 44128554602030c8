//! A source that sends a malformed COPY stream: the run fails and says where, nothing of the
//! stream stays, and the run goes on from a source that is in order.

use cluster::proxy::{Message, Mode, Proxy, Strike, frame};
use cluster::suite::Test;
use cluster::{Edition, Pair, assert_same};
use postgres::NoTls;
use std::sync::atomic::{AtomicUsize, Ordering};

pub const TESTS: &[Test] = &[
    Test::apache("the run fails, and is resumed", fails),
    Test::apache("the trailer is missing, data follows the end", harmless),
];

/// What is done to the answer to a COPY, and the SQLSTATE and the message that come of it.
type Case = (&'static str, fn(&Message) -> Option<Strike>, &'static str, &'static str);

/// CopyOutResponse, CopyInResponse, CopyData, CopyDone, CommandComplete, ErrorResponse.
const OUT: u8 = b'H';
const IN: u8 = b'G';
const DATA: u8 = b'd';
const DONE: u8 = b'c';
const COMPLETE: u8 = b'C';
const ERROR: u8 = b'E';

/// Changes the third row, which is the third CopyData.
fn row(message: &Message, change: impl FnOnce(&mut Vec<u8>)) -> Option<Strike> {
    (message.kind == DATA && message.copied == 2).then(|| {
        let mut body = message.body.to_vec();
        change(&mut body);
        Strike::Send(frame(DATA, &body))
    })
}

/// Changes the first row and the binary header before it.
fn header(message: &Message, change: impl FnOnce(&mut Vec<u8>)) -> Option<Strike> {
    row(&Message { copied: message.copied + 2, ..*message }, change)
}

/// Sends other bytes in place of the message of a kind, of the third CopyData.
fn instead(message: &Message, kind: u8, bytes: &[u8]) -> Option<Strike> {
    (message.kind == kind && (kind != DATA || message.copied == 2)).then(|| Strike::Send(bytes.to_vec()))
}

fn reset(message: &Message) -> Option<Strike> {
    instead(message, DATA, &[]).map(|_| Strike::Turn(Mode::Reset))
}

fn error(text: &str) -> Vec<u8> {
    frame(ERROR, format!("SERROR\0VERROR\0C58030\0M{text}\0\0").as_bytes())
}

fn insert(row: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    row.splice(at..at, bytes.iter().copied());
}

const TEXT: &[Case] = &[
    ("a column is missing", |m| row(m, |r| r.retain(|b| *b != b'\t')), "22P04", "missing data for column"),
    ("a column too many", |m| row(m, |r| insert(r, 0, b"1\t")), "22P04", "extra data after last expected column"),
    ("an escape that is no character", |m| row(m, |r| insert(r, 0, b"\\xff")), "22021", "invalid byte sequence"),
    ("an end in the middle", |m| row(m, |r| *r = b"\\.\n".to_vec()), "08P01", "sent more data than was expected"),
];

const BINARY: &[Case] = &[
    ("no header", |m| header(m, |r| r[0] = b'X'), "22P04", "COPY file signature not recognized"),
    ("a column too many", |m| row(m, |r| r[1] += 1), "22P04", "row field count is 3, expected 2"),
    ("a column longer than the stream", |m| row(m, |r| r[4] = 0xff), "22P04", "unexpected EOF in COPY data"),
    ("a column longer than can be", |m| row(m, |r| r[2] = 0x7f), "54000", ""),
    ("a row cut short", |m| row(m, |r| r.truncate(5)), "08P01", "insufficient data left in message"),
    ("a row lost", |m| row(m, Vec::clear), "XX001", "source sent 100 rows of"),
    ("a row doubled", |m| row(m, |r| r.extend(r.clone())), "XX001", "but 101 were written"),
    ("an end in the middle", |m| row(m, |r| insert(r, 0, b"\xff\xff")), "22P04", "received copy data after EOF marker"),
    ("an error in the middle", |m| instead(m, DATA, &error("no disk")), "58030", "source: no disk"),
    ("an error at the end", |m| instead(m, DONE, &error("no end")), "58030", "source: no end"),
    ("another count", |m| instead(m, COMPLETE, &frame(COMPLETE, b"COPY 99\0")), "XX001", "source sent 99 rows of"),
    ("no count", |m| instead(m, COMPLETE, &frame(COMPLETE, b"COPY\0")), "08P01", "did not report how many rows"),
    ("no COPY", |m| instead(m, OUT, &frame(COMPLETE, b"SELECT 0\0")), "08P01", "did not start the COPY"),
    ("a COPY the other way", |m| instead(m, OUT, &frame(IN, m.body)), "08P01", "a COPY that was not asked for"),
    ("a COPY after it", |m| instead(m, COMPLETE, &frame(IN, &[0; 3])), "08P01", "a COPY that was not asked for"),
    ("a message of no length", |m| instead(m, DATA, b"d\0\0\0\0"), "08006", "lost the connection to the source"),
    // What failed together with others is tried by itself.
    ("the connection ends", reset, "08001", "could not connect to the source"),
];

/// Strikes the answers to COPY statements of a form, also where small relations are copied together in one script.
fn strikes(proxy: &Proxy, form: &str, strike: fn(&Message) -> Option<Strike>) {
    let end = format!("(FORMAT {form})");
    proxy.look(move |m| (m.query.contains("COPY ") && m.query.contains(&end)).then(|| strike(m)).flatten());
}

/// A source behind a proxy, which server `old` names.
fn behind_a_proxy(name: &str, edition: Edition) -> (Pair, Proxy) {
    let pair = Pair::new(name, edition);
    // The largest first: nothing else is copied as long as that fails.
    pair.source.sql(
        "CREATE TABLE words (word text, class regclass);
         INSERT INTO words SELECT n || repeat('w', 200), 'pg_class' FROM generate_series(1, 2000) n;
         CREATE TABLE metrics (t timestamptz NOT NULL, n int NOT NULL);
         SELECT create_hypertable('metrics', by_range('t', INTERVAL '1 day'));
         INSERT INTO metrics SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 minute', n FROM generate_series(1, 100) n;
         CREATE TABLE numbers (n int); INSERT INTO numbers SELECT generate_series(1, 100)",
    );
    let proxy = Proxy::new(pair.source.cluster.port);
    connect(&pair, proxy.port);
    (pair, proxy)
}

fn connect(pair: &Pair, port: u16) {
    pair.target.sql(&format!("ALTER SERVER old OPTIONS (SET port '{port}')"));
}

fn fails(edition: Edition) {
    let (pair, proxy) = behind_a_proxy("malformed_copy", edition);
    // One connection through it all: the server does not crash.
    let mut witness = pair.target.cluster.config("postgres").connect(NoTls).unwrap();
    let mut call = "migrate_from('old'".to_owned();
    for (cases, form, object) in [(TEXT, "text", "public.words"), (BINARY, "binary", "chunk of public.metrics")] {
        for (name, strike, code, message) in cases {
            strikes(&proxy, form, *strike);
            // What is malformed is not tried again.
            let retries = if ["08001", "08006"].contains(code) { 0 } else { 1 };
            let options = format!(r#"jobs => 1, options => '{{"retries": {retries}}}'"#);
            let error = pair.target.error(&format!("SELECT * FROM {call}, {options})"));
            let got = format!("{form}, {name}: {} {} {:?}", error.code().code(), error.message(), error.detail());
            assert!(error.code().code() == *code && error.message().contains(message), "{got}");
            assert!(error.message().contains(object), "{got}");
            let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
            assert_eq!(pair.state(&run), "failed", "{got}");
            let failed = "SELECT string_agg(object || sqlstate, ' ') FROM timescale_migrate.task WHERE state = 'failed'";
            let failed = pair.target.value(failed);
            assert!(failed.contains(object) && failed.ends_with(code), "{got}; of the tasks {failed}");
            assert!(!pair.messages().contains("trying again"), "{got}");
            assert!(pair.target.is("SELECT count(*) = 0 FROM metrics"), "{got}");
            assert!(pair.target.is("SELECT count(*) IN (0, 2000) FROM words"), "{got}");
            proxy.set(Mode::Pass);
            pair.wait_for_silence();
            call = format!("migrate_resume({run}, wait => true");
        }
    }
    connect(&pair, pair.source.cluster.port);
    pair.target.sql(&format!("SELECT * FROM {call})"));
    assert_same(&pair);
    witness.simple_query("SELECT 1").unwrap();
}

fn harmless(edition: Edition) {
    static STRUCK: AtomicUsize = AtomicUsize::new(0);
    let (pair, proxy) = behind_a_proxy("odd_copy", edition);
    strikes(&proxy, "binary", |m| {
        let strike = match m.query.contains("numbers") {
            true => (m.kind == DATA && m.body == b"\xff\xff").then(|| Strike::Send(Vec::new())),
            false => instead(m, DONE, &[frame(DONE, b""), frame(DATA, b"\0\x02")].concat()),
        };
        STRUCK.fetch_add(strike.is_some().into(), Ordering::Relaxed);
        strike
    });
    pair.migrate();
    assert_eq!(STRUCK.load(Ordering::Relaxed), 2);
    connect(&pair, pair.source.cluster.port);
    assert_same(&pair);
}

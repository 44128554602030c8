//! A source that sends what no server would: too much, without end, unasked, or malformed, in each phase of a run. The run fails
//! by an error that tells what it was, in bounded memory; the server stays up, and its log stays small.

use cluster::proxy::{Message, Mode, Proxy, Strike, frame};
use cluster::suite::Test;
use cluster::{Edition, Pair, Watch, assert_same, describe};
use postgres::NoTls;

pub const TESTS: &[Test] = &[Test::apache("too much, without end, unasked or malformed", floods)];

/// What is done to the source's answers, and the SQLSTATE and the message that come of it.
type Case = (&'static str, fn(&Message) -> Option<Strike>, &'static str, &'static str);

/// RowDescription, DataRow, CopyData, ReadyForQuery; ErrorResponse, NoticeResponse, NotificationResponse,
/// ParameterStatus.
const DESCRIPTION: u8 = b'T';
const ROW: u8 = b'D';
const DATA: u8 = b'd';
const READY: u8 = b'Z';
const ERROR: u8 = b'E';
const NOTICE: u8 = b'N';
const NOTIFICATION: u8 = b'A';
const PARAMETER: u8 = b'S';

/// What statements hold that are asked in a certain phase.
const SETTINGS: &str = "SET application_name";
const INVENTORY: &str = "The ordinary tables whose rows";
const DUMP: &str = "n.nspname, n.nspowner";
const COPY: &str = "COPY ";
const EXPORT: &str = "pg_export_snapshot";

/// Many of one message.
fn many(kind: u8, body: &[u8]) -> Vec<u8> {
    frame(kind, body).repeat(1 + 65536 / (body.len() + 5))
}

fn notices() -> Vec<u8> {
    many(NOTICE, b"SNOTICE\0VNOTICE\0C00000\0Mforged\0\0")
}

fn notifications() -> Vec<u8> {
    many(NOTIFICATION, b"\0\0\0\x01channel\0payload\0")
}

fn row(text: &[u8]) -> Vec<u8> {
    [&[0, 1], &(text.len() as u32).to_be_bytes()[..], text].concat()
}

fn rows(text: &[u8]) -> Vec<u8> {
    many(ROW, &row(text))
}

/// In place of the first message of a kind in answer to a statement, endless ones.
fn instead(m: &Message, kind: u8, asked: &str, again: fn() -> Vec<u8>) -> Option<Strike> {
    (m.kind == kind && m.query.contains(asked)).then(|| Strike::Flood(Vec::new(), again()))
}

/// Rows of one column without end, which is described first, whatever was asked for.
fn endless(m: &Message, asked: &str, text: &[u8]) -> Option<Strike> {
    let column = [b"\0\x01c\0\0\0\0\0\0\0".as_slice(), &25u32.to_be_bytes(), &[0xff; 6], &[0; 2]].concat();
    (m.kind == DESCRIPTION && m.query.contains(asked)).then(|| Strike::Flood(frame(DESCRIPTION, &column), rows(text)))
}

/// Before the connection stands.
fn early(m: &Message, again: fn() -> Vec<u8>) -> Option<Strike> {
    (m.kind == READY && m.query.is_empty()).then(|| Strike::Flood(Vec::new(), again()))
}

/// A message that announces so many MB, and that many come.
fn large(m: &Message, asked: &str, kind: u8, megabytes: u32) -> Option<Strike> {
    let mut head = vec![kind];
    head.extend((megabytes << 20).to_be_bytes());
    head.extend(if kind == ERROR { b"M".to_vec() } else { row(b"")[..2].to_vec() });
    (m.kind == DESCRIPTION && m.query.contains(asked)).then(|| {
        // The rows are described first.
        let first = if kind == ROW { [frame(DESCRIPTION, m.body), head].concat() } else { head };
        Strike::Flood(first, vec![b'x'; 1 << 16])
    })
}

/// An error of which each field has 100 kB, in place of the row description.
fn long_error(m: &Message) -> Option<Strike> {
    let mut body = b"SERROR\0VERROR\0C58030\0".to_vec();
    for field in *b"MDHW" {
        body.push(field);
        body.extend([b'y'; 100_000]);
        body.push(0);
    }
    body.push(0);
    (m.kind == DESCRIPTION && m.query.contains(INVENTORY)).then(|| Strike::Send(frame(ERROR, &body)))
}

/// An error in place of the row description.
fn error(m: &Message, asked: &str, severity: &str) -> Option<Strike> {
    let body = format!("S{severity}\0C08P01\0Mserver conn crashed?\0\0");
    (m.kind == DESCRIPTION && m.query.contains(asked)).then(|| Strike::Send(frame(ERROR, body.as_bytes())))
}

/// One row in place of the first.
fn one(m: &Message, asked: &str, body: &[u8]) -> Option<Strike> {
    (m.kind == ROW && m.query.contains(asked)).then(|| Strike::Send(frame(ROW, body)))
}

/// These bytes in place of messages of a kind.
fn bytes(m: &Message, kind: u8, asked: &str, sent: &[u8]) -> Option<Strike> {
    (m.kind == kind && m.query.contains(asked)).then(|| Strike::Send(sent.to_vec()))
}

/// In place of the data of a COPY, this message.
fn in_copy(m: &Message, kind: u8, body: &[u8]) -> Option<Strike> {
    bytes(m, DATA, COPY, &frame(kind, body))
}

/// Each row of a COPY in binary comes with parameters, which the server may set at any time.
fn between_rows(m: &Message) -> Option<Strike> {
    let row = frame(DATA, &[0, 1, 0, 0, 0, 4, 0, 0, 0, 1]);
    let again = [many(PARAMETER, b"a\0b\0"), row].concat();
    (m.kind == DATA && m.query.contains(COPY)).then(|| Strike::Flood(frame(DATA, m.body), again))
}

const CASES: &[Case] = &[
    ("notices at the start", |m| early(m, notices), "54000", "more than 1 MB before the connection was established"),
    ("notifications at the start", |m| early(m, notifications), "54000", "more than 1 MB before the connection was established"),
    ("parameters at the start", |m| early(m, || many(PARAMETER, b"a\0b\0")), "54000", "before the connection was established"),
    ("a large error at the start", |m| early(m, || many(ERROR, &[b'M'; 25_000])), "08001", "could not connect"),
    ("notices for settings", |m| instead(m, DESCRIPTION, SETTINGS, notices), "54000", "more than 8 MB in answer"),
    ("rows for settings", |m| endless(m, SETTINGS, b"1"), "54000", "more than 8 MB in answer"),
    ("notices for rows", |m| instead(m, ROW, INVENTORY, notices), "54000", "more than 32 MB in one row"),
    ("notifications for rows", |m| instead(m, ROW, INVENTORY, notifications), "54000", "more than 32 MB in one row"),
    ("rows without end", |m| endless(m, INVENTORY, RELATION), "54000", "larger than 32 MB"),
    ("rows that are none", |m| endless(m, INVENTORY, b"{"), "08P01", "unexpected answer"),
    ("rows of another type", |m| one(m, INVENTORY, &row(br#"{"oid": "one"}"#)), "08P01", "unexpected answer"),
    ("a row that is NULL", |m| one(m, INVENTORY, &[0, 1, 0xff, 0xff, 0xff, 0xff]), "08P01", "a value is missing"),
    ("a number that is none", |m| one(m, EXPORT, &[0, 2, 0, 0, 0, 1, b'1', 0, 0, 0, 1, b'x']), "08P01", "is not a number"),
    ("a refusal of the protocol", |m| error(m, INVENTORY, "ERROR"), "08P01", "server conn crashed?"),
    ("a pooler's last word", |m| error(m, INVENTORY, "FATAL"), "08006", "server conn crashed?"),
    ("a row of 200 MB", |m| large(m, INVENTORY, ROW, 200), "54000", "more than 32 MB in one row"),
    ("an error of 200 MB", |m| large(m, INVENTORY, ERROR, 200), "54000", "more than 32 MB in one row"),
    ("for settings, an error of 200 MB", |m| large(m, SETTINGS, ERROR, 200), "54000", "more than 8 MB in answer"),
    ("an error of 100 kB a field", long_error, "58030", "source: yyy"),
    ("rows without end for pg_dump", |m| endless(m, DUMP, &[b'1'; 1 << 19]), "54000", "more than 512 MB"),
    ("for pg_dump, a row of 200 MB", |m| large(m, DUMP, ROW, 200), "54000", "more than 32 MB in one row"),
    ("notices for pg_dump", |m| instead(m, ROW, DUMP, notices), "54000", "more than 32 MB in one row"),
    ("parameters for rows", |m| instead(m, ROW, INVENTORY, || many(PARAMETER, b"a\0b\0")), "54000", "more than 32 MB in one row"),
    ("a message of negative length", |m| bytes(m, ROW, INVENTORY, b"D\xff\xff\xff\xff"), "08006", "got message type"),
    ("a row of more fields", |m| one(m, INVENTORY, &[0, 3]), "08006", "unexpected field count"),
    ("a COPY unasked", |m| bytes(m, DESCRIPTION, INVENTORY, &frame(b'H', &[0, 0, 0])), "08P01", "that was not asked for"),
    ("authentication late", |m| bytes(m, ROW, INVENTORY, &frame(b'R', &[0, 0, 0, 3])), "08006", "unexpected response"),
    ("an error without end", |m| bytes(m, DESCRIPTION, INVENTORY, &frame(ERROR, b"SERROR\0M%n%s")), "08006", "do not agree with length"),
    ("in a COPY, an error", |m| in_copy(m, ERROR, b"SERROR\0VERROR\0C58030\0M%n%s\0\0"), "58030", "public.t: source: %n%s"),
    ("in a COPY, a row", |m| in_copy(m, ROW, &[0, 1, 0, 0, 0, 1, b'1']), "08006", "without prior row description"),
    ("in a COPY, another", |m| in_copy(m, b'H', &[0, 0, 0]), "08P01", "that was not asked for"),
    ("in a COPY, its end twice", |m| bytes(m, DATA, COPY, &frame(b'c', b"").repeat(2)), "22P04", "signature not recognized"),
    ("in a COPY, a negative length", |m| bytes(m, DATA, COPY, b"d\xff\xff\xff\xff"), "08006", "lost"),
    ("parameters between the rows of a COPY", between_rows, "54000", "more than 256 MB besides rows"),
    ("notifications in a COPY", |m| instead(m, DATA, COPY, notifications), "54000", "1025 MB in one row of a COPY"),
];

/// As the inventory has it.
const RELATION: &[u8] =
    br#"{"oid": 1, "schema": "s", "name": "t", "where": null, "columns": [{"name": "c", "type": "text", "generated": false, "binary": true}]}"#;

fn floods(edition: Edition) {
    let pair = Pair::plain("hostile_server", edition);
    pair.source.sql("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 1000)");
    pair.target.sql("ALTER DATABASE hostile_server SET maintenance_work_mem = '8MB'");
    let proxy = Proxy::new(pair.source.cluster.port);
    pair.target.sql(&format!("ALTER SERVER old OPTIONS (SET port '{}')", proxy.port));
    // One connection through it all: the server does not crash.
    let mut witness = pair.target.cluster.config("postgres").connect(NoTls).unwrap();
    let before = pair.target.cluster.log_length();
    for (name, strike, code, message) in CASES {
        // A table that is there already would be in the way.
        pair.target.rows("SELECT migrate_cleanup(id) FROM timescale_migrate.run WHERE state = 'failed'");
        proxy.look(strike);
        let watch = Watch::start(&pair.target);
        let ended = pair.target.try_value(r#"SELECT * FROM migrate_from('old', '{"retries": 1}')"#);
        let got = ended.map_or_else(|error| describe(&error), |_| "it went through".into());
        assert!(got.contains(&format!("(SQLSTATE {code})")) && got.contains(message), "{name}: {got}");
        // What ends in the preflight is no run, and no view shows it.
        let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run_log");
        let tried = format!("SELECT EXISTS (SELECT FROM timescale_migrate.message_log WHERE run = {run} AND message LIKE '%trying again%')");
        // Only of a connection that is lost another try may be in order.
        assert_eq!(pair.target.is(&tried), *code == "08006", "{name}: {got}");
        assert!(got.len() < 64 << 10, "{name}: an error of {} bytes", got.len());
        proxy.set(Mode::Pass);
        pair.wait_for_silence();
        let memory = watch.end();
        // Of a message that announces its size, libpq may read as much in one go.
        let most = if name.ends_with("200 MB") { 320 } else { 100 };
        assert!(memory.values().all(|mb| *mb < most), "{name}: {memory:?}");
    }
    let logged = pair.target.cluster.log_length() - before;
    assert!(logged < 4 << 20, "{logged} bytes in the log");
    witness.simple_query("SELECT 1").unwrap();
    let run = pair.target.value("SELECT max(id) FROM timescale_migrate.run");
    pair.target.sql(&format!("SELECT * FROM migrate_resume({run}, wait => true)"));
    pair.target.sql("ALTER DATABASE hostile_server RESET maintenance_work_mem");
    assert_same(&pair);
}

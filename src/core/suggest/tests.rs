//! Tables as documents, changed for each case.

use super::interval::{Growth, choose, most_bytes};
use super::time::Clock;
use super::{Chunked, Facts, Suggestion, Table, Target};
use crate::core::name::Name;
use serde_json::{Value, json};

const COMMUNITY: Target = Target { community: true, shared_buffers: 128 << 20 };
const DAY: f64 = 86_400.0;
const GB: i64 = 1 << 30;

/// A measurement a second of 20 devices for 100 days.
fn facts() -> Value {
    let column = |name: &str, type_name: &str, not_null: bool| {
        json!({"name": name, "type": type_name, "not_null": not_null, "numbered": false, "refers": false,
            "distinct": -1.0, "correlation": 0.01, "quantiles": null})
    };
    let mut facts = json!({
        "oid": 1, "readable": true, "analyzed": true, "inserted": 0, "updated": 0, "deleted": 0,
        "row_security": false, "referenced_by": [], "indexes": [],
        "columns": [
            column("ts", "timestamp with time zone", true), column("device", "text", true), column("value", "integer", false),
        ],
    });
    facts["columns"][0]["correlation"] = json!(0.99);
    facts["columns"][0]["quantiles"] = json!([1.7e9 + 5.0 * DAY, 1.7e9 + 50.0 * DAY, 1.7e9 + 95.0 * DAY]);
    facts["columns"][1]["distinct"] = json!(20.0);
    facts["columns"][2]["distinct"] = json!(300.0);
    facts
}

fn index(columns: &[Option<&str>], unique: bool) -> Value {
    json!({"columns": columns, "unique": unique, "partial": false, "ordered": true})
}

fn table(facts: Value) -> Table {
    Table {
        name: Name::new("public", "metric"),
        rows: 8_640_000,
        bytes: GB,
        whole: GB,
        part: GB,
        partitioned_by: None,
        facts: serde_json::from_value::<Facts>(facts).unwrap(),
    }
}

/// With something changed.
fn suggested(change: impl FnOnce(&mut Value)) -> Option<Suggestion> {
    let mut facts = facts();
    change(&mut facts);
    table(facts).suggestion(COMMUNITY)
}

fn options(suggestion: Option<Suggestion>) -> Value {
    suggestion.and_then(|suggestion| suggestion.options).unwrap_or_default()
}

#[test]
fn a_table_of_measurements() {
    let suggestion = suggested(|_| ()).unwrap();
    assert_eq!(suggestion.object, "public.metric");
    let compress = json!({"segmentby": ["device"], "orderby": ["ts desc"], "after": "7 days"});
    assert_eq!(suggestion.options, Some(json!({"time": "ts", "chunk_interval": "7 days", "compress": compress})));
    let apache = table(facts()).suggestion(Target { community: false, ..COMMUNITY });
    assert_eq!(options(apache), json!({"time": "ts", "chunk_interval": "7 days"}));
    assert_eq!(
        options(suggested(|f| f["row_security"] = json!(true))),
        json!({"time": "ts", "chunk_interval": "7 days"})
    );
}

#[test]
fn what_is_no_time() {
    assert_eq!(suggested(|f| f["updated"] = json!(1_000_000)), None);
    assert_eq!(suggested(|f| f["columns"][0]["correlation"] = json!(0.1)), None);
    assert_eq!(suggested(|f| f["columns"][0]["quantiles"] = json!([5.0, 5.0, 5.0])), None);
    assert_eq!(suggested(|f| f["columns"][0]["type"] = json!("text")), None);
    let integer = |per_second: f64| {
        move |f: &mut Value| {
            f["columns"][0]["type"] = json!("bigint");
            f["columns"][0]["quantiles"] = json!([1.7e9, 1.704e9, 1.708e9].map(|second| second * per_second));
        }
    };
    let form = options(suggested(integer(1e3)));
    assert_eq!((&form["chunk_interval"], &form["compress"]["after"]), (&json!(604_800_000), &Value::Null));
    assert_eq!(suggested(integer(0.1)), None);
    let numbered = |f: &mut Value| {
        integer(1.0)(f);
        f["columns"][0]["numbered"] = json!(true);
    };
    assert_eq!(suggested(numbered), None);
    // Where there is a better one.
    let two = |f: &mut Value| {
        let mut other = f["columns"][0].clone();
        other["name"] = json!("received");
        f["columns"].as_array_mut().unwrap().push(other);
        f["indexes"] = json!([index(&[Some("received")], false)]);
    };
    assert_eq!(options(suggested(two))["time"], json!("received"));
    let nullable = |f: &mut Value| {
        two(f);
        f["columns"][3]["not_null"] = json!(false);
    };
    assert_eq!(options(suggested(nullable))["time"], json!("ts"));
}

#[test]
fn what_is_in_the_way() {
    let referenced =
        |columns: &[&str]| json!([{"name": "k", "table": {"schema": "a", "name": "b"}, "columns": columns}]);
    let suggestion = suggested(|f| f["referenced_by"] = referenced(&["id"])).unwrap();
    assert_eq!(suggestion.options, None);
    assert!(suggestion.reason.ends_with("Obstacle: foreign key k of a.b references (id), without ts."));
    assert_ne!(options(suggested(|f| f["referenced_by"] = referenced(&["id", "ts"]))), Value::Null);
    let key = |columns: &'static [Option<&str>]| move |f: &mut Value| f["indexes"] = json!([index(columns, true)]);
    assert_eq!(options(suggested(key(&[Some("device"), Some("ts")])))["keys"], Value::Null);
    assert_eq!(options(suggested(key(&[Some("device")])))["keys"], "extend");
}

#[test]
fn without_statistics() {
    let unknown = |f: &mut Value| {
        f["analyzed"] = json!(false);
        for column in f["columns"].as_array_mut().unwrap() {
            column["quantiles"] = Value::Null;
            column["correlation"] = Value::Null;
            column["distinct"] = Value::Null;
        }
    };
    let suggestion = suggested(unknown).unwrap();
    assert!(
        suggestion.options.is_none() && suggestion.reason.contains("Execute ANALYZE public.metric on"),
        "{suggestion:?}"
    );
    let hidden = suggested(|f| {
        unknown(f);
        f["readable"] = json!(false);
    });
    assert!(hidden.unwrap().reason.contains("Grant SELECT"));
    let mut indexed = facts();
    unknown(&mut indexed);
    indexed["indexes"] = json!([index(&[Some("ts")], false), index(&[Some("device"), Some("ts")], false)]);
    let mut indexed = table(indexed);
    assert_eq!(indexed.facts.unknown_times(), [0]);
    indexed.facts.columns[0].quantiles = Some([1.7e9, 1.7e9 + 50.0 * DAY, 1.7e9 + 100.0 * DAY]);
    let form = options(indexed.suggestion(COMMUNITY));
    assert_eq!((&form["chunk_interval"], &form["compress"]["segmentby"]), (&json!("7 days"), &Value::Null));
    assert!(table(facts()).facts.unknown_times().is_empty());
}

#[test]
fn segments() {
    let by = |change: fn(&mut Value)| options(suggested(change))["compress"]["segmentby"].clone();
    // Of integers only those that something selects by.
    assert_eq!(by(|f| f["columns"][1]["distinct"] = json!(1.0)), Value::Null);
    assert_eq!(by(|f| f["columns"][2]["refers"] = json!(true)), json!(["value"]));
    assert_eq!(by(|f| f["indexes"] = json!([index(&[Some("value"), Some("ts")], false)])), json!(["value"]));
    // 86,400 rows a day; 1,000 for each value have to be in a chunk.
    assert_eq!(by(|f| f["columns"][1]["distinct"] = json!(1_000.0)), Value::Null);
    assert_eq!(by(|f| f["columns"][1]["distinct"] = json!(600.0)), json!(["device"]));
    assert_eq!(by(|f| f["columns"][1]["distinct"] = json!(-0.5)), Value::Null);
}

#[test]
fn intervals() {
    let most = most_bytes(0);
    let chosen = |bytes: i64, days: f64, clock| {
        let quantiles = [0.05, 0.5, 0.95].map(|part| part * days * DAY * clock_scale(clock));
        choose(Growth::of(bytes, bytes, true, quantiles, clock).unwrap(), clock, most).text
    };
    assert_eq!(chosen(100 * GB, 365.0, Clock::Time), "3 days");
    assert_eq!(chosen(GB / 10, 365.0, Clock::Time), "1 month");
    assert_eq!(chosen(GB, 7_300.0, Clock::Time), "1 year");
    assert_eq!(chosen(GB, 7_300.0, Clock::Integer(1_000_000)), "1 year");
    assert_eq!(chosen(10 * GB, 0.5, Clock::Time), "1 hour");
    assert_eq!(chosen(10 * GB, 0.5, Clock::Date), "1 day");
    // What came last decides.
    let grows = Growth::of(100 * GB, 100 * GB, true, [0.0, 350.0 * DAY, 365.0 * DAY], Clock::Time).unwrap();
    assert_eq!(choose(grows, Clock::Time, most).text, "6 hours");
    assert_eq!(choose(grows, Clock::Time, 16 * GB).text, "3 days");
    // Statistics of one partition of ten.
    let part =
        |spans_all| Growth::of(100 * GB, 10 * GB, spans_all, [0.0, 18.0 * DAY, 36.0 * DAY], Clock::Time).unwrap();
    assert!(part(true).average > 9.9 * part(false).average && part(false).seconds > 9.9 * part(true).seconds);
}

fn clock_scale(clock: Clock) -> f64 {
    clock.per_second()
}

#[test]
fn hypertables() {
    let hours = |chunks: usize, whole: i64| Chunked {
        name: Name::new("public", "H"),
        rows: 1_000_000,
        bytes: whole,
        whole,
        chunks,
        column: "ts".into(),
        clock: Some(Clock::Time),
        interval: 3_600.0,
        seconds: 3_600.0 * chunks as f64,
        compressed: true,
        facts: serde_json::from_value(facts()).ok(),
    };
    let of = |chunked: Chunked| chunked.suggestion(COMMUNITY).map(|found| (found.reason, found.options.unwrap()));
    let expected = |reason: &str, options: serde_json::Value| Some((reason.to_string(), options));
    let small = "1000 chunks are too small, about 1049 kB each.";
    assert_eq!(of(hours(1_000, GB)), expected(small, serde_json::json!({"chunk_interval": "3 days"})));
    assert_eq!(of(hours(20, GB / 50)), None);
    assert_eq!(of(hours(1_000, 100 * GB)), None);
    assert_eq!(of(Chunked { clock: None, ..hours(1_000, GB) }), None);
    // It was changed already.
    assert_eq!(of(Chunked { interval: 3.0 * DAY, ..hours(1_000, GB) }), None);
    let large = Chunked { interval: 7.0 * DAY, seconds: 70.0 * DAY, ..hours(10, 100 * GB) };
    let interval = serde_json::json!({"chunk_interval": "12 hours"});
    assert_eq!(of(large), expected("10 chunks are too large, about 10 GB each.", interval));
    let form = serde_json::json!({"compress": {"orderby": ["ts desc"], "segmentby": ["device"], "after": "30 days"}});
    let plain = Chunked { compressed: false, interval: 30.0 * DAY, ..hours(24 * 90, 10 * GB) };
    assert_eq!(of(plain), expected("It is not compressed.", form));
    let apache = Target { community: false, ..COMMUNITY };
    assert_eq!(Chunked { compressed: false, ..hours(20, GB) }.suggestion(apache), None);
}

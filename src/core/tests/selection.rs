//! What patterns select, and what of an inventory is left.

use super::{CAGG, HYPERTABLE, PLAIN, job, read};
use crate::core::cagg_state;
use crate::core::inventory::{Excluded, PG_CLASS, PG_PROC, Selection};
use crate::core::options::Options;
use crate::core::selection::{Nameable, Named, unfit};
use std::collections::HashSet;

#[test]
fn patterns_name_objects() {
    let (mut source, _) = read(PLAIN);
    source.excluded.push(Excluded { class_oid: PG_CLASS, oid: 9 });
    let object = |class, oid, schema: &str, name: Option<&str>, parent| {
        Nameable(class, oid, schema.into(), name.map(str::to_string), Vec::from_iter(parent))
    };
    let all = [
        object(PG_CLASS, 1, "app", Some("part"), None),
        object(PG_CLASS, 2, "app", Some("part_1"), Some(1)),
        object(PG_CLASS, 7, "app", Some("part_1_1"), Some(2)),
        object(PG_PROC, 1, "app", Some("part"), None),
        object(1247, 4, "app", None, None),
        object(PG_CLASS, 9, "app", Some("_hyper_1_1_chunk"), None),
    ];
    for (pattern, oids, told) in [
        // A function of the name too; partitions of partitions.
        ("app.part", vec![1, 1, 2, 7], "Objects that match the pattern 'app.part': 2."),
        ("app.part_1", vec![2, 7], "Objects that match the pattern 'app.part_1': 1."),
        ("app.*", vec![1, 1, 2, 4, 7], "Objects that match the pattern 'app.*': 5."),
        ("app._hyper*", vec![], "No object on the source matches the pattern 'app._hyper*'."),
    ] {
        let options = Options::parse(&serde_json::json!({ "exclude": [pattern] }).to_string()).unwrap();
        let named = Named::of(&options, &all, &source);
        let mut found: Vec<u32> = named.exclude.iter().map(|object| object.1).collect();
        found.sort_unstable();
        assert_eq!(found, oids, "{pattern}");
        assert!(named.told[0].detail.starts_with(told), "{:?}", named.told);
        assert_eq!(named.told[0].refused, oids.is_empty());
        assert!(named.include.is_empty() && named.exclude_data.is_empty());
    }
}

#[test]
fn patterns_that_exclude_each_other_or_name_nothing() {
    let (source, _) = read(PLAIN);
    let object = |oid, name: &str| Nameable(PG_CLASS, oid, "app".into(), Some(name.into()), Vec::new());
    let all = [object(1, "part"), object(2, "orders")];
    let told = |options: serde_json::Value| {
        let options = Options::parse(&options.to_string()).unwrap();
        Named::of(&options, &all, &source).told.remove(0)
    };
    for (include, exclude, expected) in [
        ("app.part", "app.orders", "1. They arrive with everything that they need."),
        ("app.part", "app.part", "1. The option exclude leaves them out."),
        (
            "app.*",
            "app.part",
            "2. The option exclude leaves 1 of them out. The others arrive with everything that they need.",
        ),
    ] {
        let detail = told(serde_json::json!({ "include": [include], "exclude": [exclude] })).detail;
        assert_eq!(detail, format!("Objects that match the pattern '{include}': {expected}"));
    }
    assert_eq!(told(serde_json::json!({ "include": ["app.prt"] })).hint, "Perhaps you meant app.part.");
    assert!(told(serde_json::json!({ "include": ["app.invoices"] })).hint.starts_with("A pattern is"));
}

#[test]
fn patterns_for_objects_of_one_kind() {
    let (mut source, _) = read(HYPERTABLE);
    let name = source.hypertables[0].known_as();
    let object = |oid, name: &str| Nameable(PG_CLASS, oid, "app".into(), Some(name.into()), Vec::new());
    let all = [object(501, "orders"), object(502, "gone")];
    source.selection.unwanted.insert((PG_CLASS, 502));
    for (key, detail) in [
        ("app.orders", "What the pattern 'app.orders' matches is no hypertable: app.orders.".to_string()),
        ("app.gone", "What the pattern 'app.gone' matches does not arrive: app.gone.".to_string()),
        ("app.*", "What the pattern 'app.*' matches is no hypertable: app.orders.".to_string()),
        (
            &format!("{}x", name.shown()),
            format!("No hypertable on the source matches the pattern '{}x'.", name.shown()),
        ),
    ] {
        let left = unfit("time_range", "hypertable", key, std::slice::from_ref(&name), &all, &source);
        assert_eq!(left.detail, detail);
        assert!(left.refused && left.is_unused("time_range"));
        assert_eq!(left.hint == format!("Perhaps you meant {}.", name.shown()), key.ends_with('x'), "{}", left.hint);
    }
}

/// Numbers of plain tables, filled ones of these, hypertables, chunks, compressed ones and jobs on
/// the first hypertable.
fn left(document: &str, selection: Selection) -> [usize; 6] {
    let (mut source, _) = read(document);
    if let Some(hypertable) = source.hypertables.first() {
        source.jobs.push(job(serde_json::json!({ "hypertable": hypertable.known_as() })));
    }
    source.selection = selection;
    source.select();
    // What is left does not change when it is asked once more.
    source.select();
    let (plain, filled) = (source.plain_tables().count(), source.filled_tables().count());
    let compressed = source.compressed_chunks.len();
    [plain, filled, source.hypertables.len(), source.chunks.len(), compressed, source.jobs.len()]
}

#[test]
fn what_is_left_of_an_inventory() {
    let relations = |oids: &[u32]| oids.iter().map(|oid| (PG_CLASS, *oid)).collect::<HashSet<_>>();
    let only = |oids: &[u32]| Selection { only: Some(relations(oids)), ..Selection::default() };
    let unwanted = |oids: &[u32]| Selection { unwanted: relations(oids), ..Selection::default() };
    let empty = |oids: &[u32]| Selection { empty: oids.iter().copied().collect(), ..Selection::default() };
    let no_rows = Selection { no_rows: true, ..Selection::default() };
    for (document, selection, expected) in [
        (PLAIN, Selection::default(), [2, 2, 0, 0, 0, 0]),
        (PLAIN, only(&[1]), [1, 1, 0, 0, 0, 0]),
        (PLAIN, unwanted(&[1]), [1, 1, 0, 0, 0, 0]),
        (PLAIN, empty(&[1]), [2, 1, 0, 0, 0, 0]),
        (HYPERTABLE, Selection::default(), [0, 0, 1, 2, 1, 1]),
        (HYPERTABLE, only(&[10]), [0, 0, 1, 2, 1, 1]),
        // A job of what nobody has asked for is not worth a word; of what is excluded, it is named.
        (HYPERTABLE, only(&[11]), [0, 0, 0, 0, 0, 0]),
        (HYPERTABLE, unwanted(&[10]), [0, 0, 0, 0, 0, 1]),
        (HYPERTABLE, empty(&[10]), [0, 0, 1, 0, 0, 1]),
        (PLAIN, no_rows.clone(), [2, 0, 0, 0, 0, 0]),
        (HYPERTABLE, no_rows, [0, 0, 1, 0, 0, 1]),
    ] {
        assert_eq!(left(document, selection.clone()), expected, "{selection:?}");
    }
}

#[test]
fn a_continuous_aggregate_goes_with_its_materialization() {
    let (source, _) = read(CAGG);
    let cagg = &source.caggs[0];
    let (view, materialization) = (cagg.oid, cagg.relation.oid);
    for (unwanted, empty, expected) in
        [(None, None, [1, 1]), (Some(view), None, [0, 0]), (None, Some(materialization), [1, 1])]
    {
        let mut source = source.clone();
        source.selection.unwanted.extend(unwanted.map(|oid| (PG_CLASS, oid)));
        source.selection.empty.extend(empty);
        source.select();
        let materializations = source.hypertables.iter().filter(|h| h.cagg.is_some()).count();
        assert_eq!([source.caggs.len(), materializations], expected);
        assert!(empty.is_none() || source.chunks.is_empty());
        // Its state is that of a new one.
        assert_eq!(cagg_state::of(&source, None).0.len(), expected[0] - usize::from(empty.is_some()));
    }
}

#[test]
fn buckets_whose_raw_rows_stay_behind_are_not_refreshed() {
    let (mut source, _) = read(CAGG);
    let cagg = &mut source.caggs[0];
    cagg.spec = serde_json::json!({
        "watermark": 100,
        "invalidations": [[-9223372036854775808i64, -5], [10, 20], [90, 110], [100, 9223372036854775807i64]],
        "raw": {"invalidations": [[1, 2]]},
    });
    let oid = cagg.oid;
    source.cagg_ranges = vec![serde_json::json!({"schema": cagg.schema, "name": cagg.name, "invalidations": [[3, 4]]})];
    let (specs, ranges) = cagg_state::of(&source, None);
    assert_eq!((specs[0]["invalidations"].as_array().unwrap().len(), ranges.len()), (4, 1));
    for (refreshable, expected, pending) in [
        ([i64::MIN, i64::MIN], serde_json::json!([[100, 110], [100, i64::MAX]]), "[]"),
        ([15, i64::MAX], serde_json::json!([[15, 20], [90, 110], [100, i64::MAX]]), "[]"),
        ([i64::MIN, 12], serde_json::json!([[i64::MIN, -5], [10, 11], [100, 110], [100, i64::MAX], [1, 2]]), "[[3,4]]"),
        ([2, 4], serde_json::json!([[100, 110], [100, i64::MAX], [2, 2]]), "[[3,3]]"),
    ] {
        source.selection.refreshable.insert(oid, refreshable);
        let (specs, ranges) = cagg_state::of(&source, None);
        assert_eq!(specs[0]["invalidations"], expected);
        assert_eq!(specs[0]["raw"]["invalidations"], serde_json::json!([]));
        assert_eq!(ranges[0]["invalidations"].to_string(), pending);
    }
}

//! Every form of the statement that a copy runs on the source.

use crate::core::inventory::{CompressedColumn, FROZEN, Layout, Spec};
use crate::core::name::Name;
use crate::core::plan::{Compressed, CopyTask, Destination, Filter, Recipe, RowStorage};
use std::sync::Arc;

fn reason() -> String {
    "why".to_string()
}

fn spec(status: i32) -> Spec {
    let column = |name: &str, binary| CompressedColumn {
        name: name.to_string(),
        kind: "data".to_string(),
        binary,
        definition: serde_json::Map::new(),
    };
    let layout = Layout {
        settings: serde_json::Value::Null,
        missing: Vec::new(),
        unportable: Vec::new(),
        has_uuid: false,
        collations: Vec::new(),
        columns: vec![column("a", true), column("_b", true)],
        reloptions: Vec::new(),
        indexes: Vec::new(),
    };
    Spec { status, sizes: None, layout: Arc::new(layout) }
}

fn compressed(status: i32, null_blocks: bool, left_out: &[&str]) -> Compressed {
    Compressed {
        relation: Name::new("i", "p5"),
        has_rows: true,
        null_blocks,
        left_out: left_out.iter().map(|name| name.to_string()).collect(),
        spec: spec(status),
    }
}

/// A table's rows in binary form, which each case changes.
fn table() -> CopyTask {
    let columns = serde_json::json!([
        {"name": "a", "type": "int", "generated": false, "binary": true},
        {"name": "B", "type": "text", "generated": false, "binary": true},
        {"name": "g", "type": "int", "generated": true, "binary": false},
    ]);
    let columns: Vec<_> = serde_json::from_value(columns).expect("columns");
    CopyTask::new(1, Name::new("public", "t"), Destination::Table(Name::new("public", "t")), &columns)
}

#[test]
fn of_a_relations_own_rows() {
    let columns = r#""a", "B""#;
    let again = |late| Recipe::Recompressed { reason: reason(), spec: spec(1), late };
    type Change = fn(&mut CopyTask);
    let cases: [(&str, Change, String); 11] = [
        ("a table", |_| {}, format!(r#"COPY "public"."t" ({columns}) TO STDOUT (FORMAT binary)"#)),
        (
            "in text",
            |c| c.text_column = Some("x (t)".into()),
            format!(r#"COPY "public"."t" ({columns}) TO STDOUT (FORMAT text)"#),
        ),
        ("without columns", |c| c.columns = [].into(), r#"COPY "public"."t" TO STDOUT (FORMAT binary)"#.to_string()),
        (
            "an extension's",
            |c| c.filter = Filter::Condition("WHERE n > 1".to_string()),
            format!(r#"COPY (SELECT {columns} FROM ONLY "public"."t" WHERE n > 1) TO STDOUT (FORMAT binary)"#),
        ),
        (
            "a part",
            |c| c.filter = Filter::Pages(5, Some(9)),
            format!(
                r#"COPY (SELECT {columns} FROM ONLY "public"."t" WHERE ctid >= '(5,0)'::pg_catalog.tid AND ctid < '(9,0)'::pg_catalog.tid) TO STDOUT (FORMAT binary)"#
            ),
        ),
        (
            "the last part",
            |c| c.filter = Filter::Pages(9, None),
            format!(
                r#"COPY (SELECT {columns} FROM ONLY "public"."t" WHERE ctid >= '(9,0)'::pg_catalog.tid) TO STDOUT (FORMAT binary)"#
            ),
        ),
        (
            "a query's",
            |c| c.source.query = Some("SELECT 1".to_string()),
            format!(r#"COPY (SELECT {columns} FROM (SELECT 1) t) TO STDOUT (FORMAT binary)"#),
        ),
        (
            "a frozen chunk's",
            |c| c.recipe = Recipe::Frozen,
            format!(r#"COPY (SELECT {columns} FROM "public"."t") TO STDOUT (FORMAT binary)"#),
        ),
        (
            "only a query's",
            |c| c.recipe = Recipe::Queried { reason: reason() },
            format!(r#"COPY (SELECT {columns} FROM "public"."t") TO STDOUT (FORMAT binary)"#),
        ),
        (
            "those besides the compressed ones",
            |c| c.recipe = Recipe::Compressed(Box::new(compressed(1, false, &[]))),
            format!(r#"COPY "public"."t" ({columns}) TO STDOUT (FORMAT binary)"#),
        ),
        (
            "the same of a frozen chunk",
            |c| c.recipe = Recipe::Compressed(Box::new(compressed(1 | FROZEN, false, &[]))),
            format!(r#"COPY (SELECT {columns} FROM ONLY "public"."t") TO STDOUT (FORMAT binary)"#),
        ),
    ];
    for (name, change, expected) in cases {
        let mut copy = table();
        change(&mut copy);
        assert_eq!(copy.statement(), expected, "{name}");
    }
    for late in [false, true] {
        let copy = CopyTask { recipe: again(late), ..table() };
        assert_eq!(copy.statement(), format!(r#"COPY (SELECT {columns} FROM "public"."t") TO STDOUT (FORMAT binary)"#));
    }
}

#[test]
fn of_compressed_rows() {
    let block = |column: &str| {
        format!(
            r#"CASE WHEN pg_catalog.pg_column_size("{column}") < 8 AND "{column}"::text = 'Bg==' THEN NULL ELSE "{column}" END"#
        )
    };
    for (status, null_blocks, left_out, expected) in [
        (1, false, &[][..], r#"COPY "i"."p5" ("a", "_b") TO STDOUT (FORMAT binary)"#.to_string()),
        (1, false, &["_b"][..], r#"COPY "i"."p5" ("a") TO STDOUT (FORMAT binary)"#.to_string()),
        (FROZEN, false, &[], r#"COPY (SELECT "a", "_b" FROM "i"."p5") TO STDOUT (FORMAT binary)"#.to_string()),
        (
            1,
            true,
            &[],
            format!(r#"COPY (SELECT {}, {} FROM "i"."p5") TO STDOUT (FORMAT binary)"#, block("a"), block("_b")),
        ),
    ] {
        assert_eq!(compressed(status, null_blocks, left_out).statement(), expected, "{status} {null_blocks}");
    }
    let mut text = compressed(1, false, &[]);
    Arc::make_mut(&mut text.spec.layout).columns[1].binary = false;
    assert_eq!(text.statement(), r#"COPY "i"."p5" ("a", "_b") TO STDOUT (FORMAT text)"#);
    // A column that is made anew does not count.
    text.left_out = vec!["_b".to_string()];
    assert_eq!(text.statement(), r#"COPY "i"."p5" ("a") TO STDOUT (FORMAT binary)"#);
}

#[test]
fn which_empty_their_relation_first() {
    assert!(table().owns_relation);
    assert!(table().only(Filter::All).owns_relation);
    assert!(!table().only(Filter::Pages(0, Some(1))).owns_relation);
    assert!(!table().only(Filter::Condition("WHERE n > 1".to_string())).owns_relation);
}

#[test]
fn which_batches_the_source_decompresses() {
    let batches = Name::new("i", "p5");
    let again = || Recipe::Recompressed { reason: reason(), spec: spec(1), late: false };
    let queried = || Recipe::Queried { reason: reason() };
    let as_it_is = || Recipe::Compressed(Box::new(compressed(1, false, &[])));
    for (storage, recipe, query, expected) in [
        (RowStorage::Compressed(batches.clone()), again(), None, Some(&batches)),
        (RowStorage::Compressed(batches.clone()), queried(), None, Some(&batches)),
        (RowStorage::Compressed(batches.clone()), as_it_is(), None, None),
        (RowStorage::Compressed(batches.clone()), queried(), Some("SELECT 1".to_string()), None),
        (RowStorage::Heap, queried(), None, None),
        (RowStorage::External, again(), None, None),
    ] {
        let mut copy = CopyTask { recipe, ..table() };
        (copy.source.storage, copy.source.query) = (storage.clone(), query);
        assert_eq!(copy.decompressed(), expected, "{storage:?}");
    }
}

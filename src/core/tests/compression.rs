//! In which form a compressed chunk travels.

use super::{HYPERTABLE, read, version};
use crate::core::inventory::{CompressedChunk, Inventory, Layout, Unportable};
use crate::core::plan::compressed::{form, frozen};
use crate::core::plan::{Recipe, Target};
use std::sync::Arc;

type Change = fn(&mut Inventory, &mut Target);

/// What the source's one compressed chunk is made of.
fn layout(source: &mut Inventory) -> &mut Layout {
    Arc::make_mut(&mut source.compressed_chunks[0].spec.layout)
}

fn chunk(source: &mut Inventory) -> &mut CompressedChunk {
    &mut source.compressed_chunks[0]
}

/// From one version to another, without a value that batches from before a column hold NULL for.
fn between(source: &mut Inventory, target: &mut Target, from: &str, to: &str) {
    version(&mut source.server, from);
    version(&mut target.server, to);
    layout(source).missing.clear();
}

#[test]
fn as_they_are_or_again() {
    let cases: [(&str, Change, &str); 15] = [
        ("the same versions", |_, _| {}, "compressed without _b"),
        (
            "no Community edition",
            |_, t| t.server.timescaledb.as_mut().unwrap().tsl = false,
            "queried: compressed on the source; the target's edition has no compression",
        ),
        (
            "hypercore",
            |s, _| chunk(s).access_method = Some("hypercore".into()),
            "again, late: the source stores it with the access method hypercore",
        ),
        ("unknown relation", |s, _| chunk(s).relation = None, "again, late: its compressed relation was not found"),
        (
            "numbers in its binary form",
            |s, _| layout(s).unportable.push(Unportable { column: "k".into(), type_name: "app.kind".into() }),
            "again, late: column k has type app.kind, whose binary form contains OIDs of the source",
        ),
        (
            "unknown metadata",
            |s, _| layout(s).columns[1].kind = "unknown".into(),
            "again, late: metadata column _b is of an unknown kind",
        ),
        (
            "first and last, before 2.28",
            |s, t| {
                between(s, t, "2.28.0", "2.27.0");
                layout(s).columns[1].kind = "firstlast".into()
            },
            "compressed without _b",
        ),
        (
            "first and last, since",
            |s, t| {
                between(s, t, "2.28.0", "2.28.0");
                layout(s).columns[1].kind = "firstlast".into()
            },
            "compressed",
        ),
        (
            "uuid to where it is unknown",
            |s, t| {
                between(s, t, "2.22.0", "2.21.0");
                layout(s).has_uuid = true
            },
            "again: the target has no compression algorithm for uuid",
        ),
        (
            "uuid from where it is unknown",
            |s, t| {
                between(s, t, "2.21.0", "2.21.0");
                layout(s).has_uuid = true
            },
            "compressed without _b",
        ),
        (
            "another encoding",
            |s, _| s.server.encoding = "LATIN1".into(),
            "again, late: the encodings of the two databases differ",
        ),
        (
            "blocks of NULL, to 2.20.0",
            |s, t| between(s, t, "2.19.3", "2.20.0"),
            "compressed without _b and NULL blocks",
        ),
        ("blocks of NULL, to 2.20.1", |s, t| between(s, t, "2.19.3", "2.20.1"), "compressed without _b"),
        (
            "another version of a collation",
            |_, t| t.collations[0].version = Some("2".into()),
            "again, late: collation c may sort differently on the target",
        ),
        (
            "a collation of unknown version",
            |s, t| {
                s.collations[0].version = None;
                t.collations[0].version = None
            },
            "again, late: collation c may sort differently on the target",
        ),
    ];
    for (name, change, expected) in cases {
        let (mut source, mut target) = read(HYPERTABLE);
        version(&mut source.server, "2.18.2");
        version(&mut target.server, "2.18.2");
        change(&mut source, &mut target);
        assert_eq!(told(&form(&source.compressed_chunks[0].clone(), &source, &target)), expected, "{name}");
    }
}

fn told(form: &Recipe) -> String {
    match form {
        Recipe::Compressed(compressed) => {
            let nulls = if compressed.null_blocks { " and NULL blocks" } else { "" };
            let left_out = compressed.left_out.join(", ");
            format!("compressed{}{left_out}{nulls}", if left_out.is_empty() { "" } else { " without " })
        }
        Recipe::Recompressed { reason, late, .. } => format!("again{}: {reason}", if *late { ", late" } else { "" }),
        Recipe::Queried { reason } => format!("queried: {reason}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn columns_with_a_default_from_later() {
    // Without such a default, NULL says the same as a block that stands for it.
    for (from, to, expected) in [
        ("2.18.2", "2.20.0", "compressed without _b"),
        ("2.19.0", "2.20.0", "again: the target cannot read how the source stores columns that are all NULL"),
        ("2.19.0", "2.20.1", "compressed without _b"),
    ] {
        let (mut source, mut target) = read(HYPERTABLE);
        version(&mut source.server, from);
        version(&mut target.server, to);
        assert_eq!(told(&form(&source.compressed_chunks[0].clone(), &source, &target)), expected, "{from} to {to}");
    }
}

#[test]
fn rows_that_are_not_compressed_yet() {
    for (pages, has_rows) in [(0, false), (1, true)] {
        let (mut source, target) = read(HYPERTABLE);
        source.sizes.get_mut(&20).unwrap().pages = pages;
        // The document's target reads every block.
        layout(&mut source).missing.clear();
        match form(&source.compressed_chunks[0].clone(), &source, &target) {
            Recipe::Compressed(compressed) => assert_eq!(compressed.has_rows, has_rows),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn frozen_ones() {
    let (_, mut target) = read(HYPERTABLE);
    assert!(matches!(frozen(&target), Recipe::Frozen));
    target.server.timescaledb = None;
    assert_eq!(told(&frozen(&target)), "queried: frozen on the source; the target's edition has no frozen chunks");
}

//! What is refused, what is left out and what is only said.

use super::{CAGG, HYPERTABLE, PLAIN, job, read};
use crate::core::inventory::{Chunk, Excluded, HYPERCORE, Inventory};
use crate::core::name::Name;
use crate::core::options::Options;
use crate::core::plan::Target;
use crate::core::scope::{Found, Left, Scope};
use serde_json::json;

/// A document's scope under options, after a change.
fn scope(document: &str, options: &str, found: Vec<Found>, change: impl FnOnce(&mut Inventory, &mut Target)) -> Scope {
    let (mut source, mut target) = read(document);
    change(&mut source, &mut target);
    Scope::new(source, found, &target.server, &Options::parse(options).expect("options"))
}

/// Each thing in a line; a refusal begins with "!".
fn told(left: &[Left]) -> Vec<String> {
    let line = |left: &Left| {
        let hint = if left.hint.is_empty() { String::new() } else { format!(" ({})", left.hint) };
        format!("{}{}: {}{hint}", if left.refused { "!" } else { "" }, left.subject, left.detail)
    };
    left.iter().map(line).collect()
}

fn apache(_: &mut Inventory, target: &mut Target) {
    target.server.timescaledb.as_mut().expect("TimescaleDB").tsl = false;
}

#[test]
fn what_the_source_holds_that_has_no_place() {
    let object = || Some(Excluded { class_oid: 1259, oid: 77 });
    for (kind, object, refuse, skip) in [
        (
            "hypertable without relation",
            None,
            "hypertable without relation x: Why.",
            "hypertable without relation x: Why.",
        ),
        ("chunk without relation", None, "chunk without relation x: Why.", "chunk without relation x: Why."),
        // Rows would be lost.
        ("distributed hypertable", None, "!distributed hypertable x: Why.", "!distributed hypertable x: Why."),
        (
            "dependence on a chunk",
            object(),
            "!dependence on a chunk x: Why. (Change it to use the hypertable or the continuous aggregate. Or leave it out: \"on_unsupported\": \"skip\".)",
            "dependence on a chunk x: Why. Left out: objects that depend on it are left out too.",
        ),
        (
            "object in an internal schema",
            object(),
            "!object in an internal schema x: Why. (Move it with ALTER ... SET SCHEMA. Or leave it out: \"on_unsupported\": \"skip\".)",
            "object in an internal schema x: Why. Left out: objects that depend on it are left out too.",
        ),
        // A table, which the query gives no object for.
        (
            "object in an internal schema",
            None,
            "!object in an internal schema x: Why. (Move it with ALTER ... SET SCHEMA.)",
            "!object in an internal schema x: Why. (Move it with ALTER ... SET SCHEMA.)",
        ),
    ] {
        for (options, expected) in [("{}", refuse), (r#"{"on_unsupported": "skip"}"#, skip)] {
            let found = Found { kind: kind.into(), subject: "x".into(), detail: "Why.".into(), object: object.clone() };
            let scope = scope(PLAIN, options, vec![found], |_, _| {});
            assert_eq!(told(&scope.left), [expected], "{kind} under {options}");
            let excluded = scope.inventory.excluded.iter().any(|excluded| excluded.oid == 77);
            assert_eq!(excluded, object.is_some() && options != "{}", "{kind} under {options}");
        }
    }
}

#[test]
fn continuous_aggregates() {
    let policy = || job(json!({"kind": "policy", "hypertable": {"schema": "public", "name": "daily", "cagg": true}}));
    let with_policy = |source: &mut Inventory, _: &mut Target| source.jobs.push(policy());
    let job_of_it = "job Job [1000]: It runs public.p on public.daily every 1 day. public.daily does not arrive. Left out: it will not run on the target.";
    let arrives =
        |scope: &Scope| (scope.inventory.caggs.len(), scope.inventory.chunks.len(), scope.inventory.jobs.len());

    let copied = scope(CAGG, "{}", Vec::new(), with_policy);
    assert_eq!((told(&copied.left), arrives(&copied)), (vec![], (1, 1, 1)));

    let recomputed = scope(CAGG, r#"{"caggs": "recompute"}"#, Vec::new(), with_policy);
    assert_eq!((told(&recomputed.left), arrives(&recomputed)), (vec![], (1, 0, 1)));

    let skipped = scope(CAGG, r#"{"caggs": "skip"}"#, Vec::new(), with_policy);
    let chosen = "continuous aggregate public.daily: The option \"caggs\" is \"skip\". Left out: its materialized rows do not arrive.";
    assert_eq!((told(&skipped.left), arrives(&skipped)), (vec![chosen.to_string(), job_of_it.to_string()], (0, 0, 0)));
    assert!(skipped.inventory.hypertables.is_empty());
    assert!(skipped.inventory.excluded.contains(&Excluded { class_oid: 1259, oid: 12 }));

    // One that reads another goes with it.
    let two = scope(CAGG, r#"{"caggs": "skip"}"#, Vec::new(), |source, _| {
        let mut second = source.caggs[0].clone();
        (second.oid, second.name, second.hypertable_id) = (13, "weekly".into(), 3);
        (second.raw.name, second.raw.cagg) = ("daily".into(), true);
        source.caggs.push(second);
    });
    assert_eq!(two.inventory.caggs.len(), 0);

    // Of the format from before 2.7 the rows come by the view, which has to show the bucket.
    for (column, refused) in [("d", false), ("other", true)] {
        let old = scope(CAGG, "{}", Vec::new(), |source, _| {
            source.caggs[0].finalized = false;
            source.caggs[0].time_column = column.into();
        });
        assert_eq!(old.left.iter().any(|left| left.refused), refused, "{column}");
    }
}

#[test]
fn where_the_target_has_no_community_edition() {
    let jobs = |source: &mut Inventory, target: &mut Target| {
        apache(source, target);
        source.jobs.push(job(json!({"application_name": "Telemetry", "kind": "system"})));
        source.jobs.push(job(json!({})));
        source.chunks[0].frozen = true;
    };
    let hint = "Install TimescaleDB's Community edition on the target, from its vendor's packages. Or leave it out: \"on_unsupported\": \"skip\".";
    let refused = scope(HYPERTABLE, "{}", Vec::new(), jobs);
    assert_eq!(
        told(&refused.left),
        [
            format!("!compression of public.m: Compression is enabled; 1 of its chunks are compressed. ({hint})"),
            format!("!frozen chunks of public.m: There are 1 of them. ({hint})"),
            format!(
                "!job Job [1000]: It runs public.p every 1 day. Jobs and policies exist only in the Community edition. ({hint})"
            ),
        ]
    );
    let skipped = scope(HYPERTABLE, r#"{"on_unsupported": "skip"}"#, Vec::new(), jobs);
    assert_eq!(
        told(&skipped.left),
        [
            "compression of public.m: Compression is enabled; 1 of its chunks are compressed. Left out: its rows arrive uncompressed.",
            "frozen chunks of public.m: There are 1 of them. Left out: the chunks can be written to on the target.",
            "job Job [1000]: It runs public.p every 1 day. Jobs and policies exist only in the Community edition. Left out: it will not run on the target.",
        ]
    );
    assert_eq!(skipped.inventory.jobs.len(), 1);
    // The rows arrive all the same.
    assert_eq!((skipped.inventory.compressions.len(), skipped.inventory.chunks.len()), (0, 2));

    let cagg = scope(CAGG, "{}", Vec::new(), |source, target| {
        apache(source, target);
        source.compressions.clear();
    });
    assert!(
        told(&cagg.left)[0].starts_with(
            "!continuous aggregate public.daily: Continuous aggregates exist only in the Community edition."
        )
    );
}

#[test]
fn jobs() {
    let two = |source: &mut Inventory, _: &mut Target| {
        source.jobs.push(job(json!({"extension": "timescaledb_osm"})));
        source.jobs.push(job(json!({})));
    };
    let all = scope(HYPERTABLE, "{}", Vec::new(), two);
    assert_eq!(all.inventory.jobs.len(), 1);
    assert_eq!(
        told(&all.left),
        [
            "job Job [1000]: It runs public.p every 1 day. It belongs to the extension timescaledb_osm, which does not arrive. Left out: it will not run on the target."
        ]
    );
    let none = scope(HYPERTABLE, r#"{"policies": "skip"}"#, Vec::new(), two);
    assert_eq!((none.inventory.jobs.len(), told(&none.left).len()), (0, 0));
}

#[test]
fn said_and_no_more() {
    let hypercore = scope(HYPERTABLE, "{}", Vec::new(), |source, _| {
        source.compressed_chunks[0].access_method = Some(HYPERCORE.into());
    });
    assert_eq!(
        told(&hypercore.left),
        [
            "access method hypercore of public.m: 1 of its chunks use it; it exists only in TimescaleDB 2.18 to 2.21. Left out: they arrive as ordinary compressed chunks."
        ]
    );

    let mut scope = scope(HYPERTABLE, "{}", Vec::new(), |_, _| {});
    scope.lost(&Name::new("public", "daily"), "2024-01-01", "2024-02-01");
    let chunk: Chunk = scope.inventory.chunks[1].clone();
    scope.tiered(&chunk, None);
    scope.tiered(&chunk, Some("no such bucket"));
    assert_eq!(
        told(&scope.left),
        [
            "continuous aggregate public.daily: Its buckets from 2024-01-01 to 2024-02-01 begin where no chunk of the raw data exists. Left out: what dropped chunks contributed.",
            "tiered chunk i.c6 of public.m: Its rows are in tiered storage. They arrive in ordinary chunks.",
            // A table's rows, so that no option helps.
            "!tiered chunk i.c6 of public.m: Its rows in tiered storage cannot be read: no such bucket. (Make it readable, or untier it on the source.)",
        ]
    );
}

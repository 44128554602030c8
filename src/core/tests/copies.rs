//! Which tasks copy what an inventory holds.

use super::{CAGG, HYPERTABLE, PLAIN, read};
use crate::core::inventory::{Inventory, Size};
use crate::core::name::Name;
use crate::core::options::Options;
use crate::core::plan::{self, CopyTask, Filter, Phase, Target, Task, Work};

fn copy(task: &Task) -> &CopyTask {
    match &task.work {
        Work::Copy(copy) => copy,
        other => panic!("{other:?}"),
    }
}

/// Each task in a line: what it copies, how, its estimated rows and bytes, and its note.
fn told(source: &Inventory, target: &Target, options: &Options) -> Vec<String> {
    let line = |task: &Task| {
        let (phase, copy) = (task.phase.name(), copy(task));
        format!("{phase}|{}|{}|{}|{}|{}", task.object, copy.method(), task.rows, task.bytes, copy.note())
    };
    plan::copies(source, target, options).iter().map(line).collect()
}

#[test]
fn of_each_kind_of_relation() {
    let whole = Options { split_bytes: 0, ..Options::default() };
    let (mut source, target) = read(PLAIN);
    assert_eq!(
        told(&source, &target, &whole),
        ["copy|public.t|COPY binary|7|8192000|".to_string(), "copy|ext.config|COPY binary|0|0|".to_string()]
    );
    let column = &mut source.relations[0].columns[0];
    column.binary = false;
    let column = format!("{} ({})", column.name, column.type_name);
    let text = format!("text, because the binary form of column {column} may differ between servers");
    assert_eq!(told(&source, &target, &whole)[0], format!("copy|public.t|COPY text|7|8192000|{text}"));

    let (mut source, mut target) = read(HYPERTABLE);
    super::version(&mut target.server, "2.20.1");
    let root = "copy|public.m (its own rows)|COPY binary|7|8192|";
    let tiered = "tiered|i.c6 of public.m|COPY binary, INSERT|0|0|in tiered storage on the source";
    let compressed = "copy|i.c5 of public.m|COPY binary, compressed|1007|8292|";
    assert_eq!(told(&source, &target, &whole), [root, compressed, tiered]);
    source.compressed_chunks.clear();
    assert_eq!(told(&source, &target, &whole)[1], "copy|i.c5 of public.m|COPY binary|7|8192|");
    source.chunks[0].frozen = true;
    assert_eq!(told(&source, &target, &whole)[1], "copy|i.c5 of public.m|COPY binary, frozen again|7|8192|");
    target.server.timescaledb.as_mut().unwrap().tsl = false;
    assert_eq!(
        told(&source, &target, &whole)[1],
        "copy|i.c5 of public.m|COPY binary of a query|7|8192|frozen on the source; the target's edition has no frozen chunks"
    );
    source.hypertables[0].root_may_have_rows = false;
    assert_eq!(told(&source, &target, &whole).len(), 2);

    let (source, target) = read(CAGG);
    assert_eq!(
        told(&source, &target, &whole),
        [
            "copy|i.c5 of public.daily|COPY binary, compressed again|7|8292|column d has type public.x, whose binary form contains OIDs of the source"
        ]
    );
}

#[test]
fn only_large_tables_are_split() {
    let split = Options { split_bytes: 1 << 20, ..Options::default() };
    for (name, version_num, bytes, change, parts) in [
        ("large", 170_005, 8_192_000, None, 8),
        ("before TID range scans", 130_022, 8_192_000, None, 1),
        ("with them", 140_000, 8_192_000, None, 8),
        ("small", 170_005, 1 << 19, None, 1),
        ("an extension's", 170_005, 8_192_000, Some("WHERE n > 1"), 1),
        ("without columns", 170_005, 8_192_000, Some(""), 1),
    ] {
        let (mut source, target) = read(PLAIN);
        source.server.version_num = version_num;
        source.relations.truncate(1);
        source.sizes.insert(1, Size { pages: 1000, bytes, rows: 80 });
        match change {
            Some("") => source.relations[0].columns.clear(),
            condition => source.relations[0].condition = condition.map(str::to_string),
        }
        let tasks = plan::copies(&source, &target, &split);
        assert_eq!(tasks.len(), parts, "{name}");
        assert_eq!(copy(&tasks[0]).owns_relation, parts == 1 && source.relations[0].condition.is_none(), "{name}");
        assert_eq!(tasks.iter().all(|task| matches!(copy(task).filter, Filter::Pages(..))), parts > 1, "{name}");
        // What cannot be split is said to be one part where the version is the reason.
        let unsplit = plan::unsplit(bytes, &source.server, &split);
        assert_eq!(unsplit.is_some(), version_num < 140_000, "{name}");
        assert_eq!(plan::unsplit(bytes, &source.server, &Options { split_bytes: 0, ..Options::default() }), None);
    }
}

#[test]
fn where_the_rows_go() {
    let (source, mut target) = read(HYPERTABLE);
    let tablespace =
        |target: &Target| {
            let tasks = plan::copies(&source, target, &Options::default());
            let chunk = tasks.iter().map(copy).find_map(|copy| match &copy.destination {
                plan::Destination::Chunk { tablespace, creation_time, cagg: false, .. } => {
                    assert_eq!(creation_time.as_deref(), Some("now"));
                    Some(tablespace.clone())
                }
                _ => None,
            });
            assert!(tasks.iter().any(|task| task.phase == Phase::Tiered
                && matches!(copy(task).destination, plan::Destination::Routed { .. })));
            chunk.expect("a chunk")
        };
    assert_eq!(tablespace(&target), None);
    target.tablespaces.insert("a".to_string());
    assert_eq!(tablespace(&target).as_deref(), Some("a"));

    // Compression is enabled before the rows come where a chunk is compressed as soon as it has arrived.
    for (version, early) in [("2.19.3", false), ("2.20.0", true)] {
        let (source, mut target) = read(CAGG);
        super::version(&mut target.server, version);
        let names = plan::compressed_early(&plan::copies(&source, &target, &Options::default()));
        assert_eq!(names.contains(&Name::new("public", "daily")), early, "{version}");
    }
}

#[test]
fn ranges_of_columns_go_with_what_can_hold_them() {
    let (source, mut target) = read(HYPERTABLE);
    let ranges = |target: &Target| {
        let tasks = plan::copies(&source, target, &Options::default());
        let chunk = tasks.iter().map(copy).find(|copy| copy.source.name == Name::new("i", "c5")).expect("a chunk");
        (chunk.skipping, chunk.ranges.len())
    };
    assert_eq!(ranges(&target), (true, 1));
    target.server.timescaledb.as_mut().unwrap().tsl = false;
    assert_eq!(ranges(&target), (true, 0));
}

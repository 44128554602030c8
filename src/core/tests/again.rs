//! What becomes of a run's copies under a later snapshot.

use crate::core::inventory::{Column, Inventory, SourceRelation};
use crate::core::name::Name;
use crate::core::plan::again::{self, Again, Known, Snapshot, Unfit, check_chosen, round};
use crate::core::plan::{CopyTask, Destination, Doubt, Filter, Phase, Recipe, Task, Work, task};
use serde_json::json;

/// With a table 10 that becomes a hypertable.
fn resume(known: Vec<Known>, planned: Vec<Task>, snapshots: &[Snapshot]) -> Result<Again, Unfit> {
    again::resume(known, planned, snapshots, &[10].into())
}

fn columns() -> Vec<Column> {
    serde_json::from_value(json!([{"name": "t", "type": "int", "generated": false, "binary": true}])).unwrap()
}

fn copy(oid: u32, destination: Destination) -> CopyTask {
    let name = Name::new("s", format!("r{oid}"));
    let mut copy = CopyTask { snapshot: 1, ..CopyTask::new(oid, name.clone(), destination, &columns()) };
    copy.source.guards = vec![SourceRelation { oid, name }];
    copy
}

fn table(oid: u32) -> CopyTask {
    copy(oid, Destination::Table(Name::new("s", format!("r{oid}"))))
}

fn chunk(oid: u32, root: u32, from: i64, to: i64) -> CopyTask {
    let slices = [("t".to_string(), [from, to])].into();
    let hypertable = Name::new("s", format!("h{root}"));
    copy(
        oid,
        Destination::Chunk { hypertable, root, cagg: false, slices, tablespace: None, creation_time: None, own: None },
    )
}

/// A partition of a table that becomes a hypertable.
fn partition(oid: u32, table: u32) -> CopyTask {
    let buckets = serde_json::from_value(json!({"table": table, "column": "t", "type": "int", "length": 10})).unwrap();
    let hypertable = Name::new("s", format!("h{table}"));
    copy(oid, Destination::Routed { hypertable, cagg: false, buckets: Some(buckets) })
}

fn done(id: i32, work: CopyTask) -> Known {
    Known { id, done: true, postponed: false, object: format!("o{}", work.source.oid), work }
}

fn open(id: i32, work: CopyTask) -> Known {
    Known { done: false, ..done(id, work) }
}

fn postponed(id: i32, work: CopyTask) -> Known {
    Known { postponed: true, ..open(id, work) }
}

fn planned(works: Vec<CopyTask>) -> Vec<Task> {
    works.into_iter().map(|work| task(Phase::Copy, format!("o{}", work.source.oid), 0, 0, Work::Copy(work))).collect()
}

/// Two snapshots, of which the first is of the tasks that are done.
fn snapshots(change: impl FnOnce(&mut Snapshot)) -> Vec<Snapshot> {
    let first = Snapshot { id: 1, horizon: 100, started: 7, timeline: 1, durable: true };
    let mut second = Snapshot { id: 2, horizon: 200, ..first.clone() };
    change(&mut second);
    vec![first, second]
}

/// The OIDs that are copied, and the doubts of those that are compared.
fn outcome(again: &Again) -> (Vec<u32>, Vec<Doubt>) {
    let copied = again.add.iter().filter_map(|task| match &task.work {
        Work::Copy(copy) => Some(copy.source.oid),
        _ => None,
    });
    let doubts = again.add.iter().filter_map(|task| match &task.work {
        Work::Recheck(recheck) => Some(recheck.doubt),
        _ => None,
    });
    (copied.collect(), doubts.collect())
}

#[test]
fn a_resume_compares_what_is_done_and_copies_the_rest() {
    let known = vec![done(1, table(10)), open(2, table(11)), done(3, chunk(20, 5, 0, 10))];
    let again = resume(known, planned(vec![table(10), table(11), table(12)]), &snapshots(|_| ())).unwrap();
    // The chunk is gone.
    assert_eq!(outcome(&again), (vec![11, 12], vec![Doubt::None, Doubt::Gone]));
    assert_eq!((again.forget, again.take_back.len()), (vec![2], 0));
}

#[test]
fn doubts() {
    type Change = fn(&mut CopyTask, &mut Snapshot);
    let cases: [(Change, Doubt); 9] = [
        (|_, _| (), Doubt::None),
        (|now, _| now.source.name.name = "renamed_chunk".to_string(), Doubt::None),
        (|now, _| now.recipe = Recipe::Frozen, Doubt::Changed),
        // Its compressed rows are in another relation, or in one where there was none.
        (|now, _| now.source.guards.push(SourceRelation { oid: 99, name: Name::new("s", "c") }), Doubt::Changed),
        (|now, _| now.destination = chunk(20, 5, 0, 20).destination, Doubt::Changed),
        (|_, last| last.timeline = 2, Doubt::Lost),
        // What was on disk survives a restart.
        (|_, last| last.started = 8, Doubt::None),
        (|_, last| last.horizon = 100 + (1 << 31), Doubt::Changed),
        (|_, last| last.horizon = 99 + (1 << 31), Doubt::None),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let mut now = chunk(20, 5, 0, 10);
        let snapshots = snapshots(|last| change(&mut now, last));
        let again = resume(vec![done(1, chunk(20, 5, 0, 10))], planned(vec![now]), &snapshots).unwrap();
        assert_eq!(outcome(&again).1, [expected], "case {number}");
    }
    let mut restarted = snapshots(|last| last.started = 8);
    restarted[0].durable = false;
    let again = resume(vec![done(1, table(10))], planned(vec![table(10)]), &restarted).unwrap();
    assert_eq!(outcome(&again).1, [Doubt::Lost]);
}

#[test]
fn what_was_made_anew_takes_the_place_of_the_old() {
    let new = |oid| copy(oid, Destination::Table(Name::new("s", "r10")));
    let again = resume(vec![done(1, table(10))], planned(vec![new(90)]), &snapshots(|_| ())).unwrap();
    assert_eq!(outcome(&again), (vec![], vec![Doubt::Changed]));
    // Another table is none of its business.
    let again = resume(vec![done(1, table(10))], planned(vec![table(90)]), &snapshots(|_| ())).unwrap();
    assert_eq!(outcome(&again), (vec![90], vec![]));
    assert_eq!(again.warnings, ["s.r10 no longer exists on the source: its rows stay on the target"]);
}

#[test]
fn columns_that_changed_are_refused() {
    let mut now = table(10);
    now.types = ["bigint".to_string()].into();
    let refused = resume(vec![done(1, table(10))], planned(vec![now]), &snapshots(|_| ()));
    assert_eq!(
        refused.err(),
        Some(Unfit("the columns of s.r10 have changed on the source since the run began: \"t\" is of type bigint instead of int".into()))
    );
}

#[test]
fn a_table_in_parts_begins_from_nothing() {
    let part = |(from, to)| table(10).only(Filter::Pages(from, to));
    let parts = || vec![part((0, Some(5))), part((5, None))];
    let known = vec![done(1, part((0, Some(5)))), postponed(2, part((5, None)))];
    for again in [
        resume(known.clone(), planned(parts()), &snapshots(|_| ())).unwrap(),
        round(known, planned(parts()), &inventory(json!([]))).unwrap(),
    ] {
        assert_eq!((again.take_back.clone(), outcome(&again).0), (vec![vec![1, 2]], vec![10, 10]));
    }
}

/// With the hypertable whose OID is 5, and these continuous aggregates: their hypertables'
/// OIDs, and those that they read.
fn inventory(caggs: serde_json::Value) -> Inventory {
    let server = json!({
        "version": "17", "version_num": 170000, "database": "d", "database_oid": 1, "encoding": "UTF8", "collate": "C",
        "ctype": "C", "user": "u", "superuser": true, "max_connections": 1, "max_worker_processes": 1,
        "max_locks_per_transaction": 1, "max_prepared_transactions": 0, "timescaledb": null, "system_identifier": null,
    });
    let mut inventory = Inventory::new(serde_json::from_value(server).unwrap());
    let hypertable = |oid: u32| {
        json!({"id": oid, "oid": oid, "schema": "s", "name": format!("h{oid}"), "cagg": null, "root_may_have_rows": false,
               "access_method": null, "tablespaces": [], "dimensions": [{"column": "t"}]})
    };
    inventory.hypertables = [5, 6, 7].map(|oid| serde_json::from_value(hypertable(oid)).unwrap()).into();
    inventory.caggs = caggs
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| {
            serde_json::from_value(json!({
                "oid": 1, "hypertable_id": pair[0], "schema": "s", "name": "c", "finalized": true, "time_column": "t",
                "constraints": [], "indexes": [],
                "relation": {"oid": pair[0], "schema": "s", "name": "m", "where": null, "columns": []},
                "raw": {"oid": pair[1], "schema": "s", "name": "h", "cagg": false}}))
            .unwrap()
        })
        .collect();
    inventory
}

#[test]
fn a_round_reads_what_was_postponed_and_no_more() {
    let known = vec![
        done(1, table(10)),
        postponed(2, chunk(20, 5, 0, 10)),
        done(3, chunk(21, 5, 10, 20)),
        postponed(4, table(11)),
    ];
    let now = planned(vec![table(10), chunk(20, 5, 0, 10), chunk(21, 5, 10, 20), table(12)]);
    let again = round(known, now, &inventory(json!([]))).unwrap();
    assert_eq!(outcome(&again), (vec![20], vec![]));
    assert_eq!((again.forget, again.take_back.len()), (vec![2, 4], 0));
    assert_eq!(again.warnings, ["s.r11 was dropped on the source since the snapshot: it stays empty on the target"]);
}

#[test]
fn a_round_follows_chunks_that_were_merged_or_split() {
    // 20 and 21 are one now; 22 are two.
    let known = vec![
        done(1, chunk(20, 5, 0, 10)),
        postponed(2, chunk(21, 5, 10, 20)),
        postponed(3, chunk(22, 5, 20, 30)),
        done(4, chunk(23, 5, 30, 40)),
    ];
    let now = vec![chunk(20, 5, 0, 20), chunk(22, 5, 20, 25), chunk(24, 5, 25, 30), chunk(23, 5, 30, 40)];
    let again = round(known, planned(now), &inventory(json!([]))).unwrap();
    assert_eq!((again.take_back.clone(), again.forget.clone()), (vec![vec![1]], vec![3, 2]));
    assert_eq!(outcome(&again).0, [20, 22, 24]);
}

#[test]
fn aggregates_are_read_no_earlier_than_their_rows() {
    let all = || {
        vec![
            chunk(20, 5, 100, 110),
            chunk(30, 6, 0, 50),
            chunk(31, 6, 50, 100),
            chunk(32, 6, 100, 150),
            chunk(33, 6, 150, 200),
            chunk(40, 7, 0, 100),
            chunk(41, 7, 100, 200),
            chunk(42, 7, 200, 300),
        ]
    };
    let mut known: Vec<Known> = all().into_iter().enumerate().map(|(id, work)| done(id as i32, work)).collect();
    (known[0].done, known[0].postponed) = (false, true);
    // 6 is made of 5, and 7 of 6. A bucket of the first row may begin in the chunk before.
    let again = round(known.clone(), planned(all()), &inventory(json!([[6, 5], [7, 6]]))).unwrap();
    assert_eq!(outcome(&again).0, [20, 31, 32, 40, 41]);
    let again = round(known, planned(all()), &inventory(json!([]))).unwrap();
    assert_eq!(outcome(&again).0, [20]);
}

/// Their rows are in the same chunks.
#[test]
fn partitions_are_copied_as_one() {
    let both = || planned(vec![partition(11, 10), partition(12, 10)]);
    let again =
        resume(vec![done(1, partition(11, 10)), done(2, partition(12, 10))], both(), &snapshots(|_| ())).unwrap();
    assert_eq!(outcome(&again), (vec![], vec![Doubt::None]));
    // One is new, another is gone.
    let known = || vec![done(1, partition(11, 10)), done(2, partition(13, 10))];
    let again = resume(known(), both(), &snapshots(|_| ())).unwrap();
    assert_eq!((outcome(&again), again.warnings.len()), ((vec![], vec![Doubt::None]), 0));
    for known in [
        vec![done(1, partition(11, 10)), open(2, partition(12, 10))],
        vec![done(1, partition(11, 10)), postponed(2, partition(12, 10))],
    ] {
        let again = resume(known.clone(), both(), &snapshots(|_| ())).unwrap();
        assert_eq!((outcome(&again), again.take_back), ((vec![11, 12], vec![]), vec![vec![1, 2]]));
        if known[1].postponed {
            let again = round(known, both(), &inventory(json!([]))).unwrap();
            assert_eq!((outcome(&again), again.take_back), ((vec![11, 12], vec![]), vec![vec![1, 2]]));
        }
    }
    let mut other = both();
    if let Work::Copy(copy) = &mut other[1].work {
        copy.types = ["text".to_string()].into();
    }
    // A table that was made anew has its types compared, whatever the order of columns.
    let mut known = vec![done(1, partition(13, 10))];
    let unfit = |known, now| resume(known, now, &snapshots(|_| ())).err().map(|Unfit(message)| message);
    let changed =
        |what: &str| Some(format!("the columns of s.r13 have changed on the source since the run began: {what}"));
    assert_eq!(unfit(known.clone(), other.split_off(1)), changed("\"t\" is of type text instead of int"));
    let two = |names: [&str; 2], types: [&str; 2]| {
        let mut copy = partition(14, 10);
        (copy.columns, copy.types) = (names.map(String::from).into(), types.map(String::from).into());
        copy
    };
    known[0].work = CopyTask { source: partition(13, 10).source, ..two(["a", "b"], ["int", "text"]) };
    assert_eq!(unfit(known.clone(), planned(vec![two(["b", "a"], ["text", "int"])])), None);
    assert_eq!(
        unfit(known, planned(vec![two(["b", "a"], ["int", "text"])])),
        changed("\"a\" is of type text instead of int, \"b\" is of type int instead of text")
    );
    // All partitions are gone, and the table is not.
    let again = resume(vec![done(1, partition(11, 10))], Vec::new(), &snapshots(|_| ())).unwrap();
    assert_eq!((outcome(&again), again.warnings.len()), ((vec![], vec![Doubt::Gone]), 0));
    let again = resume(vec![done(1, partition(11, 9))], Vec::new(), &snapshots(|_| ())).unwrap();
    assert_eq!((outcome(&again).1, again.warnings.len()), (vec![], 1));
    // In a round, one that is no partition any more is named, and a table that cannot be converted any more is refused.
    let known = || vec![done(1, partition(11, 10)), postponed(2, partition(12, 10))];
    let again = round(known(), planned(vec![partition(12, 10)]), &inventory(json!([]))).unwrap();
    assert_eq!(again.warnings, ["s.r11 is no longer part of s.h10 on the source: its rows are not copied"]);
    let mut source = inventory(json!([]));
    source.partitioned = serde_json::from_value(
        json!([{"oid": 10, "schema": "s", "name": "h10", "column": null, "leaves": [], "partitions": []}]),
    )
    .unwrap();
    let refused = round(known(), planned(vec![table(11), table(12)]), &source);
    assert_eq!(
        refused.err(),
        Some(Unfit("s.h10 has changed on the source so that it cannot become a hypertable".into()))
    );
    // So is a hypertable that cannot get other chunks any more: its own would be copied one by one.
    let mut source = inventory(json!([]));
    let own = json!({"id": 1, "oid": 10, "schema": "s", "name": "h10", "cagg": null, "root_may_have_rows": false, "access_method": null, "tablespaces": [], "dimensions": []});
    source.hypertables = serde_json::from_value(json!([own])).unwrap();
    let refused = round(known(), planned(vec![table(11), table(12)]), &source);
    assert_eq!(refused.err(), Some(Unfit("s.h10 has changed on the source so that it cannot get other chunks".into())));
    let mut source = inventory(json!([]));
    source.partitioned = serde_json::from_value(
        json!([{"oid": 10, "schema": "s", "name": "h10", "column": null, "leaves": [], "partitions": []}]),
    )
    .unwrap();
    // A table that has become one of its partitions has its rows there.
    source.partitioned[0].leaves.push((30, 30));
    let refused = round(vec![postponed(1, table(30))], planned(vec![partition(30, 10)]), &source);
    let unfit = "s.r30 has become a partition of s.h10 on the source since the run began";
    assert_eq!(refused.err(), Some(Unfit(unfit.into())));
    let mut other = both();
    if let Work::Copy(copy) = &mut other[1].work {
        copy.types = ["text".to_string()].into();
    }
    let known = vec![done(1, partition(11, 10)), done(2, partition(12, 10))];
    let unfit = Unfit(
        "the columns of s.r12 have changed on the source since the run began: \"t\" is of type text instead of int"
            .to_string(),
    );
    assert_eq!(resume(known, other, &snapshots(|_| ())).err(), Some(unfit));
}

#[test]
fn what_was_chosen_by_another_name_is_refused() {
    let known = [done(1, table(77))];
    let check = |name: &str| check_chosen(&known, [(77, Name::new("s", name))].into(), &inventory(json!([])));
    assert!(check("r77").is_ok());
    let Err(Unfit(message)) = check("other") else { panic!("not refused") };
    assert_eq!(message, "s.r77 was renamed to s.other on the source since the run began");
}

//! Tables that become hypertables.

use super::{HYPERTABLE, PLAIN, read};
use crate::core::conversion::{self, Facts};
use crate::core::inventory::{Inventory, PG_CLASS, PG_CONSTRAINT};
use crate::core::options::Options;
use crate::core::plan::{self, Destination, Filter, Work};
use crate::core::scan::with_columns;
use crate::core::scope::Left;
use serde_json::{Value, json};

/// The table of the document, with a primary key, a unique index and a foreign key to the former.
fn facts(oid: u32) -> Value {
    json!({
        "oid": oid, "owner": "o", "of_superuser": false, "tablespace": null, "unlogged": [], "typed": false,
        "partition_of": null, "foreign_partitions": [], "of_partitions": [],
        "row_security": false, "inherits": false, "rules": [], "transition_triggers": [], "no_inherit_checks": [], "publications": [],
        "referenced_by": [{"name": "f", "key": 101, "table": {"schema": "ext", "name": "config"}}],
        "columns": [
            {"name": "ts", "type": "timestamp with time zone", "not_null": true, "generated": false, "deterministic": true, "hashable": true, "sortable": true},
            {"name": "id", "type": "integer", "not_null": true, "generated": false, "deterministic": true, "hashable": true, "sortable": true}],
        "indexes": [
            {"oid": 101, "name": "pk", "constraint": 201, "unique": true, "exclusion": false, "columns": ["id", "ts"]},
            {"oid": 102, "name": "ux", "constraint": null, "unique": true, "exclusion": false, "columns": [null]},
            {"oid": 103, "name": "ix", "constraint": null, "unique": false, "exclusion": false, "columns": ["id"]}],
    })
}

/// What comes of an entry for the document's table.
fn convert(entry: Value, change: impl Fn(&mut Value)) -> (Inventory, Vec<Left>) {
    let (mut source, target) = (read(PLAIN).0, read(HYPERTABLE).1);
    let options = json!({"hypertables": {"public.t": entry}, "split_bytes": 1_000_000}).to_string();
    let options = Options::parse(&options).unwrap();
    let (wanted, told, _) = conversion::wanted(&options, &source);
    assert_eq!((wanted.len(), told), (1, Vec::new()));
    let mut facts = facts(wanted[0].oid);
    change(&mut facts);
    let facts: Facts = serde_json::from_value(facts).unwrap();
    let left = conversion::convert(&mut source, &wanted, &[facts], &target.server, &options);
    (source, left)
}

#[test]
fn a_table_is_copied_in_parts_into_its_hypertable() {
    let entry = json!({"time": "ts", "hash": {"column": "id", "partitions": 3}, "indexes": true, "keys": "extend"});
    let (source, left) = convert(entry, |_| ());
    assert_eq!(
        left.iter().map(|left| left.detail.as_str()).collect::<Vec<_>>(),
        [
            r#"Arrives with chunks of 7 days by "ts", in 3 partitions by the hash of "id". Its unique index "ux" gets "ts" and "id"."#
        ]
    );
    assert!(left.iter().all(|left| !left.refused));
    let own = &source.hypertables[0];
    assert!(own.is_converted() && own.spec["dimensions"][0]["interval_length"] == 604_800_000_000_i64);
    assert_eq!(own.spec["dimensions"][1]["num_slices"], 3);
    assert_eq!(own.indexes, [vec!["ts".to_string()], vec!["id".to_string(), "ts".to_string()]][..1]);
    assert!(source.extended[&(PG_CLASS, 102)] == ["ts", "id"] && !source.extended.contains_key(&(PG_CONSTRAINT, 201)));
    assert!(source.plain_tables().all(|table| table.name != "t"));
    let (_, target) = read(PLAIN);
    let tasks = plan::copies(&source, &target, &Options { split_bytes: 1_000_000, ..Options::default() });
    let parts = tasks.iter().filter(|task| match &task.work {
        Work::Copy(copy) => {
            matches!(&copy.destination, Destination::Routed { buckets: Some(_), hypertable, .. } if hypertable.name == "t")
                && matches!(copy.filter, Filter::Pages(..))
                && !copy.owns_relation
        }
        _ => false,
    });
    assert_eq!(parts.count(), 9);
}

#[test]
fn what_stands_in_the_way() {
    let refused = |entry: Value, change: fn(&mut Value)| -> Vec<String> {
        let (source, left) = convert(entry, change);
        assert_eq!(source.hypertables.is_empty(), left.iter().any(|left| left.refused));
        left.into_iter().filter(|left| left.refused).map(|left| left.detail).collect()
    };
    let plain = || json!({"time": "ts", "keys": "extend"});
    assert_eq!(refused(plain(), |_| ()), Vec::<String>::new());
    assert_eq!(refused(json!({"time": "ts"}), |_| ()), ["has the unique index \"ux\", which lacks \"ts\""]);
    let key = "has the unique or primary key \"pk\", which lacks \"ts\", and is referenced by foreign key \"f\" of ext.config";
    assert_eq!(refused(plain(), |facts| facts["indexes"][0]["columns"] = json!(["id"])), [key]);
    let not_arriving: fn(&mut Value) = |facts| {
        facts["indexes"][0]["columns"] = json!(["id"]);
        facts["referenced_by"][0]["table"]["name"] = json!("left_out");
    };
    assert_eq!(refused(plain(), not_arriving), Vec::<String>::new());
    let hash = || json!({"time": "ts", "hash": {"column": "id", "partitions": 3}, "keys": "extend"});
    let nullable = "has the unique index \"ux\", which lacks \"ts\" and \"id\", which may be NULL: the key would not be enforced for such rows";
    assert_eq!(refused(hash(), |facts| facts["columns"][1]["not_null"] = json!(false)), [nullable]);
    assert_eq!(refused(hash(), |facts| facts["columns"][1]["deterministic"] = json!(false)).len(), 1);
    let many: fn(&mut Value) = |facts| {
        facts["unlogged"] = json!([["public.t", true]]);
        facts["rules"] = json!(["r"]);
        facts["columns"][0]["generated"] = json!(true);
        facts["columns"][0]["type"] = json!("date");
    };
    assert_eq!(refused(json!({"time": "ts", "chunk_interval": "1 hour", "keys": "extend"}), many).len(), 4);
    let packed =
        json!({"time": "id", "chunk_interval": 3_000_000_000_i64, "keys": "extend", "compress": {"after": "1 day"}});
    assert_eq!(refused(packed, |_| ()).len(), 2);
}

#[test]
fn keys_get_columns_at_their_end() {
    for (definition, longer) in [
        (
            "ALTER TABLE ONLY s.\"t (\"\n    ADD CONSTRAINT k PRIMARY KEY (a);\n",
            "ALTER TABLE ONLY s.\"t (\"\n    ADD CONSTRAINT k PRIMARY KEY (a, \"ts\");\n",
        ),
        (
            "CREATE UNIQUE INDEX i ON s.t USING btree (lower(('a)'::text || b)), c) INCLUDE (d) WHERE (c > 0);",
            "CREATE UNIQUE INDEX i ON s.t USING btree (lower(('a)'::text || b)), c, \"ts\") INCLUDE (d) WHERE (c > 0);",
        ),
    ] {
        assert_eq!(with_columns(definition, "\"ts\"").as_deref(), Some(longer));
    }
    assert_eq!(with_columns("nothing", "\"ts\""), None);
}

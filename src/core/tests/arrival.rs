//! What becomes of tables in an existing schema.

use super::{HYPERTABLE, PLAIN, read};
use crate::core::arrival::{self, Here, Standing, StandingColumn, Way};
use crate::core::inventory::Inventory;
use crate::core::name::Name;
use crate::core::options::Options;
use std::collections::{HashMap, HashSet};

/// A table of the target as it is on the source, by another OID.
fn standing(source: &Inventory) -> HashMap<Name, Standing> {
    let of = |relation: &crate::core::inventory::Relation| Standing {
        oid: relation.oid + 1000,
        schema: relation.schema.clone(),
        name: relation.name.clone(),
        kind: "r".to_string(),
        owner: relation.owner.clone().unwrap_or_default(),
        columns: relation
            .columns
            .iter()
            .map(|column| StandingColumn {
                name: column.name.clone(),
                type_name: column.type_name.clone(),
                collation: None,
                not_null: false,
                given: false,
                generated: column.generated,
            })
            .collect(),
        rules: false,
        made: false,
        constrained: false,
    };
    source.relations.iter().map(|relation| (relation.qualified(), of(relation))).collect()
}

#[test]
fn a_hypertable_comes_chunk_by_chunk_where_it_fits() {
    let (mut source, _) = read(HYPERTABLE);
    source.skipping.clear();
    let mut own = source.clone();
    own.chunks.clear();
    let oid = source.hypertables[0].oid;
    let way = |own: &Inventory| {
        let here =
            Here { inventory: own, standing: standing(&source), filled: HashSet::new(), adopted: HashMap::new() };
        let (arrivals, left) = arrival::of(&source, &here, &Options::default());
        assert_eq!(left, []);
        arrivals[&oid].way
    };
    assert_eq!(way(&own), Way::Chunks);
    // It has chunks of its own.
    assert_eq!(way(&source), Way::Routed);
    let mut other = own.clone();
    other.hypertables[0].spec["dimensions"] = serde_json::json!([{"column": "other", "open": true}]);
    assert_eq!(way(&other), Way::Routed);
    own.hypertables.clear();
    assert_eq!(way(&own), Way::Flat);
}

#[test]
fn everything_that_does_not_fit_is_told_at_once() {
    let (source, _) = read(PLAIN);
    let own = Inventory { relations: source.relations.clone(), ..Inventory::new(source.server.clone()) };
    let told = |change: &dyn Fn(&mut Standing), filled: bool, options: &str| -> Vec<String> {
        let mut all = standing(&source);
        all.values_mut().for_each(change);
        let filled = if filled { all.values().map(|standing| standing.oid).collect() } else { HashSet::new() };
        let here = Here { inventory: &own, standing: all, filled, adopted: HashMap::new() };
        let (_, left) = arrival::of(&source, &here, &Options::parse(options).unwrap());
        left.iter().filter(|left| left.refused).map(|left| left.detail.clone()).collect()
    };
    let data = r#"{"mode": "data"}"#;
    assert_eq!(told(&|_| {}, false, data), [""; 0]);
    assert_eq!(told(&|_| {}, true, r#"{"mode": "data", "into": "any"}"#), [""; 0]);
    // The other one is a member of an extension.
    assert_eq!(told(&|_| {}, true, data), ["is not empty on the target"]);
    assert!(told(&|standing| standing.kind = "v".into(), false, data)[0].starts_with("is not an ordinary table"));
    // One of the tables has no column.
    let first = |change: fn(&mut StandingColumn)| {
        told(&|standing: &mut Standing| standing.columns.first_mut().into_iter().for_each(change), false, data)
    };
    assert!(
        first(|column| column.type_name = "smallint".into())[0].starts_with("has type smallint on the target and ")
    );
    assert!(first(|column| column.generated = true)[0].starts_with("is generated"));
    let missing = told(&|standing| standing.columns.clear(), false, data);
    let told = ["and does not exist on the target", "is generated on the source, but not on the target"];
    assert!(missing.iter().all(|detail| told.iter().any(|end| detail.ends_with(end))) && !missing.is_empty());
}

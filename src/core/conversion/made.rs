//! What is made of a table that becomes a hypertable, as the inventory would list it.

use super::{Facts, Wanted};
use crate::core::inventory::{Compression, Hypertable, Inventory, Partitioned, Relation};
use crate::core::name::quoted;
use crate::core::options::{Compress, Form, Interval, Mode, Options, Policies, Span};
use serde_json::{Value, json};

impl Form {
    pub(super) fn dimensions(&self) -> impl Iterator<Item = &String> {
        let time = Some(&self.time).filter(|time| !time.is_empty());
        time.into_iter().chain(self.hash.iter().map(|hash| &hash.column))
    }

    /// In TimescaleDB's units.
    pub(super) fn interval_length(&self) -> i64 {
        match &self.chunk_interval {
            Some(Span::Number(number)) => *number,
            Some(Span::Interval(interval)) => interval.microseconds(),
            None => 7 * 86_400 * 1_000_000,
        }
    }

    /// As of the option, from when on chunks are compressed.
    pub(super) fn compress_after(&self) -> Option<String> {
        let after = self.compress.as_ref()?.after.as_ref()?.interval()?;
        Some(after.text().to_string())
    }

    /// Whether a hypertable of the source gets other chunks.
    pub(super) fn is_divided(&self) -> bool {
        self.chunk_interval.is_some() || self.hash.is_some()
    }

    /// What is told about it; `own`: it is a hypertable on the source.
    pub(super) fn shown(&self, own: bool, options: &Options) -> String {
        let interval = self.chunk_interval.as_ref().map(|interval| match interval {
            Span::Number(number) => number.to_string(),
            Span::Interval(interval) => interval.text().to_string(),
        });
        let hash = self
            .hash
            .as_ref()
            .map(|hash| format!(", in {} partitions by the hash of {}", hash.partitions, quoted(&hash.column)))
            .unwrap_or_default();
        let arrives = match (own, interval) {
            (false, interval) => {
                let interval = interval.as_deref().unwrap_or("7 days");
                format!("Arrives with chunks of {interval} by {}{hash}.", quoted(&self.time))
            }
            (true, Some(interval)) => format!("Arrives with other chunks than on the source: of {interval}{hash}."),
            (true, None) if self.is_divided() => format!("Arrives with other chunks than on the source{hash}."),
            (true, None) => "Arrives with its chunks.".to_string(),
        };
        let after = self.compress.as_ref().map(|compress| match &compress.after {
            Some(Span::Interval(after)) => format!(" Chunks older than {} are compressed.", after.text()),
            _ => " It has compression.".to_string(),
        });
        let retention = self.retention.as_ref().and_then(Span::interval);
        let retention = retention.and_then(|interval| {
            let begins = match (options.policies, options.mode) {
                (Policies::Skip, _) => return None,
                (Policies::Copy, Mode::All) => "When the run is done, a policy",
                _ => "A policy, paused at first,",
            };
            Some(format!(" {begins} drops chunks older than {}.", interval.text()))
        });
        [arrives, after.unwrap_or_default(), retention.unwrap_or_default()].concat()
    }
}

impl Span {
    fn interval(&self) -> Option<&Interval> {
        match self {
            Span::Interval(interval) => Some(interval),
            Span::Number(_) => None,
        }
    }
}

/// As `hypertables.sql` would list it.
pub(super) fn hypertable(id: i32, wanted: &Wanted, facts: &Facts) -> Hypertable {
    let form = &wanted.form;
    let type_of = |column: &str| facts.columns.iter().find(|own| own.name == column).map(|own| &own.type_name);
    let mut dimensions = vec![json!({
        "column": form.time, "type": type_of(&form.time), "open": true, "interval_length": form.interval_length(),
    })];
    dimensions.extend(form.hash.iter().map(|hash| {
        json!({"column": hash.column, "type": type_of(&hash.column), "open": false, "num_slices": hash.partitions})
    }));
    let spec = json!({
        "schema": wanted.name.schema,
        "name": wanted.name.name,
        "associated_schema_name": "_timescaledb_internal",
        "dimensions": dimensions,
    });
    Hypertable {
        indexes: indexes(form, &form.time, facts),
        compress_after: form.compress_after(),
        ..Hypertable::new(id, wanted.oid, &wanted.name, facts.tablespace.iter().cloned().collect(), spec)
    }
}

/// Indexes besides those of the table.
pub(super) fn indexes(form: &Form, time: &str, facts: &Facts) -> Vec<Vec<String>> {
    let hashed = form.hash.iter().map(|hash| vec![hash.column.clone(), time.to_string()]);
    let wanted = std::iter::once(vec![time.to_string()]).chain(hashed).filter(|_| form.indexes);
    wanted.filter(|columns| !facts.indexes.iter().any(|index| index.begins_with(columns))).collect()
}

/// Gives a hypertable of the source other dimensions, so that its rows go to other chunks.
pub(super) fn divide(hypertable: &mut Hypertable, form: &Form, facts: &Facts) {
    hypertable.converted = true;
    let dimensions = &mut hypertable.spec["dimensions"];
    if form.chunk_interval.is_some() {
        dimensions[0]["interval_length"] = form.interval_length().into();
    }
    if let Some(hash) = &form.hash {
        let type_name = facts.columns.iter().find(|own| own.name == hash.column).map(|own| &own.type_name);
        let hash = json!({"column": hash.column, "type": type_name, "open": false, "num_slices": hash.partitions});
        *dimensions = json!([dimensions[0], hash]);
    }
    hypertable.dimensions = serde_json::from_value(dimensions.clone()).unwrap_or_default();
}

/// A partitioned table as `relations.sql` would list it if it were an ordinary one, and those of its partitions whose rows
/// arrive.
pub(super) fn of_partitions(table: &Partitioned, inventory: &Inventory) -> (Relation, Vec<u32>) {
    let is_leaf = |relation: &&Relation| table.leaves.iter().any(|leaf| leaf.0 == relation.oid);
    let leaves = || inventory.relations.iter().filter(is_leaf);
    let root = Relation {
        oid: table.oid,
        schema: table.schema.clone(),
        name: table.name.clone(),
        owner: None,
        condition: None,
        // All have the same, by their names.
        columns: leaves().next().map(|leaf| leaf.columns.clone()).unwrap_or_default(),
    };
    (root, leaves().map(|leaf| leaf.oid).filter(|oid| !inventory.selection.is_empty(*oid)).collect())
}

/// As `compression.sql` would.
pub(super) fn compression(hypertable_id: i32, compress: &Compress) -> Compression {
    let orders = || compress.orderby.iter().flatten();
    let order = |values: Vec<Value>| compress.orderby.is_some().then_some(values);
    let settings = json!({
        "segmentby": compress.segmentby,
        "orderby": order(orders().map(|o| json!(o.column)).collect()),
        "orderby_desc": order(orders().map(|o| json!(o.descending)).collect()),
        "orderby_nullsfirst": order(orders().map(|o| json!(o.nulls_first)).collect()),
        "index": null,
    });
    Compression { hypertable_id, spec: json!({"settings": settings, "late": {}}) }
}

/// The hypertable as jobs name it.
pub(super) fn named(wanted: &Wanted) -> Value {
    json!({"schema": wanted.name.schema, "name": wanted.name.name, "cagg": false})
}

/// Policies as `jobs.sql` would list them, with the defaults of TimescaleDB's own functions. `interval`: of a chunk, in
/// TimescaleDB's units.
pub(super) fn policies(wanted: &Wanted, facts: &Facts, interval: i64) -> Vec<Value> {
    let form = &wanted.form;
    let named = named(wanted);
    let policy = |title: &str, what: &str, every: String, runtime: &str, retry: &str, config: Value| {
        json!({
            // The next one that is free.
            "id": null,
            "kind": "policy",
            "application_name": format!("{title} Policy"),
            "schedule_interval": every,
            "max_runtime": runtime,
            "max_retries": -1,
            "retry_period": retry,
            "proc_schema": "_timescaledb_functions",
            "proc_name": format!("policy_{what}"),
            "check_schema": "_timescaledb_functions",
            "check_name": format!("policy_{what}_check"),
            "owner": facts.owner,
            "of_superuser": facts.of_superuser,
            "scheduled": true,
            "fixed_schedule": false,
            "hypertable": named,
            "config": config.to_string(),
            "chunk_stats": [],
        })
    };
    let mut all = Vec::new();
    if let Some(after) = form.compress_after() {
        // Half of a chunk's length, and no more than 12 hours.
        let every = (interval / 2 / 1_000_000).clamp(1, 12 * 3600);
        let every = format!("{:02}:{:02}:{:02}", every / 3600, every / 60 % 60, every % 60);
        let config = json!({"hypertable_id": named, "compress_after": after});
        all.push(policy("Columnstore", "compression", every, "0", "1 hour", config));
    }
    if let Some(retention) = form.retention.as_ref().and_then(Span::interval) {
        let config = json!({"hypertable_id": named, "drop_after": retention.text()});
        all.push(policy("Retention", "retention", "1 day".to_string(), "5 minutes", "5 minutes", config));
    }
    all
}

//! What keeps a table from becoming a hypertable, and a hypertable from getting compression and policies.

use super::{Column, Facts, Index, Wanted, refused};
use crate::core::inventory::{Hypertable, Inventory, Object, Server, Timescaledb};
use crate::core::name::{Name, quoted};
use crate::core::options::{Compress, Keys, Span};
use crate::core::progress;
use crate::core::scope::{EDITION, Left};
use std::collections::HashSet;

pub(super) struct Check<'a> {
    wanted: &'a Wanted,
    facts: &'a Facts,
    pub left: Vec<Left>,
    /// What else to tell of a table that nothing stands in the way of.
    pub told: Vec<String>,
    /// Unique keys and indexes that get further columns.
    pub extended: Vec<(Object, Vec<String>)>,
}

impl<'a> Check<'a> {
    pub fn new(wanted: &'a Wanted, facts: &'a Facts) -> Check<'a> {
        Check { wanted, facts, left: Vec::new(), told: Vec::new(), extended: Vec::new() }
    }

    fn refuse(&mut self, detail: impl Into<String>, hint: impl Into<String>) {
        self.left.push(refused(&self.wanted.name, detail, hint));
    }

    /// The column of that name, which a field of the entry names.
    fn column(&mut self, field: &str, name: &str) -> Option<&'a Column> {
        let found = self.facts.columns.iter().find(|column| column.name == name);
        if found.is_none() {
            let hint = "Name a column as the catalog has it, without quotes.";
            self.refuse(format!("has no column {}, which {field} names", quoted(name)), hint);
        }
        found
    }

    pub fn all(&mut self, inventory: &Inventory, names: &HashSet<Name>, target: &Server) {
        if !target.timescaledb.as_ref().is_some_and(Timescaledb::is_known_target) {
            let detail = "is to become a hypertable, and this database has no TimescaleDB that a run can write to";
            self.refuse(detail, "CREATE EXTENSION timescaledb; -- on the target, 2.19 or newer");
            return;
        }
        self.table();
        self.time();
        self.hash();
        self.keys(inventory);
        self.foreign_keys(inventory, names);
        self.edition(target);
    }

    /// Of a hypertable of the source, which keeps its column of time, and its chunks unless others are asked for.
    pub fn own(&mut self, own: &Hypertable, inventory: &Inventory, target: &Server) {
        let form = &self.wanted.form;
        let Some(first) = own.dimensions.first() else { return };
        if !form.time.is_empty() && form.time != first.column {
            let detail = format!("is a hypertable by {} on the source", quoted(&first.column));
            self.refuse(detail, "Leave time out of its entry.");
        }
        if let Some(column) = self.column("time", &first.column) {
            let kind = TimeType::of(&column.type_name);
            self.spans(kind, column);
            if form.is_divided() {
                let given = kind.filter(|_| form.chunk_interval.is_some());
                given.iter().for_each(|kind| self.interval(*kind, column));
                self.divided(own, kind.is_some(), inventory);
            }
        }
        self.edition(target);
    }

    /// What keeps a hypertable from getting other chunks.
    fn divided(&mut self, own: &Hypertable, is_time: bool, inventory: &Inventory) {
        let hint = "Leave chunk_interval and hash out of its entry.";
        let dimensions = own.spec["dimensions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_time = is_time && dimensions.first().is_some_and(|time| time["partitioning_func"].is_null());
        let is_simple = match dimensions {
            [_] => true,
            [_, hash] => hash["open"] == false && hash["partitioning_func"] == "get_partition_hash",
            _ => false,
        };
        if !is_time || !is_simple {
            self.refuse("has dimensions other than a time and a hash, and cannot get other chunks", hint);
        }
        if self
            .wanted
            .form
            .hash
            .as_ref()
            .is_some_and(|hash| Some(&hash.column) == own.dimensions.first().map(|d| &d.column))
        {
            self.refuse("has the same column for time and hash", "Choose another column for hash.");
        }
        if own.root_may_have_rows {
            self.refuse("may have rows that are in none of its chunks, and cannot get other chunks", hint);
        }
        if inventory.chunks_of(own).any(|chunk| chunk.osm) {
            self.refuse("has rows in tiered storage, and cannot get other chunks", hint);
        }
        if inventory.selection.filters.contains_key(&own.oid) {
            self.refuse("cannot get other chunks and lose rows by time_range at the same time", hint);
        }
        self.hash();
        self.keys(inventory);
    }

    /// Compression and policies.
    fn edition(&mut self, target: &Server) {
        let form = &self.wanted.form;
        form.compress.iter().for_each(|compress| self.compress(compress));
        if !target.community() && (form.compress.is_some() || form.retention.is_some()) {
            self.refuse("is to have compression or a policy, which exist only in the Community edition", EDITION);
        }
    }

    /// What a hypertable cannot be or have.
    fn table(&mut self) {
        let (name, facts) = (&self.wanted.name, self.facts);
        for partition in &facts.foreign_partitions {
            let hint = format!("ALTER TABLE {name} DETACH PARTITION {partition}; -- on the source");
            self.refuse(format!("has the partition {partition}, which is a foreign table"), hint);
        }
        if !facts.of_partitions.is_empty() {
            let own = progress::listed(&facts.of_partitions);
            self.told.push(format!("What its partitions have and it has not does not arrive: {own}."));
        }
        if let Some(table) = &facts.partition_of {
            let hint = format!("Name {table} in the option hypertables, or leave both out of it.");
            self.refuse(format!("is a partition of {table}"), hint);
        } else if facts.inherits {
            self.refuse(
                "inherits from another table, or another table inherits from it",
                "End the inheritance on the source, or leave the table out of the option hypertables.",
            );
        }
        if facts.typed {
            self.refuse("is of a composite type", format!("ALTER TABLE {name} NOT OF; -- on the source"));
        }
        for (unlogged, itself) in &facts.unlogged {
            let what =
                if *itself { "is unlogged".to_string() } else { format!("has the unlogged partition {unlogged}") };
            self.refuse(what, format!("ALTER TABLE {unlogged} SET LOGGED; -- on the source"));
        }
        for rule in &facts.rules {
            let hint = format!("DROP RULE {} ON {name}; -- on the source", quoted(rule));
            self.refuse(format!("has the rule {}, and a hypertable can have none", quoted(rule)), hint);
        }
        for (trigger, ..) in facts.transition_triggers.iter().filter(|(_, row, _)| *row) {
            self.transition(trigger, "a row trigger with a transition table, which no hypertable can have");
        }
        for check in &facts.no_inherit_checks {
            let hint = format!("ALTER TABLE {name} DROP CONSTRAINT {}; -- on the source", quoted(check));
            self.refuse(format!("has the constraint {}, which is NO INHERIT", quoted(check)), hint);
        }
    }

    fn transition(&mut self, trigger: &str, what: &str) {
        let hint = format!("DROP TRIGGER {} ON {}; -- on the source", quoted(trigger), self.wanted.name);
        self.refuse(format!("has {}, {what}", quoted(trigger)), hint);
    }

    fn time(&mut self) {
        let (form, name) = (&self.wanted.form, &self.wanted.name);
        if form.time.is_empty() {
            self.refuse("is no hypertable on the source, and time is missing", "Name its time column in its entry.");
            return;
        }
        let Some(column) = self.column("time", &form.time) else { return };
        let shown = quoted(&column.name);
        if column.generated {
            self.refuse(
                format!("has the generated column {shown}, which cannot be a dimension"),
                "Choose another column.",
            );
        }
        if !column.not_null {
            let hint = format!("ALTER TABLE {name} ALTER COLUMN {shown} SET NOT NULL; -- on the source");
            self.refuse(format!("has the time column {shown}, which may be NULL"), hint);
        }
        let Some(kind) = TimeType::of(&column.type_name) else {
            self.refuse(
                format!("has the time column {shown} of type {}", column.type_name),
                "Choose a column of type timestamp with or without time zone, date, smallint, integer or bigint.",
            );
            return;
        };
        self.interval(kind, column);
        self.spans(Some(kind), column);
    }

    /// How long chunks are.
    fn interval(&mut self, kind: TimeType, column: &Column) {
        let (form, shown) = (&self.wanted.form, quoted(&column.name));
        match (kind, &form.chunk_interval) {
            (TimeType::Integer(most), Some(Span::Number(length))) if *length <= most => {}
            (TimeType::Integer(most), _) => self.refuse(
                format!(
                    "has the time column {shown} of type {}, which needs chunk_interval as a number",
                    column.type_name
                ),
                format!("Give a number from 1 to {most}."),
            ),
            (_, Some(Span::Number(_))) => self.refuse(
                format!("has the time column {shown} of type {}, and chunk_interval is a number", column.type_name),
                "Give an interval such as \"7 days\".",
            ),
            (TimeType::Date, Some(Span::Interval(interval))) if !interval.is_of_days() => self
                .refuse("has a time column of type date, and chunk_interval is not of whole days", "Give whole days."),
            _ => {}
        }
    }

    /// How old chunks are that something is done with.
    fn spans(&mut self, kind: Option<TimeType>, column: &Column) {
        let (form, shown) = (&self.wanted.form, quoted(&column.name));
        let spans = [
            ("compress.after", form.compress.as_ref().and_then(|compress| compress.after.as_ref())),
            ("retention", form.retention.as_ref()),
        ];
        for (field, span) in spans {
            match (kind, span) {
                (_, None) => {}
                (Some(TimeType::Integer(_)) | None, Some(_)) => self.refuse(
                    format!("has the time column {shown} of type {}: {field} is not supported", column.type_name),
                    "Leave it out, call set_integer_now_func after the run, and add the policy then.",
                ),
                (_, Some(Span::Number(_))) => self.refuse(
                    format!("has the time column {shown} of type {}, and {field} is a number", column.type_name),
                    "Give an interval such as \"7 days\".",
                ),
                _ => {}
            }
        }
    }

    fn hash(&mut self) {
        let Some(hash) = &self.wanted.form.hash else { return };
        let Some(column) = self.column("hash.column", &hash.column) else { return };
        let shown = quoted(&column.name);
        let hint = "Choose another column for hash.";
        if !column.hashable {
            self.refuse(format!("has column {shown} of type {}, which has no hash", column.type_name), hint);
        }
        if column.generated {
            self.refuse(format!("has the generated column {shown}, which cannot be a dimension"), hint);
        }
        if !column.deterministic {
            let why = "equal values may have different hashes, so that rows would not be found";
            self.refuse(format!("has column {shown} with a nondeterministic collation: {why}"), hint);
        }
    }

    /// Unique keys have to have the columns of all dimensions.
    fn keys(&mut self, inventory: &Inventory) {
        let (form, facts) = (&self.wanted.form, self.facts);
        let arrives = |name: &Name| inventory.tables().any(|table| table.qualified() == *name);
        let nullable = |name: &&String| facts.columns.iter().any(|column| column.name == **name && !column.not_null);
        for index in facts.indexes.iter().filter(|index| index.unique || index.exclusion) {
            let missing: Vec<String> = form.dimensions().filter(|column| !index.has(column)).cloned().collect();
            if missing.is_empty() {
                continue;
            }
            let shown: Vec<String> = missing.iter().map(|column| quoted(column)).collect();
            let (what, key) = (index.what(), quoted(&index.name));
            let detail = format!("has the {what} {key}, which lacks {}", shown.join(" and "));
            let referring = (facts.referenced_by.iter()).find(|key| key.key == index.oid && arrives(&key.table));
            match (form.keys, referring) {
                _ if index.exclusion => {
                    self.refuse(detail, "Drop it on the source, or add the columns to it there.");
                }
                (Keys::Refuse, _) => {
                    let hint = "Add the columns on the source, or set \"keys\": \"extend\" in the entry of the table.";
                    self.refuse(detail, hint);
                }
                (Keys::Extend, Some(reference)) => self.refuse(
                    format!(
                        "{detail}, and is referenced by foreign key {} of {}",
                        quoted(&reference.name),
                        reference.table.shown()
                    ),
                    format!(
                        "ALTER TABLE {} DROP CONSTRAINT {}; -- on the source",
                        reference.table,
                        quoted(&reference.name)
                    ),
                ),
                (Keys::Extend, None) if missing.iter().any(|name| nullable(&name)) => self.refuse(
                    format!("{detail}, which may be NULL: the key would not be enforced for such rows"),
                    format!("Set it NOT NULL on the source, or drop {key} there."),
                ),
                (Keys::Extend, None) => {
                    self.told.push(format!("Its {what} {key} gets {}.", shown.join(" and ")));
                    self.extended.push((index.object(), missing));
                }
            }
        }
    }

    /// No foreign key is between hypertables.
    fn foreign_keys(&mut self, inventory: &Inventory, names: &HashSet<Name>) {
        let is_hypertable = |name: &Name| {
            names.contains(name) || inventory.hypertables.iter().any(|hypertable| hypertable.known_as() == *name)
        };
        let name = &self.wanted.name;
        let all: Vec<_> =
            inventory.foreign_keys.iter().filter(|key| key.table == *name || key.references == *name).collect();
        for key in all {
            let other = if key.table == *name { &key.references } else { &key.table };
            if is_hypertable(other) {
                let of = if other == name { "itself".to_string() } else { format!("hypertable {}", other.shown()) };
                let what = match key.table == *name {
                    true => format!("has the foreign key {}, which references {of}", quoted(&key.name)),
                    false => format!("is referenced by the foreign key {} of {of}", quoted(&key.name)),
                };
                self.refuse(
                    format!("{what}; foreign keys between hypertables are not supported"),
                    format!("ALTER TABLE {} DROP CONSTRAINT {}; -- on the source", key.table, quoted(&key.name)),
                );
            }
        }
    }

    fn compress(&mut self, compress: &Compress) {
        let facts = self.facts;
        for (trigger, ..) in facts.transition_triggers.iter().filter(|(_, row, delete)| !row && *delete) {
            let what = "a trigger for DELETE with a transition table, which no hypertable with compression can have";
            self.transition(trigger, what);
        }
        for column in compress.segmentby.iter().flatten() {
            if let Some(column) = self.column("compress.segmentby", column).filter(|own| !own.sortable && !own.hashable)
            {
                let detail = format!(
                    "cannot be segmented by {}: type {} has no equality",
                    quoted(&column.name),
                    column.type_name
                );
                self.refuse(detail, "Choose another column.");
            }
        }
        for order in compress.orderby.iter().flatten() {
            if let Some(column) = self.column("compress.orderby", &order.column).filter(|own| !own.sortable) {
                let detail =
                    format!("cannot be ordered by {}: type {} has no order", quoted(&column.name), column.type_name);
                self.refuse(detail, "Choose another column.");
            }
        }
        for index in facts.indexes.iter().filter(|index| index.exclusion) {
            let detail = format!("has the {} {}, which compression does not allow", index.what(), quoted(&index.name));
            self.refuse(detail, "Drop it on the source, or leave compress out.");
        }
        if facts.row_security {
            self.refuse(
                "has row security, which compression does not allow",
                "Leave compress out, or disable it on the source.",
            );
        }
        if let Some(column) = facts.columns.iter().find(|column| column.name.starts_with("_ts_meta_")) {
            let detail = format!("has column {}: compression reserves such names", quoted(&column.name));
            self.refuse(detail, "Rename it on the source, or leave compress out.");
        }
    }
}

impl Index {
    fn what(&self) -> &'static str {
        match (self.exclusion, self.constraint.is_some()) {
            (true, _) => "exclusion constraint",
            (_, true) => "unique or primary key",
            _ => "unique index",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum TimeType {
    Time,
    Date,
    /// With the largest interval.
    Integer(i64),
}

impl TimeType {
    fn of(name: &str) -> Option<TimeType> {
        Some(match name {
            "timestamp with time zone" | "timestamp without time zone" => TimeType::Time,
            "date" => TimeType::Date,
            "smallint" => TimeType::Integer(i16::MAX.into()),
            "integer" => TimeType::Integer(i32::MAX.into()),
            "bigint" => TimeType::Integer(i64::MAX),
            _ => return None,
        })
    }
}

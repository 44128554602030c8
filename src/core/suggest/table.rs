//! A table of the source that may become a hypertable.

use super::interval::{self, Growth, Interval};
use super::time::{self, Clock, Time};
use super::{Facts, Reference, Suggestion, Target, compress};
use crate::core::name::{Name, quoted};
use crate::core::progress::size;
use serde_json::{Value, json};

/// An ordinary or partitioned table.
#[derive(Clone, Debug)]
pub struct Table {
    pub name: Name,
    pub rows: i64,
    /// Without indexes.
    pub bytes: i64,
    /// With them.
    pub whole: i64,
    /// The same of the part of it that the statistics are of.
    pub part: i64,
    /// The first column that it is partitioned by.
    pub partitioned_by: Option<String>,
    pub facts: Facts,
}

/// Updates for each row that was inserted: beyond it a table is not one of measurements or events.
const MOST_UPDATES: f64 = 0.1;

/// A column in a sentence.
pub fn shown(column: &str) -> String {
    let plain = column.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && column.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { column.to_string() } else { quoted(column) }
}

fn listed<'a, T: AsRef<str> + 'a>(columns: impl Iterator<Item = T>) -> String {
    columns.map(|column| shown(column.as_ref())).collect::<Vec<_>>().join(", ")
}

impl Table {
    /// What it would be as a hypertable, and why; none if it is better left as it is.
    pub fn suggestion(&self, target: Target) -> Option<Suggestion> {
        let facts = &self.facts;
        let inserted = facts.inserted.max(self.rows) as f64;
        if facts.updated as f64 > MOST_UPDATES * inserted {
            return None;
        }
        let time = time::best(facts, self.partitioned_by.as_deref())?;
        let mut reason = vec![why(&time)];
        if facts.deleted as f64 > MOST_UPDATES * inserted {
            reason.push(format!(
                "{} of its rows were deleted; a retention policy drops whole chunks only.",
                facts.deleted
            ));
        }
        let mut options = None;
        match self.growth(&time) {
            None => reason.push(self.unknown("no chunk interval can be suggested")),
            Some(growth) => {
                let interval = interval::choose(growth, time.clock, interval::most_bytes(target.shared_buffers));
                let bytes = (interval.seconds * growth.most).min(self.whole as f64) as u64;
                reason.push(format!("A chunk of {} has about {} with its indexes.", interval.text, size(bytes)));
                options = Some(self.options(&time, growth, interval, target, &mut reason));
            }
        }
        let column = &time.column.name;
        let lacking = facts.indexes.iter().filter(|index| index.unique && !index.has(column));
        let mut extended: Vec<String> = lacking
            .map(|index| listed(index.columns.iter().map(|column| column.as_deref().unwrap_or("an expression"))))
            .collect();
        extended.dedup();
        for columns in &extended {
            reason.push(format!(
                "{} is added to the unique key ({columns}); values of {columns} alone can then occur more than once.",
                shown(column)
            ));
        }
        if let Some(options) = options.as_mut().filter(|_| !extended.is_empty()) {
            options["keys"] = "extend".into();
        }
        let object = self.name.shown();
        let mut suggestion =
            Suggestion { object, reason: reason.join(" "), rows: self.rows, bytes: self.bytes, options };
        self.obstacles(column).iter().for_each(|obstacle| suggestion.hinder(obstacle));
        Some(suggestion)
    }

    /// What has to be changed first before others are looked for, which may have to do with this table.
    fn obstacles(&self, column: &String) -> Vec<String> {
        let refers = self.facts.referenced_by.iter().filter(|reference| !reference.columns.contains(column));
        let obstacle = |reference: &Reference| {
            format!(
                "foreign key {} of {} references ({}), without {}.",
                shown(&reference.name),
                reference.table.shown(),
                listed(reference.columns.iter()),
                shown(column)
            )
        };
        refers.map(obstacle).collect()
    }

    fn growth(&self, time: &Time) -> Option<Growth> {
        // Each partition has a time of its own only if it is partitioned by it.
        Growth::of(self.whole, self.part, !time.partitioned, time.column.quantiles?, time.clock)
    }

    /// What the lack of statistics means.
    fn unknown(&self, therefore: &str) -> String {
        if !self.facts.readable {
            return format!("Its statistics cannot be read, so {therefore}. Grant SELECT on it on the source.");
        }
        format!(
            "It was never analyzed, so {therefore}. Execute ANALYZE {} on the source, and call migrate_suggest again.",
            self.name.shown()
        )
    }

    fn options(
        &self,
        time: &Time,
        growth: Growth,
        interval: Interval,
        target: Target,
        reason: &mut Vec<String>,
    ) -> Value {
        let column = &time.column.name;
        let mut options = json!({"time": column, "chunk_interval": interval.value(time.clock)});
        if !target.community {
            if !self.facts.analyzed {
                reason.push(self.unknown("the interval is computed from an index alone"));
            }
            return options;
        }
        if self.facts.row_security {
            reason.push("It has row security, so it cannot be compressed.".to_string());
            return options;
        }
        let mut form = json!({"orderby": [format!("{column} desc")]});
        let rows = (growth.average * interval.seconds / self.whole.max(1) as f64).min(1.0) * self.rows as f64;
        match compress::segments(&self.facts, column, self.rows, rows) {
            Some(segments) => {
                form["segmentby"] = json!([segments.column]);
                reason.push(format!(
                    "Compression would segment by {}, which has about {:.0} values.",
                    shown(segments.column),
                    segments.values
                ));
            }
            None if !self.facts.analyzed => reason.push(self.unknown("no column to segment by can be suggested")),
            None => reason.push("No column is suitable for segmentby.".to_string()),
        }
        // A policy on integers needs a function that tells the present one.
        if !matches!(time.clock, Clock::Integer(_)) {
            form["after"] = interval.compress_after().into();
        }
        options["compress"] = form;
        options
    }
}

/// What makes a column the time of its table.
fn why(time: &Time) -> String {
    let said = [
        (time.partitioned, "the table is partitioned by it"),
        (time.indexed, "an index contains it"),
        (time.ordered, "the rows are stored in its order"),
    ];
    let said: Vec<&str> = said.into_iter().filter(|(is, _)| *is).map(|(_, said)| said).collect();
    match said.is_empty() {
        true => format!("Its time column may be {}.", shown(&time.column.name)),
        false => format!("Its time column is {}: {}.", shown(&time.column.name), said.join(", ")),
    }
}

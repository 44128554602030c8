//! Option `hypertables`: what becomes of a table that is to become a hypertable.

use serde::{Deserialize, Serialize};

/// A hypertable. Columns are named as the catalog has them, without quotes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object such as {\"time\": \"ts\"}")]
pub struct Form {
    /// The column of its first dimension; a hypertable of the source has one already.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time: String,
    /// Without it, seven days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_interval: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compress: Option<Compress>,
    /// Chunks that are older are dropped by a policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Span>,
    /// Whether it gets TimescaleDB's default indexes on its dimensions besides its own.
    pub indexes: bool,
    pub keys: Keys,
}

/// A dimension by the hash of a column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object such as {\"column\": \"device\", \"partitions\": 4}")]
pub struct Hash {
    pub column: String,
    pub partitions: u16,
}

/// Compression, with TimescaleDB's defaults for what is not given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object, {} for TimescaleDB's defaults")]
pub struct Compress {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segmentby: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orderby: Option<Vec<OrderBy>>,
    /// Chunks that are older are compressed as they arrive, and later by a policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
}

/// What is done with a unique key that lacks the column of a dimension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keys {
    #[default]
    Refuse,
    /// It gets the column.
    Extend,
}

/// A column to order by, such as `ts desc nulls last`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrderBy {
    pub column: String,
    pub descending: bool,
    pub nulls_first: bool,
}

impl TryFrom<String> for OrderBy {
    type Error = String;

    fn try_from(text: String) -> Result<OrderBy, String> {
        let strip = |text: &str, end: &str| -> Option<String> {
            let at = text.len().checked_sub(end.len())?;
            let is_end = text.is_char_boundary(at) && text[at..].eq_ignore_ascii_case(end);
            is_end.then(|| text[..at].trim_end().to_string())
        };
        let mut rest = text.trim_end().to_string();
        let mut nulls = None;
        for (end, first) in [(" nulls first", true), (" nulls last", false)] {
            if let Some(before) = strip(&rest, end) {
                (rest, nulls) = (before, Some(first));
            }
        }
        let mut descending = false;
        for (end, is) in [(" desc", true), (" asc", false)] {
            if let Some(before) = strip(&rest, end) {
                (rest, descending) = (before, is);
                break;
            }
        }
        match rest.is_empty() {
            true => Err(format!("order by '{text}' names no column")),
            // As in ORDER BY.
            false => Ok(OrderBy { column: rest, descending, nulls_first: nulls.unwrap_or(descending) }),
        }
    }
}

impl From<OrderBy> for String {
    fn from(order: OrderBy) -> String {
        let direction = if order.descending { "desc" } else { "asc" };
        format!("{} {direction} nulls {}", order.column, if order.nulls_first { "first" } else { "last" })
    }
}

/// A length of time, or of a column of integers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub enum Span {
    Number(i64),
    Interval(Interval),
}

/// An interval of some whole units.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    text: String,
    microseconds: i64,
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// 1000 years: subtracted from now, it is a time that PostgreSQL has.
const MOST: i64 = 360_000 * DAY;

impl Interval {
    /// As PostgreSQL takes it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As TimescaleDB counts: a month has 30 days, and a year 12 months.
    pub fn microseconds(&self) -> i64 {
        self.microseconds
    }

    /// Whether it is one of whole days.
    pub fn is_of_days(&self) -> bool {
        self.microseconds % DAY == 0
    }

    fn parse(text: &str) -> Option<Interval> {
        let mut microseconds: i64 = 0;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        for pair in words.chunks(2) {
            let [number, unit] = pair else { return None };
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            let number: i64 = number.parse().ok().filter(|_| is_number)?;
            let unit = unit.to_ascii_lowercase();
            let length = match unit.strip_suffix('s').unwrap_or(&unit) {
                "second" => SECOND,
                "minute" => 60 * SECOND,
                "hour" => 3600 * SECOND,
                "day" => DAY,
                "week" => 7 * DAY,
                "month" => 30 * DAY,
                "year" => 360 * DAY,
                _ => return None,
            };
            microseconds = number.checked_mul(length)?.checked_add(microseconds)?;
        }
        (1..=MOST).contains(&microseconds).then(|| Interval { text: words.join(" "), microseconds })
    }
}

impl TryFrom<serde_json::Value> for Span {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Span, String> {
        let found = match &value {
            serde_json::Value::Number(number) => number.as_i64().filter(|number| *number > 0).map(Span::Number),
            serde_json::Value::String(text) => Interval::parse(text).map(Span::Interval),
            _ => None,
        };
        found.ok_or_else(|| format!("interval {value} is invalid"))
    }
}

impl From<Span> for serde_json::Value {
    fn from(span: Span) -> serde_json::Value {
        match span {
            Span::Number(number) => number.into(),
            Span::Interval(interval) => interval.text.into(),
        }
    }
}

impl Form {
    /// What is wrong with it, whatever the table is.
    pub fn wrong(&self) -> Option<String> {
        const MOST_PARTITIONS: u16 = i16::MAX as u16;
        let lacks = |field: &str| Some(format!("{field} is missing"));
        if let Some(hash) = &self.hash {
            if hash.column.is_empty() {
                return lacks("hash.column");
            }
            if hash.partitions == 0 || hash.partitions > MOST_PARTITIONS {
                return Some(format!(
                    "hash.partitions must be between 1 and {MOST_PARTITIONS}, not {}",
                    hash.partitions
                ));
            }
            if hash.column == self.time {
                return Some("time and hash.column are the same".to_string());
            }
        }
        let compress = self.compress.as_ref()?;
        let segments: &[String] = compress.segmentby.as_deref().unwrap_or_default();
        let orders = compress.orderby.as_deref().unwrap_or_default().iter().map(|order| &order.column);
        let mut all: Vec<&String> = segments.iter().chain(orders).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        (all.len() < count).then(|| "compress names a column twice in segmentby and orderby".to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        let span = |json: serde_json::Value| Span::try_from(json);
        let length = |text: &str| match span(text.into()) {
            Ok(Span::Interval(interval)) => Some((interval.text().to_string(), interval.microseconds() / 1_000_000)),
            _ => None,
        };
        assert_eq!(length("1 day"), Some(("1 day".to_string(), 86_400)));
        assert_eq!(length(" 1 Month  2  days"), Some(("1 Month 2 days".to_string(), 32 * 86_400)));
        assert_eq!(length("1 year"), Some(("1 year".to_string(), 360 * 86_400)));
        for text in ["", "day", "1", "0 days", "-1 day", "+1 day", "1.5 days", "1 fortnight", "1 day ago", "1 days;"] {
            assert_eq!(length(text), None, "{text}");
        }
        assert_eq!(length("1000 years"), Some(("1000 years".to_string(), 31_104_000_000)));
        assert_eq!(length("1001 years"), None);
        assert_eq!(length("9223372036854775807 years"), None);
        assert_eq!(span(serde_json::json!(7)), Ok(Span::Number(7)));
        for json in [serde_json::json!(0), serde_json::json!(-1), serde_json::json!(1.5), serde_json::json!(["1 day"])]
        {
            assert!(span(json.clone()).is_err(), "{json}");
        }
    }

    #[test]
    fn orders() {
        let order = |text: &str| OrderBy::try_from(text.to_string()).map(String::from);
        assert_eq!(order("ts").unwrap(), "ts asc nulls last");
        assert_eq!(order("ts DESC").unwrap(), "ts desc nulls first");
        assert_eq!(order("Mixed Case desc Nulls Last ").unwrap(), "Mixed Case desc nulls last");
        assert_eq!(order("größe asc nulls first").unwrap(), "größe asc nulls first");
        assert!(order("").is_err() && order(" desc").is_err());
    }
}

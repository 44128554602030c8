//! The chunks that rows of a table belong to, known before TimescaleDB sees the rows: the ranges of time are of one
//! length, and begin at its multiples.

use crate::core::inventory::{Hypertable, Server, Slices};
use crate::core::name::quoted;
use serde::{Deserialize, Serialize};

/// How a hypertable that a table has become divides its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Buckets {
    /// The table's OID on the source; the rows may come from its partitions.
    #[serde(default)]
    pub table: u32,
    column: String,
    #[serde(rename = "type")]
    type_name: String,
    /// In TimescaleDB's units.
    length: i64,
    /// The column of the other dimension, and its number of partitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<(String, i64)>,
    /// Of the chunks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablespace: Option<String>,
    /// The source has `date_bin`.
    #[serde(default)]
    bins: bool,
}

/// What is hardly a time is left to TimescaleDB.
const FIRST: &str = "0001-01-01";
const LAST: &str = "9999-01-01";
/// More microseconds than from the first one to 1970.
const MOST: i64 = 65_000_000_000_000_000;
const DAY: i64 = 86_400_000_000;

struct Time {
    name: &'static str,
    zone: &'static str,
    date: bool,
}

/// Of a hash, which is less.
const MOST_HASH: i64 = i32::MAX as i64;

impl Buckets {
    /// By the dimensions that it is made with.
    pub fn of(hypertable: &Hypertable, source: &Server, tablespace: Option<&String>) -> Buckets {
        let text = |value: &serde_json::Value| value.as_str().map(str::to_string);
        let [time, hash] = [0, 1].map(|number| &hypertable.spec["dimensions"][number]);
        Buckets {
            table: hypertable.oid,
            column: text(&time["column"]).unwrap_or_default(),
            type_name: text(&time["type"]).unwrap_or_default(),
            length: time["interval_length"].as_i64().unwrap_or(1).max(1),
            hash: text(&hash["column"]).zip(hash["num_slices"].as_i64()),
            tablespace: tablespace.cloned(),
            bins: source.bins_times(),
        }
    }

    /// The column of time.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// Whether a range of time is one chunk.
    pub fn is_of_time_alone(&self) -> bool {
        self.hash.is_none()
    }

    /// A query for each bucket's number, NULL for what is hardly a time, with how many rows there are. `rows` is what FROM
    /// names, with its condition.
    pub fn counts(&self, rows: &str) -> String {
        let (column, length) = (quoted(&self.column), self.length);
        // Exact in integers, and towards minus infinity.
        let number = |value: &str| format!("({value}) / {length} - (({value}) % {length} < 0)::int");
        let (value, limits) = match self.time() {
            Some(Time { date: true, .. }) => (
                format!("({column} - date '1970-01-01')::bigint * {DAY}"),
                format!("{column} BETWEEN date '{FIRST}' AND date '{LAST}'"),
            ),
            Some(Time { name, zone, .. }) => {
                let limits = format!("{column} BETWEEN {name} '{FIRST}{zone}' AND {name} '{LAST}{zone}'");
                if self.bins {
                    // Begins before all of them, at a multiple of the length.
                    let origin = (MOST / length + 1).checked_mul(length);
                    if let Some(origin) = origin.filter(|origin| *origin < 2 * MOST) {
                        let origin = format!("(SELECT {name} 'epoch' - {})", interval(origin));
                        let bin = format!("date_bin({}, {column}, {origin})", interval(length));
                        return format!(
                            "SELECT {}, q.count FROM (
                                SELECT CASE WHEN {limits} THEN {bin} END AS bin, count(*) FROM {rows} GROUP BY 1) q
                             ORDER BY 1",
                            number(&microseconds("q.bin"))
                        );
                    }
                }
                (microseconds(&column), limits)
            }
            None => (format!("{column}::bigint"), format!("{column} IS NOT NULL")),
        };
        format!("SELECT CASE WHEN {limits} THEN {} END, count(*) FROM {rows} GROUP BY 1 ORDER BY 1", number(&value))
    }

    /// What only the rows of a bucket fulfil.
    pub fn condition(&self, bucket: i64) -> Option<String> {
        let [from, to] = self.ends(bucket)?;
        let end = |end: i64| match self.time() {
            None => end.to_string(),
            Some(Time { date: true, .. }) => format!("date '1970-01-01' + {}", end / DAY),
            // Evaluated once.
            Some(Time { name, .. }) => format!("(SELECT {name} 'epoch' + {})", interval(end)),
        };
        let column = quoted(&self.column);
        Some(format!("{column} >= {} AND {column} < {}", end(from), end(to)))
    }

    fn time(&self) -> Option<Time> {
        let time = |name, zone, date| Some(Time { name, zone, date });
        match self.type_name.as_str() {
            "date" => time("date", "", true),
            "timestamp without time zone" => time("timestamp", "", false),
            "timestamp with time zone" => time("timestamptz", " UTC", false),
            _ => None,
        }
    }

    /// None if TimescaleDB would have it begin or end otherwise.
    fn ends(&self, bucket: i64) -> Option<[i64; 2]> {
        let from = bucket.checked_mul(self.length)?;
        let to = from.checked_add(self.length)?;
        let [least, most] = match self.type_name.as_str() {
            "smallint" => [i16::MIN.into(), i16::MAX.into()],
            "integer" => [i32::MIN.into(), i32::MAX.into()],
            "bigint" => [i64::MIN, i64::MAX],
            _ => [-MOST, 4 * MOST],
        };
        (from > least && to < most).then_some([from, to])
    }

    /// The slices of a bucket's chunks: one for each partition. None if TimescaleDB would have it end otherwise.
    pub fn chunks(&self, bucket: i64) -> Option<Vec<Slices>> {
        let [from, to] = self.ends(bucket)?;
        let slices = |other: Option<(&String, [i64; 2])>| -> Slices {
            let other = other.map(|(column, range)| (column.clone(), range));
            std::iter::once((self.column.clone(), [from, to])).chain(other).collect()
        };
        let Some((column, count)) = &self.hash else { return Some(vec![slices(None)]) };
        let (count, width) = (*count, MOST_HASH / (*count).max(1));
        let partition = |number: i64| {
            let start = if number == 0 { i64::MIN } else { number * width };
            let end = if number + 1 == count { i64::MAX } else { (number + 1) * width };
            slices(Some((column, [start, end])))
        };
        Some((0..count).map(partition).collect())
    }
}

/// An interval of so many microseconds. Before PostgreSQL 15 none of its numbers may be larger than 32 bits.
fn interval(microseconds: i64) -> String {
    const HOUR: i64 = 3_600_000_000;
    let sign = if microseconds < 0 { "-" } else { "" };
    let all = microseconds.abs();
    let (hours, rest) = (all / HOUR, all % HOUR);
    let (minutes, rest) = (rest / 60_000_000, rest % 60_000_000);
    format!("interval '{sign}{hours}:{minutes:02}:{:02}.{:06}'", rest / 1_000_000, rest % 1_000_000)
}

/// Microseconds since 1970, without the rounding that a number of seconds has before PostgreSQL 14.
fn microseconds(column: &str) -> String {
    format!(
        "extract(epoch FROM date_trunc('second', {column}))::bigint * 1000000 + extract(microseconds FROM {column})::bigint % 1000000"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_small_numbers() {
        assert_eq!(interval(604_800_000_000), "interval '168:00:00.000000'");
        assert_eq!(interval(-1), "interval '-0:00:00.000001'");
        assert_eq!(interval(-3_723_000_004), "interval '-1:02:03.000004'");
        assert!(4 * MOST / 3_600_000_000 < i32::MAX.into());
    }

    #[test]
    fn buckets_have_slices() {
        let mut buckets = Buckets {
            table: 1,
            column: "n".to_string(),
            type_name: "smallint".to_string(),
            length: 100,
            hash: None,
            tablespace: None,
            bins: true,
        };
        let slices = |buckets: &Buckets, bucket: i64| -> Option<Vec<[i64; 2]>> {
            Some(buckets.chunks(bucket)?.iter().map(|slices| slices["n"]).collect())
        };
        assert_eq!(slices(&buckets, -1), Some(vec![[-100, 0]]));
        assert_eq!(slices(&buckets, 326), Some(vec![[32600, 32700]]));
        assert_eq!((slices(&buckets, 327), slices(&buckets, -328)), (None, None));
        assert_eq!(slices(&buckets, i64::MAX), None);
        assert_eq!(buckets.condition(-1).unwrap(), "\"n\" >= -100 AND \"n\" < 0");
        buckets.hash = Some(("d".to_string(), 3));
        let hashes: Vec<[i64; 2]> = buckets.chunks(0).unwrap().iter().map(|slices| slices["d"]).collect();
        assert_eq!(hashes, [[i64::MIN, 715_827_882], [715_827_882, 1_431_655_764], [1_431_655_764, i64::MAX]]);
    }
}

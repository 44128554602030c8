//! How long a chunk is.

use super::time::Clock;

const HOUR: f64 = 3600.0;
pub const DAY: f64 = 24.0 * HOUR;

/// Those to choose from, with their seconds as TimescaleDB counts them.
const INTERVALS: [(&str, f64); 10] = [
    ("1 hour", HOUR),
    ("3 hours", 3.0 * HOUR),
    ("6 hours", 6.0 * HOUR),
    ("12 hours", 12.0 * HOUR),
    ("1 day", DAY),
    ("3 days", 3.0 * DAY),
    ("7 days", 7.0 * DAY),
    ("1 month", 30.0 * DAY),
    ("3 months", 90.0 * DAY),
    ("1 year", 360.0 * DAY),
];

/// So many chunks a table has at least: compression and retention work by chunks.
const LEAST_CHUNKS: f64 = 10.0;

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub text: &'static str,
    pub seconds: f64,
}

impl Interval {
    /// As the option takes it.
    pub fn value(self, clock: Clock) -> serde_json::Value {
        match clock {
            Clock::Integer(per_second) => (self.seconds as i64 * per_second).into(),
            Clock::Time | Clock::Date => self.text.into(),
        }
    }

    /// When chunks are compressed: nothing is written to them any more.
    pub fn compress_after(self) -> &'static str {
        if self.seconds > 7.0 * DAY { self.text } else { "7 days" }
    }
}

/// How fast a table grows.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// Bytes a second, with those of the indexes: on average, and of late if that is more.
    pub average: f64,
    pub most: f64,
    /// How long it has been growing, in seconds.
    pub seconds: f64,
}

impl Growth {
    /// Of a table of so many bytes, and of the part of it that the quantiles are of.
    pub fn of(bytes: i64, part: i64, spans_all: bool, quantiles: [f64; 3], clock: Clock) -> Option<Growth> {
        let [low, middle, high] = quantiles.map(|value| value / clock.per_second());
        let part = if spans_all { bytes } else { part } as f64;
        let average = 0.9 * part / (high - low);
        let late = 0.45 * part / (high - middle);
        let most = if late.is_finite() { average.max(late) } else { average };
        (average.is_finite() && average > 0.0).then(|| Growth { average, most, seconds: bytes as f64 / average })
    }
}

/// The longest interval in which no more than so many bytes come, so that the chunks that are written to stay in
/// memory with their indexes, but not so long that there are few chunks.
pub fn choose(growth: Growth, clock: Clock, bytes: i64) -> Interval {
    // A date's interval is of whole days.
    let least = if clock == Clock::Date { DAY } else { HOUR };
    let fits = |seconds: f64| seconds * growth.most <= bytes as f64 && seconds * LEAST_CHUNKS <= growth.seconds;
    let mut possible = INTERVALS.into_iter().filter(|(_, seconds)| *seconds >= least);
    let shortest = possible.clone().next();
    let longest = possible.rfind(|(_, seconds)| fits(*seconds));
    let (text, seconds) = longest.or(shortest).unwrap_or(INTERVALS[0]);
    Interval { text, seconds }
}

/// A chunk with its indexes takes no more bytes than this. A quarter of the memory, as TimescaleDB recommends, is what
/// `shared_buffers` usually is; where it is not set, it says nothing.
pub fn most_bytes(shared_buffers: i64) -> i64 {
    shared_buffers.max(1 << 30)
}

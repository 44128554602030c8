//! A hypertable of the source that could be better.

use super::interval::{self, DAY, Growth};
use super::time::Clock;
use super::{Facts, Suggestion, Target, compress, is_large};
use crate::core::name::Name;
use crate::core::progress::size;
use serde_json::{Map, Value, json};

/// A hypertable with its chunks.
#[derive(Clone, Debug)]
pub struct Chunked {
    pub name: Name,
    pub rows: i64,
    /// As they are, without indexes.
    pub bytes: i64,
    /// Of uncompressed rows, with the indexes.
    pub whole: i64,
    pub chunks: usize,
    /// Of the first dimension.
    pub column: String,
    pub clock: Option<Clock>,
    /// In seconds: of a chunk that is made now, and of all together.
    pub interval: f64,
    pub seconds: f64,
    pub compressed: bool,
    pub facts: Option<Facts>,
}

/// Chunks that are fewer do no harm, however small they are.
const MANY_CHUNKS: usize = 50;
const SMALL_CHUNK: i64 = 10 << 20;
/// An interval has to differ so much from the best one to be worth a word.
const FAR: f64 = 4.0;

impl Chunked {
    /// What could be better, and how; none if nothing.
    pub fn suggestion(&self, target: Target) -> Option<Suggestion> {
        let found = [self.interval(target), self.compression(target)];
        let (reason, options): (Vec<String>, Map<String, Value>) = found.into_iter().flatten().unzip();
        let (object, rows, bytes) = (self.name.shown(), self.rows, self.bytes);
        let (reason, options) = (reason.join(" "), Some(options.into()));
        (!reason.is_empty()).then_some(Suggestion { object, reason, rows, bytes, options })
    }

    /// Why, and the field of its entry.
    fn interval(&self, target: Target) -> Option<(String, (String, Value))> {
        let clock = self.clock?;
        let average = self.whole / i64::try_from(self.chunks).ok().filter(|chunks| *chunks > 0)?;
        let growth = self.whole as f64 / self.seconds;
        if !growth.is_finite() || growth <= 0.0 || self.interval <= 0.0 {
            return None;
        }
        let most = interval::most_bytes(target.shared_buffers);
        let best = interval::choose(Growth { average: growth, most: growth, seconds: self.seconds }, clock, most);
        let small = self.chunks >= MANY_CHUNKS && average < SMALL_CHUNK && best.seconds >= FAR * self.interval;
        let large = average as f64 > FAR * most as f64 && best.seconds < self.interval;
        (small || large).then(|| {
            let (chunks, how, each) = (self.chunks, if small { "small" } else { "large" }, size(average as u64));
            let reason = format!("{chunks} chunks are too {how}, about {each} each.");
            (reason, ("chunk_interval".to_string(), best.value(clock)))
        })
    }

    /// The same of compression.
    fn compression(&self, target: Target) -> Option<(String, (String, Value))> {
        let facts = self.facts.as_ref().filter(|facts| !facts.row_security)?;
        if !target.community || self.compressed || !is_large(self.rows, self.bytes) {
            return None;
        }
        let of_chunk = self.rows as f64 * (self.interval / self.seconds).min(1.0);
        let segments = compress::segments(facts, &self.column, self.rows, of_chunk);
        let mut form = json!({"orderby": [format!("{} desc", self.column)]});
        if let Some(segments) = segments {
            form["segmentby"] = json!([segments.column]);
        }
        if matches!(self.clock, Some(Clock::Time | Clock::Date)) {
            let days = (self.interval / DAY).ceil().max(7.0);
            form["after"] = format!("{days} days").into();
        }
        let mut reason = "It is not compressed.".to_string();
        if !facts.analyzed {
            reason.push_str(" Its chunks were never analyzed.");
        }
        Some((reason, ("compress".to_string(), form)))
    }
}

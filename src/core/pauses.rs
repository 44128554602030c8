//! How long to wait before something is tried again after a transient error.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The pauses before each further attempt: each twice as long as the one before, up to a
/// minute.
pub struct Pauses {
    limit: u16,
    taken: u16,
}

impl Pauses {
    /// `limit`: how many pauses there are.
    pub fn new(limit: u16) -> Self {
        Pauses { limit, taken: 0 }
    }
}

impl Iterator for Pauses {
    /// The pause before the next attempt, and how many have been taken with it.
    type Item = (Duration, u16);

    fn next(&mut self) -> Option<Self::Item> {
        if self.taken == self.limit {
            return None;
        }
        let factor = 1u32.checked_shl(self.taken.into()).unwrap_or(u32::MAX);
        self.taken += 1;
        Some((FIRST.saturating_mul(factor).min(LONGEST), self.taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_end() {
        let seconds: Vec<u64> = Pauses::new(40).map(|(pause, _)| pause.as_secs()).collect();
        assert_eq!(seconds[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(seconds.len(), 40);
        assert!(seconds[8..].iter().all(|s| *s == 60));
        assert!(Pauses::new(0).next().is_none());
    }
}

//! What was measured.

use crate::contenders::Contender;
use std::time::Duration;

/// One contender in one scene.
pub struct Measured {
    pub contender: Contender,
    seconds: Vec<f64>,
    /// Why it does not count.
    pub fault: Option<String>,
}

/// A database at a distance, and who moved it.
pub struct Scene {
    pub name: String,
    pub measured: Vec<Measured>,
}

impl Measured {
    pub fn new(contender: Contender) -> Measured {
        Measured { contender, seconds: Vec::new(), fault: None }
    }

    /// It cannot take part.
    pub fn lacks(&mut self, why: &str) {
        self.fault = Some(why.to_string());
    }

    /// Enters a round; what came of it.
    pub fn add(&mut self, result: Result<Duration, String>, differences: Vec<String>) -> String {
        let shown = match &result {
            Ok(duration) => format!("{:.2} s", duration.as_secs_f64()),
            Err(fault) => fault.clone(),
        };
        match result {
            Ok(duration) => self.seconds.push(duration.as_secs_f64()),
            Err(fault) => self.fault = Some(fault),
        }
        if let Some(first) = differences.into_iter().next() {
            let wrong = format!("a wrong result, {first}");
            self.fault = Some(self.fault.take().map_or(wrong.clone(), |fault| format!("{fault}; {wrong}")));
            return format!("{shown}; {wrong}");
        }
        shown
    }

    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(sorted[middle]),
            _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
        }
    }
}

impl Scene {
    /// The extension is to move everything.
    pub fn own_faults(&self) -> Vec<String> {
        let ours = self.measured.iter().filter(|measured| measured.contender.is_ours());
        let faults = ours.filter_map(|measured| measured.fault.as_ref());
        faults.map(|fault| format!("{}: {fault}", self.name)).collect()
    }
}

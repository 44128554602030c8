//! Medians, and what they are against the extension's.

use crate::chart;
use crate::contenders::Contender;
use std::fmt::Write;
use std::path::Path;
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

/// A scene as a table.
pub fn table(scene: &Scene) -> String {
    let mut text = format!("| {} | s | migrate_from / it | |\n| --- | --- | --- | --- |\n", scene.name);
    let ours = scene.measured.first().and_then(Measured::median);
    for measured in &scene.measured {
        let median = measured.median();
        let ratio = ours.zip(median).map_or(String::new(), |(ours, other)| format!("{:.2}", ours / other));
        let median = median.map_or(String::new(), |median| format!("{median:.2}"));
        let fault = measured.fault.as_deref().unwrap_or_default();
        writeln!(text, "| {} | {median} | {ratio} | {fault} |", measured.contender.name()).expect("a string takes all");
    }
    text
}

/// Writes `speed.md` and `speed.svg` into a directory.
pub fn write(scenes: &[Scene], directory: &Path) {
    let tables: Vec<String> = scenes.iter().map(table).collect();
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(directory.join("speed.md"), tables.join("\n")))
        .and_then(|()| std::fs::write(directory.join("speed.svg"), chart::svg(scenes)));
    match written {
        Ok(()) => println!("written: speed.md and speed.svg in {}", directory.display()),
        Err(error) => eprintln!("{}: {error}", directory.display()),
    }
}

//! Medians, and what they are against the extension's.

use crate::chart;
use crate::measured::{Measured, Scene};
use std::fmt::Write;
use std::path::Path;

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

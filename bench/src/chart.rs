//! The medians as bars.

use crate::measured::{Measured, Scene};
use std::fmt::Write;

const WIDTH: f64 = 860.0;
/// Where bars begin, and how far the longest of a scene goes.
const LEFT: f64 = 240.0;
const LONGEST: f64 = 480.0;
const LINE: f64 = 22.0;

/// An SVG image with a group of bars for each scene; each group has a scale of its own.
pub fn svg(scenes: &[Scene]) -> String {
    let lines: usize = scenes.iter().map(|scene| scene.measured.len() + 2).sum();
    let height = lines as f64 * LINE + LINE;
    let mut image = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut y = LINE;
    for scene in scenes {
        text(&mut image, 10.0, y, "font-weight=\"bold\"", &format!("{}, seconds", scene.name));
        y += LINE;
        let longest = scene.measured.iter().filter_map(Measured::median).fold(0.0, f64::max);
        for measured in &scene.measured {
            bar(&mut image, y, measured, longest);
            y += LINE;
        }
        y += LINE;
    }
    image + "</svg>\n"
}

fn bar(image: &mut String, y: f64, measured: &Measured, longest: f64) {
    text(image, LEFT - 10.0, y, "text-anchor=\"end\"", &measured.contender.name());
    let Some(median) = measured.median() else {
        return text(image, LEFT, y, "fill=\"#777\"", measured.fault.as_deref().unwrap_or("not measured"));
    };
    let length = LONGEST * median / longest;
    let color = match (measured.contender.is_ours(), &measured.fault) {
        (true, _) => "#1f77b4",
        (false, None) => "#aaa",
        (false, Some(_)) => "#ddd",
    };
    let top = y - LINE * 0.7;
    writeln!(
        image,
        "<rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{:.1}\" fill=\"{color}\"/>",
        LINE * 0.8
    )
    .expect("a string takes all");
    let note = if measured.fault.is_some() { ", failed or incomplete" } else { "" };
    text(image, LEFT + length + 6.0, y, "", &format!("{median:.1}{note}"));
}

fn text(image: &mut String, x: f64, y: f64, attributes: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(image, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{text}</text>").expect("a string takes all");
}

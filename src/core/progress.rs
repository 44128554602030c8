//! Numbers for people.

/// A number of things, of which there may be one.
pub fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Things that a message names, if they are too many not all.
pub fn listed(things: &[String]) -> String {
    const NAMED: usize = 10;
    match things.len() {
        0..=NAMED => things.join(", "),
        many => format!("{} and {} more", things[..NAMED].join(", "), many - NAMED),
    }
}

/// As `pg_size_pretty` shows it.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 10_240 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 10_240.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.0} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable() {
        assert_eq!(size(512), "512 bytes");
        assert_eq!(size(20 << 20), "20 MB");
        assert_eq!(listed(&["a".to_string(), "b".to_string()]), "a, b");
        assert!(listed(&vec!["a".to_string(); 12]).ends_with(", a and 2 more"));
    }
}

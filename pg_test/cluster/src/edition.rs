//! Which PostgreSQL installations the tests run on.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The edition of TimescaleDB that a server runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Edition {
    /// PG_CONFIG's installation, held to the Apache edition even where it has the other one.
    Apache,
    /// COMMUNITY_PG_CONFIG's installation, else PG_CONFIG's own where it has that edition.
    Community,
}

impl Edition {
    /// The directory of the server's programs; none where there is no such installation.
    pub fn bindir(self) -> Option<PathBuf> {
        let own = pg_config("PG_CONFIG", "/usr/lib/postgresql/17/bin/pg_config");
        let bindir = PathBuf::from(ask(&own, "--bindir")?);
        match self {
            Edition::Apache => Some(bindir),
            Edition::Community => {
                let other = pg_config("COMMUNITY_PG_CONFIG", "/opt/timescaledb-community/bin/pg_config");
                // An extension built for one major cannot be loaded by another.
                let same_major = major(&other).is_some() && major(&other) == major(&own);
                let other = ask(&other, "--bindir").filter(|_| same_major).map(PathBuf::from);
                [other, Some(bindir)].into_iter().flatten().find(|dir| has_library(dir, "-tsl-"))
            }
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Edition::Apache => "apache",
            Edition::Community => "community",
        }
    }
}

/// The versions of TimescaleDB that a source and a target run, both of the Community edition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Versions {
    pub source: &'static str,
    pub target: &'static str,
}

impl Versions {
    /// From older to newer catalogs, and within each.
    pub const ALL: [Versions; 4] = [
        Versions { source: "2.17.2", target: "2.29.2" },
        Versions { source: "2.19.3", target: "2.19.3" },
        Versions { source: "2.19.3", target: "2.29.2" },
        Versions { source: "2.29.2", target: "2.29.2" },
    ];

    pub fn installed(self) -> bool {
        let has = |bindir: &Path, version: &str| has_library(bindir, &format!("-tsl-{version}.so"));
        Edition::Community.bindir().is_some_and(|dir| has(&dir, self.source) && has(&dir, self.target))
    }

    pub fn same(self) -> bool {
        self.source == self.target
    }

    /// Part of the names of roles, which all databases of a server share.
    pub fn suffix(self) -> String {
        format!("{}_{}", self.source, self.target).replace('.', "")
    }
}

/// PostgreSQL 15's programs: a plain, older source.
pub fn postgres_15() -> Option<PathBuf> {
    ["/usr/lib/postgresql/15/bin", "/usr/pgsql-15/bin"]
        .map(PathBuf::from)
        .into_iter()
        .find(|dir| dir.join("postgres").exists())
}

/// Whether the installation has a library of TimescaleDB whose name goes on with `part`.
pub fn has_library(bindir: &Path, part: &str) -> bool {
    let prefix = format!("timescaledb{part}");
    let pkglibdir = ask(&bindir.join("pg_config"), "--pkglibdir").unwrap_or_default();
    std::fs::read_dir(pkglibdir).is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|f| f.file_name().to_string_lossy().starts_with(&prefix)))
    })
}

fn pg_config(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| default.into(), PathBuf::from)
}

fn ask(pg_config: &Path, what: &str) -> Option<String> {
    let output = Command::new(pg_config).arg(what).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// "PostgreSQL 17.6 (Debian ...)" to "17"; "PostgreSQL 18beta1" to "18".
fn major(pg_config: &Path) -> Option<String> {
    let version = ask(pg_config, "--version")?;
    let number = version.split_whitespace().nth(1)?;
    Some(number.chars().take_while(char::is_ascii_digit).collect())
}

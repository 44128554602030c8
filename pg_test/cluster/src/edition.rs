//! Which PostgreSQL installations the tests run on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// The edition of TimescaleDB that a server runs, and the installation that it is in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Edition {
    /// PG_CONFIG's installation, held to the Apache edition even where it has the other one.
    Apache,
    /// COMMUNITY_PG_CONFIG's installation, else PG_CONFIG's own where it has that edition.
    Community,
    /// NEXT_PG_CONFIG's installation, which has that edition too, on a newer PostgreSQL.
    Next,
    /// PREVIOUS_PG_CONFIG's installation, which has versions of that edition that the newer
    /// PostgreSQL knows no more, on an older one; a source only.
    Previous,
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
            Edition::Next => {
                let next = pg_config("NEXT_PG_CONFIG", "/opt/postgresql-18/bin/pg_config");
                let bindir = ask(&next, "--bindir").filter(|_| major(&next) > major(&own)).map(PathBuf::from);
                bindir.filter(|dir| has_library(dir, "-tsl-"))
            }
            Edition::Previous => {
                let previous = pg_config("PREVIOUS_PG_CONFIG", "/opt/timescaledb-previous/bin/pg_config");
                let bindir = ask(&previous, "--bindir").filter(|_| major(&previous) < major(&own)).map(PathBuf::from);
                bindir.filter(|dir| has_library(dir, "-tsl-"))
            }
        }
    }

    /// Whether it has this version of the Community edition.
    pub fn has_version(self, version: &str) -> bool {
        self.bindir().is_some_and(|dir| has_library(&dir, &format!("-tsl-{version}.so")))
    }

    /// Whether it has the files of this extension.
    pub fn has_extension(self, name: &str) -> bool {
        let directory = self.bindir().and_then(|dir| ask(&dir.join("pg_config"), "--sharedir"));
        directory.is_some_and(|dir| Path::new(&dir).join(format!("extension/{name}.control")).exists())
    }

    /// What is missing here to run tests on it. The Apache edition is what tests cannot do without.
    pub fn lacks(self) -> Option<&'static str> {
        let lack = match self {
            Edition::Apache => return None,
            Edition::Community => "no installation with TimescaleDB's Community edition; COMMUNITY_PG_CONFIG names one",
            Edition::Next => {
                "no installation with TimescaleDB's Community edition on a newer PostgreSQL; NEXT_PG_CONFIG names one"
            }
            Edition::Previous => {
                "no installation with TimescaleDB's Community edition on an older PostgreSQL; PREVIOUS_PG_CONFIG names one"
            }
        };
        self.bindir().is_none().then_some(lack)
    }

    /// One with the Community edition on PostgreSQL 18 or newer.
    pub fn since_18() -> Option<Edition> {
        let since_18 = |dir: PathBuf| major(&dir.join("pg_config")) >= Some(18);
        [Edition::Community, Edition::Next].into_iter().find(|edition| edition.bindir().is_some_and(since_18))
    }

    pub fn name(self) -> &'static str {
        match self {
            Edition::Apache => "apache",
            Edition::Community => "community",
            Edition::Next => "next",
            Edition::Previous => "previous",
        }
    }
}

/// The versions of TimescaleDB that a source and a target run, both of the Community edition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Versions {
    pub source: &'static str,
    pub target: &'static str,
    /// Where the source is.
    pub from: Edition,
    /// Where the target is.
    pub to: Edition,
}

impl Versions {
    /// From the oldest PostgreSQL, from older to newer catalogs, within each, and to the next PostgreSQL.
    pub const ALL: [Versions; 7] = [
        Versions { from: Edition::Previous, ..Versions::new("2.11.2", "2.29.2") },
        Versions { from: Edition::Previous, ..Versions::new("2.15.3", "2.29.2") },
        Versions::new("2.17.2", "2.29.2"),
        Versions::new("2.19.3", "2.19.3"),
        Versions::new("2.19.3", "2.29.2"),
        Versions::new("2.29.2", "2.29.2"),
        Versions { to: Edition::Next, ..Versions::new("2.29.2", "2.29.2") },
    ];

    /// For what depends on the target alone.
    pub const TARGETS: [Versions; 3] = [
        Versions::new("2.19.3", "2.19.3"),
        Versions::new("2.19.3", "2.29.2"),
        Versions { to: Edition::Next, ..Versions::new("2.29.2", "2.29.2") },
    ];

    /// Both on the same PostgreSQL.
    pub const fn new(source: &'static str, target: &'static str) -> Versions {
        Versions { source, target, from: Edition::Community, to: Edition::Community }
    }

    /// What is missing here to run tests between them.
    pub fn lacks(self) -> Option<&'static str> {
        let both = self.from.has_version(self.source) && self.to.has_version(self.target);
        let lack = "their versions of TimescaleDB's Community edition are not there";
        self.from.lacks().or(self.to.lacks()).or((!both).then_some(lack))
    }

    pub fn same(self) -> bool {
        self.source == self.target
    }

    /// Part of the names of roles, which all databases of a server share.
    pub fn suffix(self) -> String {
        format!("{}_{}_{}", self.source, self.target, self.to.name()).replace('.', "")
    }
}

/// PostgreSQL 15's programs: a plain, older source.
pub fn postgres_15() -> Option<PathBuf> {
    ["/usr/lib/postgresql/15/bin", "/usr/pgsql-15/bin"]
        .map(PathBuf::from)
        .into_iter()
        .find(|dir| dir.join("postgres").exists())
}

/// Whether the installation has a library of TimescaleDB whose name continues with `part`.
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

/// An installation stays as it is while tests run, and each test asks for several of them.
fn ask(pg_config: &Path, what: &str) -> Option<String> {
    static ANSWERS: Mutex<BTreeMap<(PathBuf, String), Option<String>>> = Mutex::new(BTreeMap::new());
    let mut answers = ANSWERS.lock().unwrap();
    let answer = answers.entry((pg_config.to_owned(), what.to_owned())).or_insert_with(|| {
        let output = Command::new(pg_config).arg(what).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    });
    answer.clone()
}

/// "PostgreSQL 17.6 (Debian ...)" to 17; "PostgreSQL 18beta1" to 18.
pub fn major(pg_config: &Path) -> Option<u32> {
    let version = ask(pg_config, "--version")?;
    let number = version.split_whitespace().nth(1)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

//! The options of a run: one set of keys for the call, the job and the stored run.

use crate::error::{Error, Result, SqlState};
use serde::{Deserialize, Serialize};

/// Option `roles`: what is done about roles that the source's database needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Roles {
    /// Make the roles that own or are granted something and that the target lacks.
    #[default]
    Used,
    /// Besides, make memberships in which one of the two roles is here already.
    Merge,
    /// Make none; a missing one is an error.
    None,
}

/// Options `owners`, `privileges` and `tablespaces`: as on the source, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    #[default]
    Keep,
    Drop,
}

/// Option `verify`, and the argument `level`: how both sides are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Rows counted on both sides.
    #[default]
    Count,
    /// Rows counted and an order-independent checksum of all their values compared.
    Checksum,
}

/// What becomes of policies and jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policies {
    /// As on the source: what is paused there stays paused.
    #[default]
    Copy,
    /// Made, but all paused.
    Paused,
    Skip,
}

/// Option `on_error`: what a failed task does to the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The run ends after the tasks in flight.
    #[default]
    Stop,
    /// Everything else is done first; then the run ends as failed, and policies and jobs stay
    /// unmade.
    Continue,
}

/// What becomes of continuous aggregates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Caggs {
    /// With the rows that they hold on the source.
    #[default]
    Copy,
    /// Empty, and then refreshed from what they read.
    Recompute,
    Skip,
}

/// What becomes of that which the target has no place for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnsupported {
    #[default]
    Refuse,
    /// Left out and named, where no row of a table is lost by it.
    Skip,
}

/// Log-ins of roles that are no superusers to this database, from the first object that is made to
/// the last transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connections {
    /// Nobody sees, changes or runs what is half made.
    #[default]
    Refuse,
    Allow,
}

/// What too little disk space means. How much is needed is an estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disk {
    #[default]
    Check,
    /// A warning, no error.
    Ignore,
}

impl Level {
    /// None for any other word.
    pub fn parse(text: &str) -> Option<Level> {
        match text {
            "count" => Some(Level::Count),
            "checksum" => Some(Level::Checksum),
            _ => None,
        }
    }
}

/// Unknown keys are refused: a misspelt option must not pass as its default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Copy workers at work at once.
    pub jobs: u16,
    /// Wait for the end of the run and report on the way.
    pub wait: bool,
    pub roles: Roles,
    pub owners: Keep,
    pub privileges: Keep,
    pub tablespaces: Keep,
    pub policies: Policies,
    pub caggs: Caggs,
    pub on_unsupported: OnUnsupported,
    pub disk: Disk,
    pub connections: Connections,
    /// What is compared at the end of the run, under the run's own snapshot.
    pub verify: Level,
    /// Seconds to wait for the locks on the source; 0 waits without limit.
    pub lock_timeout: u32,
    /// Seconds to wait for a connection to the source; without it, what the connection string
    /// says, else 10.
    pub connect_timeout: Option<u32>,
    /// Seconds that the source may send nothing, until it is taken for gone unless it is at work
    /// on a query.
    pub source_timeout: u32,
    /// How often a task, or the run, is tried again after a transient error, with growing pauses;
    /// 0 never does.
    pub retries: u16,
    /// What a failed task means for the others.
    pub on_error: OnError,
    /// A plain table of more bytes than this is copied in parts of about this size; 0 never splits.
    pub split_bytes: i64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            jobs: 4,
            wait: true,
            roles: Roles::default(),
            owners: Keep::default(),
            privileges: Keep::default(),
            tablespaces: Keep::default(),
            policies: Policies::default(),
            caggs: Caggs::default(),
            on_unsupported: OnUnsupported::default(),
            disk: Disk::default(),
            connections: Connections::default(),
            verify: Level::default(),
            lock_timeout: 60,
            connect_timeout: None,
            source_timeout: 300,
            retries: 10,
            on_error: OnError::default(),
            split_bytes: 1 << 30,
        }
    }
}

const CHANGEABLE: [&str; 8] =
    ["jobs", "wait", "verify", "lock_timeout", "connect_timeout", "source_timeout", "retries", "on_error"];

fn invalid(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER, message)
}

/// The error for what serde says, for instance "unknown variant `all`, expected `used` or `none`
/// at line 1 column 15": names of Rust's types and places in a text mean nothing to a user.
fn refused(key: &str, said: &str) -> Error {
    let said = said.split(" at line ").next().unwrap_or(said);
    // Words are quoted so, and numbers; strings are in quotes already.
    let said = said.replace('`', if said.starts_with("invalid") { "" } else { "\"" });
    let (wrong, expected) = said.split_once(", expected ").unwrap_or((&said, "a string"));
    let expected = match (key, expected) {
        ("jobs", "u16") => "a whole number from 1 to 1000",
        (_, "u16") => "a whole number from 0 to 65535",
        (_, "u32") => "a whole number of seconds",
        (_, "i64") => "a whole number of bytes",
        _ => expected,
    };
    let value = wrong.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
    let message = match wrong.strip_prefix("unknown field ") {
        Some(name) => {
            let error = invalid(format!("unknown option {name}"));
            return match meant(name, expected.trim_start_matches("one of ").split(", ")) {
                Some(option) => error.hint(format!("Perhaps you meant the option {option}.")),
                None => error.hint(format!("Expected {expected}.")),
            };
        }
        None if wrong == "expected value" => format!("invalid value for option \"{key}\""),
        None => format!("invalid value for option \"{key}\": {}", value.trim_start_matches("unknown variant ")),
    };
    invalid(message).hint(format!("Expected {expected}."))
}

/// The word that was most likely misspelt, if any is like it.
pub fn meant<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &&str| strsim::damerau_levenshtein(word, other);
    known.min_by_key(distance).filter(|other| distance(other) <= 2 && distance(other) * 2 < word.len())
}

impl Options {
    /// Reads options from JSON text. The error says which key or value is wrong.
    pub fn parse(json: &str) -> Result<Options> {
        // serde would take an array for the fields in their order.
        if !json.trim_start().starts_with('{') {
            return Err(invalid("options must be a JSON object"));
        }
        let reader = &mut serde_json::Deserializer::from_str(json);
        let options: Options = serde_path_to_error::deserialize(reader)
            .map_err(|e| refused(&e.path().to_string(), &e.inner().to_string()))?;
        options.check()?;
        Ok(options)
    }

    /// Stored options with some of them changed, for a run that is resumed: those that say how it works
    /// its work, not what it makes, which is partly made.
    pub fn changed(stored: &str, changes: serde_json::Value) -> Result<Options> {
        let serde_json::Value::Object(changes) = changes else {
            return Err(invalid("options must be a JSON object"));
        };
        let mut options: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(stored).map_err(|e| Error::internal(format!("stored options: {e}")))?;
        for key in changes.keys() {
            if options.contains_key(key) && !CHANGEABLE.contains(&key.as_str()) {
                return Err(invalid(format!("option \"{key}\" cannot be changed for a run that has begun"))
                    .hint(format!("These can: {}.", CHANGEABLE.join(", "))));
            }
        }
        options.extend(changes);
        Options::parse(&serde_json::Value::Object(options).to_string())
    }

    /// The ranges that the types do not express.
    pub fn check(&self) -> Result<()> {
        if self.jobs == 0 || self.jobs > 1000 {
            return Err(invalid(format!("jobs must be between 1 and 1000, not {}", self.jobs)));
        }
        for (name, seconds) in
            [("connect_timeout", self.connect_timeout), ("source_timeout", Some(self.source_timeout))]
        {
            if seconds == Some(0) {
                return Err(invalid(format!("{name} must be at least 1 second")));
            }
        }
        if self.split_bytes < 0 {
            return Err(invalid(format!("split_bytes must not be negative: {}", self.split_bytes)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_values() {
        let options = Options::parse("{}").unwrap();
        assert_eq!((options.jobs, options.wait, options.verify), (4, true, Level::Count));
        let options = Options::parse(r#"{"jobs": 8, "roles": "none", "verify": "checksum"}"#).unwrap();
        assert_eq!((options.jobs, options.roles, options.verify), (8, Roles::None, Level::Checksum));
    }

    #[test]
    fn changes() {
        let stored = serde_json::to_string(&Options { jobs: 8, caggs: Caggs::Skip, ..Options::default() }).unwrap();
        let changed = |changes| Options::changed(&stored, changes);
        let options = changed(serde_json::json!({"lock_timeout": 5, "verify": "checksum"})).unwrap();
        assert_eq!((options.jobs, options.caggs), (8, Caggs::Skip));
        assert_eq!((options.lock_timeout, options.verify), (5, Level::Checksum));
        assert_eq!(CHANGEABLE.iter().filter(|key| stored.contains(&format!("\"{key}\":"))).count(), CHANGEABLE.len());
        for (changes, message) in [
            (serde_json::json!({"caggs": "copy"}), "option \"caggs\" cannot be changed for a run that has begun"),
            (serde_json::json!({"job": 3}), "unknown option \"job\""),
            (serde_json::json!({"jobs": 0}), "jobs must be between 1 and 1000, not 0"),
            (serde_json::json!([1]), "options must be a JSON object"),
        ] {
            assert_eq!(changed(changes).unwrap_err().message, message);
        }
    }

    #[test]
    fn refusals_name_the_key() {
        for (json, message, hint) in [
            (r#"{"job": 8}"#, "unknown option \"job\"", "Perhaps you meant the option \"jobs\"."),
            (r#"{"verfiy": 8}"#, "unknown option \"verfiy\"", "Perhaps you meant the option \"verify\"."),
            (r#"{"schemas": 8}"#, "unknown option \"schemas\"", "Expected one of \"jobs\", \"wait\","),
            (r#"{"jobs": 0}"#, "jobs must be between 1 and 1000, not 0", ""),
            (
                r#"{"jobs": "2"}"#,
                "invalid value for option \"jobs\": string \"2\"",
                "Expected a whole number from 1 to 1000.",
            ),
            (
                r#"{"jobs": 70000}"#,
                "invalid value for option \"jobs\": integer 70000",
                "Expected a whole number from 1 to 1000.",
            ),
            (r#"{"jobs": null}"#, "invalid value for option \"jobs\": null", "Expected a whole number from 1 to 1000."),
            (r#"{"wait": 1}"#, "invalid value for option \"wait\": integer 1", "Expected a boolean."),
            (
                r#"{"roles": "all"}"#,
                "invalid value for option \"roles\": \"all\"",
                "Expected one of \"used\", \"merge\", \"none\".",
            ),
            (r#"{"roles": 3}"#, "invalid value for option \"roles\"", "Expected a string."),
            (r#"{"split_bytes": -1}"#, "split_bytes must not be negative: -1", ""),
            ("[]", "options must be a JSON object", ""),
            ("[8]", "options must be a JSON object", ""),
        ] {
            let error = Options::parse(json).unwrap_err();
            assert_eq!(error.message, message);
            assert!(error.hint.unwrap_or_default().starts_with(hint), "{json}");
        }
    }
}

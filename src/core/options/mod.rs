//! The options of a run: one set of keys for the call, the job and the stored run.

mod hypertables;
mod refusal;
mod values;

pub use hypertables::*;
pub use refusal::meant;
pub use values::*;

use super::pattern::Pattern;
use super::times::{ALL, End, Times};
use crate::error::{Error, Result, SqlState};
use refusal::refused;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Unknown keys are refused: a misspelt option must not pass as its default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Copy workers at work at once.
    pub jobs: u16,
    /// Wait for the end of the run and report on the way.
    pub wait: bool,
    pub mode: Mode,
    pub into: IntoTables,
    pub roles: Roles,
    pub owners: Keep,
    pub privileges: Keep,
    pub tablespaces: Keep,
    pub policies: Policies,
    pub caggs: Caggs,
    /// What is made, with what it needs; everything if there is no pattern.
    pub include: Vec<Pattern>,
    /// What is not made, nor what depends on it.
    pub exclude: Vec<Pattern>,
    /// What is made without its rows.
    pub exclude_data: Vec<Pattern>,
    /// By a pattern, or `*` for all hypertables: the rows that arrive of a hypertable, or the buckets of
    /// a continuous aggregate.
    pub time_range: BTreeMap<String, Times>,
    /// By a pattern: tables of the source that become hypertables on the target.
    pub hypertables: BTreeMap<String, Box<Form>>,
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
            mode: Mode::default(),
            into: IntoTables::default(),
            roles: Roles::default(),
            owners: Keep::default(),
            privileges: Keep::default(),
            tablespaces: Keep::default(),
            policies: Policies::default(),
            caggs: Caggs::default(),
            include: Vec::new(),
            exclude: Vec::new(),
            exclude_data: Vec::new(),
            time_range: BTreeMap::new(),
            hypertables: BTreeMap::new(),
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

    /// Stored options with some of them changed, for a run that is resumed: only options that say
    /// how the run works may change, not those that say what it makes.
    pub fn changed(stored: &str, changes: serde_json::Value) -> Result<Options> {
        let serde_json::Value::Object(changes) = changes else {
            return Err(invalid("options must be a JSON object"));
        };
        let mut options: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(stored).map_err(|e| Error::internal(format!("stored options: {e}")))?;
        for key in changes.keys() {
            if options.contains_key(key) && !CHANGEABLE.contains(&key.as_str()) {
                return Err(invalid(format!("option \"{key}\" cannot be changed for a run that has begun"))
                    .hint(format!("These options can be changed: {}.", CHANGEABLE.join(", "))));
            }
        }
        options.extend(changes);
        Options::parse(&serde_json::Value::Object(options).to_string())
    }

    /// Whether a run with these options makes what one with the stored options of another makes: they differ in
    /// nothing but how it is done. An interval before now is the time that it was then.
    pub fn makes_same(&self, stored: &Options) -> bool {
        let mut asked = self.clone();
        if asked.time_range.keys().eq(stored.time_range.keys()) {
            let given = asked.time_range.values_mut().zip(stored.time_range.values());
            for (end, was) in given.flat_map(|(asked, was)| [(&mut asked.from, &was.from), (&mut asked.to, &was.to)]) {
                if end.as_ref().is_some_and(|end| end.before_now().is_some()) && was.is_some() {
                    end.clone_from(was);
                }
            }
        }
        let work = |options: &Options| {
            let mut fields = serde_json::json!(options);
            fields.as_object_mut().into_iter().for_each(|fields| fields.retain(|key, _| !CHANGEABLE.contains(&&**key)));
            fields
        };
        work(&asked) == work(stored)
    }

    /// Whether the same rows arrive, in tables of the same form.
    pub fn brings_same(&self, other: &Options) -> bool {
        const ASKED: [&str; 7] = ["mode", "caggs", "include", "exclude", "exclude_data", "time_range", "hypertables"];
        let [own, other] = [self, other].map(|options| serde_json::json!(options));
        ASKED.iter().all(|key| own[*key] == other[*key])
    }

    /// Both ends of every time range.
    pub fn ends_mut(&mut self) -> impl Iterator<Item = &mut End> {
        self.time_range.values_mut().flat_map(|times| [&mut times.from, &mut times.to]).flatten()
    }

    /// Whether all rows of all objects arrive, as far as these options go.
    pub fn is_whole(&self) -> bool {
        self.mode != Mode::Schema && !self.is_partial() && self.exclude_data.is_empty() && self.time_range.is_empty()
    }

    /// Whether some objects of the source are left out because the options say so.
    pub fn is_partial(&self) -> bool {
        !self.include.is_empty() || !self.exclude.is_empty()
    }

    /// Whether policies and jobs arrive paused. Without rows, none is to run.
    pub fn pauses(&self) -> bool {
        self.policies == Policies::Paused || self.mode == Mode::Schema
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
        for (key, times) in &self.time_range {
            if key != ALL {
                Pattern::try_from(key.clone()).map_err(|why| refused("time_range", &why))?;
            }
            if times.from.is_none() && times.to.is_none() {
                return Err(invalid(format!("option \"time_range\": neither from nor to is given for {key}")));
            }
        }
        for (key, form) in &self.hypertables {
            Pattern::try_from(key.clone()).map_err(|why| refused("hypertables", &why))?;
            if let Some(wrong) = form.wrong() {
                return Err(invalid(format!("option \"hypertables\" of {key}: {wrong}")));
            }
        }
        if !self.hypertables.is_empty() && self.mode == Mode::Data {
            return Err(invalid("option \"hypertables\" has no effect with \"mode\": \"data\"")
                .hint("The rows of a table go into an existing hypertable without this option."));
        }
        if self.into == IntoTables::Any && self.mode != Mode::Data {
            return Err(invalid("option \"into\" needs \"mode\": \"data\""));
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
        assert!(options.is_whole() && !options.pauses());
        let options = Options::parse(r#"{"mode": "schema"}"#).unwrap();
        assert!(!options.is_whole() && options.pauses());
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
    fn same_work() {
        let options = |json: serde_json::Value| Options::parse(&json.to_string()).unwrap();
        let stored =
            options(serde_json::json!({"jobs": 8, "include": ["app.*"], "time_range": {"*": {"from": "2026-01-02"}}}));
        for (asked, same) in [
            (serde_json::json!({"include": ["app.*"], "time_range": {"*": {"from": "2026-01-02"}}}), true),
            (serde_json::json!({"wait": false, "include": ["app.*"], "time_range": {"*": {"from": "-1 year"}}}), true),
            (serde_json::json!({"include": ["app.*"], "time_range": {"*": {"from": "2026-01-03"}}}), false),
            (serde_json::json!({"include": ["app.*"], "time_range": {"*": {"to": "-1 year"}}}), false),
            (serde_json::json!({"include": ["app.*"], "time_range": {"a.b": {"from": "-1 year"}}}), false),
            (serde_json::json!({"include": ["app.*"]}), false),
            (serde_json::json!({"include": ["b.*"], "time_range": {"*": {"from": "-1 year"}}}), false),
        ] {
            assert_eq!(options(asked.clone()).makes_same(&stored), same, "{asked}");
        }
        assert!(stored.brings_same(&Options { jobs: 1, owners: Keep::Drop, ..stored.clone() }));
        assert!(!stored.brings_same(&options(serde_json::json!({}))));
        let data = options(serde_json::json!({"mode": "data"}));
        assert!(data.makes_same(&data) && !data.makes_same(&options(serde_json::json!({"mode": "schema"}))));
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
            (
                r#"{"include": ["app.*", "reading"]}"#,
                "invalid value for option \"include[1]\": pattern 'reading' names no schema",
                "A pattern is schema.name,",
            ),
            (
                r#"{"exclude": "app.*"}"#,
                "invalid value for option \"exclude\": string \"app.*\"",
                "Expected an array of patterns.",
            ),
            (
                r#"{"hypertables": {"public.m": {"time": "t", "chunk_interval": "1 fortnight"}}}"#,
                "invalid value for option \"hypertables.public.m.chunk_interval\": interval \"1 fortnight\" is invalid",
                "Expected an interval of whole units",
            ),
            (
                r#"{"hypertables": {"public.m": 7}}"#,
                "invalid value for option \"hypertables.public.m\": integer 7",
                "Expected an object such as {\"time\": \"ts\"}.",
            ),
            (
                r#"{"hypertables": {"public.m": {"time": "t", "hash": {"column": "d", "partition": 4}}}}"#,
                "unknown option \"partition\"",
                "Perhaps you meant the option \"partitions\".",
            ),
            (
                r#"{"hypertables": {"public.m": {"time": "t", "compress": {"orderby": [" desc"]}}}}"#,
                "invalid value for option \"hypertables.public.m.compress.orderby[0]\": order by ' desc' names no column",
                "Expected a column",
            ),
            (
                r#"{"hypertables": {"public.m": {"time": "t", "compress": {"segmentby": "d"}}}}"#,
                "invalid value for option \"hypertables.public.m.compress.segmentby\": string \"d\"",
                "Expected an array.",
            ),
            (
                r#"{"hypertables": {"public.m": {"time": "t", "hash": {"column": "d"}}}}"#,
                "option \"hypertables\" of public.m: hash.partitions must be between 1 and 32767, not 0",
                "",
            ),
            (
                r#"{"hypertables": {"public.m": {"time": "t", "compress": {"segmentby": ["t"], "orderby": ["t"]}}}}"#,
                "option \"hypertables\" of public.m: compress names a column twice in segmentby and orderby",
                "",
            ),
            (
                r#"{"hypertables": {"m": {"time": "t"}}}"#,
                "invalid value for option \"hypertables\": pattern 'm' names no schema",
                "A pattern is schema.name,",
            ),
            (
                r#"{"mode": "data", "hypertables": {"public.m": {"time": "t"}}}"#,
                "option \"hypertables\" has no effect with \"mode\": \"data\"",
                "The rows of a table go into an existing hypertable",
            ),
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

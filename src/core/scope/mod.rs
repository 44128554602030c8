//! What of a source arrives on a target, decided in this one place. What has no place there is
//! refused, or left out and named, as the options say.
//!
//! Left out is only what loses no row of a table: settings, states, jobs, and what is made of
//! rows, such as a continuous aggregate. Where a table's rows could not be read, or not be put
//! anywhere, the run is refused whatever the options say.

mod dump;

use super::inventory::{Cagg, Chunk, Excluded, HYPERCORE, Inventory, OSM, PG_CLASS, Server};
use super::name::{Name, literal};
use super::options::{Caggs, OnUnsupported, Options, Policies};
use serde::Deserialize;
use std::collections::HashSet;

/// Something that does not arrive as it is on the source.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    pub subject: String,
    pub detail: String,
    pub hint: String,
    /// The run is refused because of it.
    pub refused: bool,
}

impl Left {
    /// Said, and no more.
    pub fn told(subject: String, detail: String) -> Left {
        Left { subject, detail, hint: String::new(), refused: false }
    }

    /// Something does not arrive, but not the whole run.
    pub fn is_left_out(&self) -> bool {
        self.detail.contains("Left out") || self.detail.contains("left out")
    }

    /// A pattern of this option fits nothing.
    pub fn is_unused(&self, option: &str) -> bool {
        self.subject.strip_prefix("option ") == Some(option)
    }
}

/// `unsupported_timescaledb.sql`
#[derive(Clone, Debug, Deserialize)]
pub struct Found {
    pub kind: String,
    pub subject: String,
    pub detail: String,
    pub object: Option<Excluded>,
}

pub(super) const EDITION: &str = "Install TimescaleDB's Community edition on the target, from its vendor's packages.";

/// What follows from leaving something of a kind out; None where a row would be lost.
fn consequence(kind: &str) -> Option<&'static str> {
    match kind {
        "compression" => Some("its rows arrive uncompressed"),
        "continuous aggregate" => Some("its materialized rows do not arrive"),
        "job" => Some("it will not run on the target"),
        "frozen chunks" => Some("the chunks can be written to on the target"),
        "table of the user's choice" => Some("its rows and the objects that depend on it do not arrive"),
        // A view, a function, whatever else is no table.
        "schema" => Some("objects that depend on it are left out too"),
        _ => None,
    }
}

fn text(job: &serde_json::Value, field: &str) -> String {
    job[field].as_str().unwrap_or_default().to_string()
}

/// What a job runs, on what and how often.
pub fn job_work(job: &serde_json::Value) -> String {
    let runs = Name::new(text(job, "proc_schema"), text(job, "proc_name")).shown();
    let on: Option<Name> = serde_json::from_value(job["hypertable"].clone()).ok();
    let on = on.map_or(String::new(), |name| format!(" on {}", name.shown()));
    format!("runs {runs}{on} every {}", text(job, "schedule_interval"))
}

/// A job by its name, with the number that it may have lost by ALTER.
fn job_subject(job: &serde_json::Value) -> String {
    let (name, number) = (text(job, "application_name"), format!("[{}]", job["id"]));
    if job["id"].is_null() || name.ends_with(&number) { format!("job {name}") } else { format!("job {name} {number}") }
}

/// What of an inventory arrives, and what does not, with why.
pub struct Scope {
    /// Without what is left out.
    pub inventory: Inventory,
    pub left: Vec<Left>,
    skip: bool,
    /// Catalog and OID of what is left out; what needs it follows.
    gone: HashSet<(u32, u32)>,
}

impl Scope {
    /// Decides by the inventory, the options and what the target can do; `found` is what queries
    /// have found unsupported.
    pub fn new(inventory: Inventory, found: Vec<Found>, target: &Server, options: &Options) -> Scope {
        let skip = options.on_unsupported == OnUnsupported::Skip;
        let gone = inventory.selection.unwanted.clone();
        let mut scope = Scope { inventory, left: Vec::new(), skip, gone };
        scope.found(found, target);
        if options.policies == Policies::Skip {
            scope.inventory.jobs.clear();
        }
        scope.stale_jobs();
        scope.caggs(target.community(), options.caggs == Caggs::Skip);
        scope.jobs_on_what_is_left_out();
        if options.caggs == Caggs::Recompute {
            scope.without_materialized();
        }
        scope.jobs(|job| {
            let why = || (format!("It belongs to the extension {OSM}, which does not arrive."), "", true);
            (job["extension"] == OSM).then(why)
        });
        scope.hypercore();
        if !target.community() {
            scope.states();
            // TimescaleDB's own are there in every edition.
            let why = "Jobs and policies exist only in the Community edition.";
            scope.jobs(|job| (job["kind"] != "system").then(|| (why.to_string(), EDITION, false)));
        }
        scope
    }

    /// A continuous aggregate that is made anew, and buckets of it that are not what they were.
    pub fn lost(&mut self, cagg: &Name, first: &str, last: &str) {
        let detail = format!(
            "Its buckets from {first} to {last} begin where no chunk of the raw data exists. Left out: what dropped chunks contributed."
        );
        let subject = format!("continuous aggregate {}", cagg.shown());
        self.left.push(Left::told(subject, detail));
    }

    /// A tiered chunk, and why its rows cannot be read if so.
    pub fn tiered(&mut self, chunk: &Chunk, unreadable: Option<&str>) {
        let hypertable = self.inventory.hypertables.iter().find(|h| h.id == chunk.hypertable_id);
        let of = hypertable.map(|h| h.known_as().shown()).unwrap_or_default();
        let subject = format!("tiered chunk {} of {of}", chunk.qualified().shown());
        match unreadable {
            Some(error) => {
                let why = format!("Its rows in tiered storage cannot be read: {error}.");
                self.add("tiered chunk", subject, why, "Make it readable, or untier it on the source.", false);
            }
            None => {
                let detail = "Its rows are in tiered storage. They arrive in ordinary chunks.".to_string();
                self.left.push(Left::told(subject, detail));
            }
        }
    }

    /// Enters what does not arrive; whether it is left out. `follows`: from what was chosen, or
    /// from something else that is left out.
    fn add(&mut self, kind: &str, subject: String, why: String, hint: &str, follows: bool) -> bool {
        let (detail, hint, refused) = match consequence(kind) {
            Some(then) if follows || self.skip => (format!("{why} Left out: {then}."), String::new(), false),
            Some(_) => {
                (why, format!("{hint} Or leave it out: \"on_unsupported\": \"skip\".").trim_start().to_string(), true)
            }
            None => (why, hint.to_string(), true),
        };
        self.left.push(Left { subject, detail, hint, refused });
        !refused
    }

    fn found(&mut self, found: Vec<Found>, target: &Server) {
        for Found { kind, subject, detail, mut object } in found {
            if object.as_ref().is_some_and(|o| !self.inventory.selection.arrives(o.class_oid, o.oid)) {
                continue;
            }
            let subject = format!("{kind} {subject}");
            let hint = match kind.as_str() {
                // There is nothing that could arrive.
                "chunk without relation" | "hypertable without relation" => {
                    self.left.push(Left::told(subject, detail));
                    continue;
                }
                "child table" => {
                    let child = object.take();
                    if target.lets_tables_inherit() {
                        self.inventory.children.extend(child);
                        self.left.push(Left::told(subject, detail));
                        continue;
                    }
                    "Run ALTER TABLE ... NO INHERIT ... on the source; the table then arrives as an ordinary one."
                }
                "dependence on TimescaleDB" => {
                    "Drop it on the source, or change it to use only what both versions have."
                }
                "dependence on a chunk" => "Change it to use the hypertable or the continuous aggregate.",
                "foreign key to an internal table" => "Drop it on the source.",
                "object in an internal schema" => "Move it with ALTER ... SET SCHEMA.",
                _ => "",
            };
            let kind = if object.is_some() { "schema" } else { kind.as_str() };
            if self.add(kind, subject, detail, hint, false) {
                self.gone.extend(object.iter().map(|object| (object.class_oid, object.oid)));
                self.inventory.excluded.extend(object);
            }
        }
    }

    fn caggs(&mut self, community: bool, unwanted: bool) {
        for cagg in self.inventory.caggs.clone() {
            let raw = cagg.raw.qualified();
            let hint = format!("CALL cagg_migrate({}); -- on the source", literal(&cagg.qualified().to_string()));
            let shows_bucket = cagg.relation.columns.iter().any(|column| column.name == cagg.time_column);
            let (why, hint, follows) = if unwanted {
                ("The option \"caggs\" is \"skip\".".to_string(), "", true)
            } else if !community {
                ("Continuous aggregates exist only in the Community edition.".to_string(), EDITION, false)
            } else if !self.has_raw(&cagg) {
                (format!("It reads {}, which does not arrive.", raw.shown()), "", true)
            } else if !cagg.finalized && !shows_bucket {
                // Its rows come from its view, chunk by chunk.
                let why = "It has the format from before TimescaleDB 2.7, and its columns do not include the bucket.";
                (why.to_string(), hint.as_str(), false)
            } else {
                continue;
            };
            self.leave_out(&cagg, why, hint, follows);
        }
    }

    /// Those that the source itself cannot run any more; those that it no longer checks arrive.
    fn stale_jobs(&mut self) {
        self.jobs(|job| Some((format!("The source no longer has its {}.", job["lacks"].as_str()?), "", true)));
        for job in self.inventory.jobs.iter().filter(|job| job["check_is_gone"] == true) {
            let check = Name::new(text(job, "check_schema"), text(job, "check_name")).shown();
            let detail = format!(
                "The source no longer has its check function {check}. The job arrives; its configuration is not checked, as on the source."
            );
            self.left.push(Left::told(job_subject(job), detail));
        }
    }

    /// What has no table on the source, or is left out.
    fn jobs_on_what_is_left_out(&mut self) {
        let there: HashSet<Name> = self.inventory.hypertables.iter().map(|hypertable| hypertable.known_as()).collect();
        self.jobs(|job| {
            let name: Name = serde_json::from_value(job["hypertable"].clone()).ok()?;
            (!there.contains(&name)).then(|| (format!("{} does not arrive.", name.shown()), "", true))
        });
    }

    /// Policies whose procedures this side's version does not have.
    pub fn unknown_policies(&mut self, known: &HashSet<String>) {
        let hint = "ALTER EXTENSION timescaledb UPDATE; -- on the target, to the source's version or a newer one";
        self.jobs(|job| {
            let unknown = job["kind"] == "policy" && !known.contains(&text(job, "proc_name"));
            unknown.then(|| ("The target's version of TimescaleDB has no such policy.".to_string(), hint, false))
        });
    }

    /// Enters a continuous aggregate that does not arrive, and takes it out unless the run is refused.
    fn leave_out(&mut self, cagg: &Cagg, why: String, hint: &str, follows: bool) {
        let subject = format!("continuous aggregate {}", cagg.qualified().shown());
        if self.add("continuous aggregate", subject, why, hint, follows) {
            self.without(cagg);
        }
    }

    fn without(&mut self, cagg: &Cagg) {
        let (id, inventory) = (cagg.hypertable_id, &mut self.inventory);
        inventory.excluded.push(Excluded { class_oid: PG_CLASS, oid: cagg.oid });
        inventory.caggs.retain(|c| c.oid != cagg.oid);
        inventory.cagg_ranges.retain(|r| r["schema"] != cagg.schema.as_str() || r["name"] != cagg.name.as_str());
        inventory.hypertables.retain(|h| h.id != id);
        inventory.chunks.retain(|c| c.hypertable_id != id);
        inventory.compressions.retain(|c| c.hypertable_id != id);
        inventory.skipping.retain(|s| s.hypertable_id != id);
        self.gone.insert((PG_CLASS, cagg.oid));
    }

    /// Continuous aggregates arrive empty.
    fn without_materialized(&mut self) {
        for hypertable in self.inventory.hypertables.iter_mut().filter(|h| h.cagg.is_some()) {
            hypertable.root_may_have_rows = false;
            self.inventory.chunks.retain(|c| c.hypertable_id != hypertable.id);
        }
    }

    /// Chunks of this access method arrive compressed, but as chunks of versions without it are.
    fn hypercore(&mut self) {
        let chunks = self.inventory.compressed_chunks.iter();
        let own = chunks.filter(|c| c.access_method.as_deref() == Some(HYPERCORE)).map(|c| c.oid);
        let own: HashSet<u32> = own.collect();
        for hypertable in &self.inventory.hypertables {
            let count = self.inventory.chunks_of(hypertable).filter(|c| own.contains(&c.oid)).count();
            if count > 0 || hypertable.access_method.as_deref() == Some(HYPERCORE) {
                self.left.push(Left::told(
                    format!("access method {HYPERCORE} of {}", hypertable.known_as().shown()),
                    format!("{count} of its chunks use it; it exists only in TimescaleDB 2.18 to 2.21. Left out: they arrive as ordinary compressed chunks."),
                ));
            }
        }
    }

    /// Compression and frozen chunks.
    fn states(&mut self) {
        let packed: HashSet<u32> = self.inventory.compressed_chunks.iter().map(|c| c.oid).collect();
        let enabled: HashSet<i32> = self.inventory.compressions.drain(..).map(|c| c.hypertable_id).collect();
        for hypertable in self.inventory.hypertables.clone() {
            let name = hypertable.known_as().shown();
            let chunks = self.inventory.chunks_of(&hypertable);
            let compressed = chunks.clone().filter(|c| packed.contains(&c.oid)).count();
            let frozen = chunks.filter(|c| c.frozen).count();
            if enabled.contains(&hypertable.id) {
                let why = format!("Compression is enabled; {compressed} of its chunks are compressed.");
                self.add("compression", format!("compression of {name}"), why, EDITION, false);
            }
            if frozen > 0 {
                let subject = format!("frozen chunks of {name}");
                self.add("frozen chunks", subject, format!("There are {frozen} of them."), EDITION, false);
            }
        }
    }

    /// Leaves jobs out for which there is a reason, with a hint, and whether it follows from
    /// something else.
    fn jobs(&mut self, reason: impl Fn(&serde_json::Value) -> Option<(String, &'static str, bool)>) {
        for job in std::mem::take(&mut self.inventory.jobs) {
            let left_out = reason(&job).is_some_and(|(why, hint, follows)| {
                let why = format!("It {}. {why}", job_work(&job));
                self.add("job", job_subject(&job), why, hint, follows)
            });
            if !left_out {
                self.inventory.jobs.push(job);
            }
        }
    }
}

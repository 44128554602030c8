//! The plan of a run as rows, in the order of execution; nothing is changed.

use crate::core::analyze;
use crate::core::archive::Stage;
use crate::core::inventory::Server;
use crate::core::options::{Caggs, Keep, Level, Options, Policies, Roles};
use crate::core::plan::{self, Task, Work};
use crate::core::recompute;
use crate::core::scope::Left;
use crate::error::Result;
use crate::libpq::Params;
use crate::run::{preflight, scope};
use crate::source::{inventory, schema, session};
use crate::target::{database, roles, schema as target};

pub struct Step {
    pub phase: &'static str,
    pub object: String,
    pub method: String,
    pub rows: Option<i64>,
    pub bytes: Option<i64>,
    pub note: String,
}

fn step(phase: &'static str, object: impl Into<String>, method: impl Into<String>, note: impl Into<String>) -> Step {
    Step { phase, object: object.into(), method: method.into(), rows: None, bytes: None, note: note.into() }
}

fn from_task(task: Task, source: &Server, options: &Options) -> Step {
    let (method, note) = match &task.work {
        Work::Copy(copy) if copy.is_whole() && matches!(copy.into, plan::Into::Table(_)) => {
            let unsplit = plan::unsplit(task.bytes, source, options).map(str::to_string);
            let notes = [Some(copy.note()).filter(|note| !note.is_empty()), unsplit];
            (copy.method(), notes.into_iter().flatten().collect::<Vec<_>>().join("; "))
        }
        Work::Copy(copy) => (copy.method(), copy.note()),
        _ => ("SQL".to_string(), String::new()),
    };
    let copied = task.stage == plan::Stage::Copy;
    Step {
        phase: task.stage.name(),
        object: task.object,
        method,
        rows: copied.then_some(task.rows),
        bytes: copied.then_some(task.bytes),
        note,
    }
}

/// What does not arrive, before what does.
fn left(left: Left) -> Step {
    let (phase, method) = if left.refused { ("refused", "") } else { ("left_out", "none") };
    step(phase, left.subject, method, left.detail)
}

pub fn steps(params: &Params, options: &Options) -> Result<Vec<Step>> {
    let mut source = session::open(params, "timescale_migrate plan", options)?;
    let server = inventory::server(&mut source)?;
    preflight::versions(&server)?.refuse()?;
    let inventory = inventory::read(&mut source, server)?;
    let mut scope = scope::of(&mut source, inventory, options)?;
    let archive = schema::dump(params, &scope.inventory.server, None, options, || Ok(()))?;
    let plan = target::sorted(&archive, &scope.inventory, options);
    scope.schema(&plan);
    let inventory = scope.inventory;
    let maker = target::Maker::new(&inventory, options)?;
    let mut steps: Vec<Step> = scope.left.into_iter().map(left).collect();

    for role in roles::needed(&mut source, &inventory.jobs, options)? {
        let name = format!("ROLE {}", role.name);
        if options.roles != Roles::None && !role.here {
            steps.push(step("schema", name.clone(), "CREATE ROLE", "missing here"));
        }
        let noted = role.notices(options).into_iter();
        steps.extend(noted.map(|notice| step("schema", name.clone(), "", notice.detail)));
    }
    let made = |stage: Stage| plan.stage(stage).iter().filter(|entry| maker.wants(entry));
    steps.extend(made(Stage::PreData).map(|entry| step("schema", entry.object(), "pg_dump", "")));
    for hypertable in inventory.hypertables.iter().filter(|h| h.cagg.is_none()) {
        let chunks = inventory.chunks_of(hypertable).count();
        let dimensions: Vec<&str> = hypertable.dimensions.iter().map(|d| d.column.as_str()).collect();
        let note = format!("{chunks} chunks by {}", dimensions.join(", "));
        steps.push(step("schema", format!("HYPERTABLE {}", hypertable.qualified().shown()), "create_hypertable", note));
    }
    let recompute = options.caggs == Caggs::Recompute;
    for cagg in &inventory.caggs {
        let object = format!("CONTINUOUS AGGREGATE {}", cagg.qualified().shown());
        let then = if recompute { "it is refreshed here" } else { "its rows are copied" };
        steps.push(step("schema", object, "CREATE MATERIALIZED VIEW", format!("WITH NO DATA; {then}")));
    }
    steps.extend(made(Stage::OnProvided).map(|entry| step("schema", entry.object(), "pg_dump", "")));
    let here = maker.target()?;
    let mut copies = plan::copies(&inventory, &here, options);
    copies.sort_by_key(|task| (task.stage == plan::Stage::Tiered, -task.bytes));
    let compressions: Vec<Step> = copies
        .iter()
        .filter_map(|task| match &task.work {
            Work::Copy(copy) if copy.is_attached_late() => {
                let method = if matches!(copy.form, plan::Form::Frozen) { "freeze" } else { "attach" };
                Some(step("compression", task.object.clone(), method, "when indexes and constraints are made"))
            }
            _ => None,
        })
        .collect();
    let from_task = |task| from_task(task, &inventory.server, options);
    steps.extend(copies.into_iter().map(from_task));
    if !inventory.sequences.is_empty() {
        steps.push(step("sequences", format!("{} sequences", inventory.sequences.len()), "setval", ""));
    }
    let large_objects = database::read(&mut source)?.large_objects;
    if large_objects.count > 0 {
        let mut row = step("large_objects", format!("{} large objects", large_objects.count), "COPY binary", "");
        row.bytes = Some(large_objects.bytes);
        steps.push(row);
    }
    for (from, to) in [(Stage::Index, plan::Stage::Index), (Stage::Constraint, plan::Stage::Constraint)] {
        steps.extend(made(from).map(|entry| step(to.name(), entry.object(), "SQL", "")));
    }
    steps.extend(plan::cagg_indexes(&inventory).into_iter().map(|(index, _)| step("index", index, "SQL", "")));
    steps.extend(made(Stage::Attach).map(|entry| step("attach", entry.object(), "SQL", "")));
    let keys = maker.foreign_keys(&plan, &inventory, &here)?;
    let (early, late): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.stage == plan::Stage::HypertableKey);
    steps.extend(early.into_iter().map(from_task));
    steps.extend(compressions);
    steps.extend(late.into_iter().map(from_task));
    if recompute {
        for (level, tasks) in (1..).zip(recompute::levels(&inventory)) {
            let note = format!("over its whole range, level {level}");
            steps.extend(
                tasks.into_iter().map(|t| step("recompute", t.object, "refresh_continuous_aggregate", note.clone())),
            );
        }
    }
    steps.extend(made(Stage::Rest).map(|entry| step("rest", entry.object(), "SQL", "")));
    steps.extend(
        target::refreshes(&plan, &inventory)
            .into_iter()
            .map(|(name, _)| step("refresh", name.shown(), "REFRESH MATERIALIZED VIEW", "")),
    );
    steps.extend(
        analyze::tasks(&inventory, &here, options.jobs)
            .into_iter()
            .map(|task| step("analyze", task.object, "ANALYZE", "")),
    );
    steps.push(step(
        "verify",
        "every table and chunk",
        match options.verify {
            Level::Count => "count",
            Level::Checksum => "checksum",
        },
        "",
    ));
    steps.extend(made(Stage::Publication).map(|entry| step("publications", entry.object(), "SQL", "")));
    for job in &inventory.jobs {
        let name = job["application_name"].as_str().unwrap_or_default();
        let changes_hands = options.owners == Keep::Drop && target::changes_hands(job);
        let paused = options.policies == Policies::Paused || changes_hands || job["scheduled"] == false;
        steps.push(step("jobs", format!("JOB {name}"), "create_job", if paused { "paused" } else { "" }));
    }
    steps.extend(made(Stage::Last).map(|entry| step("jobs", entry.object(), "SQL", "")));
    Ok(steps)
}

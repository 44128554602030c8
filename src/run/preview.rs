//! The plan of a run as rows, in the order of execution; nothing is changed.

use crate::core::archive::Group;
use crate::core::inventory::Server;
use crate::core::options::{Caggs, Keep, Level, Options, Policies, Roles};
use crate::core::plan::analyze;
use crate::core::plan::recompute;
use crate::core::plan::{self, Phase, Task, Work};
use crate::core::scope::Left;
use crate::error::Result;
use crate::libpq::Params;
use crate::run::preflight;
use crate::run::prepare::Source;
use crate::target::schema::{self, Maker};
use crate::target::{database, jobs, roles};

/// A row of `migrate_plan`.
pub struct Step {
    pub phase: &'static str,
    pub object: String,
    pub method: String,
    pub rows: Option<i64>,
    pub bytes: Option<i64>,
    pub note: String,
}

fn step(phase: Phase, object: impl Into<String>, method: impl Into<String>, note: impl Into<String>) -> Step {
    Step {
        phase: phase.name(),
        object: object.into(),
        method: method.into(),
        rows: None,
        bytes: None,
        note: note.into(),
    }
}

fn from_task(task: Task, source: &Server, options: &Options) -> Step {
    let (method, note) = match &task.work {
        Work::Copy(copy) if copy.owns_relation && matches!(copy.destination, plan::Destination::Table(_)) => {
            let unsplit = plan::unsplit(task.bytes, source, options).map(str::to_string);
            let notes = [Some(copy.note()).filter(|note| !note.is_empty()), unsplit];
            (copy.method(), notes.into_iter().flatten().collect::<Vec<_>>().join("; "))
        }
        Work::Copy(copy) => (copy.method(), copy.note()),
        _ => ("SQL".to_string(), String::new()),
    };
    let copied = task.phase == Phase::Copy;
    Step {
        phase: task.phase.name(),
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
    let method = method.to_string();
    Step { phase, object: left.subject, method, rows: None, bytes: None, note: left.detail }
}

/// Every step of a run with these options, in order.
pub fn steps(params: &Params, options: &Options) -> Result<Vec<Step>> {
    let mut source = Source::open(params, options, "timescale_migrate plan")?;
    preflight::versions(&source.server)?.refuse()?;
    let inventory = source.read()?;
    let mut scope = source.scope(inventory)?;
    let archive = source.dump()?;
    let contents = schema::contents(&archive, &scope.inventory);
    scope.schema(&contents);
    let inventory = scope.inventory;
    let maker = Maker::new(&inventory, options)?;
    let mut steps: Vec<Step> = scope.left.into_iter().map(left).collect();

    for role in roles::needed(&mut source.connection, &inventory.jobs, options)? {
        let name = format!("ROLE {}", role.name);
        if options.roles != Roles::None && !role.here {
            steps.push(step(Phase::Schema, name.clone(), "CREATE ROLE", "missing here"));
        }
        let noted = role.notices(options).into_iter();
        steps.extend(noted.map(|notice| step(Phase::Schema, name.clone(), "", notice.detail)));
    }
    let made = |group: Group| contents.group(group).iter().filter(|entry| maker.wants(entry));
    steps.extend(made(Group::PreData).map(|entry| step(Phase::Schema, entry.object(), "pg_dump", "")));
    for hypertable in inventory.hypertables.iter().filter(|h| h.cagg.is_none()) {
        let chunks = inventory.chunks_of(hypertable).count();
        let dimensions: Vec<&str> = hypertable.dimensions.iter().map(|d| d.column.as_str()).collect();
        let note = format!("{chunks} chunks by {}", dimensions.join(", "));
        steps.push(step(
            Phase::Schema,
            format!("HYPERTABLE {}", hypertable.qualified().shown()),
            "create_hypertable",
            note,
        ));
    }
    let recompute = options.caggs == Caggs::Recompute;
    for cagg in &inventory.caggs {
        let object = format!("CONTINUOUS AGGREGATE {}", cagg.qualified().shown());
        let then = if recompute { "it is refreshed here" } else { "its rows are copied" };
        steps.push(step(Phase::Schema, object, "CREATE MATERIALIZED VIEW", format!("WITH NO DATA; {then}")));
    }
    steps.extend(made(Group::OnProvided).map(|entry| step(Phase::Schema, entry.object(), "pg_dump", "")));
    let here = maker.target()?;
    let mut copies = plan::copies(&inventory, &here, options);
    copies.sort_by_key(|task| (task.phase == Phase::Tiered, -task.bytes));
    let compressions: Vec<Step> = copies
        .iter()
        .filter_map(|task| match &task.work {
            Work::Copy(copy) if copy.is_attached_late() => {
                let method = if matches!(copy.recipe, plan::Recipe::Frozen) { "freeze" } else { "attach" };
                Some(step(Phase::Compression, task.object.clone(), method, "when indexes and constraints are made"))
            }
            _ => None,
        })
        .collect();
    let from_task = |task| from_task(task, &inventory.server, options);
    steps.extend(copies.into_iter().map(from_task));
    if !inventory.sequences.is_empty() {
        steps.push(step(Phase::Sequences, format!("{} sequences", inventory.sequences.len()), "setval", ""));
    }
    let large_objects = database::read(&mut source.connection)?.large_objects;
    if large_objects.count > 0 {
        let mut row = step(Phase::LargeObjects, format!("{} large objects", large_objects.count), "COPY binary", "");
        row.bytes = Some(large_objects.bytes);
        steps.push(row);
    }
    for (group, phase) in [(Group::Index, Phase::Index), (Group::Constraint, Phase::Constraint)] {
        steps.extend(made(group).map(|entry| step(phase, entry.object(), "SQL", "")));
    }
    steps.extend(plan::cagg_indexes(&inventory).into_iter().map(|(index, _)| step(Phase::Index, index, "SQL", "")));
    steps.extend(made(Group::Attach).map(|entry| step(Phase::Attach, entry.object(), "SQL", "")));
    let keys = maker.foreign_keys(&contents, &inventory, &here)?;
    let (early, late): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.phase == Phase::HypertableKey);
    steps.extend(early.into_iter().map(from_task));
    steps.extend(compressions);
    steps.extend(late.into_iter().map(from_task));
    if recompute {
        for (level, tasks) in (1..).zip(recompute::levels(&inventory)) {
            let note = format!("over its whole range, level {level}");
            steps.extend(
                tasks
                    .into_iter()
                    .map(|t| step(Phase::Recompute, t.object, "refresh_continuous_aggregate", note.clone())),
            );
        }
    }
    steps.extend(made(Group::Rest).map(|entry| step(Phase::Rest, entry.object(), "SQL", "")));
    steps.extend(
        schema::refreshes(&contents, &inventory)
            .into_iter()
            .map(|(name, _)| step(Phase::Refresh, name.shown(), "REFRESH MATERIALIZED VIEW", "")),
    );
    steps.extend(
        analyze::tasks(&inventory, &here, options.jobs)
            .into_iter()
            .map(|task| step(Phase::Analyze, task.object, "ANALYZE", "")),
    );
    steps.push(step(
        Phase::Verify,
        "every table and chunk",
        match options.verify {
            Level::Count => "count",
            Level::Checksum => "checksum",
        },
        "",
    ));
    steps.extend(made(Group::Publication).map(|entry| step(Phase::Publications, entry.object(), "SQL", "")));
    for job in &inventory.jobs {
        let name = job["application_name"].as_str().unwrap_or_default();
        let changes_hands = options.owners == Keep::Drop && jobs::changes_hands(job);
        let paused = options.policies == Policies::Paused || changes_hands || job["scheduled"] == false;
        steps.push(step(Phase::Jobs, format!("JOB {name}"), "create_job", if paused { "paused" } else { "" }));
    }
    steps.extend(made(Group::Last).map(|entry| step(Phase::Jobs, entry.object(), "SQL", "")));
    Ok(steps)
}

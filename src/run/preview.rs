//! The plan of a run as rows, sorted by phase; nothing is changed.

use crate::core::archive::{Archive, Group};
use crate::core::inventory::Server;
use crate::core::name::shown;
use crate::core::options::{Caggs, Keep, Level, Options, Roles};
use crate::core::plan::analyze;
use crate::core::plan::recompute;
use crate::core::plan::{self, Phase, Task, Work};
use crate::core::progress::counted;
use crate::core::scope::{self, Left};
use crate::error::Result;
use crate::libpq::Params;
use crate::run::phases::key_check;
use crate::run::prepare::Source;
use crate::run::{adoption, preflight};
use crate::target::schema::{self, Maker};
use crate::target::{database, jobs, roles};
use std::collections::HashSet;

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

/// What does not arrive, or not as it is, before what does.
fn left(left: Left) -> Step {
    let (phase, method) = match (left.refused, left.is_left_out()) {
        (true, _) => ("refused", ""),
        (false, true) => ("left_out", "none"),
        (false, false) => ("note", ""),
    };
    let method = method.to_string();
    Step { phase, object: left.subject, method, rows: None, bytes: None, note: left.detail }
}

/// Every step of a run with these options, in the order of the phases.
pub fn steps(params: &Params, options: &Options) -> Result<Vec<Step>> {
    let mut source = Source::open(params, options, "timescale_migrate plan")?;
    preflight::versions(&source.server)?.refuse()?;
    let inventory = source.read()?;
    let mut scope = source.scope(inventory)?;
    let arrivals = adoption::adapt(&mut scope, options, None)?.map(|adoption| adoption.arrivals);
    let archive = if arrivals.is_some() { Archive::default() } else { source.dump()? };
    let contents = schema::settled(&archive, &mut scope);
    let inventory = scope.inventory;
    let maker = Maker::new(&inventory, options)?;
    let mut steps: Vec<Step> = scope.left.into_iter().map(left).collect();

    let makes = arrivals.is_none();
    let needed = if makes { roles::needed(&mut source.connection, &inventory, options)? } else { Vec::new() };
    let known = roles::known(needed.iter().map(|role| role.name.clone()))?;
    for role in needed {
        let name = format!("ROLE {}", shown(&role.name));
        if options.roles != Roles::None && !role.here {
            steps.push(step(Phase::Schema, name.clone(), "CREATE ROLE", role.missing(options)));
        }
        let noted = role.notices(options).into_iter();
        steps.extend(noted.map(|notice| step(Phase::Schema, name.clone(), "", notice.detail)));
    }
    let made = |group: Group| contents.group(group).iter().filter(|entry| maker.wants(entry));
    steps.extend(made(Group::PreData).map(|entry| step(Phase::Schema, entry.object(), "pg_dump", "")));
    for hypertable in inventory.hypertables.iter().filter(|h| makes && h.cagg.is_none()) {
        let chunks = inventory.chunks_of(hypertable).count();
        let dimensions: Vec<String> = hypertable.dimensions.iter().map(|d| shown(&d.column)).collect();
        let note = match hypertable.is_converted() {
            true if chunks > 0 => format!("other chunks than on the source; by {}", dimensions.join(", ")),
            true => format!("a table on the source; by {}", dimensions.join(", ")),
            false => format!("{chunks} chunks by {}", dimensions.join(", ")),
        };
        steps.push(step(Phase::Schema, hypertable.made_as(), "create_hypertable", note));
    }
    let recompute = options.caggs == Caggs::Recompute;
    for cagg in inventory.caggs.iter().filter(|_| makes) {
        let note = match inventory.selection.is_empty(cagg.relation.oid) {
            true => "WITH NO DATA",
            false if recompute => "WITH NO DATA; it is refreshed on the target",
            false => "WITH NO DATA; its rows are copied",
        };
        steps.push(step(Phase::Schema, cagg.made_as(), "CREATE MATERIALIZED VIEW", note));
    }
    steps.extend(made(Group::OnProvided).map(|entry| step(Phase::Schema, entry.object(), "pg_dump", "")));
    let checked = arrivals.as_ref().map_or(Ok(Vec::new()), key_check::of)?;
    let here = plan::Target { arrivals, ..maker.target(&inventory)? };
    let mut copies = plan::copies(&inventory, &here, options);
    copies.sort_by_key(|task| -task.bytes);
    steps.extend(copies.iter().filter_map(|task| match &task.work {
        Work::Copy(copy) if copy.is_attached_late() => {
            let method = plan::Attach::method_of(copy.recipe.name());
            Some(step(Phase::Compression, task.object.clone(), method, "when indexes and constraints are made"))
        }
        _ => None,
    }));
    let packed = inventory.hypertables.iter().filter_map(|hypertable| {
        let note = format!("chunks older than {}", hypertable.compress_after.as_ref()?);
        Some(step(Phase::Compression, hypertable.qualified().shown(), "compress_chunk", note))
    });
    steps.extend(packed.filter(|_| !inventory.selection.no_rows));
    let from_task = |task| from_task(task, &inventory.server, options);
    steps.extend(copies.into_iter().map(from_task));
    if !inventory.sequences.is_empty() {
        steps.push(step(Phase::Sequences, counted(inventory.sequences.len(), "sequence"), "setval", ""));
    }
    let mut database = database::read(&mut source.connection)?;
    database.leave_out(&known);
    let large_objects = &database.large_objects;
    let whole = inventory.selection.only.is_none() && makes;
    if large_objects.count > 0 && inventory.selection.has_large_objects() {
        let count = counted(large_objects.count as usize, "large object");
        let mut row = step(Phase::LargeObjects, count, "COPY binary", "");
        row.bytes = Some(large_objects.bytes);
        steps.push(row);
    }
    steps.extend(maker.tasks(&contents, &inventory, &here).into_iter().map(from_task));
    let roots = |group: Group, phase: Phase| {
        let roots = maker.hypertable_indexes(&contents, group).into_iter();
        roots.map(move |(entry, ..)| step(phase, entry.object(), "SQL", ""))
    };
    steps.extend(roots(Group::Index, Phase::Index));
    let own = plan::cagg_indexes(&inventory).into_iter().chain(plan::default_indexes(&inventory, &[]));
    steps.extend(own.map(|(index, ..)| step(Phase::Index, index, "SQL", "")));
    steps.extend(roots(Group::Constraint, Phase::Constraint));
    steps.extend(made(Group::Attach).map(|entry| step(Phase::Attach, entry.object(), "SQL", "")));
    steps.extend(maker.foreign_keys(&contents, &inventory, &here)?.into_iter().map(from_task));
    steps.extend(checked.into_iter().map(|key| step(Phase::ForeignKey, key, "check", "")));
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
        schema::refreshes(&contents, &inventory, !makes)
            .into_iter()
            .map(|(name, _)| step(Phase::Refresh, name.shown(), "REFRESH MATERIALIZED VIEW", "")),
    );
    steps.extend(
        analyze::tasks(&inventory, &here, options.jobs, &HashSet::new())
            .into_iter()
            .map(|task| step(Phase::Analyze, task.object, "ANALYZE", "")),
    );
    if !inventory.selection.no_rows {
        let method = match options.verify {
            Level::Count => "count",
            Level::Checksum => "checksum",
        };
        steps.push(step(Phase::Verify, "every table and chunk", method, ""));
    }
    steps.extend(made(Group::Publication).map(|entry| step(Phase::Publications, entry.object(), "SQL", "")));
    let kept = database.kept(options);
    if !kept.is_empty() && whole {
        steps.push(step(Phase::Jobs, "DATABASE", "ALTER DATABASE", kept.join("; ")));
    }
    for job in &inventory.jobs {
        let name = job["application_name"].as_str().unwrap_or_default();
        let changes_hands = options.owners == Keep::Drop && jobs::changes_hands(job);
        let paused = options.pauses() || changes_hands || job["scheduled"] == false;
        let note = format!("{}{}", scope::job_work(job), if paused { "; paused" } else { "" });
        steps.push(step(Phase::Jobs, format!("JOB {name}"), "create_job", note));
    }
    if !makes && jobs::starts_schema(options) {
        steps.extend(
            jobs::paused_with_schema()?.into_iter().map(|name| step(Phase::Jobs, format!("JOB {name}"), "start", "")),
        );
    }
    steps.extend(made(Group::Last).map(|entry| step(Phase::Jobs, entry.object(), "SQL", "")));
    // What does not arrive is no phase, and comes first.
    steps.sort_by_key(|step| Phase::parse(step.phase));
    Ok(steps)
}

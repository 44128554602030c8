//! The plan of a run: every task that a worker can take, by phase. Pure: from the inventory
//! and the options alone.

mod adopted;
pub mod again;
pub mod analyze;
mod batches;
mod buckets;
pub mod compressed;
mod copies;
mod copy_statement;
mod copy_task;
pub mod keys;
mod phase;
pub mod recompute;
mod shape;

pub use adopted::Adopted;
pub use batches::Compressed;
pub use buckets::Buckets;
pub use copies::{Target, compressed_early, copies, unsplit};
pub use copy_task::{CopyTask, Destination, Filter, Recipe, RowStorage, SnapshotId, SourceRows};
pub use phase::Phase;

use crate::core::inventory::{Inventory, Size, SourceRelation};
use crate::core::name::{Name, literal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Something one worker does in one go.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub phase: Phase,
    /// As its user would name it.
    pub object: String,
    /// Estimates of the source, for the order, the progress and the ETA.
    pub rows: i64,
    pub bytes: i64,
    /// The earliest phase beside which it may be taken, once no open task of an earlier phase is about its tables; none if
    /// only in its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Phase>,
    pub work: Work,
}

impl Task {
    /// Lets it be taken beside this phase and those that follow.
    pub fn beside(self, phase: Phase) -> Task {
        Task { beside: Some(phase), ..self }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
// Most tasks are copies: nothing is gained by keeping them elsewhere.
/// What a task does, stored as `task_log.work`.
#[allow(clippy::large_enum_variant)]
pub enum Work {
    Copy(CopyTask),
    Sql(Sql),
    ForeignKey(ForeignKey),
    Attach(Attach),
    Compress(Compress),
    Recompute(Recompute),
    Recheck(Recheck),
    Verify(Verify),
    VerifyCopied(VerifyCopied),
}

/// What SQL reads of a task: columns of `timescale_migrate.task_log`, which say what they mean.
#[derive(Default, Serialize)]
pub struct Columns<'a> {
    source: Option<u32>,
    snapshot: Option<SnapshotId>,
    destination: Option<&'static str>,
    recipe: Option<&'static str>,
    own: Option<&'a serde_json::Value>,
    tables: Option<Vec<String>>,
    copies: Option<&'a [i32]>,
}

impl Work {
    /// How many relations it works on.
    pub fn relations(&self) -> usize {
        match self {
            Work::Sql(sql) => sql.chunks.max(1),
            _ => 1,
        }
    }

    /// The copy that it is.
    pub fn copy(&self) -> Option<&CopyTask> {
        match self {
            Work::Copy(copy) => Some(copy),
            _ => None,
        }
    }

    /// What SQL reads of it.
    pub fn columns(&self) -> Columns<'_> {
        let of = |copies| Columns { copies: Some(copies), ..Columns::default() };
        match self {
            Work::Copy(copy) => Columns {
                source: Some(copy.source.oid),
                snapshot: Some(copy.snapshot).filter(|id| *id != 0),
                destination: Some(copy.destination.kind()),
                recipe: Some(copy.recipe.name()),
                own: copy.destination.own(),
                tables: Some(vec![copy.destination.table().to_string()]),
                ..Columns::default()
            },
            Work::ForeignKey(key) => {
                let tables = [&key.table, &key.references].map(Name::to_string);
                Columns { tables: Some(tables.to_vec()), ..Columns::default() }
            }
            Work::Attach(attach) => of(std::slice::from_ref(&attach.copy)),
            Work::Recheck(recheck) => of(&recheck.copies),
            Work::VerifyCopied(verify) => of(&verify.copies),
            Work::Sql(sql) if !sql.copies.is_empty() => of(&sql.copies),
            Work::Sql(sql) if !sql.tables.is_empty() => {
                Columns { tables: Some(sql.tables.iter().map(Name::to_string).collect()), ..Columns::default() }
            }
            Work::Compress(Compress { copy: Some(copy), .. }) => of(std::slice::from_ref(copy)),
            Work::Compress(compress) => {
                Columns { tables: Some(vec![compress.hypertable.to_string()]), ..Columns::default() }
            }
            Work::Sql(_) | Work::Recompute(_) | Work::Verify(_) => Columns::default(),
        }
    }

    /// How it is done, as users see it in the column `method`.
    pub fn method(&self) -> String {
        match self {
            Work::Copy(copy) => copy.method(),
            Work::Sql(_) | Work::ForeignKey(_) => "SQL".to_string(),
            Work::Attach(attach) => attach.method().to_string(),
            Work::Compress(_) => "compress_chunk".to_string(),
            Work::Recompute(_) => "refresh_continuous_aggregate".to_string(),
            Work::Recheck(_) => "count".to_string(),
            Work::Verify(Verify { checksum: true, .. }) | Work::VerifyCopied(VerifyCopied { checksum: true, .. }) => {
                "checksum".to_string()
            }
            Work::Verify(_) | Work::VerifyCopied(_) => "count".to_string(),
        }
    }
}

/// Statements for the target, in one transaction.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sql {
    pub statements: Vec<String>,
    /// What it is about, unless `copies` tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Name>,
    /// How many chunks a batch works on.
    #[serde(default)]
    pub chunks: usize,
    /// What it makes needs the index that another task of the same object builds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upon_index: bool,
    /// The constraint that it adds NOT VALID, which rows that are copied again need not fulfil.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unvalidated: Option<String>,
    /// The copy tasks that brought them, where the work is about these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<i32>,
    /// The role whose definition it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// A foreign key, made when all rows that it reads have arrived.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForeignKey {
    pub statements: Vec<String>,
    /// The constraint's on the source.
    pub oid: u32,
    pub name: String,
    pub table: Name,
    pub references: Name,
    /// What FROM names on the source to read all rows of the one and of the other.
    pub read: [String; 2],
}

/// The end of a compressed chunk's way: what its copy task brought becomes a compressed chunk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attach {
    /// The copy task's id.
    pub copy: i32,
    /// Its recipe.
    pub recipe: String,
}

impl Attach {
    /// What becomes of the copy: as in the column `method`.
    pub fn method(&self) -> &'static str {
        Attach::method_of(&self.recipe)
    }

    /// The same of a copy by its recipe.
    pub fn method_of(recipe: &str) -> &'static str {
        match recipe {
            "compressed" => "attach",
            "frozen" => "freeze",
            _ => "compress",
        }
    }
}

/// A chunk of rows that becomes a compressed one, which it is not on the source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compress {
    /// Its OID on the target.
    pub chunk: u32,
    pub hypertable: Name,
    /// The copy that made it; none of a chunk that TimescaleDB made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<i32>,
}

/// A refresh of a continuous aggregate over its whole range.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recompute {
    pub cagg: Name,
}

/// Why a finished copy is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doubt {
    /// Its rows are counted, and looked at for newer ones.
    None,
    /// The chunk is compressed now and was not, or the other way round, or covers another range;
    /// or nothing tells whether it was written to.
    Changed,
    /// The source may have lost what was copied, in a crash or a fail-over.
    Lost,
    /// The chunk is no longer on the source.
    Gone,
}

/// Whether finished copy tasks of a relation still hold what the source has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recheck {
    /// The ids of the copy tasks: several if the relation was copied in parts.
    pub copies: Vec<i32>,
    pub doubt: Doubt,
    /// Of the snapshot that the relation was copied under.
    pub horizon: u64,
    /// What copies the relation as the source has it now.
    pub again: Vec<Task>,
}

/// A comparison of what copy tasks of one relation have brought with the source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyCopied {
    pub copies: Vec<i32>,
    pub checksum: bool,
    /// The first of this start: what was copied under an earlier snapshot is the same under this.
    pub snapshot: SnapshotId,
}

/// A comparison of one relation on both sides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verify {
    pub source: Option<Name>,
    /// More than one where a tiered chunk's rows are in several.
    pub targets: Vec<Name>,
    /// All columns, generated ones included.
    pub columns: Arc<[String]>,
    pub condition: Option<String>,
    /// What gives the source's rows in place of the relation.
    pub query: Option<String>,
    /// As in [`Copy`].
    pub root: bool,
    /// A chunk, whose compressed rows are no rows of its own.
    pub chunk: bool,
    /// On the target it may be a hypertable with other chunks than the source's, of which all rows are read.
    #[serde(default)]
    pub whole: bool,
    /// The relation whose batches reading the source's chunk decompresses.
    #[serde(default)]
    pub batches: Option<Name>,
    pub checksum: bool,
    /// The source's count where it is known already: what the source reported to the copy.
    pub source_rows: Option<i64>,
    /// The source's checksum where it is known already.
    #[serde(default)]
    pub source_checksum: Option<String>,
    /// As in [`Copy`].
    #[serde(default)]
    pub snapshot: SnapshotId,
    /// As in [`Copy`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<SourceRelation>,
    /// The rows are those of all of these: the partitions of a table, or the chunks of a hypertable. Each is read by itself:
    /// that takes few locks, and of a chunk that is planned among others some versions read no compressed rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<SourceRows>,
}

impl Verify {
    /// A comparison of what a task copies, by the columns of the relation on the target.
    pub fn of(copy: CopyTask, columns: Vec<String>) -> Verify {
        let condition = copy.filtered();
        let batches = copy.source.storage.batches(copy.source.query.as_deref()).cloned();
        Verify {
            source: Some(copy.source.name),
            targets: Vec::new(),
            columns: columns.into(),
            condition,
            query: copy.source.query,
            root: copy.source.root,
            whole: copy.destination.is_converted(),
            chunk: !matches!(copy.destination, Destination::Table(_)),
            batches,
            checksum: true,
            source_rows: None,
            source_checksum: None,
            snapshot: copy.snapshot,
            guards: copy.source.guards,
            parts: Vec::new(),
        }
    }
}

/// `rows` and `bytes` are estimates.
pub fn task(phase: Phase, object: String, rows: i64, bytes: i64, work: Work) -> Task {
    Task { phase, object, rows, bytes, beside: None, work }
}

/// One statement about a table as a task.
pub fn sql(phase: Phase, table: Name, bytes: i64, statement: String) -> Task {
    let object = table.shown();
    task(phase, object, 0, bytes, Work::Sql(Sql { statements: vec![statement], tables: vec![table], ..Sql::default() }))
}

/// An expression for a hypertable of the target by the name it is known as: with `cagg` that of the
/// continuous aggregate whose rows it holds.
pub fn hypertable(name: &Name, cagg: bool) -> String {
    match cagg {
        true => {
            let (schema, name) = (literal(&name.schema), literal(&name.name));
            format!("timescale_migrate.materialization_hypertable({schema}, {name})")
        }
        false => format!("{}::pg_catalog.regclass", literal(&name.to_string())),
    }
}

/// The indexes of continuous aggregates, each with the expression that makes it on the root and
/// is its OID, and with the aggregate.
pub fn cagg_indexes(inventory: &Inventory) -> Vec<(String, String, Name)> {
    let indexes = inventory.caggs.iter().flat_map(|cagg| {
        cagg.indexes.iter().map(|spec| {
            let made = format!(
                "timescale_migrate.create_cagg_index({}, {}, {}, {}::pg_catalog.jsonb)",
                literal(&cagg.schema),
                literal(&cagg.name),
                literal(&cagg.relation.name),
                literal(&spec.to_string())
            );
            let name = spec.get("name").and_then(|name| name.as_str()).unwrap_or_default();
            (format!("INDEX {name} of {}", cagg.qualified().shown()), made, cagg.qualified())
        })
    });
    indexes.collect()
}

/// The indexes that hypertables get besides those of the source, in the same form. `taken` are the names of those.
pub fn default_indexes(inventory: &Inventory, taken: &[Name]) -> Vec<(String, String, Name)> {
    let array = |names: &mut dyn Iterator<Item = &String>| {
        format!("ARRAY[{}]::name[]", names.map(|name| literal(name)).collect::<Vec<_>>().join(", "))
    };
    let indexes = inventory.hypertables.iter().flat_map(|root| {
        let name = root.known_as();
        let taken = array(&mut taken.iter().filter(|taken| taken.schema == name.schema).map(|taken| &taken.name));
        let index = move |columns: &Vec<String>| {
            let (root, list) = (hypertable(&name, false), array(&mut columns.iter()));
            let made = format!("timescale_migrate.create_default_index({root}, {list}, {taken})");
            (format!("INDEX ({}) of {}", columns.join(", "), name.shown()), made, name.clone())
        };
        root.indexes.iter().map(index)
    });
    indexes.collect()
}

/// A comparison as a task.
pub fn verify(object: String, size: Size, work: Verify) -> Task {
    task(Phase::Verify, object, size.rows, size.bytes, Work::Verify(work))
}

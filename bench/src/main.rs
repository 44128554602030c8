//! How long migrations take, and how long the other ways to move the same database take.
//!
//! Each scene is a source database, and perhaps a distance to it. Each contender moves it, in turns with
//! the others and each time into a fresh database on the same servers; what arrives is compared with
//! the source by content. Medians and their ratios are printed, and written with a chart.

mod chart;
mod contenders;
mod data;
mod gantt;
mod measured;
mod moving;
mod report;

use clap::Parser;
use cluster::{Cluster, Db, Edition, link::Link, of_edition};
use contenders::Contender;
use data::Data;
use measured::{Measured, Scene};
use moving::Moving;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Parser)]
#[command(about = "Compares migrations with the other ways to move a database")]
struct Arguments {
    /// Size of the source databases; 1 is what the documentation quotes
    #[arg(long, default_value_t = 1.0)]
    factor: f64,
    /// How often each contender moves each database
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only scenes whose names contain this
    #[arg(long, default_value = "")]
    scene: String,
    /// Only contenders whose names contain this, and migrate_from
    #[arg(long, default_value = "")]
    contender: String,
    /// Where the table and the chart are written
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

/// Of a server that is used for nothing else. Both have the same.
const SETTINGS: [(&str, &str); 6] = [
    ("shared_buffers", "512MB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
    ("autovacuum", "off"),
    ("max_worker_processes", "32"),
    // Ten thousand chunks are one transaction of pg_dump's and of psql's.
    ("max_locks_per_transaction", "1024"),
];

fn main() {
    let arguments = Arguments::parse();
    let scratch = std::env::temp_dir().join(format!("timescale_migrate_bench.{}", std::process::id()));
    std::fs::create_dir(&scratch).expect("the directory for temporary files can be written to");
    let scenes = all(&arguments, &scratch);
    let _ = std::fs::remove_dir_all(&scratch);
    let faults: Vec<String> = scenes.iter().flat_map(Scene::own_faults).collect();
    report::write(&scenes, &arguments.out);
    if !faults.is_empty() {
        eprintln!("migrate_from failed:\n{}", faults.join("\n"));
        std::process::exit(1);
    }
}

fn all(arguments: &Arguments, scratch: &Path) -> Vec<Scene> {
    let mut scenes = Vec::new();
    for data in Data::all(arguments.factor) {
        let distances = data.distances().iter().map(|ms| (data.scene(*ms), Duration::from_millis(*ms)));
        let wanted: Vec<(String, Duration)> = distances.filter(|(name, _)| name.contains(&arguments.scene)).collect();
        if wanted.is_empty() {
            continue;
        }
        let edition = match Edition::Community.lacks() {
            None => Edition::Community,
            Some(lack) if data.needs_community() => {
                println!("left out: {}: {lack}\n", data.scene(0));
                continue;
            }
            Some(_) => Edition::Apache,
        };
        let [source, target] = [(); 2].map(|()| Arc::new(of_edition(edition, &SETTINGS)));
        let source = Db::create(source, "bench");
        println!("{}: {}", data.scene(0), data.about());
        data.fill(&source);
        for (name, round_trip) in wanted {
            scenes.push(scene(name, round_trip, &data, &source, &target, arguments, scratch));
        }
    }
    scenes
}

/// All contenders in turns.
fn scene(
    name: String,
    round_trip: Duration,
    data: &Data,
    source: &Db,
    target: &Arc<Cluster>,
    arguments: &Arguments,
    scratch: &Path,
) -> Scene {
    let wanted = |contender: &&Contender| contender.is_ours() || contender.name().contains(&arguments.contender);
    let contenders: Vec<Contender> = Contender::of(data, round_trip).iter().filter(wanted).copied().collect();
    let link = Link::new(source.cluster.port, round_trip);
    let expected = data.content(source);
    let mut measured: Vec<Measured> = contenders.iter().map(|contender| Measured::new(*contender)).collect();
    for round in 1..=arguments.rounds {
        for measured in &mut measured {
            if let Some(lack) = measured.contender.lacks() {
                measured.lacks(lack);
                continue;
            }
            let moving = Moving::new(data, source, link.port, Db::create(target.clone(), "bench"), scratch);
            let result = measured.contender.run(&moving);
            let differs = match measured.contender.leaves_a_database() {
                true => data.differences(&expected, &moving.target),
                false => Vec::new(),
            };
            println!("  {name}, round {round}, {}: {}", measured.contender.name(), measured.add(result, differs));
            if measured.contender.is_ours() && round == arguments.rounds {
                gantt::print(&moving.target);
            }
        }
    }
    let scene = Scene { name, measured };
    println!("\n{}", report::table(&scene));
    scene
}

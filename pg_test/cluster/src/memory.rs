//! The memory of a run's processes while it is made.

use crate::Db;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

/// Looks several times a second at the processes and sessions of runs in a database.
pub struct Watch {
    stop: Arc<AtomicBool>,
    peaks: JoinHandle<BTreeMap<String, u64>>,
}

impl Watch {
    pub fn start(db: &Db) -> Watch {
        let stop = Arc::<AtomicBool>::default();
        let (mut client, stopped) = (db.connect(), stop.clone());
        let peaks = spawn(move || {
            let own: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
            let bare = private_memory(own).unwrap();
            // Sessions on a source are named by their run, and those that read by what they read.
            let processes = "SELECT regexp_replace(name, ' run \\d+', ''), pid
                             FROM (SELECT CASE backend_type WHEN 'client backend' THEN application_name ELSE backend_type END, pid
                                   FROM pg_stat_activity WHERE datname = current_database()) a(name, pid)
                             WHERE name ~ '^timescale_migrate (coordinator|worker|run \\d+ keeper)$'";
            let mut peaks = BTreeMap::new();
            loop {
                for row in client.query(processes, &[]).unwrap() {
                    let used = private_memory(row.get(1)).unwrap_or(0).saturating_sub(bare);
                    let peak = peaks.entry(row.get(0)).or_default();
                    *peak = used.max(*peak);
                }
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                sleep(Duration::from_millis(50));
            }
            peaks
        });
        Watch { stop, peaks }
    }

    /// What a process of each kind had at most, in MB above a backend that does nothing else than
    /// to look at them.
    pub fn end(self) -> BTreeMap<String, u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.peaks.join().unwrap().into_iter().map(|(kind, kb)| (kind, kb.div_ceil(1 << 10))).collect()
    }
}

/// Shared memory does not count. None if the process is gone.
fn private_memory(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

//! A throw-away database cluster and its server.

use crate::edition::{Edition, has_library, major};
use crate::poll;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Superuser `postgres`; its password, which only connections by TCP are asked for.
pub const PASSWORD: &str = "it's a \"secret\"";

/// A server with its own data directory; stopped and removed when dropped, and as well when
/// this process ends in any other way.
pub struct Cluster {
    pub bindir: PathBuf,
    major: u32,
    /// Holds the data, the socket and the log.
    pub dir: PathBuf,
    pub port: u16,
    /// It is a file system of its own.
    mounted: bool,
    /// The server's arguments.
    arguments: Vec<OsString>,
    guard: Mutex<Child>,
}

/// Runs the server until its standard input ends, which it does with the process that holds
/// the other end, however that one dies.
const GUARD: &str = r#"
"$0" "$@" </dev/null & server=$!
(cat >/dev/null; kill -INT $server 2>/dev/null) <&3 &
exec 3<&-
wait $server
"#;

impl Cluster {
    /// Makes a cluster and starts its server, with settings on top of those for tests.
    pub fn start(bindir: &Path, settings: &[(&str, &str)]) -> Cluster {
        Cluster::start_in(new_directory(), bindir, settings)
    }

    fn start_in(dir: PathBuf, bindir: &Path, settings: &[(&str, &str)]) -> Cluster {
        let password = dir.join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        let mut initdb = command(bindir, "initdb");
        initdb.arg("-D").arg(dir.join("data")).arg("--pwfile").arg(&password);
        initdb.args(["-U", "postgres", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]);
        initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
        as_server_user(&mut initdb);
        run(&mut initdb);
        Cluster::serve(bindir, dir, settings)
    }

    /// A hot standby of this cluster.
    pub fn standby(&self) -> Cluster {
        let dir = new_directory();
        let mut backup = command(&self.bindir, "pg_basebackup");
        backup.arg("-D").arg(dir.join("data")).arg("-h").arg(&self.dir);
        backup.args(["-p", &self.port.to_string(), "-U", "postgres"]);
        backup.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
        as_server_user(&mut backup);
        run(&mut backup);
        Cluster::serve(&self.bindir, dir, &[])
    }

    fn serve(bindir: &Path, dir: PathBuf, settings: &[(&str, &str)]) -> Cluster {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let socket_directory = dir.to_str().unwrap();
        let port_text = port.to_string();
        let mut all = BTreeMap::from([
            ("listen_addresses", "127.0.0.1"),
            ("port", &port_text),
            ("unix_socket_directories", socket_directory),
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("max_wal_size", "4GB"),
            ("max_connections", "200"),
            // Each database with TimescaleDB keeps one worker; many tests run at once.
            ("max_worker_processes", "100"),
            ("log_line_prefix", "%m [%p] %d, %b %a: "),
            // Of a deadlock too, whose error a worker keeps to itself and tries again.
            ("log_lock_waits", "on"),
        ]);
        if has_library(bindir, ".so") {
            all.insert("shared_preload_libraries", "timescaledb");
            all.insert("timescaledb.telemetry_level", "off");
            all.insert("timescaledb.max_background_workers", "60");
        }
        all.extend(settings.iter().copied());

        let mut arguments = vec![OsString::from("-D"), dir.join("data").into()];
        for (name, value) in all.iter().filter(|(_, value)| !value.is_empty()) {
            arguments.extend(["-c".into(), format!("{name}={value}").into()]);
        }
        let guard = Mutex::new(guard(bindir, &dir, &arguments));
        let major = major(&bindir.join("pg_config")).expect("no pg_config");
        let cluster = Cluster { bindir: bindir.into(), major, dir, mounted: false, port, arguments, guard };
        cluster.wait_until_ready();
        cluster
    }

    /// Waits until the server takes connections: after its start, or after a crash of one of its
    /// processes.
    pub fn wait_until_ready(&self) {
        poll("a server to start", || {
            let ended = self.guard.lock().unwrap().try_wait().unwrap().is_some();
            assert!(!ended, "the server did not start:\n{}", self.log_since(0));
            self.config("postgres").connect(postgres::NoTls).is_ok()
        });
    }

    /// Stops the server at once, as a crash would.
    pub fn stop_immediately(&self) {
        self.stop_by("QUIT");
    }

    /// Stops the server in order.
    pub fn stop(&self) {
        self.stop_by("INT");
    }

    fn stop_by(&self, name: &str) {
        let pid = std::fs::read_to_string(self.dir.join("data/postmaster.pid")).expect("the server does not run");
        signal(name, pid.lines().next().unwrap());
        poll("the server to stop", || self.guard.lock().unwrap().try_wait().unwrap().is_some());
    }

    /// Starts the server after it was stopped.
    pub fn start_again(&self) {
        *self.guard.lock().unwrap() = guard(&self.bindir, &self.dir, &self.arguments);
        self.wait_until_ready();
    }

    /// Fills the disk, which is one of its own, for a while; the server then runs again, even if it
    /// went down. False if its disk is the machine's.
    pub fn fill_disk(&self, pause: Duration) -> bool {
        if !self.mounted {
            return false;
        }
        let ballast = self.dir.join("ballast");
        // Ends at the first write that finds no room.
        let _ = std::io::copy(&mut std::io::repeat(1), &mut std::fs::File::create(&ballast).unwrap());
        std::thread::sleep(pause);
        std::fs::remove_file(&ballast).unwrap();
        poll("the server to run again", || {
            let ended = self.guard.lock().unwrap().try_wait().unwrap().is_some();
            if ended {
                *self.guard.lock().unwrap() = guard(&self.bindir, &self.dir, &self.arguments);
            }
            self.config("postgres").connect(postgres::NoTls).is_ok()
        });
        true
    }

    /// Connection parameters of the superuser, over the socket.
    pub fn config(&self, database: &str) -> postgres::Config {
        let mut config = postgres::Config::new();
        config.host_path(&self.dir).port(self.port).user("postgres").dbname(database);
        // A hang is a failure as well, and is to be seen before the whole run is given up.
        let mut options =
            "-c statement_timeout=180s -c lock_timeout=0 -c idle_in_transaction_session_timeout=0".to_owned();
        if self.major >= 14 {
            options += " -c idle_session_timeout=0";
        }
        config.options(&options).application_name("test");
        config
    }

    /// One of the installation's programs, to be run by the caller against this server.
    pub fn program(&self, name: &str) -> Command {
        let mut program = command(&self.bindir, name);
        program.env("PGHOST", &self.dir).env("PGPORT", self.port.to_string());
        program.env("PGUSER", "postgres");
        program
    }

    /// Runs one of the installation's programs to its end, as the user that the server runs as.
    pub fn run(&self, name: &str, arguments: &[&str]) -> String {
        let mut program = command(&self.bindir, name);
        as_server_user(&mut program);
        run(program.args(arguments))
    }

    /// Where the server keeps its data.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub fn log_length(&self) -> u64 {
        std::fs::metadata(self.dir.join("log")).map_or(0, |log| log.len())
    }

    /// The server's log from a position on.
    pub fn log_since(&self, position: u64) -> String {
        let mut text = Vec::new();
        let mut log = std::fs::File::open(self.dir.join("log")).expect("no log");
        log.seek(SeekFrom::Start(position)).unwrap();
        log.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut guard = self.guard.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        drop(guard.stdin.take());
        let _ = guard.wait();
        let log = std::fs::read(self.dir.join("log")).unwrap_or_default();
        let found = deadlocks(&String::from_utf8_lossy(&log));
        DEADLOCKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).extend(found);
        if self.mounted {
            let _ = Command::new("umount").arg(&self.dir).status();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

static DEADLOCKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The deadlocks that all servers have logged which were stopped so far.
pub fn logged_deadlocks() -> Vec<String> {
    DEADLOCKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
}

/// What a log says of each deadlock: which database it was in, and what the processes were doing. Not of those that a run's session on
/// a source was ended for, which were with the source's own statements: a run's sessions only read there.
fn deadlocks(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().collect();
    let found = lines.iter().enumerate().filter(|(_, line)| {
        line.contains(" detected deadlock while waiting for ") && !line.contains(", client backend timescale_migrate ")
    });
    found.map(|(at, _)| lines[at..lines.len().min(at + 30)].join("\n")).collect()
}

/// Runs the server; ends it when its standard input does.
fn guard(bindir: &Path, dir: &Path, arguments: &[OsString]) -> Child {
    let server = command(bindir, "postgres");
    let log = OpenOptions::new().create(true).append(true).open(dir.join("log")).unwrap();
    let mut guard = Command::new("sh");
    // Its own process group: an interrupt typed at the terminal is for the tests alone.
    guard.arg("-c").arg(format!("exec 3<&0 </dev/null; {GUARD}")).process_group(0);
    guard.arg(server.get_program()).args(arguments);
    as_server_user(&mut guard);
    // Whoever works in Rust may have it in the environment that a server is started from.
    guard.env("RUST_BACKTRACE", "1");
    guard.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
    guard.spawn().expect("cannot run sh")
}

/// Sends a signal to a process; false if it is gone.
pub fn signal(name: &str, pid: &str) -> bool {
    let mut kill = Command::new("kill");
    kill.args(["-s", name, pid]).stderr(Stdio::null()).status().expect("cannot run kill").success()
}

/// A process that stands still until the value goes.
pub struct Stopped(String);

impl Stopped {
    #[track_caller]
    pub fn process(pid: &str) -> Stopped {
        assert!(signal("STOP", pid), "no process {pid}");
        Stopped(pid.to_owned())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("CONT", &self.0);
    }
}

/// A server of its own of an edition.
pub fn of_edition(edition: Edition, settings: &[(&str, &str)]) -> Cluster {
    let (bindir, all) = edition_settings(edition, settings);
    Cluster::start(&bindir, &all)
}

fn edition_settings<'a>(edition: Edition, settings: &[(&'a str, &'a str)]) -> (PathBuf, Vec<(&'a str, &'a str)>) {
    let bindir = edition.bindir().expect("no such installation");
    let license = match edition {
        Edition::Apache => "apache",
        Edition::Community | Edition::Next | Edition::Previous => "timescale",
    };
    let mut all = vec![("timescaledb.license", license)];
    all.extend(settings);
    (bindir, all)
}

/// A server of its own of an edition, on a disk of so many megabytes where this process may mount
/// one (root's), else on the machine's.
pub fn of_edition_on_small_disk(edition: Edition, megabytes: u32, settings: &[(&str, &str)]) -> Cluster {
    let dir = new_directory();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "timescale_migrate"]).arg(&dir);
    let mounted = server_user().is_some() && mount.status().is_ok_and(|status| status.success());
    own(&dir);
    let (bindir, all) = edition_settings(edition, settings);
    let mut cluster = Cluster::start_in(dir, &bindir, &all);
    cluster.mounted = mounted;
    cluster
}

/// A program of an installation, without the caller's settings for such programs.
fn command(bindir: &Path, program: &str) -> Command {
    let mut command = Command::new(bindir.join(program));
    for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    command
}

/// initdb and postgres refuse root.
fn as_server_user(command: &mut Command) {
    // Else a panic's backtrace lands in the DETAIL of each error.
    command.env_remove("RUST_BACKTRACE").current_dir("/");
    if let Some((uid, gid)) = server_user() {
        command.uid(uid).gid(gid);
    }
}

/// User and group id of `postgres` for root; nobody else has to change.
fn server_user() -> Option<(u32, u32)> {
    let id = |option: &str, user: Option<&str>| -> u32 {
        let output = Command::new("id").arg(option).args(user).output().expect("cannot run id");
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().expect("there is no user postgres")
    };
    (id("-u", None) == 0).then(|| (id("-u", Some("postgres")), id("-g", Some("postgres"))))
}

fn new_directory() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("timescale_migrate.{}.{number}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir(&dir).unwrap();
    own(&dir);
    dir
}

/// Gives a directory to the user that servers run as.
fn own(dir: &Path) {
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
    if let Some((uid, gid)) = server_user() {
        chown(dir, Some(uid), Some(gid)).unwrap();
    }
}

/// Runs a program to its end; panics with what it printed if it fails. Returns its output.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}{err}");
    out.into_owned()
}

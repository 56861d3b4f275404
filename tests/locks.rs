//! One daemon for each runtime directory and its cgroups: whatever becomes of the directory, and of a daemon.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

/// Longer than anything here takes, so that only a failure waits for so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// A start takes milliseconds; what takes longer stands still.
const STUCK_AFTER: Duration = Duration::from_secs(2);

/// Runtime directory, sockets and logs of one test, and its number.
struct Place(PathBuf, u8);

/// A daemon that is killed with the test.
struct Daemon<'a> {
    place: &'a Place,
    process: Child,
}

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("auraed-locks-{}-{name}", std::process::id()));
        fs::create_dir(&path).expect("the name is new");
        static NUMBER: AtomicU8 = AtomicU8::new(1);
        Self(path, NUMBER.fetch_add(1, Ordering::Relaxed))
    }

    fn runtime_dir(&self) -> PathBuf {
        self.0.join("run")
    }

    /// In the loopback network, and nobody else's.
    fn address(&self) -> String {
        let [high, low] = u16::try_from(std::process::id() % 0xfffe + 1).expect("it is small").to_be_bytes();
        format!("127.{}.{high}.{low}:4739", self.1)
    }

    fn daemon(&self, log: &str) -> Daemon<'_> {
        let log = File::create(self.0.join(log)).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_auraed"));
        command.env_clear().arg("--runtime-dir").arg(self.runtime_dir()).stderr(log);
        command.args(["--insecure-tcp", "--socket", &self.address()]).arg("--socket");
        command.arg(self.runtime_dir().join("aurae.sock"));
        let process = command.spawn().expect("auraed has been built with this test");
        Daemon { place: self, process }
    }

    fn log(&self, log: &str) -> String {
        fs::read_to_string(self.0.join(log)).expect("a log")
    }

    fn aer(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aer"));
        command.env_clear().env("AURAE_RUNTIME_DIR", self.runtime_dir()).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn aer_output(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.aer(arguments).output().expect("aer runs");
        assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).expect("text")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Daemon<'_> {
    fn serve(self) -> Self {
        eventually("it serves", || {
            self.place.aer(&["health"]).output().is_ok_and(|output| output.status.success())
        });
        self
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.id()).expect("a pid"))
    }

    /// How it ends, by itself or by `signal`.
    fn end(&mut self, signal: Option<Signal>) -> Option<i32> {
        if let Some(signal) = signal {
            kill(self.pid(), signal).expect("it runs");
        }
        let mut status = None;
        eventually("it ends", || {
            status = self.process.try_wait().expect("it is ours");
            status.is_some()
        });
        status.expect("it has ended").code()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        sleep(Duration::from_millis(5));
    }
}

fn is_root() -> bool {
    if geteuid().is_root() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
    eprintln!("skipped: cells are control groups, which only root may make");
    false
}

#[test]
fn a_runtime_directory_in_use_is_refused_by_name_of_the_daemon() {
    if !is_root() {
        return;
    }
    let place = Place::new("used");
    let mut first = place.daemon("first").serve();
    assert_eq!(place.daemon("second").end(None), Some(1));
    let told = place.log("second");
    let expected =
        format!("another auraed runs on {}, process {};", place.runtime_dir().display(), first.pid());
    assert!(told.contains(&expected), "{told}");
    place.aer_output(&["health"]);
    assert_eq!(first.end(Some(Signal::SIGTERM)), Some(0));
}

#[test]
fn a_daemon_whose_runtime_directory_was_removed_keeps_its_cells() {
    if !is_root() {
        return;
    }
    let place = Place::new("removed");
    let mut first = place.daemon("first").serve();
    place.aer_output(&["cell", "allocate", "web"]);
    let started = place.aer_output(&["cell", "start", "web", "job", "--exec", "--", "sleep", "1000"]);
    let pid = started.trim_end().rsplit(' ').next().expect("it says the pid");
    let program = || fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    assert_eq!(program(), "sleep\n", "{started}");

    fs::remove_dir_all(place.runtime_dir()).expect("removed");
    assert_eq!(place.daemon("second").end(None), Some(1));
    let told = place.log("second");
    let expected = format!("belongs to another auraed that runs, process {},", first.pid());
    assert!(told.contains(&expected), "{told}");
    assert_eq!(program(), "sleep\n", "nothing has happened to it");

    assert_eq!(first.end(Some(Signal::SIGTERM)), Some(0), "{}", place.log("first"));
    assert_eq!(program(), "");
    assert_eq!(place.daemon("third").serve().end(Some(Signal::SIGTERM)), Some(0));
}

/// A process may stop every other of its user, and so what is about to become a program: until it does, that has all
/// descriptors of the daemon.
#[test]
fn what_a_killed_daemon_was_about_to_start_keeps_no_other_out() {
    if !is_root() {
        return;
    }
    let place = Place::new("killed");
    let mut first = place.daemon("first").serve();
    place.aer_output(&["cell", "allocate", "web", "--isolate-process"]);
    let start = |name: &str, command: &str| {
        place.aer(&["cell", "start", "web", name, "--user", "64124:64124", "--", command])
    };
    let stopper = start("stopper", "while :; do kill -STOP -1; done").output().expect("aer runs");
    assert!(stopper.status.success(), "{stopper:?}");
    let mut numbers = 0..;
    let (mut job, stuck) = loop {
        let mut job =
            start(&format!("job {}", numbers.next().expect("no end")), "true").spawn().expect("aer");
        let begin = Instant::now();
        while begin.elapsed() < STUCK_AFTER && matches!(job.try_wait(), Ok(None)) {
            sleep(Duration::from_millis(5));
        }
        if let Some(stuck) = before_exec(first.pid()) {
            break (job, stuck);
        }
        job.wait().expect("it is ours");
    };
    assert!(holds_the_lock(&stuck), "or this shows nothing");

    assert_eq!(first.end(Some(Signal::SIGKILL)), None);
    job.wait().expect("its daemon is gone");
    assert!(holds_the_lock(&stuck), "it stands where it stood");
    let mut second = place.daemon("second").serve();
    let status = fs::read_to_string(stuck.join("status")).unwrap_or_default();
    assert!(status.is_empty() || status.contains("State:\tZ"), "what the first has left is killed: {status}");
    assert_eq!(second.end(Some(Signal::SIGTERM)), Some(0), "{}", place.log("second"));
}

/// A child of the daemon that has the name of one of its threads still.
fn before_exec(daemon: Pid) -> Option<PathBuf> {
    let parent = format!("PPid:\t{daemon}\n");
    let is_one = |process: &Path| {
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        // Not the envoy that has made it.
        status.starts_with("Name:\tpool-") && status.contains(&parent) && status.contains("State:\tT")
    };
    let processes = fs::read_dir("/proc").expect("processes").flatten().map(|entry| entry.path());
    processes.into_iter().find(|process| is_one(process))
}

fn holds_the_lock(process: &Path) -> bool {
    let descriptors = fs::read_dir(process.join("fd")).expect("it is there").flatten();
    descriptors.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|file| file.ends_with("auraed.lock"))
}

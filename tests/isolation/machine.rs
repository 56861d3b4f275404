//! Cells for a test, and looks at them from inside and from outside.

use auraed::runtime::{
    CellName, CellSpec, Cells, CellsConfig, Command, Ending, ExecutableName, ExecutableSpec, Finish,
    Isolation, Program, Started,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Far more than anything here takes; ends a test that would hang.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const NOTHING: Isolation = Isolation { process: false, network: false };
pub const NETWORK: Isolation = Isolation { process: false, network: true };
pub const PROCESS: Isolation = Isolation { process: true, network: false };
pub const BOTH: Isolation = Isolation { process: true, network: true };

/// A machine with no cell on it, and none after the test, however that ends.
pub struct Machine {
    pub cells: Cells,
    pub config: CellsConfig,
}

impl Machine {
    /// `None`, and a reason on standard error, when this process may not make cgroups.
    pub fn new(test: &str) -> Option<Self> {
        Self::with(test, |_| {})
    }

    pub fn with(test: &str, change: impl FnOnce(&mut CellsConfig)) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            eprintln!("skipped: needs root, to make cgroups and namespaces");
            return None;
        }
        let mut config = CellsConfig::for_runtime_dir(Path::new("/"));
        config.slice = format!("aurae-isolation-{}-{test}", std::process::id());
        config.init = env!("CARGO_BIN_EXE_auraed").into();
        change(&mut config);
        Some(Self { cells: Cells::open(config.clone()).expect("open"), config })
    }

    pub fn allocate(&self, name: &str, isolation: Isolation) {
        self.cells.allocate(spec(name, isolation)).expect("allocate");
    }

    pub fn start(&self, cell: &str, name: &str, command: &str) -> Started {
        self.cells.start(&cell_name(cell), executable(name, command)).expect("start")
    }

    /// What a command writes in the cell.
    pub fn output(&self, cell: &str, command: &str) -> String {
        let file = std::env::temp_dir().join(format!("{}-output", self.config.slice));
        let started = self.start(cell, "look", &format!("exec > {} 2>&1\n{command}", file.display()));
        self.wait_for_exit(&started);
        self.stop(cell, "look");
        let output = fs::read_to_string(&file).expect("written");
        fs::remove_file(&file).expect("remove");
        output
    }

    pub fn stop(&self, cell: &str, name: &str) {
        self.end(&self.cells.stop(&cell_name(cell), &executable_name(name)).expect("stop"), PATIENCE);
    }

    pub fn free(&self, cell: &str) {
        self.end(&self.cells.free(&cell_name(cell), false).expect("free"), PATIENCE);
    }

    /// What a service does: waits for the grace period, kills, waits, finishes.
    pub fn end(&self, ending: &Ending, grace: Duration) {
        if !self.ended_within(ending, grace) {
            self.cells.kill(ending).expect("kill");
            assert!(self.ended_within(ending, PATIENCE), "{}", self.cells.give_up(ending));
        }
    }

    fn ended_within(&self, ending: &Ending, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.cells.finish(ending).expect("finish") == Finish::Busy {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
        true
    }

    pub fn wait_for_exit(&self, started: &Started) {
        let timeout = PollTimeout::try_from(PATIENCE).expect("a short time");
        let ended = poll(&mut [PollFd::new(started.exit.as_fd(), PollFlags::POLLIN)], timeout);
        assert_eq!(ended, Ok(1), "the process has not ended");
        self.cells.exited(&started.exit);
        assert!(started.exit.reason().is_some(), "it is reaped");
    }

    /// All cgroups of this machine, in all hierarchies, by their path below our own.
    pub fn groups(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for mount in cgroup_mounts() {
            let mut pending = vec![mount];
            while let Some(directory) = pending.pop() {
                let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
                for path in entries.map(|entry| entry.path()).filter(|path| path.is_dir()) {
                    let text = path.to_string_lossy().into_owned();
                    if let Some((_, below)) = text.split_once(&format!("/{}/", self.config.slice)) {
                        found.insert(below.to_owned());
                    }
                    pending.push(path);
                }
            }
        }
        found
    }

    /// The one cell's init.
    pub fn init(&self) -> i32 {
        let inits: Vec<i32> = self.inits();
        let [init] = inits[..] else { panic!("one init: {inits:?}") };
        init
    }

    /// Inits whose cgroup is of this machine, zombies included.
    pub fn inits(&self) -> Vec<i32> {
        let leaf = format!("/{}/init_", self.config.slice);
        let is_init = |pid: &i32| try_proc_file(*pid, "cgroup").is_some_and(|groups| groups.contains(&leaf));
        processes().into_iter().filter(is_init).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let closed = Cells::open(self.config.clone()).and_then(|again| again.close());
        if let Err(error) = closed
            && !thread::panicking()
        {
            panic!("clean up: {error}");
        }
    }
}

pub fn cell_name(text: &str) -> CellName {
    CellName::parse(text).expect("valid")
}

pub fn executable_name(text: &str) -> ExecutableName {
    ExecutableName::parse(text).expect("valid")
}

pub fn spec(name: &str, isolation: Isolation) -> CellSpec {
    CellSpec { name: cell_name(name), limits: Default::default(), isolation }
}

pub fn executable(name: &str, command: &str) -> ExecutableSpec {
    let program = Program::Shell(Command::parse(command).expect("valid"));
    ExecutableSpec::new(executable_name(name), program)
}

pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

pub fn processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

pub fn children_of(pid: i32) -> Vec<i32> {
    let parent = format!("PPid:\t{pid}\n");
    let is_child = |pid: &i32| try_proc_file(*pid, "status").is_some_and(|status| status.contains(&parent));
    processes().into_iter().filter(is_child).collect()
}

pub fn proc_file(pid: i32, file: &str) -> String {
    try_proc_file(pid, file).expect(file)
}

pub fn try_proc_file(pid: i32, file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/{file}")).ok()
}

pub fn status(pid: i32, field: &str) -> String {
    let status = proc_file(pid, "status");
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    value.expect(field).to_owned()
}

pub fn is_there(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// `pid:[4026531836]`.
pub fn namespace(pid: &str, kind: &str) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("a namespace")
}

/// Mount points of cgroup filesystems.
fn cgroup_mounts() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let of_cgroups = mounts.lines().filter(|line| line.contains(" - cgroup"));
    of_cgroups.filter_map(|line| line.split(' ').nth(4).map(PathBuf::from)).collect()
}

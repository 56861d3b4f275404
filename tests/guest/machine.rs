//! What each test here works with: a cgroup of its own, a daemon in it with a runtime directory of its own, calls, and
//! the kernel's view. All of it ends with the test, however that ends.
//!
//! ```
//! let group = OwnGroup::new("example");
//! let daemon = Daemon::start("example", &group);
//! daemon.allocate(Cell { cpu: cpu_max(200_000), ..cell("web") }).expect("allocate");
//! let pid = daemon.run("web", "job", "exec sleep 1000");
//! assert_eq!(daemon.group("web").read("cpu.max"), "200000 1000000");
//! assert!(group_of(pid).is_below(&daemon.group("web")));
//! assert_tidy(&group);
//! daemon.stop("web", "job").expect("stop");
//! daemon.end();
//! ```

use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use auraed::client::Channel;
use auraed::grpc::status::Status;
use auraed::proto::aurae::observe::v0::{Event, ObserveServiceWatchEventsRequest};
use auraed::proto::aurae::runtime::v0::*;
use auraed::proto::{CellServiceClient, ObserveServiceClient};
use auraed::runtime::CellsConfig;
use auraed::transport::listen::Address;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use smol::Executor;
use smol::stream::StreamExt;

/// Far more than anything here takes on an emulated machine; ends a test that would hang.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Between SIGTERM and SIGKILL, for what ignores the first. Every stop of a stubborn process takes so long.
const GRACE_MS: u32 = 200;

/// A directory of the cgroup file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group(PathBuf);

impl Group {
    /// The root of the hierarchy.
    pub fn root() -> Self {
        assert!(
            std::env::var_os("AURAE_IN_GUEST").is_some(),
            "this test needs a machine of its own: scripts/guest.sh cargo test --test guest"
        );
        Self("/sys/fs/cgroup".into())
    }

    /// The group of this name in this one; it need not exist.
    pub fn child(&self, name: &str) -> Self {
        Self(self.0.join(name))
    }

    /// The group around the daemon's leaf; any other is itself.
    fn without_leaf(&self) -> Self {
        if self.0.ends_with("_daemon") {
            Self(self.0.parent().expect("a leaf").to_owned())
        } else {
            self.clone()
        }
    }

    pub fn exists(&self) -> bool {
        self.0.exists()
    }

    pub fn is_below(&self, other: &Self) -> bool {
        self != other && self.0.starts_with(&other.0)
    }

    /// The file's text, without the newline at its end.
    pub fn read(&self, file: &str) -> String {
        let text = fs::read_to_string(self.0.join(file));
        text.unwrap_or_else(|error| panic!("{file} of {}: {error}", self.0.display())).trim_end().to_owned()
    }

    /// What stands behind `key` in a flat file, as `nr_throttled` in `cpu.stat`.
    pub fn number(&self, file: &str, key: &str) -> u64 {
        let text = self.read(file);
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {key} in {file}:\n{text}")).parse().expect("a number")
    }

    pub fn try_write(&self, file: &str, text: &str) -> std::io::Result<()> {
        fs::write(self.0.join(file), text)
    }

    pub fn write(&self, file: &str, text: &str) {
        let written = self.try_write(file, text);
        written.unwrap_or_else(|error| panic!("{text} to {file} of {}: {error}", self.0.display()));
    }

    pub fn make(&self) {
        fs::create_dir(&self.0).unwrap_or_else(|error| panic!("mkdir {}: {error}", self.0.display()));
    }

    pub fn remove(&self) {
        fs::remove_dir(&self.0).unwrap_or_else(|error| panic!("rmdir {}: {error}", self.0.display()));
    }

    /// Processes in this group itself, and not below it.
    pub fn pids(&self) -> Vec<i32> {
        self.read("cgroup.procs").lines().map(|pid| pid.parse().expect("a pid")).collect()
    }

    /// The groups directly in this one.
    pub fn children(&self) -> Vec<Self> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).map(Self).collect()
    }

    /// All groups below this one, outer before inner.
    pub fn all_below(&self) -> Vec<Self> {
        let inner = |child: Self| [child.clone()].into_iter().chain(child.all_below());
        self.children().into_iter().flat_map(inner).collect()
    }
}

/// A group that a test has made, as a service manager makes one for a service. Ends with all that is in it.
pub struct OwnGroup(Group);

impl OwnGroup {
    /// In the root group, with all controllers that the kernel has.
    pub fn new(name: &str) -> Self {
        let root = Group::root();
        give_all(&root);
        Self::below(&root, name)
    }

    /// In a group that gives it what it gives.
    pub fn below(parent: &Group, name: &str) -> Self {
        let group = parent.child(name);
        group.make();
        Self(group)
    }
}

impl Deref for OwnGroup {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.0
    }
}

impl Drop for OwnGroup {
    fn drop(&mut self) {
        let _ = self.0.try_write("cgroup.kill", "1");
        let begin = Instant::now();
        for group in self.0.all_below().iter().rev().chain([&self.0]) {
            while fs::remove_dir(&group.0).is_err() && group.exists() && begin.elapsed() < PATIENCE {
                pause();
            }
        }
    }
}

/// Has the group give its children all controllers that it has.
pub fn give_all(group: &Group) {
    for controller in group.read("cgroup.controllers").split(' ') {
        group.write("cgroup.subtree_control", &format!("+{controller}"));
    }
}

/// A daemon under test.
pub struct Daemon {
    process: Child,
    runtime_dir: PathBuf,
    /// Where its cells are.
    base: Group,
}

impl Daemon {
    /// Starts a daemon in `group`, and waits until it answers. One that is started with the name of another that has
    /// ended continues where that one stopped: it has the same runtime directory.
    pub fn start(name: &str, group: &Group) -> Self {
        Self::try_start(name, group, &[]).unwrap_or_else(|log| panic!("auraed did not start:\n{log}"))
    }

    /// As `start`, by the command `prefix`; or what it has logged before it ended.
    pub fn try_start(name: &str, group: &Group, prefix: &[&str]) -> Result<Self, String> {
        let runtime_dir = PathBuf::from(format!("/run/aurae-{name}"));
        fs::create_dir_all(&runtime_dir).expect("mkdir");
        let log = File::create(runtime_dir.join("log")).expect("log");
        let mut command = Command::new("sh");
        // Inside before it is the daemon, as with a service manager.
        command.args(["-c", "echo 0 >\"$0\"/cgroup.procs && exec \"$@\""]).arg(&group.0).args(prefix);
        command.arg(env!("CARGO_BIN_EXE_auraed")).arg("--runtime-dir").arg(&runtime_dir);
        command.args(["--stop-grace-ms", &GRACE_MS.to_string()]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("log")).stderr(log);
        let process = command.spawn().expect("sh");
        let slice = CellsConfig::for_runtime_dir(&runtime_dir).slice;
        let mut daemon = Self { process, runtime_dir, base: group.child(&slice) };
        let mut ended = None;
        eventually("auraed answers or ends", || {
            ended = daemon.process.try_wait().expect("our child");
            ended.is_some() || daemon.try_list().is_ok()
        });
        if ended.is_some() {
            return Err(daemon.log());
        }
        // Beside the leaf, if that is where it is now.
        daemon.base = group_of(daemon.pid()).without_leaf().child(&slice);
        Ok(daemon)
    }

    pub fn pid(&self) -> i32 {
        self.process.id().try_into().expect("a pid")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.runtime_dir.join("log")).expect("log")
    }

    /// The group below which all cells are.
    pub fn base(&self) -> &Group {
        &self.base
    }

    /// The cell's group.
    pub fn group(&self, cell: &str) -> Group {
        self.base.child(cell)
    }

    /// Processes of the cell and of all cells in it.
    pub fn pids(&self, cell: &str) -> Vec<i32> {
        let group = self.group(cell);
        let all = group.all_below();
        [group].iter().chain(&all).flat_map(Group::pids).collect()
    }

    /// What `aer` prints: on standard output, or on standard error when it fails.
    pub fn aer(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aer"));
        let output =
            command.args(arguments).env("AURAE_RUNTIME_DIR", &self.runtime_dir).output().expect("aer");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8").trim_end().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// One call of the cell service, on a connection of its own.
    pub fn call<T>(
        &self,
        call: impl AsyncFnOnce(CellServiceClient<'_, Channel>) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let executor = Executor::new();
        let address = Address::Unix(self.runtime_dir.join("aurae.sock"));
        smol::block_on(executor.run(async {
            let channel = Channel::connect(&address, Some(PATIENCE), &executor).await?;
            call(CellServiceClient::new(&channel)).await
        }))
    }

    /// What has happened to cells and executables, as far as it is held.
    pub fn events(&self) -> Vec<Event> {
        let executor = Executor::new();
        let address = Address::Unix(self.runtime_dir.join("aurae.sock"));
        let request = ObserveServiceWatchEventsRequest { no_follow: true, ..Default::default() };
        let events = smol::block_on(executor.run(async {
            let channel = Channel::connect(&address, Some(PATIENCE), &executor).await?;
            ObserveServiceClient::new(&channel).watch_events(&request).await?.try_collect().await
        }));
        events.expect("watch")
    }

    pub fn allocate(&self, cell: Cell) -> Result<CellServiceAllocateResponse, Status> {
        let request = CellServiceAllocateRequest { cell: Some(cell) };
        self.call(async |cells| cells.allocate(&request).await)
    }

    pub fn start_in(&self, cell: &str, executable: Executable) -> Result<CellServiceStartResponse, Status> {
        let request = CellServiceStartRequest {
            cell_name: cell.to_owned(),
            executable: Some(executable),
            ..CellServiceStartRequest::default()
        };
        self.call(async |cells| cells.start(&request).await)
    }

    /// Starts a command that must start; its pid.
    pub fn run(&self, cell: &str, name: &str, command: &str) -> i32 {
        let executable =
            Executable { name: name.to_owned(), command: command.to_owned(), ..Executable::default() };
        self.start_in(cell, executable).expect("start").pid
    }

    /// As `run`, with a process that ignores SIGTERM, and does so by now.
    pub fn run_stubborn(&self, cell: &str, name: &str) -> i32 {
        let ready = self.runtime_dir.join("ready");
        // The program inherits what the shell ignores.
        let command = format!("trap '' TERM; : >{}; exec sleep 1000", ready.display());
        let pid = self.run(cell, name, &command);
        eventually("the trap is set", || fs::remove_file(&ready).is_ok());
        pid
    }

    pub fn stop(&self, cell: &str, name: &str) -> Result<CellServiceStopResponse, Status> {
        let request = CellServiceStopRequest {
            cell_name: cell.to_owned(),
            executable_name: name.to_owned(),
            ..CellServiceStopRequest::default()
        };
        self.call(async |cells| cells.stop(&request).await)
    }

    pub fn free(&self, cell: &str) -> Result<CellServiceFreeResponse, Status> {
        let request =
            CellServiceFreeRequest { cell_name: cell.to_owned(), ..CellServiceFreeRequest::default() };
        self.call(async |cells| cells.free(&request).await)
    }

    pub fn list(&self) -> Vec<CellGraphNode> {
        self.try_list().expect("list").cells
    }

    fn try_list(&self) -> Result<CellServiceListResponse, Status> {
        self.call(async |cells| cells.list(&CellServiceListRequest {}).await)
    }

    /// Stops the daemon, which must free its cells and succeed.
    pub fn end(mut self) {
        let ended = self.terminate();
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}\n{}", self.log());
        assert!(!self.base.exists(), "{:?} is left", self.base);
    }

    /// Ends the daemon as a crash does.
    pub fn crash(mut self) {
        self.process.kill().expect("kill");
        self.process.wait().expect("wait");
    }

    fn terminate(&mut self) -> Option<ExitStatus> {
        // Fails only when it has ended.
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGTERM);
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait().expect("our child") {
                return Some(status);
            }
            pause();
        }
        None
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) && self.terminate().is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
        if std::thread::panicking() {
            eprintln!("log of auraed on {}:\n{}", self.runtime_dir.display(), self.log());
        }
    }
}

/// A cell without limits; `Cell { cpu: …, ..cell("web") }` is one with.
pub fn cell(name: &str) -> Cell {
    Cell { name: name.to_owned(), ..Cell::default() }
}

/// So many microseconds in each second.
pub fn cpu_max(max: i64) -> Option<CpuController> {
    Some(CpuController { max: Some(max), ..CpuController::default() })
}

pub fn cpu_weight(weight: u64) -> Option<CpuController> {
    Some(CpuController { weight: Some(weight), ..CpuController::default() })
}

pub fn cpus(list: &str) -> Option<CpusetController> {
    Some(CpusetController { cpus: Some(list.to_owned()), mems: None })
}

/// Asserts that the kernel's rules for v2 are kept below `group`: a group that has groups in it has no process, and none
/// is threaded.
pub fn assert_tidy(group: &Group) {
    for group in group.all_below() {
        assert_eq!(group.read("cgroup.type"), "domain", "{group:?}");
        assert!(group.children().is_empty() || group.pids().is_empty(), "{group:?} has {:?}", group.pids());
    }
}

/// The group that a process is in.
pub fn group_of(pid: i32) -> Group {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the process is there");
    let path = text.trim_end().strip_prefix("0::/").expect("cgroup v2 alone");
    if path.is_empty() { Group::root() } else { Group::root().child(path) }
}

/// A field of `/proc/PID/status`.
pub fn status(pid: i32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t")).expect(field).to_owned()
}

/// Neither process nor zombie.
pub fn is_gone(pid: i32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        pause();
    }
}

fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

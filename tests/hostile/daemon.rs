//! The daemon under test, its clients, and the kernel's view of its cells. All of it ends with the test, however that
//! ends.

#[path = "../common/under_test.rs"]
mod under_test;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use auraed::client::Channel;
use auraed::grpc::status::Status;
use auraed::proto::CellServiceClient;
use auraed::proto::aurae::runtime::v0::*;
use auraed::runtime::CellsConfig;
use smol::Executor;
pub use under_test::PATIENCE;
use under_test::{Auraed, eventually_async};

/// What a call that waits for nothing is given, while others are served. A hundredth would do on a machine that is not
/// emulated and has nothing else to do.
pub const PROMPT: Duration = Duration::from_secs(30);

pub struct Daemon {
    auraed: Auraed,
    slice: String,
}

impl Daemon {
    /// `None`, and a reason on standard error, when this process may not make cgroups.
    pub fn start(test: &str) -> Option<Self> {
        let auraed = Auraed::start(test, |command| _ = command.args(["--stop-grace-ms", "500"]))?;
        let canonical = auraed.directory.canonicalize().expect("it is there");
        let slice = CellsConfig::for_runtime_dir(&canonical).slice;
        Some(Self { auraed, slice })
    }

    pub fn client(&self) -> Client {
        self.client_with(PATIENCE)
    }

    /// One whose calls have this deadline.
    pub fn client_with(&self, deadline: Duration) -> Client {
        let executor = Executor::new();
        let channel = smol::block_on(executor.run(self.auraed.connect(&executor, Some(deadline))));
        Client { executor, channel }
    }

    pub fn pid(&self) -> i32 {
        self.auraed.pid()
    }

    /// The cell's directories in all hierarchies. The daemon's own group tells where they are.
    pub fn directories(&self, cell: &str) -> Vec<PathBuf> {
        let below = |directory: PathBuf| directory.join(&self.slice).join(cell);
        let groups = own_groups(self.pid());
        let around = groups.iter().map(|group| match group.ends_with("_daemon") {
            true => group.parent().expect("a leaf").to_owned(),
            false => group.clone(),
        });
        around.map(below).filter(|directory| directory.is_dir()).collect()
    }

    /// Processes of the cell and of all cells in it, in any hierarchy.
    pub fn processes(&self, cell: &str) -> BTreeSet<i32> {
        let all = self.directories(cell).into_iter().flat_map(|directory| below(&directory));
        let lists = all.filter_map(|directory| fs::read_to_string(directory.join("cgroup.procs")).ok());
        lists.flat_map(|list| list.lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
    }

    /// Asserts that no cell is left of what a test has made.
    pub fn assert_empty(&self) {
        assert_eq!(self.client().list(), vec![]);
        let left: Vec<_> = self.directories("").into_iter().flat_map(|base| below(&base)).collect();
        assert_eq!(left.len(), self.directories("").len(), "{left:?}");
    }

    /// A file of this name, which goes with the daemon.
    pub fn file(&self, name: &str) -> PathBuf {
        self.auraed.file(name)
    }
}

/// A connection of its own.
pub struct Client {
    executor: Executor<'static>,
    channel: Channel,
}

impl Client {
    pub fn call<T>(
        &self,
        call: impl AsyncFnOnce(CellServiceClient<'_, Channel>) -> Result<T, Status>,
    ) -> Result<T, Status> {
        smol::block_on(self.executor.run(call(CellServiceClient::new(&self.channel))))
    }

    pub fn allocate(&self, cell: Cell) -> Result<(), Status> {
        let request = CellServiceAllocateRequest { cell: Some(cell) };
        self.call(async |cells| cells.allocate(&request).await).map(drop)
    }

    pub fn start(&self, cell: &str, name: &str, command: &str) -> Result<i32, Status> {
        let executable =
            Executable { name: name.to_owned(), command: command.to_owned(), ..Executable::default() };
        let request = CellServiceStartRequest {
            cell_name: cell.to_owned(),
            executable: Some(executable),
            ..CellServiceStartRequest::default()
        };
        self.call(async |cells| cells.start(&request).await).map(|started| started.pid)
    }

    pub fn stop(&self, cell: &str, name: &str) -> Result<(), Status> {
        self.stop_within(cell, name, None)
    }

    /// With this grace period, if there is one, and the daemon's own else.
    pub fn stop_within(&self, cell: &str, name: &str, grace: Option<Duration>) -> Result<(), Status> {
        let request = CellServiceStopRequest {
            cell_name: cell.to_owned(),
            executable_name: name.to_owned(),
            grace_period_ms: grace.map(|grace| grace.as_millis().try_into().expect("not too long")),
        };
        self.call(async |cells| cells.stop(&request).await).map(drop)
    }

    pub fn free(&self, cell: &str) -> Result<(), Status> {
        let request =
            CellServiceFreeRequest { cell_name: cell.to_owned(), ..CellServiceFreeRequest::default() };
        self.call(async |cells| cells.free(&request).await).map(drop)
    }

    pub fn list(&self) -> Vec<CellGraphNode> {
        self.call(async |cells| cells.list(&CellServiceListRequest {}).await).expect("list").cells
    }
}

pub fn cell(name: &str) -> Cell {
    Cell { name: name.to_owned(), ..Cell::default() }
}

/// Starts a process that ignores SIGTERM, and does so by now.
pub fn start_stubborn(daemon: &Daemon, cell: &str, name: &str) -> i32 {
    start_with_trap(daemon, cell, name, "")
}

/// Starts a process that does this at SIGTERM, and goes on.
pub fn start_with_trap(daemon: &Daemon, cell: &str, name: &str, trap: &str) -> i32 {
    let ready = daemon.file(&format!("{}-{name}", cell.replace('/', "-")));
    let command = format!("trap '{trap}' TERM; : >{}; while :; do sleep 0.2; done", ready.display());
    let pid = daemon.client().start(cell, name, &command).expect("start");
    eventually("the trap is set", || fs::remove_file(&ready).is_ok());
    pid
}

/// The directories of the cgroups that a process is in, in all mounted hierarchies.
fn own_groups(pid: i32) -> Vec<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the daemon runs");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let mut found = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().expect("controllers"), fields.next().expect("a path"));
        let is_of = |mount: &&str| match controllers {
            "" => mount.contains(" - cgroup2 "),
            _ => mount.contains(" - cgroup ") && mount.ends_with(&format!(",{controllers}")),
        };
        // All of them: one may be hidden by another.
        for mount in mounts.lines().filter(is_of) {
            let point = mount.split(' ').nth(4).expect("a mount point");
            found.push(Path::new(point).join(path.trim_start_matches('/')));
        }
    }
    found
}

/// This directory and all below it.
fn below(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    [path.to_owned()].into_iter().chain(inner.flat_map(|entry| below(&entry.path()))).collect()
}

pub fn is_gone(pid: i32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

/// Gone, or dead and left to be reaped by whoever adopted it, which is not the daemon.
pub fn has_ended(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    smol::block_on(eventually_async(what, async || is_so()));
}

pub fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

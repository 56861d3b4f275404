//! The daemon under test, and what is asked of it and of the kernel.

use crate::under_test::{Auraed, PATIENCE, eventually_async};
use auraed::client::Channel;
use auraed::grpc::status::{Code, Status};
use auraed::proto::CellServiceClient;
use auraed::proto::aurae::runtime::v0::*;
use auraed::runtime::CellsConfig;
use smol::future::FutureExt;
use smol::{Executor, Timer, future};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Ignores SIGTERM, but writes down that it came. What writes ignores it, too: it may be found by the last round of signals.
pub const STUBBORN: &str =
    "trap 'trap \"\" TERM; date +%s%N >FILE.term' TERM; : >FILE.ready; while :; do sleep 0.05; done";

/// The real `auraed`, and a connection to it.
pub struct Daemon {
    channel: Channel,
    pub executor: Executor<'static>,
    pub auraed: Auraed,
}

/// Runs a test against a daemon of its own.
pub fn with_daemon(test: &str, body: impl AsyncFnOnce(&Daemon)) {
    let Some(auraed) = Auraed::start(test, |_| ()) else { return };
    let executor = Executor::new();
    let channel = future::block_on(executor.run(auraed.connect(&executor, None)));
    let daemon = Daemon { channel, executor, auraed };
    future::block_on(daemon.executor.run(async {
        let late = async {
            Timer::after(5 * PATIENCE).await;
            panic!("{test} takes longer than {:?}", 5 * PATIENCE);
        };
        body(&daemon).or(late).await;
    }));
}

impl Daemon {
    pub async fn connect(&self, timeout: Option<Duration>) -> Channel {
        self.auraed.connect(&self.executor, timeout).await
    }

    pub fn cells(&self) -> CellServiceClient<'_, Channel> {
        CellServiceClient::new(&self.channel)
    }

    pub async fn allocate(&self, name: &str) {
        self.try_allocate(name).await.expect("allocate");
    }

    pub async fn try_allocate(&self, name: &str) -> Result<(), Status> {
        allocate_in(&self.channel, name).await
    }

    pub async fn start(&self, cell: &str, name: &str, command: &str) -> i32 {
        self.start_with(cell, name, command, None).await.expect("start")
    }

    pub async fn start_with(
        &self,
        cell: &str,
        name: &str,
        command: &str,
        restart: Option<RestartPolicy>,
    ) -> Result<i32, Status> {
        let (name, command) = (name.to_owned(), command.to_owned());
        self.request(cell, Executable { name, command, restart, ..Executable::default() }).await
    }

    pub async fn request(&self, cell: &str, executable: Executable) -> Result<i32, Status> {
        let (cell_name, executable) = (cell.to_owned(), Some(executable));
        let request = CellServiceStartRequest { cell_name, executable, ..CellServiceStartRequest::default() };
        self.cells().start(&request).await.map(|started| started.pid)
    }

    pub async fn allocate_isolated(&self, name: &str) {
        let cell = Some(Cell { name: name.to_owned(), isolate_process: true, ..Cell::default() });
        self.cells().allocate(&CellServiceAllocateRequest { cell }).await.expect("allocate");
    }

    pub async fn start_as_nobody(&self, cell: &str, executable: Executable) -> Result<i32, Status> {
        let (executable, uid, gid) = (Some(executable), Some(64_123), Some(64_123));
        let request = CellServiceStartRequest { cell_name: cell.to_owned(), executable, uid, gid };
        self.cells().start(&request).await.map(|started| started.pid)
    }

    pub async fn wait(&self, cell: &str, name: &str) -> Result<CellServiceWaitResponse, Status> {
        self.cells().wait(&wait_request(cell, name)).await
    }

    pub async fn stop(&self, cell: &str, name: &str) -> Result<(), Status> {
        self.stop_request(cell, name, None).await
    }

    pub async fn stop_within(&self, cell: &str, name: &str, grace_ms: u32) -> Result<(), Status> {
        self.stop_request(cell, name, Some(grace_ms)).await
    }

    pub async fn stop_request(
        &self,
        cell: &str,
        name: &str,
        grace_period_ms: Option<u32>,
    ) -> Result<(), Status> {
        stop_in(&self.channel, cell, name, grace_period_ms).await
    }

    pub async fn free(&self, cell: &str, force: bool, grace: Option<Duration>) -> Result<(), Status> {
        let grace_period_ms = grace.map(|grace| u32::try_from(grace.as_millis()).expect("it is short"));
        let request = CellServiceFreeRequest { cell_name: cell.to_owned(), grace_period_ms, force };
        self.cells().free(&request).await.map(drop)
    }

    pub async fn list(&self) -> Vec<CellGraphNode> {
        self.cells().list(&CellServiceListRequest {}).await.expect("list").cells
    }

    /// As List shows it; the cell is at the top.
    pub async fn executable(&self, cell: &str, name: &str) -> CellExecutable {
        let cells = self.list().await;
        let named = |node: &&CellGraphNode| node.cell.as_ref().is_some_and(|found| found.name == cell);
        let node = cells.iter().find(named).expect("the cell is listed");
        node.executables.iter().find(|found| found.name == name).expect("it is listed").clone()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.auraed.file(name)
    }

    pub fn log(&self) -> String {
        self.auraed.log()
    }

    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.auraed.pid())).expect("the daemon runs").count()
    }

    pub fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.auraed.pid())).expect("the daemon runs").count()
    }

    pub async fn ends(&self) {
        eventually("the daemon ends", || self.auraed.has_ended().is_some()).await;
    }

    /// The directory of a cell in the v2 hierarchy, by way of a process in it.
    pub async fn v2_cell(&self, cell: &str) -> Option<PathBuf> {
        let pid = self.start(cell, "scout", "exec sleep 1000").await;
        let memberships = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
        let path = memberships.lines().find_map(|line| line.strip_prefix("0::/")).map(str::to_owned);
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        let mount =
            mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|m| m[2] == "cgroup2");
        let leaf = Path::new(mount?[1]).join(path?);
        for _ in 0..2 {
            self.stop(cell, "scout").await.expect("stop");
        }
        leaf.parent().filter(|cell| cell.is_dir()).map(Path::to_owned)
    }

    /// Directories of a cell, in all hierarchies.
    pub fn directories(&self, cell: &str) -> Vec<PathBuf> {
        let canonical = self.auraed.directory.canonicalize().expect("it is there");
        let slice = CellsConfig::for_runtime_dir(&canonical).slice;
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let below = points.filter(|point| point.starts_with("/sys/fs/cgroup")).map(PathBuf::from);
        let found = below.flat_map(|root| find(&root, &slice, 3)).map(|slice| slice.join(cell));
        found.filter(|directory| directory.exists()).collect()
    }

    /// Leafs that there are in a cell.
    pub fn leafs(&self, cell: &str) -> BTreeSet<PathBuf> {
        let entries =
            self.directories(cell).into_iter().flat_map(|directory| fs::read_dir(directory).expect("list"));
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"exec_")))
            .collect()
    }

    /// Of all executables of a cell.
    pub fn processes(&self, cell: &str) -> Vec<String> {
        self.leafs(cell).into_iter().flat_map(|leaf| lines(&leaf.join("cgroup.procs"))).collect()
    }
}

/// An executable whose working directory goes with its fourth run, so that each restart fails from then on.
pub struct Vanishing {
    directory: PathBuf,
    runs: PathBuf,
}

impl Vanishing {
    pub async fn start(daemon: &Daemon, cell: &str) -> Self {
        let vanishing = Self { directory: daemon.file(&format!("{cell}.gone")), runs: daemon.file(cell) };
        vanishing.come_back();
        let (directory, runs) = (vanishing.directory.display().to_string(), vanishing.runs.display());
        let command = format!("echo run >>{runs}; [ $(wc -l <{runs}) -lt 4 ] || rmdir {directory}; exit 1");
        let (name, working_directory) = ("job".to_owned(), directory);
        let job = Executable { name, command, working_directory, restart: always(), ..Executable::default() };
        daemon.request(cell, job).await.expect("start");
        vanishing
    }

    pub async fn restarts_in_vain(&self, daemon: &Daemon, cell: &str) {
        eventually_async("its fourth run has ended", async || {
            let listed = daemon.executable(cell, "job").await;
            (listed.state(), listed.restarts) == (CellExecutableState::Restarting, 3)
        })
        .await;
        let exit_code = daemon.executable(cell, "job").await.exit_code;
        assert_eq!((exit_code, self.runs(), self.directory.exists()), (Some(1), 4, false));
    }

    pub fn come_back(&self) {
        fs::create_dir(&self.directory).expect("it is not there");
    }

    pub fn runs(&self) -> usize {
        lines(&self.runs).len()
    }
}

/// Directories of this name, at most so deep.
pub fn find(root: &Path, name: &str, depth: usize) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let directories = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut found = Vec::new();
    for directory in directories.map(|entry| entry.path()) {
        if directory.ends_with(name) {
            found.push(directory);
        } else if depth > 0 {
            found.extend(find(&directory, name, depth - 1));
        }
    }
    found
}

pub async fn allocate_in(channel: &Channel, name: &str) -> Result<(), Status> {
    let cell = Some(Cell { name: name.to_owned(), ..Cell::default() });
    CellServiceClient::new(channel).allocate(&CellServiceAllocateRequest { cell }).await.map(drop)
}

pub async fn stop_in(channel: &Channel, cell: &str, name: &str, grace_ms: Option<u32>) -> Result<(), Status> {
    let (cell_name, executable_name) = (cell.to_owned(), name.to_owned());
    let request = CellServiceStopRequest { cell_name, executable_name, grace_period_ms: grace_ms };
    CellServiceClient::new(channel).stop(&request).await.map(drop)
}

pub fn wait_request(cell: &str, name: &str) -> CellServiceWaitRequest {
    CellServiceWaitRequest { cell_name: cell.to_owned(), executable_name: name.to_owned() }
}

pub fn on_failure(max_restarts: Option<u32>) -> Option<RestartPolicy> {
    Some(RestartPolicy { condition: RestartCondition::OnFailure.into(), max_restarts })
}

pub fn always() -> Option<RestartPolicy> {
    Some(RestartPolicy { condition: RestartCondition::Always.into(), max_restarts: None })
}

/// An executable that is its user's for some time before its program runs, which is looked for in many places.
pub fn sought(name: String) -> Executable {
    let nowhere: String = (0..250).map(|number| format!("/nowhere/{number}:")).collect();
    let env = [("PATH".to_owned(), format!("{nowhere}/usr/bin:/bin"))].into();
    Executable { name, args: vec!["true".to_owned()], env, ..Executable::default() }
}

pub fn stubborn(file: &Path) -> String {
    STUBBORN.replace("FILE", &file.display().to_string())
}

pub fn code<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Code {
    outcome.expect_err("it is refused").code
}

/// Whole lines of a file that processes write; none while it is not there.
pub fn lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
}

pub fn numbers(line: &str) -> Vec<u64> {
    line.split(' ').map(|number| number.parse().expect("a number")).collect()
}

/// Neither runs nor waits to be run; a zombie is for whoever is its parent to take.
pub fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z ") || stat.contains(") X "))
}

/// It has the name of one of our threads still.
pub fn stands_before_exec(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("pool-"))
}

/// By SIGSTOP: state T in proc_pid_stat(5).
pub fn is_stopped(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
}

pub fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is right");
    since.as_millis().try_into().expect("a time")
}

pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually_async(what, async || is_so()).await;
}

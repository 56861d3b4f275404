//! The daemon under test, its clients, and their streams. All of it ends with the test, however that ends.

#[path = "../common/under_test.rs"]
mod under_test;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use auraed::client::Channel;
use auraed::grpc::status::Status;
use auraed::proto::aurae::observe::v0::*;
use auraed::proto::aurae::runtime::v0::*;
use auraed::proto::{CellServiceClient, Items, ObserveServiceClient};
use smol::Executor;
use smol::stream::StreamExt;
pub use under_test::PATIENCE;
use under_test::{Auraed, eventually_async};

/// The cell that each daemon has.
pub const CELL: &str = "web";

pub struct Daemon {
    auraed: Auraed,
}

impl Daemon {
    /// With a cell. `None`, and a reason on standard error, when this process may not make cgroups.
    pub fn start(test: &str) -> Option<Self> {
        // Long enough for a shell to say its last words on a busy machine.
        let auraed = Auraed::start(test, |command| _ = command.args(["--stop-grace-ms", "30000"]))?;
        let daemon = Self { auraed };
        let cell = Some(Cell { name: CELL.to_owned(), ..Cell::default() });
        let request = CellServiceAllocateRequest { cell };
        daemon.client().cells(async |cells| cells.allocate(&request).await).expect("allocate");
        Some(daemon)
    }

    /// One that the daemon knows, and so does not wait for, however long nothing is asked of it.
    pub fn client(&self) -> Client {
        let client = self.client_with(PATIENCE);
        client.cells(async |cells| cells.list(&CellServiceListRequest {}).await).expect("list");
        client
    }

    /// One whose calls, streams too, have this deadline.
    pub fn client_with(&self, deadline: Duration) -> Client {
        let executor = Executor::new();
        let channel = smol::block_on(executor.run(self.auraed.connect(&executor, Some(deadline))));
        Client { executor, channel }
    }

    pub fn pid(&self) -> i32 {
        self.auraed.pid()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.auraed.file(name)
    }

    /// A line of shell that waits until [`Daemon::go`].
    pub fn gate(&self) -> String {
        self.gate_at("")
    }

    pub fn go(&self) {
        self.go_on("");
    }

    /// A line of shell that waits until [`Daemon::go_on`] with this step, which the shell may expand.
    pub fn gate_at(&self, step: &str) -> String {
        format!("until [ -e {}{step} ]; do sleep 0.02; done", self.file("go").display())
    }

    pub fn go_on(&self, step: &str) {
        File::create(self.file(&format!("go{step}"))).expect("a file");
    }

    /// Begins to stop.
    pub fn terminate(&self) {
        self.auraed.terminate();
    }

    /// Begins to count anew what `VmHWM` is the most of (proc(5), `clear_refs`).
    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").expect("we may");
    }

    /// Memory that is its own and in use, in bytes: the kernel's number of this name.
    pub fn memory(&self, name: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel counts it");
        let kib: usize = line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().expect("a number");
        kib << 10
    }
}

/// A connection of its own. It reads only while something is asked of it.
pub struct Client {
    executor: Executor<'static>,
    channel: Channel,
}

impl Client {
    pub fn cells<T>(&self, call: impl AsyncFnOnce(CellServiceClient<'_, Channel>) -> T) -> T {
        smol::block_on(self.executor.run(call(CellServiceClient::new(&self.channel))))
    }

    /// The pid.
    pub fn start(&self, name: &str, command: &str) -> i32 {
        self.start_it(executable(name, command))
    }

    pub fn start_it(&self, executable: Executable) -> i32 {
        self.start_as(executable, None).expect("start")
    }

    pub fn start_as(&self, executable: Executable, uid: Option<u32>) -> Result<i32, Status> {
        let request = CellServiceStartRequest {
            cell_name: CELL.to_owned(),
            executable: Some(executable),
            uid,
            gid: uid,
        };
        self.cells(async |cells| cells.start(&request).await).map(|started| started.pid)
    }

    pub fn stop(&self, name: &str) -> Result<(), Status> {
        self.stop_within(name, None)
    }

    pub fn stop_within(&self, name: &str, grace_period_ms: Option<u32>) -> Result<(), Status> {
        let (cell_name, executable_name) = (CELL.to_owned(), name.to_owned());
        let request = CellServiceStopRequest { cell_name, executable_name, grace_period_ms };
        self.cells(async |cells| cells.stop(&request).await).map(drop)
    }

    pub fn free(&self) -> Result<(), Status> {
        let request =
            CellServiceFreeRequest { cell_name: CELL.to_owned(), ..CellServiceFreeRequest::default() };
        self.cells(async |cells| cells.free(&request).await).map(drop)
    }

    pub fn wait(&self, name: &str) -> CellServiceWaitResponse {
        let request = CellServiceWaitRequest { cell_name: CELL.to_owned(), executable_name: name.to_owned() };
        self.cells(async |cells| cells.wait(&request).await).expect("it ends")
    }

    pub fn try_follow(&self, request: GetSubProcessStreamRequest) -> Result<Stream<'_>, Status> {
        let observe = ObserveServiceClient::new(&self.channel);
        let items = smol::block_on(self.executor.run(observe.get_sub_process_stream(&request)))?;
        Ok(Stream { client: self, items })
    }

    /// Of one that is there: its head has come.
    pub fn follow(&self, request: GetSubProcessStreamRequest) -> Stream<'_> {
        self.try_follow(request).expect("it is there")
    }

    /// All of it, to its end, which is to be OK.
    pub fn read(&self, request: GetSubProcessStreamRequest) -> Vec<LogItem> {
        let (items, end) = self.follow(request).rest();
        assert_eq!(end, Ok(()));
        items
    }

    pub fn refused(&self, request: GetSubProcessStreamRequest) -> Status {
        match self.try_follow(request) {
            Err(status) => status,
            Ok(stream) => panic!("it is given: {:?}", stream.rest()),
        }
    }
}

pub struct Stream<'a> {
    client: &'a Client,
    items: Items<LogItem>,
}

impl Stream<'_> {
    /// `None` when it has ended with OK.
    pub fn next(&mut self) -> Option<Result<LogItem, Status>> {
        smol::block_on(self.client.executor.run(self.items.next()))
    }

    /// The connection goes on, and nobody takes an item.
    pub fn leave_unread(&self, time: Duration) {
        smol::block_on(self.client.executor.run(smol::Timer::after(time)));
    }

    pub fn item(&mut self) -> LogItem {
        self.next().expect("it goes on").expect("it does not fail")
    }

    /// All that comes, in the order that was promised, and how it ends.
    pub fn rest(mut self) -> (Vec<LogItem>, Result<(), Status>) {
        let mut items: Vec<LogItem> = Vec::new();
        let end = loop {
            match self.next() {
                None => break Ok(()),
                Some(Err(status)) => break Err(status),
                Some(Ok(item)) => {
                    if let Some(last) = items.last() {
                        assert!(last.sequence < item.sequence, "{last:?}, then {item:?}");
                    }
                    items.push(item);
                }
            }
        };
        (items, end)
    }
}

pub fn executable(name: &str, command: &str) -> Executable {
    Executable { name: name.to_owned(), command: command.to_owned(), ..Executable::default() }
}

/// One that waits for those who follow, and holds little.
pub fn blocking(name: &str, command: &str) -> Executable {
    let log = LogPolicy { mode: LogMode::Block.into(), ring_bytes: Some(4096), ..LogPolicy::default() };
    Executable { log: Some(log), ..executable(name, command) }
}

/// One that is started again so often, whatever it exits with.
pub fn restarting(times: u32, executable: Executable) -> Executable {
    let condition = RestartCondition::Always.into();
    Executable { restart: Some(RestartPolicy { condition, max_restarts: Some(times) }), ..executable }
}

pub fn of(pid: i32) -> GetSubProcessStreamRequest {
    GetSubProcessStreamRequest { process_id: pid.into(), ..GetSubProcessStreamRequest::default() }
}

pub fn named(name: &str) -> GetSubProcessStreamRequest {
    GetSubProcessStreamRequest {
        cell_name: CELL.to_owned(),
        executable_name: name.to_owned(),
        ..GetSubProcessStreamRequest::default()
    }
}

pub fn lines(items: &[LogItem]) -> Vec<&str> {
    items.iter().map(|item| item.line.as_str()).collect()
}

pub fn is_gone(pid: i32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    smol::block_on(eventually_async(what, async || is_so()));
}

pub fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

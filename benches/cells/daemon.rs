//! A daemon of its own for each measurement, and a client that has one connection to it.

use crate::memory::Memory;
use auraed::client::Channel;
use auraed::grpc::status::Status;
use auraed::proto::aurae::observe::v0::{GetSubProcessStreamRequest, LogItem};
use auraed::proto::aurae::runtime::v0::*;
use auraed::proto::{CellServiceClient, Items, ObserveServiceClient};
use auraed::transport::listen::Address;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use smol::stream::StreamExt;
use smol::{Executor, LocalExecutor};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const START_MAX: Duration = Duration::from_secs(10);

/// Ends, with all its cells, when dropped.
pub struct Daemon {
    process: Child,
    directory: PathBuf,
    channel: Channel,
    executor: Executor<'static>,
}

impl Daemon {
    pub fn start() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("aurae-bench-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let process = Command::new(env!("CARGO_BIN_EXE_auraed"))
            .args(["--stop-grace-ms", "0", "-r"])
            .arg(&directory)
            .arg("-l")
            .arg(directory.join("library"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(directory.join("log")).expect("a log"))
            .spawn()
            .expect("auraed runs");
        let executor = Executor::new();
        let began = Instant::now();
        let channel = loop {
            match connect(&directory, &executor) {
                Ok(channel) => break channel,
                Err(error) => assert!(began.elapsed() < START_MAX, "the daemon does not answer: {error}"),
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        Self { process, directory, channel, executor }
    }

    pub fn allocate(&self, cell: Cell) {
        let request = CellServiceAllocateRequest { cell: Some(cell) };
        self.answer(CellServiceClient::new(&self.channel).allocate(&request));
    }

    pub fn begin(&self, cell: &str, executable: Executable) {
        let request = CellServiceStartRequest {
            cell_name: cell.to_owned(),
            executable: Some(executable),
            ..CellServiceStartRequest::default()
        };
        self.answer(CellServiceClient::new(&self.channel).start(&request));
    }

    pub fn free(&self, cell: &str) {
        let request =
            CellServiceFreeRequest { cell_name: cell.to_owned(), ..CellServiceFreeRequest::default() };
        self.answer(CellServiceClient::new(&self.channel).free(&request));
    }

    pub fn list(&self) -> Vec<CellGraphNode> {
        self.answer(CellServiceClient::new(&self.channel).list(&CellServiceListRequest {})).cells
    }

    /// Until the executable has ended.
    pub fn wait(&self, cell: &str, executable: &str) {
        let (cell_name, executable_name) = (cell.to_owned(), executable.to_owned());
        let request = CellServiceWaitRequest { cell_name, executable_name };
        self.answer(CellServiceClient::new(&self.channel).wait(&request));
    }

    /// Has another connection follow an executable of a cell, and never takes what comes. (On our own it would come before
    /// the answers to other calls: streams share the window of their connection.)
    pub fn stall(&self, cell: &str, executable: &str) -> (Channel, Items<LogItem>) {
        let channel = connect(&self.directory, &self.executor).expect("the daemon answers");
        let items = self.follow_on(&channel, cell, executable.to_owned());
        (channel, items)
    }

    /// The streams of these executables of a cell, of which nothing is taken yet.
    pub fn follow(&self, cell: &str, executables: impl Iterator<Item = String>) -> Vec<Items<LogItem>> {
        executables.map(|executable| self.follow_on(&self.channel, cell, executable)).collect()
    }

    fn follow_on(&self, channel: &Channel, cell: &str, executable_name: String) -> Items<LogItem> {
        let cell_name = cell.to_owned();
        let request = GetSubProcessStreamRequest { cell_name, executable_name, ..Default::default() };
        let observe = ObserveServiceClient::new(channel);
        self.answer(async { observe.get_sub_process_stream(&request).await })
    }

    /// Reads streams at once, to their ends; `ready` is called before. Gives how many items came, and how many were dropped.
    pub fn read_all(&self, streams: Vec<Items<LogItem>>, ready: impl FnOnce()) -> (u64, u64) {
        let read = async |mut items: Items<LogItem>| {
            let (mut read, mut dropped) = (0, 0);
            while let Some(item) = items.try_next().await? {
                (read, dropped) = (read + 1, dropped + item.dropped);
            }
            Ok((read, dropped))
        };
        let readers = LocalExecutor::new();
        let tasks: Vec<_> = streams.into_iter().map(|items| readers.spawn(read(items))).collect();
        ready();
        self.answer(readers.run(async {
            let mut sum = (0, 0);
            for task in tasks {
                let (read, dropped) = task.await?;
                sum = (sum.0 + read, sum.1 + dropped);
            }
            Ok(sum)
        }))
    }

    /// A path that goes with the daemon.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The time that its threads have run.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(") ").next().expect("its name").split(' ').collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("ticks")).sum();
        Duration::from_millis(ticks * 10)
    }

    pub fn memory(&self) -> Memory {
        Memory::of(self.process.id())
    }

    fn answer<T>(&self, call: impl Future<Output = Result<T, Status>>) -> T {
        smol::block_on(self.executor.run(call)).expect("the daemon does it")
    }
}

fn connect(directory: &Path, executor: &Executor<'static>) -> Result<Channel, Status> {
    let address = Address::Unix(directory.join("aurae.sock"));
    smol::block_on(executor.run(Channel::connect(&address, None, executor)))
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Our own child, which has not been waited for: the pid is still its.
        let _ = kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM);
        let ended = self.process.wait().is_ok_and(|status| status.success());
        if !ended {
            eprintln!("{}", fs::read_to_string(self.directory.join("log")).unwrap_or_default());
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

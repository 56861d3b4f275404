//! A daemon of its own for each measurement, and a client that has one connection to it.

use crate::memory::Memory;
use auraed::client::Channel;
use auraed::proto::CellServiceClient;
use auraed::proto::aurae::runtime::v0::*;
use auraed::transport::listen::Address;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use smol::Executor;
use std::fs;
use std::path::PathBuf;
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
        let address = Address::Unix(directory.join("aurae.sock"));
        let began = Instant::now();
        let channel = loop {
            match smol::block_on(executor.run(Channel::connect(&address, None, &executor))) {
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

    pub fn memory(&self) -> Memory {
        Memory::of(self.process.id())
    }

    fn answer<T>(&self, call: impl Future<Output = Result<T, auraed::grpc::status::Status>>) -> T {
        smol::block_on(self.executor.run(call)).expect("the daemon does it")
    }
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

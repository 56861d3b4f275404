//! The daemon under test: its process, its directory, its log. All of it ends with the test, however that ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use auraed::client::Channel;
use auraed::proto::CellServiceClient;
use auraed::proto::aurae::runtime::v0::CellServiceListRequest;
use auraed::transport::listen::Address;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use smol::{Executor, Timer};

/// Far more than anything here takes, on a machine that does ten other things, too; ends a test that would hang.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits at its end for the connections that are open: a struct has it behind those that it holds.
pub struct Auraed {
    /// For its runtime files, its log, and whatever a test puts there.
    pub directory: PathBuf,
    command: Mutex<Command>,
    process: Mutex<Option<Child>>,
    /// A second signal would cut its end short.
    is_terminated: AtomicBool,
}

impl Auraed {
    /// With directories of its own, nothing of the caller's environment, and what else `change` gives its command. `None`,
    /// and a reason on standard error, when this process may not make cgroups.
    pub fn start(test: &str, change: impl FnOnce(&mut Command)) -> Option<Self> {
        Self::start_program(Path::new(env!("CARGO_BIN_EXE_auraed")), test, change)
    }

    /// The same of a file that may be a copy.
    pub fn start_program(program: &Path, test: &str, change: impl FnOnce(&mut Command)) -> Option<Self> {
        if !geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
            eprintln!("skipped: cells are control groups, which only root may make");
            return None;
        }
        let directory = std::env::temp_dir().join(format!("auraed-test-{}-{test}", std::process::id()));
        fs::create_dir(&directory).expect("a new directory");
        let log = File::options().create(true).append(true).open(directory.join("log")).expect("a log");
        let mut command = Command::new(program);
        command.env_clear().arg("-r").arg(&directory).arg("-l").arg(directory.join("lib"));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        change(&mut command);
        let (command, process) = (command.into(), None.into());
        let auraed = Self { directory, command, process, is_terminated: false.into() };
        auraed.run();
        Some(auraed)
    }

    /// Runs it, another time when it has ended, until it answers: it listens before it has made its cgroups.
    pub fn run(&self) {
        let process = self.command.lock().unwrap().spawn().expect("auraed has been built with this test");
        *self.process.lock().unwrap() = Some(process);
        self.is_terminated.store(false, Ordering::Relaxed);
        let executor = Executor::new();
        let answer = smol::block_on(executor.run(async {
            let channel = self.connect(&executor, Some(PATIENCE)).await;
            CellServiceClient::new(&channel).list(&CellServiceListRequest {}).await
        }));
        assert!(answer.is_ok(), "{answer:?}: {}", self.log());
    }

    /// `timeout` is that of each call.
    pub async fn connect(&self, executor: &Executor<'static>, timeout: Option<Duration>) -> Channel {
        let address = Address::Unix(self.file("aurae.sock"));
        let mut channel = None;
        eventually_async("auraed listens", async || {
            let ended = self.has_ended();
            assert!(ended.is_none(), "auraed ended with {ended:?}: {}", self.log());
            channel = Channel::connect(&address, timeout, executor).await.ok();
            channel.is_some()
        })
        .await;
        channel.expect("it listens")
    }

    pub fn pid(&self) -> i32 {
        let process = self.process.lock().unwrap();
        process.as_ref().expect("it has been started").id().try_into().expect("a pid")
    }

    /// A path in its directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What it has written to standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// Begins to stop.
    pub fn terminate(&self) {
        if self.has_ended().is_none() && !self.is_terminated.swap(true, Ordering::Relaxed) {
            kill(Pid::from_raw(self.pid()), Signal::SIGTERM)
                .expect("our own child, which has not been waited for");
        }
    }

    pub fn has_ended(&self) -> Option<ExitStatus> {
        let mut process = self.process.lock().unwrap();
        process.as_mut().expect("it has been started").try_wait().expect("our own child")
    }
}

impl Drop for Auraed {
    fn drop(&mut self) {
        self.terminate();
        let begin = Instant::now();
        while self.has_ended().is_none() && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        let ended = self.has_ended();
        if let Some(process) = self.process.get_mut().unwrap() {
            let _ = process.kill();
            let _ = process.wait();
        }
        let log = self.log();
        let _ = fs::remove_dir_all(&self.directory);
        if std::thread::panicking() {
            eprintln!("auraed's log:\n{log}");
        } else {
            assert!(ended.is_some_and(|status| status.success()), "auraed ended with {ended:?}: {log}");
        }
    }
}

/// Waits for what no event tells of.
pub async fn eventually_async(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        Timer::after(Duration::from_millis(5)).await;
    }
}

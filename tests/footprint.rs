//! What the daemon costs, as promised: size of the binary, memory idle and under load, threads, wake-ups. Measures the
//! release build, from outside, by what the kernel counts. Prints each figure (`--nocapture`).

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use auraed::client::Channel;
use auraed::proto::aurae::discovery::v0::DiscoverRequest;
use auraed::proto::aurae::runtime::v0::{Cell, CellServiceAllocateRequest};
use auraed::proto::{CellServiceClient, DiscoveryServiceClient};
use auraed::transport::listen::Address;
use bytes::Bytes;
use smol::{Executor, Timer, future};

const KIB: u64 = 1024;
/// Long enough for what a burst left behind to be given back, on a machine that has nothing else to do. The bounds are not
/// about time: on a busy one it may take more.
const SETTLE: Duration = Duration::from_secs(1);
/// Far more than anything here takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_daemon_is_as_small_as_promised() {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI must run this as root");
        return println!("skipped: the daemon needs root for cgroups");
    }
    let binary = release_binary();
    let mut figures = Figures::default();
    let size = fs::metadata(&binary).expect("the binary is there").len();
    figures.at_most("stripped binary", size, 9 * KIB * KIB / 4);

    let daemon = Daemon::start(&binary);
    figures.comes_down_to("idle RSS", || daemon.rss(), 3 * KIB * KIB);
    figures.comes_down_to("idle anonymous memory", || daemon.anonymous(), 400 * KIB);
    figures.at_most("threads", daemon.threads(), 8);

    let descriptors = daemon.descriptors();
    let executor: &'static Executor<'static> = Box::leak(Box::new(Executor::new()));
    future::block_on(executor.run(async {
        // What the first call sets up stays, however many follow.
        drop(daemon.call(executor).await);
        daemon.settle().await;
        // Most of it is code, of which the kernel maps what stands around the little that has run.
        figures.comes_down_to("idle RSS after a call", || daemon.rss(), 33 * KIB * KIB / 10);
        let init = daemon.allocate_isolated(executor).await;
        daemon.settle().await;
        let more = || daemon.descriptors().saturating_sub(descriptors);
        figures.comes_down_to("descriptors per isolated cell", more, 1);
        figures.comes_down_to("private memory of a cell's init", || private_memory(init), 150 * KIB);
        Daemon::comes_to_rest(|| daemon.wake_ups() + wake_ups_of(init));
        let wake_ups = daemon.wake_ups();
        let wake_ups_of_init = wake_ups_of(init);
        Timer::after(Duration::from_secs(5)).await;
        figures.at_most("wake-ups in 5 idle seconds", daemon.wake_ups() - wake_ups, 0);
        figures.at_most("wake-ups of a cell's init meanwhile", wake_ups_of(init) - wake_ups_of_init, 0);

        let idle = daemon.anonymous();
        let mut connections = Vec::new();
        for _ in 0..200 {
            connections.push(daemon.call(executor).await);
        }
        let grown = daemon.anonymous().saturating_sub(idle);
        figures.at_most("memory per idle connection", grown / 200, 24 * KIB);
        drop(connections);
        daemon.settle().await;
        assert!(
            eventually(|| daemon.descriptors() <= descriptors + 1),
            "connections that were closed are left"
        );

        for _ in 0..5 {
            let mut hundred = Vec::new();
            for _ in 0..100 {
                hundred.push(daemon.call(executor).await);
            }
        }
        daemon.settle().await;
        let grown = || daemon.anonymous().saturating_sub(idle);
        figures.comes_down_to("growth after 500 connections", grown, 400 * KIB);

        let before = daemon.anonymous();
        let unread = daemon.open_unread_streams(executor, 100).await;
        let grown = daemon.anonymous().saturating_sub(before);
        figures.at_most("growth with 100 streams never read", grown, 6 * KIB * KIB);
        drop(unread);
    }));
    figures.check();
}

/// All figures are printed, and all that are too large are named.
#[derive(Default)]
struct Figures {
    broken: Vec<String>,
}

impl Figures {
    fn at_most(&mut self, what: &str, measured: u64, promised: u64) {
        let line = format!("{what}: {measured}, promised at most {promised}");
        println!("{line}");
        if measured > promised {
            self.broken.push(line);
        }
    }

    /// The same of what may take its time to become so little.
    fn comes_down_to(&mut self, what: &str, measure: impl Fn() -> u64, promised: u64) {
        eventually(|| measure() <= promised);
        self.at_most(what, measure(), promised);
    }

    fn check(self) {
        assert!(self.broken.is_empty(), "promises broken:\n{}", self.broken.join("\n"));
    }
}

/// Says whether it became so.
fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while !is_so() {
        if begin.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

fn release_binary() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--bin", "auraed", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .status();
    assert!(built.expect("cargo runs").success(), "the release build failed");
    // Beside the folder of the test build: target/debug/auraed, target/release/auraed.
    let debug = PathBuf::from(env!("CARGO_BIN_EXE_auraed"));
    let target = debug.parent().and_then(|folder| folder.parent()).expect("a build is two folders deep");
    target.join("release/auraed")
}

struct Daemon {
    child: Child,
    folder: PathBuf,
}

impl Daemon {
    fn start(binary: &PathBuf) -> Self {
        let folder = std::env::temp_dir().join(format!("auraed-footprint-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        let child = Command::new(binary)
            .arg("--runtime-dir")
            .arg(&folder)
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the daemon starts");
        let daemon = Self { child, folder };
        assert!(eventually(|| daemon.socket().exists()), "the daemon made no socket");
        // It has that before it is ready.
        Self::comes_to_rest(|| daemon.wake_ups());
        daemon
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("aurae.sock")
    }

    /// A new connection that has made one call.
    async fn call(&self, executor: &Executor<'static>) -> Channel {
        let address = Address::Unix(self.socket());
        let channel = Channel::connect(&address, None, executor).await.expect("the daemon accepts");
        let answer = DiscoveryServiceClient::new(&channel).discover(&DiscoverRequest {}).await;
        assert!(answer.expect("Discover answers").healthy);
        channel
    }

    /// A cell that isolates its processes and its network; the pid of its init.
    async fn allocate_isolated(&self, executor: &Executor<'static>) -> u32 {
        let channel = self.call(executor).await;
        let cell =
            Cell { name: "isolated".into(), isolate_process: true, isolate_network: true, ..Cell::default() };
        let request = CellServiceAllocateRequest { cell: Some(cell) };
        CellServiceClient::new(&channel).allocate(&request).await.expect("Allocate answers");
        let children = fs::read_dir("/proc").expect("/proc").flatten().filter_map(|process| {
            let status = fs::read_to_string(process.path().join("status")).ok()?;
            let is_child = field(&status, "PPid:") == u64::from(self.child.id());
            is_child.then(|| process.file_name().to_str()?.parse().ok())?
        });
        let children: Vec<u32> = children.collect();
        let [init] = children[..] else { panic!("one child: {children:?}") };
        init
    }

    /// Reflection streams that are asked for far more than is ever read.
    async fn open_unread_streams(&self, executor: &Executor<'static>, count: usize) -> impl Sized + use<> {
        let stream = std::os::unix::net::UnixStream::connect(self.socket()).expect("the daemon accepts");
        let io = auraed::transport::Socket::new(stream).expect("the reactor takes it");
        let (requests, connection) = h2::client::handshake(io).await.expect("a handshake");
        let driver = executor.spawn(async move { connection.await.map_err(|error| error.to_string()) });
        // ServerReflectionRequest { file_containing_symbol }, framed; its answer is some kilobytes.
        let symbol = b"aurae.runtime.v0.CellService";
        let length = u8::try_from(symbol.len()).expect("a short name");
        let request = [&[0, 0, 0, 0, length + 2, 0x22, length], symbol.as_slice()].concat();
        let mut streams = Vec::new();
        for _ in 0..count {
            let head = http::Request::post(
                "http://localhost/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            )
            .header("content-type", "application/grpc")
            .body(())
            .expect("a valid head");
            let mut ready = requests.clone().ready().await.expect("room for a stream");
            let (response, mut body) = ready.send_request(head, false).expect("a stream");
            body.send_data(Bytes::from(request.repeat(200)), false).expect("the stream is open");
            streams.push((response, body));
        }
        Timer::after(Duration::from_secs(2)).await;
        (streams, requests, driver)
    }

    /// Waits until none of those whose wake-ups are counted has had the processor for a while.
    fn comes_to_rest(wake_ups: impl Fn() -> u64) {
        let mut before = 0;
        let rests = eventually(|| {
            std::thread::sleep(SETTLE);
            let now = wake_ups();
            std::mem::replace(&mut before, now) == now
        });
        assert!(rests, "the daemon does not come to rest");
    }

    async fn settle(&self) {
        Timer::after(SETTLE).await;
    }

    /// In bytes.
    fn rss(&self) -> u64 {
        self.status("VmRSS:") * KIB
    }

    /// In bytes.
    fn anonymous(&self) -> u64 {
        self.status("RssAnon:") * KIB
    }

    fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    /// How often any thread has been given the processor.
    fn wake_ups(&self) -> u64 {
        wake_ups_of(self.child.id())
    }

    fn descriptors(&self) -> u64 {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("the daemon lives").count() as u64
    }

    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        field(&status.expect("the daemon lives"), name)
    }
}

fn wake_ups_of(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    let statuses = tasks.map(|task| fs::read_to_string(task.expect("a task").path().join("status")));
    statuses.map(|status| field(&status.expect("a status"), "voluntary_ctxt_switches:")).sum()
}

/// What is its own. Not the clean pages of its file, 0 to 136 KB of them: how many the kernel maps around the one that it
/// needs depends on how they came into the page cache.
fn private_memory(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("the init is there");
    field(&rollup, "Private_Dirty:") * KIB
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the field is there");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

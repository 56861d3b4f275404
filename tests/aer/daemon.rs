//! The client, and the daemon that it meets: one in this process, where it is looked for, and one who cuts connections.

use crate::fake::*;
use auraed::transport::listen::{Address, Listener};
use auraed::transport::{Server, Stop, StopOrder, Timeouts};
use smol::{Executor, Timer};
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// `aer` without the environment that the tests were started in.
pub fn aer() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aer"));
    command.env_remove("AURAE_SOCKET").env_remove("AURAE_RUNTIME_DIR");
    command
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("aer writes UTF-8")
}

/// What is said beside that it tries again, which it says where that takes more than a second, as on a busy machine.
pub fn beside_retries(stderr: &[u8]) -> String {
    let is_retry =
        |line: &&str| line.starts_with("aer: trying again for ") || *line == "aer: connected again\n";
    text(stderr).split_inclusive('\n').filter(|line| !is_retry(line)).collect()
}

/// A directory of one test.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("aer-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).expect("a new directory");
        Self(path)
    }

    pub fn socket(&self) -> PathBuf {
        self.0.join("aurae.sock")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A [`Fake`] behind a socket.
pub struct Daemon {
    pub directory: Directory,
    pub fake: Arc<Fake>,
    stop: Option<StopOrder>,
}

impl Daemon {
    pub fn start() -> Self {
        let directory = Directory::new();
        let listener = bind(directory.socket());
        Self::start_in(directory, listener)
    }

    pub fn start_with(listener: Listener) -> Self {
        Self::start_in(Directory::new(), listener)
    }

    pub fn start_in(directory: Directory, listener: Listener) -> Self {
        let fake = Arc::new(Fake::default());
        let stop = Some(serve(listener, &fake));
        Self { directory, fake, stop }
    }

    /// Ends all calls.
    pub fn stop(&mut self) {
        self.stop = None;
    }

    /// At the same place.
    pub fn start_again(&mut self) {
        let _ = std::fs::remove_file(self.directory.socket());
        self.stop = Some(serve(bind(self.directory.socket()), &self.fake));
    }

    /// What starts `aer` in a shell.
    pub fn shell(&self) -> String {
        format!("{} --socket {}", env!("CARGO_BIN_EXE_aer"), self.directory.socket().display())
    }

    pub fn aer(&self) -> Command {
        let mut command = aer();
        command.arg("--socket").arg(self.directory.socket());
        command
    }

    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        self.aer().args(arguments).output().expect("aer runs")
    }

    /// What is printed by a call that succeeds.
    pub fn answer(&self, arguments: &str) -> String {
        let output = self.run(arguments.split(' '));
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{arguments}");
        text(&output.stdout).to_owned()
    }

    pub fn assert_fails(&self, arguments: &str, code: i32, stderr: &str) {
        let output = self.run(arguments.split(' '));
        assert_eq!(text(&output.stderr), stderr, "{arguments}");
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(code), ""), "{arguments}");
    }

    /// The last request that changes something, as Rust prints it.
    pub fn last(&self) -> String {
        self.fake.noted()
    }
}

pub fn bind(socket: PathBuf) -> Listener {
    Listener::bind(Address::Unix(socket)).expect("the address is free")
}

pub fn serve(listener: Listener, fake: &Arc<Fake>) -> StopOrder {
    let executor: &'static Executor<'static> = Box::leak(Box::default());
    let (order, stop) = Stop::new();
    let server = Server::new(Api(fake.clone()), executor, stop, Timeouts::default());
    let serving = async move {
        listener.run(server).await;
        // Those that are connected are told that the daemon stops.
        Timer::never().await;
    };
    std::thread::spawn(move || smol::block_on(executor.run(serving)));
    order
}

/// Stands between `aer` and a daemon, and cuts connections.
pub struct Proxy {
    pub socket: PathBuf,
    pub connections: Arc<AtomicU32>,
}

impl Proxy {
    /// Each connection is cut after so many bytes of answers; those that come later are not.
    pub fn start(daemon: &Daemon, cuts: Vec<u64>) -> Self {
        let socket = daemon.directory.0.join("proxy.sock");
        let listener = UnixListener::bind(&socket).expect("the path is free");
        let connections = Arc::new(AtomicU32::new(0));
        let (upstream, counter) = (daemon.directory.socket(), connections.clone());
        std::thread::spawn(move || {
            let mut cuts = cuts.into_iter();
            for client in listener.incoming() {
                let client = client.expect("aer connects");
                let daemon = UnixStream::connect(&upstream).expect("the daemon listens");
                counter.fetch_add(1, Ordering::Relaxed);
                pass_on(client, daemon, cuts.next().unwrap_or(u64::MAX));
            }
        });
        Self { socket, connections }
    }
}

pub fn pass_on(client: UnixStream, daemon: UnixStream, answer_bytes: u64) {
    let both = |socket: &UnixStream| socket.try_clone().expect("a descriptor is free");
    let (requests, to_daemon) = (both(&client), both(&daemon));
    // Each direction ends the other; a cut is no error.
    let end = |a: &UnixStream, b: &UnixStream| {
        let _ = (a.shutdown(Shutdown::Both), b.shutdown(Shutdown::Both));
    };
    std::thread::spawn(move || {
        let _ = io::copy(&mut &requests, &mut &to_daemon);
        end(&requests, &to_daemon);
    });
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::Read::take(&daemon, answer_bytes), &mut &client);
        end(&daemon, &client);
    });
}

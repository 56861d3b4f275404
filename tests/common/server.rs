//! The transport with the fake service behind it, on a thread of its own.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use auraed::transport::{self, Server, Service, Socket, Stop, StopOrder, Timeouts};
use smol::Executor;
use smol::channel;

use super::PATIENCE;
use super::fake::{Fake, Seen};
use super::peer::Peer;

pub struct TestServer<S> {
    pub server: Arc<Server<S>>,
    pub executor: &'static Executor<'static>,
    order: Option<StopOrder>,
    /// Closing it ends the thread.
    running: Option<channel::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// For a server of which no timer fires before a test is over.
pub fn patient() -> Timeouts {
    const LONG: Duration = Duration::from_secs(3600);
    Timeouts {
        handshake: LONG,
        settings_ack: LONG,
        frame: LONG,
        body_stall: LONG,
        body: LONG,
        silence: LONG,
        ping: LONG,
        idle: LONG,
        stop: LONG,
    }
}

/// Turns of the reactor that [`TestServer::settle`] waits.
const SETTLED_TURNS: usize = 3;

/// How a connection ended, once it has.
pub struct End(mpsc::Receiver<Result<(), String>>);

impl End {
    pub fn wait(&self) -> Result<(), String> {
        self.0.recv_timeout(PATIENCE).expect("the connection did not end in time")
    }
}

pub fn start() -> (TestServer<Fake>, Arc<Seen>) {
    start_with(Timeouts::default())
}

pub fn start_with(timeouts: Timeouts) -> (TestServer<Fake>, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    (TestServer::new(Fake(seen.clone()), timeouts), seen)
}

impl<S: Service> TestServer<S> {
    pub fn new(service: S, timeouts: Timeouts) -> Self {
        let executor: &'static Executor<'static> = Box::leak(Box::default());
        let (order, stop) = Stop::new();
        let (running, ended) = channel::bounded::<()>(1);
        let thread = std::thread::spawn(move || {
            let _ = smol::future::block_on(executor.run(ended.recv()));
        });
        Self {
            server: Server::new(service, executor, stop, timeouts),
            executor,
            order: Some(order),
            running: Some(running),
            thread: Some(thread),
        }
    }

    /// A connection to it, over a socket pair.
    pub fn connect(&self) -> (UnixStream, End) {
        self.connect_saying(b"")
    }

    /// The same, from a peer that has said this before the server hears of it, and so before any of its timers runs.
    pub fn connect_saying(&self, words: &[u8]) -> (UnixStream, End) {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(words).unwrap();
        let socket = Socket::new(theirs).unwrap();
        let serving = transport::serve(self.server.clone(), socket);
        let (tell, end) = mpsc::sync_channel(1);
        self.executor
            .spawn(async move {
                // The test may not ask.
                let _ = tell.send(serving.await);
            })
            .detach();
        (ours, End(end))
    }

    pub fn peer(&self) -> Peer {
        Peer::new(self.connect().0)
    }

    pub fn peer_with(&self, settings: &[(u16, u32)]) -> Peer {
        Peer::with_settings(self.connect().0, settings)
    }

    /// Waits until the server's thread has done all that it can do now.
    pub fn settle(&self) {
        let (tell, done) = mpsc::sync_channel(1);
        // A task that yields until it was the only one that could run, some times over: whatever is woken meanwhile runs
        // between two turns, and what a socket has to say is asked of the kernel in each.
        self.executor
            .spawn(async move {
                for _ in 0..SETTLED_TURNS {
                    smol::Timer::after(Duration::ZERO).await;
                    smol::future::yield_now().await;
                }
                let _ = tell.send(());
            })
            .detach();
        done.recv_timeout(PATIENCE).expect("the server's thread runs");
    }

    /// Orders it to stop.
    pub fn stop(&mut self) {
        self.order.take();
    }
}

impl<S> Drop for TestServer<S> {
    fn drop(&mut self) {
        self.running.take();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server's thread does not panic");
        }
    }
}

//! Listening sockets: their files, who may connect, and how many.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Instant;

use auraed::grpc::status::Code;
use auraed::limits::CONNECTIONS_MAX;
use auraed::transport::listen::{Address, Listener};

use crate::common::fake::{ECHO, Fake, NEVER};
use crate::common::peer::{Head, Peer};
use crate::common::server::{self, TestServer, patient};
use crate::common::{eventually, log, message};

/// A directory that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("auraed-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("x.sock")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn bind(path: PathBuf) -> Result<Listener, String> {
    Listener::bind(Address::Unix(path))
}

fn run(server: &TestServer<Fake>, listener: Listener) {
    server.executor.spawn(listener.run(server.server.clone())).detach();
}

#[test]
fn the_socket_is_for_its_owner_alone_and_goes_with_the_listener() {
    let directory = Directory::new("mode");
    let listener = bind(directory.socket()).unwrap();
    let file = fs::symlink_metadata(directory.socket()).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o7777, 0o600);
    drop(listener);
    assert!(!directory.socket().exists());
}

#[test]
fn a_stale_socket_is_replaced() {
    let directory = Directory::new("stale");
    drop(UnixListener::bind(directory.socket()).unwrap());
    assert!(directory.socket().exists());
    let listener = bind(directory.socket()).unwrap();
    UnixStream::connect(directory.socket()).unwrap();
    drop(listener);
}

#[test]
fn a_socket_in_use_is_left_alone() {
    let directory = Directory::new("used");
    let first = bind(directory.socket()).unwrap();
    let why = bind(directory.socket()).err().unwrap();
    assert!(why.contains("another process listens there"), "{why}");
    UnixStream::connect(directory.socket()).unwrap();
    drop(first);
}

#[test]
fn what_is_no_socket_is_never_deleted() {
    let directory = Directory::new("file");
    let target = directory.0.join("target");
    fs::write(&target, "precious").unwrap();
    fs::write(directory.socket(), "precious").unwrap();
    std::os::unix::fs::symlink(&target, directory.0.join("link")).unwrap();
    fs::create_dir(directory.0.join("folder")).unwrap();
    for name in ["x.sock", "link", "folder"] {
        let why = bind(directory.0.join(name)).err().unwrap();
        assert!(why.contains("is not a socket"), "{name}: {why}");
        assert!(fs::symlink_metadata(directory.0.join(name)).is_ok(), "{name} was deleted");
    }
    assert_eq!(fs::read(directory.socket()).unwrap(), b"precious");
}

#[test]
fn a_path_that_cannot_be_bound_is_named() {
    let directory = Directory::new("long");
    let long = directory.0.join("x".repeat(120));
    assert!(bind(long).err().unwrap().contains("longer than"));
    let nowhere = directory.0.join("no/such/folder");
    let why = bind(nowhere.clone()).err().unwrap();
    assert!(why.contains(&nowhere.display().to_string()), "{why}");
}

#[test]
fn a_socket_that_another_has_put_in_its_place_is_not_removed() {
    let directory = Directory::new("other");
    let listener = bind(directory.socket()).unwrap();
    fs::remove_file(directory.socket()).unwrap();
    let _other = UnixListener::bind(directory.socket()).unwrap();
    drop(listener);
    assert!(directory.socket().exists());
}

#[test]
fn calls_are_served_and_stopping_removes_the_file_and_refuses_the_next() {
    let directory = Directory::new("serve");
    let (mut server, _) = server::start();
    run(&server, bind(directory.socket()).unwrap());
    let mut peer = Peer::new(UnixStream::connect(directory.socket()).unwrap());
    assert_eq!(peer.call(1, &Head::of(ECHO), b"a").status(), Code::Ok);
    server.stop();
    eventually("the file is gone", || !directory.socket().exists());
    assert!(UnixStream::connect(directory.socket()).is_err());
    peer.until_closed();
    eventually("the connection is over", || server.server.connections() == 0);
}

#[test]
fn calls_are_served_over_tcp() {
    let (server, _) = server::start();
    let mut listener = None;
    // Another program may take a port that was free a moment ago.
    eventually("a port is ours", || {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        listener = Listener::bind(Address::Tcp(free)).ok();
        listener.is_some()
    });
    let listener = listener.unwrap();
    let address = listener.address().clone();
    run(&server, listener);
    let answer = smol::future::block_on(async {
        let executor = smol::Executor::new();
        executor
            .run(async {
                use auraed::proto::Channel as _;
                let channel = auraed::client::Channel::connect(&address, None, &executor).await?;
                channel.unary(ECHO, bytes::Bytes::from_static(b"hello")).await
            })
            .await
    });
    assert_eq!(answer.unwrap(), b"hello".as_slice());
}

/// A peer could fill the log, a line for each connection.
#[test]
fn a_peer_that_breaks_the_protocol_is_not_worth_a_line() {
    let directory = Directory::new("quiet");
    let (server, _) = server::start();
    log::start();
    run(&server, bind(directory.socket()).unwrap());
    let mut peer = Peer::silent(UnixStream::connect(directory.socket()).unwrap());
    peer.send(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n");
    peer.drain();
    eventually("the connection is over", || server.server.connections() == 0);
    server.settle();
    assert_eq!(log::count("a connection was ended"), 0);
}

#[test]
fn connections_above_the_limit_are_closed_and_their_places_come_free() {
    let directory = Directory::new("cap");
    let (server, seen) = server::start_with(patient());
    log::start();
    run(&server, bind(directory.socket()).unwrap());
    let connect = || UnixStream::connect(directory.socket()).unwrap();
    let mut peers: Vec<Peer> = (0..CONNECTIONS_MAX).map(|_| Peer::new(connect())).collect();
    assert_eq!(server.server.connections(), CONNECTIONS_MAX);

    let mut one_more = Peer::silent(connect());
    one_more.until_closed();
    assert!(one_more.others.is_empty());
    let (begin, told) = (Instant::now(), log::count("closed a new connection"));
    for _ in 0..20 {
        Peer::silent(connect()).until_closed();
    }
    // At most one per second.
    let more = log::count("closed a new connection") - told;
    assert!(told > 0 && more as u64 <= begin.elapsed().as_secs() + 1, "{told} and {more} more");

    // Those that are in are served.
    for peer in &mut peers {
        assert_eq!(peer.call(1, &Head::of(ECHO), b"a").status(), Code::Ok);
    }
    peers[0].request(3, &Head::of(NEVER), &message(b""));
    seen.calls.reaches(CONNECTIONS_MAX + 1);
    peers.truncate(CONNECTIONS_MAX - 1);
    eventually("a place is free", || server.server.connections() == CONNECTIONS_MAX - 1);
    let mut next = Peer::new(connect());
    assert_eq!(next.call(1, &Head::of(ECHO), b"a").status(), Code::Ok);

    drop((peers, next));
    eventually("all are free", || server.server.connections() == 0);
    seen.over.reaches(seen.calls.now());
}

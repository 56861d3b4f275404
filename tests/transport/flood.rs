//! A peer that sends more than it may is cut off, and the others never wait for it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use auraed::grpc::status::Code;
use auraed::limits::{
    CONTROL_FRAMES_BURST, CONTROL_FRAMES_PER_SECOND, ERROR_RESETS_MAX, FRAME_BYTES_MAX, READS_IN_A_ROW,
    STREAMS_PER_CONNECTION_MAX,
};
use auraed::transport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::common::fake::{CHAT, ECHO, Fake, NEVER, Seen};
use crate::common::peer::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, Head, PING,
    PREFACE, PRIORITY, Peer, RST_STREAM, WINDOW_UPDATE, frame, settings,
};
use crate::common::server::{self, TestServer};
use crate::common::{eventually, hpack, message};

/// Frames of one kind that a peer may send at any time.
fn kinds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("PING answers", frame(PING, 1, 0, &[0; 8])),
        ("SETTINGS", settings(&[])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16])),
        ("unknown", frame(0xfa, 0, 0, b"")),
        ("GOAWAY", frame(GOAWAY, 0, 0, &[0; 8])),
    ]
}

/// Sends `burst` again and again until the server closes; says how often it was taken. Reads nothing meanwhile but what
/// is there, on another thread, so that neither side waits for the other.
fn flood(mut peer: Peer, burst: impl FnMut() -> Vec<u8>, most: usize) -> usize {
    let mut reader = Peer::silent(peer.socket());
    reader.is_polite = false;
    let reading = std::thread::spawn(move || reader.drain());
    let sent = std::iter::repeat_with(burst).take(most).take_while(|bytes| peer.try_send(bytes)).count();
    drop(peer);
    reading.join().unwrap();
    sent
}

#[test]
fn a_flood_of_control_frames_ends_its_connection() {
    for (what, one) in kinds() {
        let (server, _) = server::start();
        let (stream, end) = server.connect();
        let burst = one.repeat(100);
        // What is in the socket's buffers when the server closes was sent too.
        let most = 100 * CONTROL_FRAMES_BURST as usize;
        let sent = flood(Peer::new(stream), || burst.clone(), most);
        assert!(sent < most, "{what}: all {most} bursts were taken");
        // A peer that says GOAWAY may have been let go before it had said it too often.
        assert!(end.wait().is_err() || what == "GOAWAY", "{what}");
    }
}

#[test]
fn a_burst_within_the_limit_is_taken() {
    for (what, one) in kinds().into_iter().filter(|(what, _)| *what != "GOAWAY") {
        let (server, _) = server::start();
        let mut peer = server.peer();
        // SETTINGS and their acknowledgement, and the PING at the end, are counted too.
        peer.send(&one.repeat(CONTROL_FRAMES_BURST as usize - 10));
        peer.catch_up();
        assert_eq!(peer.call(1, &Head::of(ECHO), b"a").status(), Code::Ok, "{what}");
    }
}

#[test]
fn a_peer_that_is_served_much_may_say_much() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    // For each call a PING, two window updates and a reset of the stream that has ended: as busy clients do.
    for stream in (1..).step_by(2).take(CONTROL_FRAMES_BURST as usize) {
        assert_eq!(peer.call(stream, &Head::of(ECHO), b"a").status(), Code::Ok);
        peer.grant(0, 6);
        peer.grant(stream, 6);
        peer.catch_up();
        peer.reset(stream, CANCEL);
    }
}

#[test]
fn empty_data_frames_end_the_connection() {
    let (server, _) = server::start();
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream);
    peer.headers(1, 0, &Head::of(CHAT));
    peer.send(&frame(DATA, 0, 1, b"").repeat(200));
    peer.until_closed();
    assert_eq!(peer.last(GOAWAY).unwrap().number(4), ENHANCE_YOUR_CALM);
    assert!(end.wait().is_err());
}

#[test]
fn a_head_without_end_ends_the_connection() {
    let (server, seen) = server::start();
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream);
    peer.send(&frame(HEADERS, END_STREAM, 1, &Head::of(ECHO).block()));
    let more = frame(CONTINUATION, 0, 1, &hpack::field("x", "y")).repeat(100);
    while peer.try_send(&more) {}
    assert!(end.wait().is_err());
    assert_eq!(seen.calls.now(), 0);
}

#[test]
fn streams_that_are_reset_as_soon_as_they_are_opened_end_the_connection() {
    let (server, seen) = server::start();
    let begin = Instant::now();
    let (stream, end) = server.connect();
    let block = Head::of(NEVER).block();
    let mut streams = (1u32..).step_by(2);
    let open_and_reset = || {
        let stream = streams.next().unwrap();
        let reset = frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
        [frame(HEADERS, END_HEADERS, stream, &block), frame(DATA, END_STREAM, stream, &message(b"")), reset]
            .concat()
    };
    let most = 100_000;
    assert!(flood(Peer::new(stream), open_and_reset, most) < most);
    assert!(end.wait().is_err());
    eventually("all tasks are gone", || server.executor.is_empty());
    assert_eq!(seen.over.now(), seen.calls.now());
    // And what it has earned meanwhile.
    let most = u64::from(CONTROL_FRAMES_BURST)
        + (1 + begin.elapsed().as_secs()) * u64::from(CONTROL_FRAMES_PER_SECOND);
    assert!(seen.calls.now() as u64 <= most, "{}", seen.calls.now());
    assert!(seen.peak.load(Ordering::SeqCst) <= STREAMS_PER_CONNECTION_MAX as usize);
}

/// A refusal costs us about as much as the request does the peer; reading its reset is not free on top.
#[test]
fn resets_of_refused_streams_are_counted_too() {
    let (server, _) = server::start();
    let (stream, end) = server.connect();
    let block = Head::of("/test.Fake/Nope").block();
    let mut streams = (1u32..).step_by(2);
    let open_and_reset = || {
        let stream = streams.next().unwrap();
        [frame(HEADERS, END_HEADERS, stream, &block), frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())]
            .concat()
    };
    let most = 100_000;
    assert!(flood(Peer::new(stream), open_and_reset, most) < most);
    assert!(end.wait().is_err());
}

#[test]
fn streams_opened_above_the_limit_again_and_again_end_the_connection() {
    let (server, seen) = server::start();
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream);
    let block = Head::of(NEVER).block();
    let limit = STREAMS_PER_CONNECTION_MAX as usize;
    for stream in (1..).step_by(2).take(limit + ERROR_RESETS_MAX + 1) {
        if !peer.try_send(&frame(HEADERS, END_HEADERS, stream, &block)) {
            break;
        }
    }
    peer.until_closed();
    assert_eq!(peer.last(GOAWAY).unwrap().number(4), ENHANCE_YOUR_CALM);
    assert!(end.wait().is_err());
    assert_eq!(seen.calls.now(), 0);
}

/// Floods on one connection after another until told to stop.
fn flood_until(server: &TestServer<Fake>, stop: &AtomicBool, bytes: &[u8]) {
    while !stop.load(Ordering::SeqCst) {
        let mut peer = server.peer();
        while !stop.load(Ordering::SeqCst) && peer.try_send(bytes) {}
    }
}

fn expect_that_others_are_served_during(what: &str, flood: &[u8]) {
    let (server, seen): (_, Arc<Seen>) = server::start();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| flood_until(&server, &stop, flood));
        let mut peer = server.peer();
        for stream in (1..).step_by(2).take(100) {
            assert_eq!(peer.call(stream, &Head::of(ECHO), b"hello").status(), Code::Ok, "{what}");
        }
        stop.store(true, Ordering::SeqCst);
        flooding.join().unwrap();
    });
    assert!(seen.calls.now() >= 100);
}

#[test]
fn the_calls_of_others_go_on_during_a_flood() {
    for (what, one) in kinds() {
        expect_that_others_are_served_during(what, &one.repeat(1000));
    }
    expect_that_others_are_served_during("empty DATA", &frame(DATA, 0, 1, b"").repeat(1000));
}

/// A socket on which there is always something to read, until all has been read.
struct Torrent {
    bytes: Vec<u8>,
    at: usize,
    reads: Arc<AtomicUsize>,
}

impl AsyncRead for Torrent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let rest = &self.bytes[self.at..];
        let taken = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..taken]);
        self.at += taken;
        Poll::Ready(Ok(()))
    }
}

/// Takes all that is written and forgets it.
impl AsyncWrite for Torrent {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_peer_that_never_pauses_lets_others_have_their_turn() {
    let (server, _) = server::start();
    let frames =
        frame(0xfa, 0, 0, &vec![0; FRAME_BYTES_MAX as usize]).repeat(CONTROL_FRAMES_BURST as usize / 2);
    let bytes = [PREFACE, &settings(&[]), &frames].concat();
    let reads = Arc::new(AtomicUsize::new(0));
    let serving = transport::serve(server.server.clone(), Torrent { bytes, at: 0, reads: reads.clone() });
    let (mut turns, mut most) = (0, 0);
    let executor = server.executor;
    smol::future::block_on(executor.spawn(async move {
        let served = executor.spawn(serving);
        let mut before = 0;
        while !served.is_finished() {
            smol::future::yield_now().await;
            let now = reads.load(Ordering::SeqCst);
            (turns, most) = (turns + 1, most.max(now - before));
            before = now;
        }
        assert_eq!(served.await, Ok(()));
        // The connection may be polled twice between two turns of another task.
        assert!(most <= 2 * READS_IN_A_ROW as usize, "{most} reads in a row, {turns} turns");
        assert!(turns > 10, "{turns} turns");
    }));
}

#[test]
fn the_calls_of_others_go_on_during_an_endless_upload() {
    let (server, seen) = server::start();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let uploading = scope.spawn(|| {
            let mut peer = server.peer();
            peer.grants = true;
            peer.headers(1, 0, &Head::of(CHAT));
            while !stop.load(Ordering::SeqCst) {
                peer.upload(1, 0, &message(&[b'x'; 1000]).repeat(16));
            }
        });
        seen.asked.reaches(100);
        let mut peer = server.peer();
        for stream in (1..).step_by(2).take(100) {
            assert_eq!(peer.call(stream, &Head::of(ECHO), b"hello").status(), Code::Ok);
        }
        stop.store(true, Ordering::SeqCst);
        uploading.join().unwrap();
    });
}

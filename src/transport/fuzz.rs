//! Fuzz bodies of the transport, on a pipe in memory and an executor that the body ticks itself.

mod answers;
mod pipe;
mod service;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use smol::Executor;
use tokio::io::{AsyncRead, ReadBuf};

use self::pipe::Pipe;
use self::service::{Live, Shapes};
use super::monitor::Monitor;
use super::wire::Wire;
use super::{Server, Stop, Timeouts};
use crate::limits::{CONTROL_FRAMES_BURST, STREAMS_PER_CONNECTION_MAX};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The unit in which an input says how much its peer reads.
const READ_BYTES: usize = 64;

/// What is asked for at once when all is asked for.
const ROOM_BYTES: usize = 1 << 10;

/// How the peer of one input behaves.
struct Peer {
    /// Bytes that it sends between two turns of ours.
    sends: usize,
    /// Bytes that it reads between two turns of ours.
    reads: usize,
    /// The daemon is told to stop before the peer ends.
    stopped: bool,
    /// At its end it is gone, and does not read the rest.
    cuts: bool,
}

/// What a peer sends after its preface, to the whole transport. The first three bytes say how the peer behaves.
/// Whatever it does: the work ends soon after the peer, all that was taken is given back, and each stream has at most
/// one status.
pub fn h2_server(data: &[u8]) {
    let [sends, reads, ending, frames @ ..] = data else { return };
    let peer = Peer {
        sends: if *sends == 0 { usize::MAX } else { usize::from(*sends) },
        reads: usize::from(*reads) * READ_BYTES,
        stopped: ending & 1 != 0,
        cuts: ending & 2 != 0 || *reads == 0,
    };
    let bytes = [PREFACE, frames].concat();
    let in_time = !peer.stopped && !may_have_deadline(frames);
    with_executor(|executor| answers::check(&converse(executor, &peer, &bytes), in_time));
}

/// Whether some header may be `grpc-timeout`: its name is there, plain or in Huffman's code, or may be in two frames.
fn may_have_deadline(frames: &[u8]) -> bool {
    let has = |name: &[u8]| frames.windows(name.len()).any(|window| window == name);
    has(b"grpc-timeout") || has(b"\x9a\xca\xc8\xb2\x4d\x49\x4f\x6a") || has(&[answers::TYPE_CONTINUATION])
}

/// Lets the peer send `bytes`, read, and end. Gives what the daemon wrote.
fn converse(executor: &'static Executor<'static>, peer: &Peer, bytes: &[u8]) -> Vec<u8> {
    let live = Live::default();
    let (order, stop) = Stop::new();
    let service = Shapes { peer_reads: peer.reads > 0, live: live.clone() };
    let server = Server::new(service, executor, stop, Timeouts::default());
    let pipe = Pipe::default();
    let connection = super::serve(server.clone(), pipe.clone());
    executor.spawn(async { drop(connection.await) }).detach();

    for chunk in bytes.chunks(peer.sends.min(bytes.len())) {
        pipe.feed(chunk);
        until_idle(executor, chunk.len());
        pipe.drain(peer.reads);
    }
    for _ in 0..READS_MAX {
        if !pipe.drain(peer.reads) {
            break;
        }
        until_idle(executor, 0);
    }
    if peer.stopped {
        drop(order);
        until_idle(executor, 0);
    }
    pipe.end(peer.cuts);
    until_idle(executor, 0);
    while pipe.drain(usize::MAX) {
        until_idle(executor, 0);
    }
    assert!(executor.is_empty(), "work goes on without its peer");
    assert_eq!(live.count(), 0, "calls were not dropped");
    assert_eq!(server.streams.taken(), 0, "stream permits were not given back");
    assert_eq!(server.request_bytes.taken(), 0, "request bytes were not given back");
    assert_eq!(server.answer_bytes.taken(), 0, "answer bytes were not given back");
    pipe.written()
}

/// How often a peer reads at its own pace before it ends: a few streams come to their end.
const READS_MAX: usize = 256;
/// Polls between two acts of the peer: some for each stream …
const POLLS_MAX: usize = 8 * STREAMS_PER_CONNECTION_MAX as usize;
/// … and for each byte, of which nine make a frame.
const POLLS_PER_BYTE_MAX: usize = 1;

fn until_idle(executor: &Executor<'static>, bytes: usize) {
    let mut left = POLLS_MAX + POLLS_PER_BYTE_MAX * bytes;
    while executor.try_tick() {
        left = left.checked_sub(1).expect("too many polls for so few bytes");
    }
}

/// The transport wants an executor that lives for ever, so there is one for each thread.
fn with_executor(body: impl FnOnce(&'static Executor<'static>)) {
    thread_local!(static EXECUTOR: &'static Executor<'static> = Box::leak(Box::default()));
    EXECUTOR.with(|executor| body(executor));
}

/// What lies between socket and h2: it passes on the same bytes however they arrive and are asked for, and what it
/// has rewritten once it leaves alone.
pub fn h2_wire(data: &[u8]) {
    let [sends, room, frames @ ..] = data else { return };
    // Few enough frames that none is refused as a flood.
    let frames = &frames[..frames.len().min(CONTROL_FRAMES_BURST as usize)];
    let bytes = [PREFACE, frames].concat();
    let whole = through_wire(&bytes, usize::MAX, ROOM_BYTES);
    let cut = through_wire(&bytes, usize::from(*sends).max(1), usize::from(*room).max(1));
    assert_eq!(whole, cut, "chunking changed the bytes");
    // The last byte may be held back for ever: the header block that it belongs to is not complete.
    assert!(bytes.len() - whole.len() <= 1, "bytes were lost");
    let again = through_wire(&whole, usize::MAX, ROOM_BYTES);
    assert!(whole.starts_with(&again) && whole.len() - again.len() <= 1, "rewritten bytes were rewritten");
}

fn through_wire(bytes: &[u8], sends: usize, room: usize) -> Vec<u8> {
    let pipe = Pipe::default();
    let monitor = Arc::new(Monitor::new(std::time::Instant::now()));
    let mut wire = Wire::new(pipe.clone(), monitor.clone());
    let mut passed = Vec::new();
    let mut space = vec![0; room];
    for chunk in bytes.chunks(sends.min(bytes.len())) {
        pipe.feed(chunk);
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            monitor.begin_turn();
            match Pin::new(&mut wire).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer) {
                Poll::Ready(Ok(())) => passed.extend_from_slice(buffer.filled()),
                Poll::Ready(Err(error)) => panic!("{error}"),
                Poll::Pending if pipe.has_unread() => {}
                Poll::Pending => break,
            }
        }
    }
    passed
}

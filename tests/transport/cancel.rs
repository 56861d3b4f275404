//! When a caller goes, by a reset or with its connection, the work for it goes too, and its place is free.

use std::sync::atomic::Ordering;

use auraed::grpc::status::Code;
use auraed::limits::STREAMS_PER_CONNECTION_MAX;

use crate::common::fake::{CHAT, ECHO, FLOOD, NEVER};
use crate::common::peer::{CANCEL, Head, INITIAL_WINDOW_SIZE, Peer};
use crate::common::{message, server};

/// One call for each place where a call can wait.
fn start_waiting_calls(peer: &mut Peer) -> usize {
    let calls = [
        (NEVER, b"".as_slice()),
        ("/test.Fake/Quiet", b""),
        ("/test.Fake/OneThenNothing", b"one"),
        // Blocked on the window.
        (FLOOD, b"1000000 1000"),
    ];
    for (stream, (path, payload)) in (1..).step_by(2).zip(calls) {
        peer.request(stream, &Head::of(path), &message(payload));
    }
    // Waits for a message.
    peer.headers(9, 0, &Head::of(CHAT));
    5
}

#[test]
fn a_reset_drops_the_work_wherever_it_waits() {
    let (server, seen) = server::start();
    let mut peer = server.peer_with(&[(INITIAL_WINDOW_SIZE, 100)]);
    let calls = start_waiting_calls(&mut peer);
    seen.calls.reaches(calls);
    server.settle();
    assert_eq!(seen.over.now(), 0);
    for call in 0..calls {
        peer.reset(1 + 2 * call as u32, CANCEL);
        seen.over.reaches(call + 1);
    }
    peer.catch_up();
    assert_eq!(peer.call(101, &Head::of(ECHO), b"a").status(), Code::Ok);
}

#[test]
fn a_lost_connection_drops_the_work_wherever_it_waits() {
    let (server, seen) = server::start();
    let (stream, end) = server.connect();
    let mut peer = Peer::with_settings(stream, &[(INITIAL_WINDOW_SIZE, 100)]);
    let calls = start_waiting_calls(&mut peer);
    seen.calls.reaches(calls);
    drop(peer);
    seen.over.reaches(calls);
    assert_eq!(end.wait(), Ok(()));
}

#[test]
fn a_reset_before_the_body_is_whole_reaches_no_service() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    peer.headers(1, 0, &Head::of(ECHO));
    peer.data(1, 0, &message(b"hello")[..7]);
    peer.reset(1, CANCEL);
    peer.catch_up();
    assert!(peer.so_far(1).is_none(), "a stream that was reset was answered");
    assert_eq!(peer.call(3, &Head::of(ECHO), b"a").status(), Code::Ok);
    assert_eq!(seen.calls.now(), 1);
}

#[test]
fn a_reset_frees_its_place_among_the_streams_of_the_connection() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    let mut streams = (1..).step_by(2);
    for round in 1..=3 {
        let open: Vec<u32> = streams.by_ref().take(STREAMS_PER_CONNECTION_MAX as usize).collect();
        for stream in &open {
            peer.request(*stream, &Head::of(NEVER), &message(b""));
        }
        seen.calls.reaches(round * open.len());
        for stream in open {
            peer.reset(stream, CANCEL);
        }
        seen.over.reaches(seen.calls.now());
        peer.catch_up();
    }
    assert_eq!(seen.peak.load(Ordering::SeqCst), STREAMS_PER_CONNECTION_MAX as usize);
}

#[test]
fn a_stream_above_the_limit_is_refused_and_the_others_go_on() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    let limit = STREAMS_PER_CONNECTION_MAX as usize;
    let mut streams = (1..).step_by(2);
    for stream in streams.by_ref().take(limit) {
        peer.request(stream, &Head::of(NEVER), &message(b""));
    }
    seen.calls.reaches(limit);
    let one_more = streams.next().unwrap();
    peer.headers(one_more, 0, &Head::of(ECHO));
    let answer = peer.answer(one_more);
    // REFUSED_STREAM: the client may try again, nothing was done.
    assert_eq!((answer.reset, answer.head.len()), (Some(7), 0));
    peer.reset(1, CANCEL);
    seen.over.reaches(1);
    assert_eq!(peer.call(streams.next().unwrap(), &Head::of(ECHO), b"a").status(), Code::Ok);
    assert_eq!((seen.calls.now(), seen.over.now()), (limit + 1, 2));
}

#[test]
fn half_closing_is_not_leaving() {
    let (server, seen) = server::start();
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream.try_clone().unwrap());
    peer.request(1, &Head::of(ECHO), &message(b"a"));
    assert_eq!(peer.answer(1).status(), Code::Ok);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    peer.until_closed();
    assert_eq!(end.wait(), Ok(()));
    assert_eq!(seen.over.now(), 1);
}

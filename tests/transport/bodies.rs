//! Requests that do not come to their end: what they may hold, and for how long they are waited for.

use std::thread;
use std::time::{Duration, Instant};

use auraed::grpc::status::Code;
use auraed::limits::{CONNECTION_REQUEST_BYTES_MAX, REQUEST_BYTES_MAX};
use auraed::transport::{Service, Timeouts};

use crate::common::fake::{CHAT, ECHO};
use crate::common::peer::{CANCEL, END_STREAM, Head, NO_ERROR, Peer};
use crate::common::server::{self, TestServer};
use crate::common::{PATIENCE, eventually, message};

/// Passes only when nothing happens.
const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(3600);

/// A call that sends so much of a request of the largest size, and does not go on.
fn begin(peer: &mut Peer, stream: u32, bytes: usize) {
    peer.headers(stream, 0, &Head::of(ECHO));
    peer.upload(stream, 0, &message(&vec![0; REQUEST_BYTES_MAX])[..bytes]);
}

/// The largest request, sent whole on a connection of its own.
fn largest_is_served<S: Service>(server: &TestServer<S>) -> bool {
    let mut peer = server.peer();
    peer.grants = true;
    peer.headers(1, 0, &Head::of(ECHO));
    peer.upload(1, END_STREAM, &message(&vec![7; REQUEST_BYTES_MAX]));
    peer.answer(1).status() == Code::Ok
}

#[test]
fn one_connection_takes_its_share_and_leaves_others_theirs() {
    let (server, _) = server::start();
    let mut greedy = server.peer();
    let each = CONNECTION_REQUEST_BYTES_MAX / 4;
    for stream in [1, 3, 5, 7] {
        begin(&mut greedy, stream, each);
    }
    greedy.catch_up();
    let refused = greedy.call(9, &Head::of(ECHO), b"a");
    assert_eq!(refused.status(), Code::ResourceExhausted);
    assert!(refused.text().contains("this connection"), "{}", refused.text());
    assert!(largest_is_served(&server), "another connection has its own share");
    greedy.reset(1, CANCEL);
    let mut streams = (11..).step_by(2);
    eventually("a call that ends makes room", || {
        greedy.call(streams.next().unwrap(), &Head::of(ECHO), b"a").status() == Code::Ok
    });
}

#[test]
fn a_request_that_stands_still_is_ended_and_given_back() {
    let (server, seen) = server::start_with(Timeouts { body_stall: SHORT, ..Timeouts::default() });
    let mut peer = server.peer();
    for (stream, bytes) in [(1, 0), (3, 3), (5, 5), (7, 10), (9, CONNECTION_REQUEST_BYTES_MAX / 2)] {
        begin(&mut peer, stream, bytes);
        peer.until("it is answered and reset", |peer| peer.so_far(stream).is_some_and(|a| a.reset.is_some()));
        let answer = peer.answer(stream);
        assert_eq!((answer.status(), answer.reset), (Code::DeadlineExceeded, Some(NO_ERROR)), "{bytes}");
        assert!(answer.text().contains("not whole"), "{}", answer.text());
    }
    assert_eq!(seen.calls.now(), 0);
    // Whole but for its end.
    peer.headers(11, 0, &Head::of(ECHO));
    peer.data(11, 0, &message(b"a"));
    assert_eq!(peer.answer(11).status(), Code::DeadlineExceeded);
    assert_eq!(peer.call(13, &Head::of(ECHO), b"a").status(), Code::Ok, "the connection goes on");
    eventually("all is given back", || largest_is_served(&server));
}

#[test]
fn a_slow_request_that_moves_is_served() {
    let stall = Duration::from_secs(1);
    let (server, _) = server::start_with(Timeouts { body_stall: stall, ..Timeouts::default() });
    let mut peer = server.peer();
    peer.headers(1, 0, &Head::of(ECHO));
    let began = Instant::now();
    for byte in message(b"slowly") {
        peer.data(1, 0, &[byte]);
        thread::sleep(stall / 8);
    }
    assert!(began.elapsed() > stall);
    peer.data(1, END_STREAM, b"");
    assert_eq!(peer.answer(1).messages(), [(0, b"slowly".to_vec())]);
}

#[test]
fn empty_frames_do_not_move_a_request() {
    let (server, _) = server::start_with(Timeouts { body_stall: SHORT, ..Timeouts::default() });
    let mut peer = server.peer();
    peer.headers(1, 0, &Head::of(ECHO));
    let began = Instant::now();
    while peer.so_far(1).is_none() {
        assert!(began.elapsed() < PATIENCE);
        peer.data(1, 0, b"");
        peer.catch_up();
        thread::sleep(SHORT / 10);
    }
    assert_eq!(peer.answer(1).status(), Code::DeadlineExceeded);
}

#[test]
fn a_request_that_moves_for_ever_is_ended() {
    let timeouts = Timeouts { body_stall: LONG, body: 5 * SHORT, ..Timeouts::default() };
    let (server, _) = server::start_with(timeouts);
    let mut peer = server.peer();
    begin(&mut peer, 1, 5);
    let began = Instant::now();
    while peer.so_far(1).is_none() {
        assert!(began.elapsed() < PATIENCE);
        peer.data(1, 0, b"x");
        peer.catch_up();
        thread::sleep(SHORT / 10);
    }
    let answer = peer.answer(1);
    assert_eq!(answer.status(), Code::DeadlineExceeded);
    assert!(answer.text().contains("250ms"), "{}", answer.text());
    assert!(began.elapsed() >= 5 * SHORT);
}

#[test]
fn a_conversation_may_pause_between_its_messages_and_not_within_one() {
    let (server, _) = server::start_with(Timeouts { body_stall: SHORT, ..Timeouts::default() });
    let mut peer = server.peer();
    peer.headers(1, 0, &Head::of(CHAT));
    for said in [message(b"a"), message(b"ab")] {
        thread::sleep(4 * SHORT);
        let heard = peer.so_far(1).map_or(0, |answer| answer.data.len());
        peer.data(1, 0, &said);
        peer.until("it is answered", |peer| {
            peer.so_far(1).is_some_and(|answer| answer.data.len() == heard + said.len())
        });
    }
    peer.data(1, 0, &message(b"never said")[..7]);
    assert_eq!(peer.answer(1).status(), Code::DeadlineExceeded);
}

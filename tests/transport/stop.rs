//! An order to stop: peers are told, calls under way end, streams are ended, and who does not leave is cut off.

use std::time::Duration;

use auraed::grpc::status::Code;
use auraed::transport::Timeouts;

use crate::common::eventually;
use crate::common::fake::{CHAT, ECHO, FLOOD, NEVER};
use crate::common::peer::{CANCEL, END_STREAM, GOAWAY, Head, INITIAL_WINDOW_SIZE, NO_ERROR, Peer};
use crate::common::{message, server};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(30);

/// The hard stop does not come while a test runs.
fn patient() -> Timeouts {
    Timeouts { stop: LONG, ..Timeouts::default() }
}

fn goaways(peer: &Peer) -> Vec<(u32, u32)> {
    peer.others.iter().filter(|f| f.kind == GOAWAY).map(|f| (f.number(0), f.number(4))).collect()
}

#[test]
fn a_peer_without_calls_is_told_and_the_connection_ends() {
    let (mut server, _) = server::start_with(patient());
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream);
    assert_eq!(peer.call(1, &Head::of(ECHO), b"a").status(), Code::Ok);
    server.stop();
    peer.until_closed();
    assert_eq!(goaways(&peer), [(0x7fff_ffff, NO_ERROR), (1, NO_ERROR)]);
    assert_eq!(end.wait(), Ok(()));
    eventually("all tasks are gone", || server.executor.is_empty());
}

#[test]
fn a_call_under_way_ends_as_it_would_have() {
    let (mut server, seen) = server::start_with(patient());
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream);
    peer.headers(1, 0, &Head::of(ECHO));
    peer.data(1, 0, &message(b"under way")[..7]);
    peer.request(3, &Head::of(NEVER), &message(b""));
    seen.calls.reaches(1);
    server.stop();
    peer.until("both GOAWAY frames", |peer| goaways(peer).len() == 2);
    assert_eq!(goaways(&peer), [(0x7fff_ffff, NO_ERROR), (3, NO_ERROR)]);
    peer.data(1, END_STREAM, &message(b"under way")[7..]);
    let answer = peer.answer(1);
    assert_eq!((answer.status(), answer.messages()), (Code::Ok, vec![(0, b"under way".to_vec())]));
    peer.reset(3, CANCEL);
    peer.until_closed();
    assert_eq!(end.wait(), Ok(()));
}

#[test]
fn streams_are_ended_with_unavailable_wherever_they_wait() {
    let (mut server, seen) = server::start_with(patient());
    let (stream, end) = server.connect();
    let mut peer = Peer::with_settings(stream, &[(INITIAL_WINDOW_SIZE, 100)]);
    peer.request(1, &Head::of("/test.Fake/Quiet"), &message(b""));
    peer.request(3, &Head::of("/test.Fake/OneThenNothing"), &message(b"one"));
    peer.headers(5, 0, &Head::of(CHAT));
    // Blocked on the window that the peer does not open.
    peer.request(7, &Head::of(FLOOD), &message(b"1000000 1000"));
    seen.calls.reaches(4);
    peer.until("the window is used up", |peer| peer.so_far(7).is_some_and(|a| a.data.len() == 100));
    server.stop();
    for stream in [1, 3, 5, 7] {
        let answer = peer.answer(stream);
        assert_eq!(
            (answer.status(), answer.text()),
            (Code::Unavailable, "the daemon is stopping"),
            "{stream}"
        );
    }
    peer.until_closed();
    assert_eq!(end.wait(), Ok(()));
    seen.over.reaches(4);
}

#[test]
fn an_answer_that_is_blocked_on_the_window_may_still_be_fetched() {
    let (mut server, _) = server::start_with(patient());
    let (stream, end) = server.connect();
    let mut peer = Peer::with_settings(stream, &[(INITIAL_WINDOW_SIZE, 100)]);
    peer.request(1, &Head::of("/test.Fake/Noise"), &message(b"1000"));
    peer.until("the window is used up", |peer| peer.so_far(1).is_some_and(|a| a.data.len() == 100));
    server.stop();
    peer.until("GOAWAY", |peer| goaways(peer).len() == 2);
    peer.grant(1, 1000);
    let answer = peer.answer(1);
    assert_eq!((answer.status(), answer.data.len()), (Code::Ok, 1005));
    peer.until_closed();
    assert_eq!(end.wait(), Ok(()));
}

#[test]
fn a_call_that_crosses_goaway_is_served_and_a_later_one_is_not() {
    let (mut server, _) = server::start_with(patient());
    let (stream, _end) = server.connect();
    let mut peer = Peer::new(stream);
    peer.headers(1, 0, &Head::of(ECHO));
    peer.catch_up();
    server.stop();
    peer.is_polite = false;
    peer.until("the first GOAWAY", |peer| goaways(peer).len() == 1);
    // The server waits for the answer to its PING: the peer may not have seen GOAWAY.
    assert_eq!(peer.call(3, &Head::of(ECHO), b"crossed").status(), Code::Ok);
    let shutdown = peer.others.iter().rfind(|f| f.kind == 6 && f.flags == 0).unwrap().payload.clone();
    peer.send(&crate::common::peer::frame(6, 1, 0, &shutdown));
    peer.until("the second GOAWAY", |peer| goaways(peer).len() == 2);
    assert_eq!(goaways(&peer)[1], (3, NO_ERROR));
    peer.request(5, &Head::of(ECHO), &message(b"too late"));
    peer.data(1, END_STREAM, &message(b"a"));
    assert_eq!(peer.answer(1).status(), Code::Ok);
    peer.until_closed();
    assert!(peer.so_far(5).is_none());
}

#[test]
fn a_call_that_does_not_end_is_cut_off() {
    let (mut server, seen) = server::start_with(Timeouts { stop: SHORT, ..Timeouts::default() });
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream);
    peer.request(1, &Head::of(NEVER), &message(b""));
    seen.calls.reaches(1);
    server.stop();
    peer.until_closed();
    assert_eq!(end.wait(), Err("it did not end its calls in time after GOAWAY".to_owned()));
    seen.over.reaches(1);
    eventually("all tasks are gone", || server.executor.is_empty());
}

#[test]
fn a_peer_that_says_nothing_any_more_is_cut_off() {
    let (mut server, _) = server::start_with(Timeouts { stop: SHORT, ..Timeouts::default() });
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream);
    peer.is_polite = false;
    server.stop();
    peer.until_closed();
    assert_eq!(end.wait(), Err("it did not end its calls in time after GOAWAY".to_owned()));
}

#[test]
fn a_peer_that_does_not_read_is_cut_off() {
    let (mut server, seen) = server::start_with(Timeouts { stop: SHORT, ..Timeouts::default() });
    let (stream, end) = server.connect();
    let mut peer = Peer::with_settings(stream, &[(INITIAL_WINDOW_SIZE, 0x7fff_ffff)]);
    peer.grant(0, 0x7fff_0000);
    peer.request(1, &Head::of(FLOOD), &message(b"1000000 1000"));
    seen.calls.reaches(1);
    server.settle();
    server.stop();
    assert_eq!(end.wait(), Err("it did not end its calls in time after GOAWAY".to_owned()));
    seen.over.reaches(1);
}

#[test]
fn a_peer_that_is_shaking_hands_is_sent_away() {
    let (mut server, _) = server::start_with(patient());
    let (stream, end) = server.connect();
    let mut peer = Peer::silent(stream);
    peer.is_polite = false;
    server.settle();
    server.stop();
    peer.until_closed();
    assert_eq!(end.wait(), Err("handshake: the daemon is stopping".to_owned()));
}

//! What a connection may be: its settings as sent, how many there may be, and for how long they may keep us waiting.

use std::time::Duration;

use auraed::grpc::status::Code;
use auraed::limits::{
    FRAME_BYTES_MAX, HEADER_LIST_BYTES_MAX, HEADER_TABLE_BYTES, STREAMS_PER_CONNECTION_MAX, WINDOW_BYTES,
};
use auraed::transport::Timeouts;

use crate::common::fake::{CHAT, ECHO, NEVER};
use crate::common::peer::{
    ACK, CANCEL, DATA, END_HEADERS, GOAWAY, HEADER_TABLE_SIZE, HEADERS, Head, INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE, NO_ERROR, PING, PREFACE, Peer, SETTINGS,
    frame, settings,
};
use crate::common::{eventually, message, server};

/// Passes only when nothing else happens first.
const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(3600);

/// No timer fires before a test is over.
fn patient() -> Timeouts {
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

#[test]
fn settings_say_every_limit() {
    let (server, _) = server::start();
    let mut peer = Peer::silent(server.connect().0);
    peer.send(PREFACE);
    let first = peer.read_frame().unwrap();
    assert_eq!((first.kind, first.flags, first.stream), (SETTINGS, 0, 0));
    let mut sent: Vec<(u16, u32)> = first
        .payload
        .chunks(6)
        .map(|pair| {
            (u16::from_be_bytes([pair[0], pair[1]]), u32::from_be_bytes(pair[2..].try_into().unwrap()))
        })
        .collect();
    sent.sort_unstable();
    let wanted = [
        (HEADER_TABLE_SIZE, HEADER_TABLE_BYTES),
        (MAX_CONCURRENT_STREAMS, STREAMS_PER_CONNECTION_MAX),
        (INITIAL_WINDOW_SIZE, WINDOW_BYTES),
        (MAX_FRAME_SIZE, FRAME_BYTES_MAX),
        (MAX_HEADER_LIST_SIZE, HEADER_LIST_BYTES_MAX),
    ];
    assert_eq!(sent, wanted);
}

#[test]
fn a_frame_above_the_size_that_we_take_ends_the_connection() {
    let (server, _) = server::start();
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream);
    peer.headers(1, 0, &Head::of(CHAT));
    peer.try_send(&frame(DATA, 0, 1, &vec![0; FRAME_BYTES_MAX as usize + 1]));
    peer.until_closed();
    // FRAME_SIZE_ERROR
    assert_eq!(peer.last(GOAWAY).unwrap().number(4), 6);
    assert!(end.wait().is_err());
}

#[test]
fn what_is_not_http2_is_closed() {
    let (server, _) = server::start();
    let (stream, end) = server.connect();
    let mut peer = Peer::silent(stream);
    peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    peer.until_closed();
    assert!(end.wait().unwrap_err().starts_with("handshake: "));
}

#[test]
fn a_peer_without_a_preface_is_closed() {
    let (server, _) = server::start_with(Timeouts { handshake: SHORT, ..patient() });
    for part in [0, 1, PREFACE.len() - 1] {
        let (stream, end) = server.connect();
        let mut peer = Peer::silent(stream);
        peer.is_polite = false;
        peer.send(&PREFACE[..part]);
        peer.until_closed();
        assert_eq!(end.wait(), Err("handshake: it sent no preface in time".to_owned()));
    }
}

#[test]
fn a_peer_without_settings_is_closed() {
    let (server, _) = server::start_with(Timeouts { handshake: SHORT, ..patient() });
    let (stream, end) = server.connect();
    let mut peer = Peer::silent(stream);
    peer.is_polite = false;
    peer.send(PREFACE);
    peer.until_closed();
    assert_eq!(end.wait(), Err("it sent no SETTINGS".to_owned()));
}

#[test]
fn a_peer_that_does_not_acknowledge_settings_is_closed() {
    let (server, _) = server::start_with(Timeouts { settings_ack: SHORT, ..patient() });
    let (stream, end) = server.connect();
    let mut peer = Peer::silent(stream);
    peer.is_polite = false;
    peer.send(&[PREFACE, &settings(&[])].concat());
    peer.until_closed();
    assert_eq!(end.wait(), Err("it did not acknowledge our SETTINGS".to_owned()));
}

#[test]
fn half_a_frame_is_not_waited_for() {
    let (server, _) = server::start_with(Timeouts { frame: SHORT, ..patient() });
    let whole = frame(HEADERS, END_HEADERS, 1, &Head::of(ECHO).block());
    for part in [1, 8, 9, whole.len() - 1] {
        let (stream, end) = server.connect();
        let mut peer = Peer::new(stream);
        peer.catch_up();
        // The connection has come to rest: nothing but this half frame can set a timer.
        server.settle();
        peer.send(&whole[..part]);
        peer.until_closed();
        assert_eq!(end.wait(), Err("it did not complete a frame".to_owned()), "{part}");
    }
}

#[test]
fn a_slow_frame_is_not_a_half_one() {
    let (server, _) = server::start_with(Timeouts { frame: LONG / 2, ..patient() });
    let mut peer = server.peer();
    for byte in frame(HEADERS, END_HEADERS, 1, &Head::of(ECHO).block()) {
        peer.send(&[byte]);
        server.settle();
    }
    peer.data(1, 1, &message(b"a"));
    assert_eq!(peer.answer(1).status(), Code::Ok);
}

#[test]
fn a_silent_peer_is_asked_and_one_that_does_not_answer_is_closed() {
    let (server, _) = server::start_with(Timeouts { silence: SHORT, ping: SHORT, ..patient() });
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream);
    let is_ping = |f: &&crate::common::peer::Frame| f.kind == PING && f.flags & ACK == 0;
    peer.until("three PINGs are answered", |peer| peer.others.iter().filter(is_ping).count() == 3);
    peer.is_polite = false;
    peer.until_closed();
    assert_eq!(end.wait(), Err("it did not answer a PING".to_owned()));
}

#[test]
fn an_idle_peer_is_asked_to_leave() {
    let (server, _) = server::start_with(Timeouts { idle: SHORT, ..patient() });
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream);
    peer.until_closed();
    let goaways: Vec<u32> = peer.others.iter().filter(|f| f.kind == GOAWAY).map(|f| f.number(4)).collect();
    assert_eq!(goaways, [NO_ERROR, NO_ERROR]);
    assert_eq!(end.wait(), Ok(()));
}

#[test]
fn an_idle_peer_that_does_not_leave_is_closed() {
    let (server, _) = server::start_with(Timeouts { idle: SHORT, ping: SHORT, ..patient() });
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream);
    peer.is_polite = false;
    peer.until("GOAWAY", |peer| peer.last(GOAWAY).is_some());
    // It lives, and may go on for ever without an answer to the PING that follows.
    peer.send(&frame(0xfa, 0, 0, b""));
    peer.until_closed();
    assert_eq!(end.wait(), Err("it did not leave after GOAWAY".to_owned()));
}

#[test]
fn a_call_keeps_its_connection_from_being_idle() {
    let (server, seen) = server::start_with(Timeouts { idle: SHORT, silence: SHORT, ..patient() });
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream);
    peer.request(1, &Head::of(NEVER), &message(b""));
    seen.calls.reaches(1);
    let pings = |peer: &Peer| peer.others.iter().filter(|f| f.kind == PING).count();
    peer.until("some times the idle time has passed", |peer| pings(peer) >= 5);
    assert!(peer.last(GOAWAY).is_none());
    peer.reset(1, CANCEL);
    peer.until_closed();
    assert_eq!(end.wait(), Ok(()));
}

#[test]
fn a_call_that_begins_as_the_peer_is_asked_to_leave_is_served() {
    let (server, _) = server::start_with(Timeouts { idle: SHORT, ping: SHORT, ..patient() });
    let mut peer = server.peer();
    peer.is_polite = false;
    peer.until("GOAWAY", |peer| peer.last(GOAWAY).is_some());
    let last = peer.last(GOAWAY).unwrap();
    assert_eq!(last.number(0), 0x7fff_ffff, "the first GOAWAY lets calls under way in");
    assert_eq!(peer.call(1, &Head::of(ECHO), b"a").status(), Code::Ok);
}

#[test]
fn a_peer_that_leaves_by_goaway_gets_its_answers_first() {
    let (server, _) = server::start();
    let (stream, end) = server.connect();
    let mut peer = Peer::new(stream);
    peer.headers(1, 0, &Head::of(ECHO));
    peer.send(&frame(GOAWAY, 0, 0, &[0; 8]));
    peer.data(1, 1, &message(b"last"));
    assert_eq!(peer.answer(1).messages(), [(0, b"last".to_vec())]);
    peer.until_closed();
    assert_eq!(end.wait(), Ok(()));
}

#[test]
fn connections_leave_nothing_behind() {
    let (server, seen) = server::start();
    for round in 1..=300 {
        let mut peer = server.peer();
        peer.request(1, &Head::of(NEVER), &message(b""));
        seen.calls.reaches(round);
    }
    seen.over.reaches(300);
    eventually("all tasks are gone", || server.executor.is_empty());
}

//! A caller's time: how it may be written, and that it runs out wherever a call waits.

use auraed::grpc::status::Code;
use auraed::limits::SEND_BUFFER_BYTES;

use crate::common::fake::{CHAT, ECHO, FLOOD, NEVER};
use crate::common::peer::{DEFAULT_WINDOW, END_STREAM, Head, INITIAL_WINDOW_SIZE, NO_ERROR};
use crate::common::{message, server};

/// Short, but it passes only when nothing happens.
fn soon(path: &str) -> Head {
    within(path, 20)
}

fn within(path: &str, ms: u32) -> Head {
    Head::of(path).with("grpc-timeout", &format!("{ms}m"))
}

#[test]
fn every_unit_and_eight_digits_are_understood() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let good = ["99999999H", "00000001H", "1M", "10S", "99999m", "99999999u", "99999999n"];
    for (stream, timeout) in (1..).step_by(2).zip(good) {
        let answer = peer.call(stream, &Head::of(ECHO).with("grpc-timeout", timeout), b"a");
        assert_eq!(answer.status(), Code::Ok, "{timeout}");
    }
}

#[test]
fn other_forms_are_refused_before_the_body() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    let bad = ["", "S", "5", "123456789S", "5s", "-5S", "+5S", "5 S", "5.0S", "0x5S", "5SS"];
    for (stream, timeout) in (1..).step_by(2).zip(bad) {
        peer.headers(stream, 0, &Head::of(ECHO).with("grpc-timeout", timeout));
        let answer = peer.answer(stream);
        assert_eq!(answer.status(), Code::InvalidArgument, "{timeout:?}");
        assert!(answer.text().contains("grpc-timeout") && answer.is_trailers_only());
    }
    assert_eq!(seen.calls.now(), 0);
}

#[test]
fn it_passes_while_the_service_works_and_the_work_is_dropped() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    let answer = peer.call(1, &soon(NEVER), b"");
    assert_eq!((answer.status(), answer.is_trailers_only()), (Code::DeadlineExceeded, true));
    assert_eq!((seen.calls.now(), seen.over.now()), (1, 1));
    let no_time_at_all = Head::of(NEVER).with("grpc-timeout", "0n");
    assert_eq!(peer.call(3, &no_time_at_all, b"").status(), Code::DeadlineExceeded);
}

#[test]
fn it_passes_while_we_wait_for_the_body() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    for (stream, part) in [(1, 0), (3, 3), (5, 7), (7, 10)] {
        peer.headers(stream, 0, &soon(ECHO));
        peer.data(stream, 0, &message(b"hello")[..part]);
        peer.until("it is answered and reset", |peer| peer.so_far(stream).is_some_and(|a| a.reset.is_some()));
        let answer = peer.answer(stream);
        assert_eq!((answer.status(), answer.reset), (Code::DeadlineExceeded, Some(NO_ERROR)));
    }
    assert_eq!(seen.calls.now(), 0);
}

#[test]
fn it_passes_while_a_stream_has_nothing_to_say() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    for (stream, path, data) in
        [(1, "/test.Fake/Quiet", vec![]), (3, "/test.Fake/OneThenNothing", message(b"one"))]
    {
        let answer = peer.call(stream, &soon(path), b"one");
        assert_eq!((answer.status(), answer.data), (Code::DeadlineExceeded, data));
        assert!(!answer.trailers.is_empty(), "the stream had begun");
    }
    peer.headers(5, 0, &soon(CHAT));
    assert_eq!(peer.answer(5).status(), Code::DeadlineExceeded);
    assert_eq!(seen.over.now(), 3);
}

#[test]
fn it_passes_while_the_peers_window_is_shut_and_the_trailers_come_through() {
    let (server, seen) = server::start();
    for window in [0, 1, 4, 1000] {
        let mut peer = server.peer_with(&[(INITIAL_WINDOW_SIZE, window)]);
        for (stream, path, payload) in [(1, ECHO, [b'a'; 2000].as_slice()), (3, FLOOD, b"1000000 100")] {
            let answer = peer.call(stream, &soon(path), payload);
            assert_eq!((answer.status(), answer.data.len()), (Code::DeadlineExceeded, window as usize));
        }
    }
    assert_eq!(seen.over.now(), seen.calls.now());
}

#[test]
fn it_passes_while_the_connections_window_is_shut() {
    let (server, _) = server::start();
    // Takes all of the connection's window, and more, if the server is quick enough for the time that it has.
    let shut = [20, 200, 2_000, 20_000].into_iter().find_map(|ms| {
        let mut peer = server.peer_with(&[(INITIAL_WINDOW_SIZE, 1 << 20)]);
        let answer = peer.call(1, &within(FLOOD, ms), b"1000000 1000");
        assert_eq!(answer.status(), Code::DeadlineExceeded);
        assert!(answer.data.len() <= DEFAULT_WINDOW);
        (answer.data.len() == DEFAULT_WINDOW).then_some(peer)
    });
    let mut peer = shut.expect("it takes all that it may");
    let answer = peer.call(3, &soon(ECHO), b"a");
    assert_eq!((answer.status(), answer.data.len()), (Code::DeadlineExceeded, 0));
    peer.grant(0, SEND_BUFFER_BYTES as u32);
    assert_eq!(peer.call(5, &Head::of(ECHO), b"a").status(), Code::Ok);
}

#[test]
fn a_call_in_time_is_not_cut() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.headers(1, 0, &Head::of(CHAT).with("grpc-timeout", "1H"));
    peer.data(1, END_STREAM, &message(b"hello"));
    assert_eq!(peer.answer(1).status(), Code::Ok);
}

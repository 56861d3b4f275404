//! What a request's head may say, and the answer to one that is no call of ours.

use auraed::grpc::status::Code;
use auraed::limits::STREAMS_PER_CONNECTION_MAX;

use crate::common::fake::ECHO;
use crate::common::peer::{CONTINUATION, END_HEADERS, END_STREAM, HEADERS, Head, NO_ERROR, frame};
use crate::common::server;
use crate::common::{hpack, message};

#[test]
fn every_content_type_of_grpc_is_served() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let types =
        ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8", "Application/gRPC"];
    for (stream, content_type) in (1..).step_by(2).zip(types) {
        let answer = peer.call(stream, &Head::of(ECHO).with("content-type", content_type), b"hello");
        assert_eq!(answer.status(), Code::Ok, "{content_type}");
        assert_eq!(answer.messages(), [(0, b"hello".to_vec())]);
        assert_eq!(answer.field("content-type"), Some("application/grpc"));
    }
}

#[test]
fn another_content_type_is_415_with_a_body() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    for (stream, content_type) in [(1, "application/json"), (3, "application/grpc-web"), (5, "text/plain")] {
        let answer = peer.call(stream, &Head::of(ECHO).with("content-type", content_type), b"");
        assert_eq!(answer.field(":status"), Some("415"));
        assert_eq!(answer.field("grpc-status"), None);
        assert!(!answer.data.is_empty() && answer.ended);
        assert_eq!(answer.field("content-length"), Some(answer.data.len().to_string().as_str()));
    }
    let answer = peer.call(7, &Head::of(ECHO).without("content-type"), b"");
    assert_eq!(answer.field(":status"), Some("415"));
    assert_eq!(seen.calls.now(), 0);
}

#[test]
fn methods_other_than_post_are_405() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    for (stream, method) in [(1, "GET"), (3, "PUT"), (5, "OPTIONS")] {
        let answer = peer.call(stream, &Head::of(ECHO).with(":method", method), b"");
        assert_eq!((answer.field(":status"), answer.field("allow")), (Some("405"), Some("POST")), "{method}");
        assert!(!answer.data.is_empty());
    }
}

#[test]
fn the_answer_to_head_has_no_content() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.headers(1, END_STREAM, &Head::of(ECHO).with(":method", "HEAD"));
    let answer = peer.answer(1);
    assert_eq!((answer.field(":status"), answer.field("allow")), (Some("405"), Some("POST")));
    assert!(answer.data_frames.is_empty() && answer.ended);
}

#[test]
fn only_the_exact_path_is_a_method() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    let paths = [
        "/test.Fake/Nope",
        "/",
        "/test.Fake/Echo/",
        "/test.Fake/Echo?x=1",
        "/test.fake/echo",
        "//test.Fake/Echo",
    ];
    for (stream, path) in (1..).step_by(2).zip(paths) {
        let answer = peer.call(stream, &Head::of(path), b"");
        assert_eq!(answer.status(), Code::Unimplemented, "{path}");
        assert!(answer.is_trailers_only());
    }
    assert_eq!(seen.calls.now(), 0);
}

#[test]
fn an_unknown_path_is_refused_before_the_body_and_the_rest_of_it_is_not_wanted() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.headers(1, 0, &Head::of("/test.Fake/Nope"));
    peer.until("the stream is answered and reset", |peer| {
        peer.so_far(1).is_some_and(|answer| answer.reset.is_some())
    });
    let answer = peer.answer(1);
    assert_eq!(answer.status(), Code::Unimplemented);
    // RFC 9113 section 8.1: the answer is complete, and the request need not be.
    assert_eq!(answer.reset, Some(NO_ERROR));
    peer.data(1, 0, &message(b"on its way when the reset came"));
    assert_eq!(peer.call(3, &Head::of(ECHO), b"after").status(), Code::Ok);
}

/// Under load many calls are refused at once, all with bodies on their way.
#[test]
fn bodies_on_their_way_to_refused_calls_do_not_cost_the_connection() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let mut streams = (1..).step_by(2);
    for _ in 0..2 {
        let refused: Vec<u32> = streams.by_ref().take(STREAMS_PER_CONNECTION_MAX as usize).collect();
        for stream in &refused {
            peer.headers(*stream, 0, &Head::of("/test.Fake/Nope"));
        }
        for stream in &refused {
            peer.until("it is answered and reset", |peer| {
                peer.so_far(*stream).is_some_and(|answer| answer.reset.is_some())
            });
        }
        for stream in &refused {
            peer.data(*stream, 0, b"on its way");
        }
        peer.catch_up();
    }
    assert_eq!(peer.call(1001, &Head::of(ECHO), b"after").status(), Code::Ok);
}

#[test]
fn te_may_be_missing_and_unknown_headers_are_ignored() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let head = Head::of(ECHO).without("te").with("grpc-unheard-of", "*").with("x-anything", "%");
    let answer = peer.call(1, &head, b"a");
    assert_eq!((answer.status(), answer.messages()), (Code::Ok, vec![(0, b"a".to_vec())]));
}

#[test]
fn binary_headers_are_base64_padded_or_not() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    for (stream, good) in [(1, "YWI"), (3, "YWI="), (5, "YQ, YWI="), (7, "")] {
        let answer = peer.call(stream, &Head::of(ECHO).with("trace-bin", good), b"");
        assert_eq!(answer.status(), Code::Ok, "{good:?}");
    }
    for (stream, bad) in [(9, "Y*"), (11, "Y"), (13, "YQ,*")] {
        let answer = peer.call(stream, &Head::of(ECHO).with("trace-bin", bad), b"");
        assert_eq!(answer.status(), Code::InvalidArgument, "{bad:?}");
        assert!(answer.text().contains("trace-bin"), "{}", answer.text());
    }
    assert_eq!(seen.calls.now(), 4);
}

#[test]
fn more_than_8_kib_of_headers_are_resource_exhausted() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    let head = |bytes| Head::of(ECHO).with("x-long", &"x".repeat(bytes));
    assert_eq!(peer.call(1, &head(7 << 10), b"").status(), Code::Ok);
    let answer = peer.call(3, &head(8 << 10), b"");
    assert_eq!(answer.status(), Code::ResourceExhausted);
    assert!(answer.is_trailers_only());
    assert_eq!(seen.calls.now(), 1);
}

#[test]
fn more_than_16_kib_of_headers_do_not_reach_us() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    // Two fields of 9 KiB, the second in a frame of its own: each frame keeps to SETTINGS_MAX_FRAME_SIZE.
    let head = Head::of(ECHO).with("x-one", &"x".repeat(9 << 10)).block();
    let more = hpack::field("x-two", &"y".repeat(9 << 10));
    peer.send(&[frame(HEADERS, END_STREAM, 1, &head), frame(CONTINUATION, END_HEADERS, 1, &more)].concat());
    let answer = peer.answer(1);
    assert_eq!(answer.field(":status"), Some("431"));
    assert_eq!(peer.call(3, &Head::of(ECHO), b"").status(), Code::Ok);
    assert_eq!(seen.calls.now(), 1);
}

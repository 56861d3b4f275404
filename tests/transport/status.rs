//! Each stream ends with one status: as trailers, or by itself where nothing was sent before.

use auraed::grpc::status::{Code, Status};
use auraed::limits::STATUS_BYTES_MAX;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::common::fake::ECHO;
use crate::common::peer::{Answer, Head, NO_ERROR, Peer};
use crate::common::{message, server};

fn fail(peer: &mut Peer, stream: u32, path: &str, code: Code, text: &str) -> Answer {
    peer.call(stream, &Head::of(path), &[&[code as u8], text.as_bytes()].concat())
}

/// The status as a client reads it.
fn read(answer: &Answer) -> Status {
    let mut headers = HeaderMap::new();
    for (name, value) in answer.head.iter().chain(&answer.trailers).filter(|(name, _)| !name.starts_with(':'))
    {
        let name: HeaderName = name.parse().unwrap();
        headers.insert(name, HeaderValue::try_from(value).unwrap());
    }
    Status::from_trailers(&headers).unwrap()
}

#[test]
fn a_failure_is_its_status_alone() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    for (stream, code) in (1..).step_by(2).zip(&Code::ALL[1..]) {
        let answer = fail(&mut peer, stream, "/test.Fake/Fail", *code, "no such cell");
        assert_eq!((answer.status(), answer.text()), (*code, "no such cell"));
        assert!(answer.is_trailers_only());
        assert_eq!(answer.field(":status"), Some("200"));
        assert_eq!(answer.field("content-type"), Some("application/grpc"));
    }
}

#[test]
fn success_is_a_message_and_trailers() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let answer = peer.call(1, &Head::of(ECHO), b"");
    assert_eq!(answer.trailers, [("grpc-status".to_owned(), "0".to_owned())]);
    assert_eq!((answer.data.as_slice(), answer.data_frames.len()), ([0; 5].as_slice(), 1));
}

#[test]
fn a_stream_that_fails_later_says_so_in_trailers() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let answer = fail(&mut peer, 1, "/test.Fake/FailLater", Code::Aborted, "half way");
    assert_eq!((answer.status(), answer.text()), (Code::Aborted, "half way"));
    assert_eq!(answer.messages().len(), 1);
    assert_eq!(answer.trailers.len(), 2);
}

#[test]
fn an_empty_stream_is_ok_alone() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let answer = peer.call(1, &Head::of("/test.Fake/Nothing"), b"");
    assert_eq!((answer.status(), answer.is_trailers_only()), (Code::Ok, true));
}

#[test]
fn panics_are_internal_and_tell_nothing() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    let answer = peer.call(1, &Head::of("/test.Fake/Panic"), b"");
    assert_eq!((answer.status(), answer.is_trailers_only()), (Code::Internal, true));
    assert!(!answer.text().contains("on purpose"), "{}", answer.text());
    let answer = peer.call(3, &Head::of("/test.Fake/PanicLater"), b"one");
    assert_eq!((answer.status(), answer.messages().len()), (Code::Internal, 1));
    assert_eq!(peer.call(5, &Head::of(ECHO), b"a").status(), Code::Ok);
    assert_eq!(seen.over.now(), 3);
}

#[test]
fn messages_are_percent_encoded() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let cases = [
        ("50% of \"zelle-ä\"\nare gone", "50%25 of \"zelle-%C3%A4\"%0Aare gone"),
        ("\u{7f}\0\r", "%7F%00%0D"),
        ("~ !", "~ !"),
        // RFC 9113 section 8.2.1: a field's value has no blank at either end.
        (" in the middle too ", "%20in the middle too%20"),
        (" ", "%20"),
        ("\u{1F980}", "%F0%9F%A6%80"),
    ];
    for (stream, (text, encoded)) in (1..).step_by(2).zip(cases) {
        let answer = fail(&mut peer, stream, "/test.Fake/Fail", Code::NotFound, text);
        assert_eq!(answer.text(), encoded);
        assert_eq!(read(&answer).message, text);
    }
}

#[test]
fn violations_travel_as_details() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let answer = peer.call(1, &Head::of("/test.Fake/BadRequest"), b"");
    assert_eq!(answer.status(), Code::InvalidArgument);
    let details = answer.field("grpc-status-details-bin").unwrap();
    assert!(!details.contains('='), "binary values go without padding");
    let fields: Vec<_> = read(&answer).violations().into_iter().map(|v| v.field).collect();
    assert_eq!(fields, ["cell.name", "cell.cpu.weight"]);
    assert_eq!(answer.text(), "cell.name: \"\" is empty; cell.cpu.weight: 0 is not in 1..=10000");
}

/// Clients take 8 KiB of headers, some no more; what a caller sent must not come back larger than that.
#[test]
fn a_long_message_is_cut_so_that_clients_take_it() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    for (stream, text) in [(1, "x".repeat(100_000)), (3, "ä".repeat(50_000)), (5, "\u{1F980}".repeat(20_000))]
    {
        peer.headers(stream, 0, &Head::of("/test.Fake/Fail"));
        peer.upload(stream, 1, &message(&[&[5], text.as_bytes()].concat()));
        let answer = peer.answer(stream);
        assert_eq!(answer.status(), Code::NotFound);
        assert!(answer.text().len() <= STATUS_BYTES_MAX && answer.text().len() > STATUS_BYTES_MAX / 2);
        let message = read(&answer).message;
        let whole = message.strip_suffix('…').expect("it says that it was cut");
        assert!(text.starts_with(whole));
    }
    let path = format!("/{}", "ä\u{1F980}%".repeat(300));
    let escaped: String = path
        .bytes()
        .map(|b| if b.is_ascii_graphic() { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect();
    let answer = peer.call(7, &Head::of(&escaped), b"");
    assert_eq!(answer.status(), Code::Unimplemented);
    assert!(answer.text().len() <= STATUS_BYTES_MAX);
}

#[test]
fn an_answer_before_the_body_has_come_is_whole() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.headers(1, 0, &Head::of(ECHO).with("content-type", "text/plain"));
    peer.until("it is answered and reset", |peer| peer.so_far(1).is_some_and(|a| a.reset.is_some()));
    let answer = peer.answer(1);
    assert_eq!((answer.field(":status"), answer.reset, answer.ended), (Some("415"), Some(NO_ERROR), true));
    assert!(!answer.data.is_empty());
}

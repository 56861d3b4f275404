//! Messages are found by their bytes, however they lie in DATA frames; what is no stream of messages ends in a status.

use auraed::grpc::status::Code;
use auraed::limits::{REQUEST_BYTES_HELD_MAX, REQUEST_BYTES_MAX};

use crate::common::fake::{CHAT, ECHO};
use crate::common::peer::{Answer, DATA, END_STREAM, Head, NO_ERROR, PADDED, Peer, frame};
use crate::common::{eventually, flagged, gzip, message, server};

/// The answer to a body that arrives in these frames of (flags, payload).
fn answer_to(peer: &mut Peer, stream: u32, path: &str, frames: &[(u8, &[u8])]) -> Answer {
    peer.headers(stream, 0, &Head::of(path));
    for (flags, payload) in frames {
        peer.data(stream, *flags, payload);
    }
    peer.answer(stream)
}

#[test]
fn a_message_may_be_cut_anywhere() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let body = message(b"hello");
    for (stream, cut) in (1..).step_by(2).zip(0..=body.len()) {
        let answer = answer_to(&mut peer, stream, ECHO, &[(0, &body[..cut]), (END_STREAM, &body[cut..])]);
        assert_eq!((answer.status(), answer.messages()), (Code::Ok, vec![(0, b"hello".to_vec())]), "{cut}");
    }
}

#[test]
fn a_message_may_come_byte_by_byte_with_empty_frames_between() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let body = message(b"hello");
    let mut frames: Vec<(u8, &[u8])> = Vec::new();
    for byte in body.chunks(1) {
        frames.extend([(0, byte), (0, &[])]);
    }
    frames.push((END_STREAM, &[]));
    let answer = answer_to(&mut peer, 1, ECHO, &frames);
    assert_eq!((answer.status(), answer.messages()), (Code::Ok, vec![(0, b"hello".to_vec())]));
}

#[test]
fn padding_is_no_part_of_a_message() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let body = message(b"hello");
    let padded = |bytes: &[u8], pad: u8| [&[pad], bytes, vec![0; pad.into()].as_slice()].concat();
    let (first, second) = (padded(&body[..3], 255), padded(&body[3..], 1));
    let answer = answer_to(
        &mut peer,
        1,
        ECHO,
        &[(PADDED, &first), (PADDED, &padded(&[], 9)), (PADDED | END_STREAM, &second)],
    );
    assert_eq!((answer.status(), answer.messages()), (Code::Ok, vec![(0, b"hello".to_vec())]));
}

#[test]
fn padding_gives_back_the_window_it_took() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.headers(1, 0, &Head::of(CHAT));
    // Four windows of nothing but padding, and a message behind them.
    for _ in 0..64 {
        for _ in 0..16 {
            // One byte of a message each, so that no frame is empty.
            peer.data(1, PADDED, &[&[254], [0; 1 + 254].as_slice()].concat());
        }
        peer.catch_up();
    }
    peer.data(1, END_STREAM, &[0]);
    // 1025 zero bytes: 205 empty messages.
    let answer = peer.answer(1);
    assert_eq!((answer.status(), answer.messages().len()), (Code::Ok, 205));
}

#[test]
fn several_messages_may_share_a_frame() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let body = [message(b"one"), message(b""), message(b"three")].concat();
    for (stream, cut) in (1..).step_by(2).zip(0..=body.len()) {
        let answer = answer_to(&mut peer, stream, CHAT, &[(0, &body[..cut]), (END_STREAM, &body[cut..])]);
        let payloads: Vec<_> = answer.messages().into_iter().map(|(_, payload)| payload).collect();
        assert_eq!(
            (answer.status(), payloads),
            (Code::Ok, vec![b"one".to_vec(), b"".to_vec(), b"three".to_vec()])
        );
    }
}

#[test]
fn many_small_messages_may_come_at_once() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.headers(1, 0, &Head::of(CHAT));
    let count = 6000;
    peer.send(&frame(DATA, 0, 1, &message(b"a")).repeat(count));
    peer.data(1, END_STREAM, &[]);
    let answer = peer.answer(1);
    assert_eq!((answer.status(), answer.data.len()), (Code::Ok, 6 * count));
}

#[test]
fn a_bidirectional_call_is_answered_while_the_peer_still_speaks() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.headers(1, 0, &Head::of(CHAT));
    for (count, word) in (1..).zip([b"one", b"two", b"six"]) {
        peer.data(1, 0, &message(word));
        peer.until("the word comes back", |peer| {
            peer.so_far(1).is_some_and(|answer| answer.data.len() == count * (5 + 3))
        });
    }
    peer.data(1, END_STREAM, &[]);
    assert_eq!(peer.answer(1).status(), Code::Ok);
}

#[test]
fn a_call_that_ends_before_the_peer_does_asks_for_no_more() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.headers(1, 0, &Head::of("/test.Fake/HearsOneWord"));
    peer.data(1, 0, &message(b"one"));
    peer.until("it is answered and reset", |peer| peer.so_far(1).is_some_and(|a| a.reset.is_some()));
    let answer = peer.answer(1);
    assert_eq!((answer.status(), answer.reset), (Code::Ok, Some(NO_ERROR)));
    assert_eq!(answer.messages(), [(0, b"one".to_vec())]);
}

#[test]
fn no_message_or_two_are_unimplemented_where_one_is_due() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    let two = [message(b"one"), message(b"two")].concat();
    for (stream, path) in [(1, ECHO), (11, "/test.Fake/Flood")] {
        assert_eq!(answer_to(&mut peer, stream, path, &[(END_STREAM, &[])]).status(), Code::Unimplemented);
        assert_eq!(
            answer_to(&mut peer, stream + 2, path, &[(END_STREAM, &two)]).status(),
            Code::Unimplemented
        );
        let halves: [(u8, &[u8]); 2] = [(0, &two[..9]), (END_STREAM, &two[9..])];
        assert_eq!(answer_to(&mut peer, stream + 4, path, &halves).status(), Code::Unimplemented);
    }
    peer.headers(21, END_STREAM, &Head::of(ECHO));
    assert_eq!(peer.answer(21).status(), Code::Unimplemented);
    assert_eq!(seen.calls.now(), 0);
}

#[test]
fn no_message_is_fine_where_any_number_is() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.headers(1, END_STREAM, &Head::of(CHAT));
    let answer = peer.answer(1);
    assert_eq!((answer.status(), answer.is_trailers_only()), (Code::Ok, true));
}

#[test]
fn malformed_streams_of_messages_are_internal() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    let whole = message(b"hello");
    let bodies: [(&str, Vec<u8>); 7] = [
        ("a cut prefix", whole[..3].to_vec()),
        ("a cut message", whole[..8].to_vec()),
        ("a prefix alone", whole[..5].to_vec()),
        ("a byte behind the message", [whole.as_slice(), &[0]].concat()),
        ("flag 2", flagged(2, b"hello")),
        ("flag 255", flagged(255, b"hello")),
        ("flag 1 without an encoding", flagged(1, b"hello")),
    ];
    for (stream, (what, body)) in (1..).step_by(2).zip(&bodies) {
        let answer = answer_to(&mut peer, stream, ECHO, &[(END_STREAM, body)]);
        assert_eq!(answer.status(), Code::Internal, "{what}");
        assert!(answer.is_trailers_only() && !answer.text().is_empty(), "{what}");
    }
    assert_eq!(seen.calls.now(), 0);
    assert_eq!(peer.call(101, &Head::of(ECHO), b"hello").status(), Code::Ok);
}

#[test]
fn a_malformed_message_ends_a_bidirectional_call_after_the_good_ones() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let body = [message(b"good"), flagged(3, b"bad")].concat();
    let answer = answer_to(&mut peer, 1, CHAT, &[(0, &body)]);
    assert_eq!((answer.status(), answer.messages()), (Code::Internal, vec![(0, b"good".to_vec())]));
}

#[test]
fn a_length_above_the_limit_is_refused_on_its_prefix() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    for (stream, length) in [(1, u32::MAX), (3, REQUEST_BYTES_MAX as u32 + 1)] {
        // Not one byte of the message follows, and the stream stays open.
        let prefix = [&[0], length.to_be_bytes().as_slice()].concat();
        let answer = answer_to(&mut peer, stream, ECHO, &[(0, &prefix)]);
        assert_eq!(answer.status(), Code::ResourceExhausted);
        assert!(answer.text().contains(&length.to_string()), "{}", answer.text());
    }
}

#[test]
fn a_message_of_exactly_the_limit_is_served() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.grants = true;
    let payload = vec![7; REQUEST_BYTES_MAX];
    peer.headers(1, 0, &Head::of(ECHO));
    peer.upload(1, END_STREAM, &message(&payload));
    let answer = peer.answer(1);
    assert_eq!(answer.status(), Code::Ok);
    assert!(answer.messages() == [(0, payload)]);
}

/// Makes one call more than may hold a body of that size, none of which ever ends its stream.
fn expect_that_held_bytes_are_bounded(head: &Head, body: &[u8], held_each: usize) {
    let (server, seen) = server::start();
    let call = |_| {
        let mut peer = server.peer();
        peer.headers(1, 0, head);
        peer.upload(1, 0, body);
        peer
    };
    let mut peers: Vec<Peer> = (0..=REQUEST_BYTES_HELD_MAX / held_each).map(call).collect();
    let mut refused = None;
    eventually("one of them is refused", || {
        peers.iter_mut().for_each(Peer::catch_up);
        refused = peers.iter().position(|peer| peer.so_far(1).is_some());
        refused.is_some()
    });
    let answer = peers[refused.unwrap()].answer(1);
    assert_eq!(answer.status(), Code::ResourceExhausted, "{}", answer.text());
    assert_eq!(seen.calls.now(), 0);
    drop(peers);
    eventually("what was held is given back", || {
        let mut peer = server.peer();
        peer.grants = true;
        peer.headers(1, 0, head);
        peer.upload(1, END_STREAM, body);
        peer.answer(1).status() == Code::Ok
    });
}

#[test]
fn whole_messages_count_as_held_until_their_call_is_over() {
    // One byte less than a quarter, so that four fit beside a prefix.
    let payload = vec![0; REQUEST_BYTES_HELD_MAX / 4 - 6];
    expect_that_held_bytes_are_bounded(&Head::of(ECHO), &message(&payload), REQUEST_BYTES_HELD_MAX / 4);
}

#[test]
fn messages_count_as_held_with_their_inflated_size() {
    let payload = gzip(&vec![0; REQUEST_BYTES_MAX - (16 << 10)]);
    let head = Head::of(ECHO).with("grpc-encoding", "gzip");
    expect_that_held_bytes_are_bounded(&head, &flagged(1, &payload), REQUEST_BYTES_HELD_MAX / 4);
}

#[test]
fn frames_of_another_kind_between_those_of_a_message_are_ignored() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let body = message(b"hello");
    peer.headers(1, 0, &Head::of(ECHO));
    peer.send(
        &[
            frame(DATA, 0, 1, &body[..4]),
            frame(0xfa, 0xff, 1, b"grease"),
            frame(DATA, END_STREAM, 1, &body[4..]),
        ]
        .concat(),
    );
    assert_eq!(peer.answer(1).status(), Code::Ok);
}

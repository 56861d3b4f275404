//! Compression: gzip both ways, where it is agreed on and where it pays, and never a way around the limits.

use auraed::grpc::status::Code;
use auraed::limits::{GZIP_WORTH_TRYING_BYTES, REQUEST_BYTES_MAX};

use crate::common::fake::{CHAT, ECHO, FLOOD};
use crate::common::peer::Head;
use crate::common::{flagged, gunzip, gzip, message, noise, server};

fn gzip_request(path: &str) -> Head {
    Head::of(path).with("grpc-encoding", "gzip")
}

#[test]
fn compressed_and_plain_messages_are_read_in_one_stream() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.request(1, &gzip_request(ECHO), &flagged(1, &gzip(b"hello")));
    let answer = peer.answer(1);
    assert_eq!((answer.status(), answer.messages()), (Code::Ok, vec![(0, b"hello".to_vec())]));
    assert_eq!(answer.field("grpc-encoding"), None);

    let body = [message(b"plain"), flagged(1, &gzip(b"packed")), flagged(1, &gzip(b""))].concat();
    peer.request(3, &gzip_request(CHAT), &body);
    let answer = peer.answer(3);
    let payloads: Vec<_> = answer.messages().into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(
        (answer.status(), payloads),
        (Code::Ok, vec![b"plain".to_vec(), b"packed".to_vec(), b"".to_vec()])
    );
}

#[test]
fn identity_is_no_compression() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let head = Head::of(ECHO).with("grpc-encoding", "identity");
    assert_eq!(peer.call(1, &head, b"a").status(), Code::Ok);
    peer.request(3, &head, &flagged(1, &gzip(b"a")));
    assert_eq!(peer.answer(3).status(), Code::Internal);
}

#[test]
fn a_message_that_inflates_above_the_limit_is_resource_exhausted() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < REQUEST_BYTES_MAX / 16);
    peer.headers(1, 0, &gzip_request(ECHO));
    peer.upload(1, 0, &flagged(1, &bomb));
    let answer = peer.answer(1);
    assert_eq!(answer.status(), Code::ResourceExhausted);
    assert_eq!(seen.calls.now(), 0);
}

#[test]
fn a_message_that_inflates_to_exactly_the_limit_is_served() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.grants = true;
    peer.request(1, &gzip_request(ECHO), &flagged(1, &gzip(&vec![0; REQUEST_BYTES_MAX])));
    let answer = peer.answer(1);
    assert_eq!(answer.status(), Code::Ok);
    assert!(answer.messages() == [(0, vec![0; REQUEST_BYTES_MAX])]);
}

#[test]
fn what_is_not_gzip_is_internal() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let packed = gzip(b"hello");
    let cut = &packed[..packed.len() - 1];
    let trailing = [packed.as_slice(), b"x"].concat();
    for (stream, bad) in [(1, b"hello".as_slice()), (3, &[]), (5, cut), (7, &trailing)] {
        peer.request(stream, &gzip_request(ECHO), &flagged(1, bad));
        assert_eq!(peer.answer(stream).status(), Code::Internal, "{bad:?}");
    }
}

#[test]
fn an_unknown_encoding_is_unimplemented_and_says_which_are_known() {
    let (server, seen) = server::start();
    let mut peer = server.peer();
    for (stream, encoding) in [(1, "br"), (3, "deflate"), (5, "")] {
        peer.headers(stream, 0, &Head::of(ECHO).with("grpc-encoding", encoding));
        let answer = peer.answer(stream);
        assert_eq!(answer.status(), Code::Unimplemented, "{encoding:?}");
        assert_eq!(answer.field("grpc-accept-encoding"), Some("identity,gzip"));
        assert!(answer.is_trailers_only());
    }
    assert_eq!(seen.calls.now(), 0);
}

#[test]
fn answers_are_compressed_only_where_accepted_and_where_it_pays() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.grants = true;
    let large = vec![b'a'; 10 * GZIP_WORTH_TRYING_BYTES];
    let small = vec![b'a'; GZIP_WORTH_TRYING_BYTES - 1];
    let noise = noise(2 * GZIP_WORTH_TRYING_BYTES);
    let accepts = |list: &str| Head::of(ECHO).with("grpc-accept-encoding", list);
    let cases = [
        ("accepted", accepts("identity, br,gzip"), &large, 1),
        ("not accepted", accepts("identity,br"), &large, 0),
        ("not asked for", Head::of(ECHO), &large, 0),
        ("a compressed request is no consent", gzip_request(ECHO), &large, 0),
        ("too small", accepts("gzip"), &small, 0),
        ("noise", accepts("gzip"), &noise, 0),
    ];
    for (stream, (what, head, payload, flag)) in (1..).step_by(2).zip(cases) {
        let answer = peer.call(stream, &head, payload);
        assert_eq!(answer.status(), Code::Ok, "{what}");
        let messages = answer.messages();
        let [(given, bytes)] = messages.as_slice() else { panic!("{what}: {}", messages.len()) };
        assert_eq!(*given, flag, "{what}");
        assert_eq!(answer.field("grpc-encoding"), (flag == 1).then_some("gzip"), "{what}");
        if flag == 1 {
            assert!(bytes.len() < payload.len() / 10);
            assert!(gunzip(bytes) == *payload, "{what}");
        } else {
            assert!(bytes == payload, "{what}");
        }
    }
}

#[test]
fn each_item_of_a_stream_is_compressed_by_itself() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.grants = true;
    for (stream, size, flag) in [(1, 5000, 1), (3, 10, 0)] {
        let head = Head::of(FLOOD).with("grpc-accept-encoding", "gzip");
        peer.request(stream, &head, &message(format!("3 {size}").as_bytes()));
        let answer = peer.answer(stream);
        assert_eq!((answer.status(), answer.field("grpc-encoding")), (Code::Ok, Some("gzip")));
        for (given, bytes) in answer.messages() {
            assert_eq!(given, flag);
            let plain = if flag == 1 { gunzip(&bytes) } else { bytes };
            assert_eq!(plain, vec![b'x'; size]);
        }
    }
}

#[test]
fn a_refusal_is_never_compressed() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let head = Head::of("/test.Fake/Fail").with("grpc-accept-encoding", "gzip");
    peer.request(1, &head, &message(&[&[5], vec![b'a'; 4000].as_slice()].concat()));
    let answer = peer.answer(1);
    assert_eq!((answer.status(), answer.field("grpc-encoding")), (Code::NotFound, None));
}

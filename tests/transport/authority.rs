//! Clients on a Unix socket send its path as `:authority`; they are served like any other.

use auraed::grpc::status::Code;

use crate::common::fake::ECHO;
use crate::common::hpack::{field, huffman, integer, plain};
use crate::common::peer::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADER_TABLE_SIZE, HEADERS, PADDED, Peer, frame,
};
use crate::common::{message, server};

/// Index 1 of HPACK's static table is the name `:authority`. With these bits before it the value is, in this order, added
/// to the dynamic table, not added, never added.
const FORMS: [u8; 3] = [0x41, 0x01, 0x11];
const PRIORITY: u8 = 0x20;

/// What else a request needs: before `:authority`, and behind it.
fn before() -> Vec<u8> {
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", ECHO)];
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

fn behind() -> Vec<u8> {
    field("content-type", "application/grpc")
}

fn headers(stream: u32, authority: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &[before(), authority.to_vec(), behind()].concat())
}

fn body(stream: u32) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, &message(b"hello"))
}

fn expect_echo(peer: &mut Peer, stream: u32, what: &str) {
    let answer = peer.answer(stream);
    assert_eq!(answer.reset, None, "{what}");
    assert_eq!((answer.status(), answer.messages()), (Code::Ok, vec![(0, b"hello".to_vec())]), "{what}");
}

const PATHS: [&str; 4] = ["/run/x.sock", "run%2Fx.sock", "/", "/var/run/aurae/aurae.sock"];

#[test]
fn paths_of_sockets_are_authorities_in_every_form() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let mut stream = 1;
    for path in PATHS {
        for form in FORMS {
            for value in [plain(path), huffman(path)] {
                peer.send(&[headers(stream, &[&[form], value.as_slice()].concat()), body(stream)].concat());
                expect_echo(&mut peer, stream, &format!("{path} {form:#x}"));
                stream += 2;
            }
        }
    }
}

#[test]
fn a_name_of_a_host_is_left_as_it_is() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    for (stream, host) in [(1, "localhost"), (3, "localhost:7070"), (5, "[::1]:1"), (7, "user@host")] {
        peer.send(&[headers(stream, &[&[0x41], huffman(host).as_slice()].concat()), body(stream)].concat());
        expect_echo(&mut peer, stream, host);
    }
}

#[test]
fn how_the_bytes_arrive_does_not_matter() {
    // In the first path a Huffman code to be changed lies across two bytes.
    for path in ["a/b/run/x.sock", "run%2Fx.sock", "/run/x.sock"] {
        let (server, _) = server::start();
        let mut peer = server.peer();
        let authority = [&[0x41], huffman(path).as_slice()].concat();
        let request = |stream| [headers(stream, &authority), body(stream)].concat();
        for (stream, cut) in (1..).step_by(2).zip(9..request(1).len()) {
            let bytes = request(stream);
            peer.send(&bytes[..cut]);
            server.settle();
            peer.send(&bytes[cut..]);
            expect_echo(&mut peer, stream, &format!("{path} cut at {cut}"));
        }
        for byte in request(1001) {
            peer.send(&[byte]);
            server.settle();
        }
        expect_echo(&mut peer, 1001, &format!("{path} byte by byte"));
    }
}

#[test]
fn padding_priority_and_continuation_do_not_hide_it() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let block = [before(), vec![0x41], huffman("run%2Fx.sock"), behind()].concat();
    let padded = [&[4], [0, 0, 0, 0, 16].as_slice(), &block, b"/%/%"].concat();
    peer.send(&[frame(HEADERS, END_HEADERS | PADDED | PRIORITY, 1, &padded), body(1)].concat());
    expect_echo(&mut peer, 1, "padded");
    let cut = before().len() + 2;
    let parts =
        [frame(HEADERS, 0, 3, &block[..cut]), frame(CONTINUATION, END_HEADERS, 3, &block[cut..]), body(3)];
    peer.send(&parts.concat());
    expect_echo(&mut peer, 3, "in two frames, the value in the second");
}

#[test]
fn a_second_request_may_name_it_by_index() {
    for value in [plain("/run/x.sock"), huffman("/run/x.sock"), huffman("run%2Fx.sock")] {
        let (server, _) = server::start();
        let mut peer = server.peer();
        // 0x41: the first entry of the dynamic table, which has index 62.
        peer.send(&[headers(1, &[&[0x41], value.as_slice()].concat()), body(1)].concat());
        expect_echo(&mut peer, 1, "literal");
        for stream in [3, 5] {
            peer.send(&[headers(stream, &integer(0x80, 7, 62)), body(stream)].concat());
            expect_echo(&mut peer, stream, "indexed");
        }
        // Another entry before it: now it has index 63, if its size was counted alike on both sides.
        let other = [vec![0x40], plain("x-other"), plain("a/b%c")].concat();
        let block = [before(), integer(0x80, 7, 62), behind(), other].concat();
        peer.send(&[frame(HEADERS, END_HEADERS, 7, &block), body(7)].concat());
        expect_echo(&mut peer, 7, "indexed");
        peer.send(&[headers(9, &integer(0x80, 7, 63)), body(9)].concat());
        expect_echo(&mut peer, 9, "indexed, one further");
    }
}

#[test]
fn a_table_of_another_size_changes_nothing() {
    let (server, _) = server::start();
    let mut peer = server.peer_with(&[(HEADER_TABLE_SIZE, 0)]);
    let resized = [integer(0x20, 5, 100), before(), vec![0x41], huffman("/run/x.sock"), behind()].concat();
    peer.send(&[frame(HEADERS, END_HEADERS, 1, &resized), body(1)].concat());
    expect_echo(&mut peer, 1, "with a dynamic table size update");
}

#[test]
fn a_path_with_a_slash_elsewhere_is_untouched() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    // A path with dashes for its slashes would be that of no method.
    let fields = [(":authority", "localhost"), ("x-path", "/a/b%2Fc")];
    let fields: Vec<u8> = fields.iter().flat_map(|(name, value)| field(name, value)).collect();
    peer.send(&[headers(1, &fields), body(1)].concat());
    expect_echo(&mut peer, 1, "plain names");
}

//! DATA goes out as the peer grants capacity; what it does not take costs us a buffer, no more.

use auraed::grpc::status::Code;
use auraed::limits::{
    ANSWER_BYTES_HELD_MAX, BATCH_BYTES, SEND_BUFFER_BYTES, STREAM_ANSWER_BYTES, STREAMS_MAX,
    STREAMS_PER_CONNECTION_MAX,
};

use crate::common::fake::{ECHO, FLOOD};
use crate::common::peer::{CANCEL, Head, INITIAL_WINDOW_SIZE, Peer};
use crate::common::{eventually, message, server};

#[test]
fn a_peer_that_never_opens_its_window_costs_a_buffer() {
    let (server, seen) = server::start();
    let mut peer = server.peer_with(&[(INITIAL_WINDOW_SIZE, 0)]);
    let item = 1000;
    peer.request(1, &Head::of(FLOOD), &message(format!("1000000 {item}").as_bytes()));
    peer.until("the stream has begun", |peer| peer.so_far(1).is_some());
    server.settle();
    assert!(seen.asked.now() <= BATCH_BYTES / item + 1, "{} items", seen.asked.now());
    assert!(peer.so_far(1).unwrap().data.is_empty());
}

#[test]
fn a_peer_that_never_reads_its_socket_costs_a_buffer_for_each_stream() {
    let (server, seen) = server::start();
    let mut peer = server.peer_with(&[(INITIAL_WINDOW_SIZE, 0x7fff_ffff)]);
    peer.grant(0, 0x7fff_0000);
    let (item, streams) = (1000, STREAMS_PER_CONNECTION_MAX as usize);
    for stream in (1..).step_by(2).take(streams) {
        peer.request(stream, &Head::of(FLOOD), &message(format!("1000000 {item}").as_bytes()));
    }
    seen.calls.reaches(streams);
    let mut asked = 0;
    eventually("the server asks for no more", || {
        server.settle();
        std::mem::replace(&mut asked, seen.asked.now()) == seen.asked.now()
    });
    // One batch that waits and a send buffer for each stream; what the kernel's socket buffers hold, once (unix(7): about
    // 200 KiB), and a buffer of h2.
    let held = asked * item;
    let bound = streams * (BATCH_BYTES + item + SEND_BUFFER_BYTES) + (512 << 10);
    assert!(held <= bound, "{held} bytes were asked for, the bound is {bound}");
}

/// What the daemon may need at worst follows from this.
#[test]
fn answers_that_nobody_reads_keep_their_place_among_all_streams() {
    let (server, seen) = server::start();
    let connections = STREAMS_MAX / STREAMS_PER_CONNECTION_MAX as usize + 1;
    let mut peers: Vec<Peer> =
        (0..connections).map(|_| server.peer_with(&[(INITIAL_WINDOW_SIZE, 0x7fff_ffff)])).collect();
    // Fills the sockets, so that they take nothing of what follows.
    for peer in &mut peers {
        peer.grant(0, 0x7fff_0000);
        peer.request(1, &Head::of(FLOOD), &message(b"1000000 1000"));
    }
    seen.calls.reaches(connections);
    let mut asked = 0;
    eventually("the sockets are full", || {
        server.settle();
        std::mem::replace(&mut asked, seen.asked.now()) == seen.asked.now()
    });
    let size = (SEND_BUFFER_BYTES - 5).to_string();
    for peer in &mut peers {
        for stream in (3..).step_by(2).take(STREAMS_PER_CONNECTION_MAX as usize - 1) {
            peer.request(stream, &Head::of("/test.Fake/Noise"), &message(size.as_bytes()));
        }
    }
    let mut one_more = server.peer();
    let mut streams = (1..).step_by(2);
    let mut call = || one_more.call(streams.next().unwrap(), &Head::of(ECHO), b"a");
    eventually("no place is free", || {
        let answer = call();
        answer.status() == Code::ResourceExhausted && answer.text().contains("streams")
    });
    eventually("most of these calls have ended", || seen.over.now() > STREAMS_MAX / 2);
    drop(peers);
    eventually("places are free", || call().status() == Code::Ok);
}

#[test]
fn large_answers_that_nobody_reads_are_bounded_over_all_streams() {
    large_answers_are_bounded("/test.Fake/Zeros", |payload| payload.to_string());
}

#[test]
fn large_items_that_nobody_reads_are_bounded_over_all_streams() {
    large_answers_are_bounded(FLOOD, |payload| format!("1 {payload}"));
}

/// `request` asks `path` for one message of so many bytes.
fn large_answers_are_bounded(path: &str, request: fn(usize) -> String) {
    let (server, seen) = server::start();
    let size = ANSWER_BYTES_HELD_MAX / 20;
    let large = request(size - 5);
    let streams = || (1..).step_by(2).take(ANSWER_BYTES_HELD_MAX / size);
    let ask_for_all = || {
        let mut peer = server.peer_with(&[(INITIAL_WINDOW_SIZE, 0)]);
        streams().for_each(|stream| peer.request(stream, &Head::of(path), &message(large.as_bytes())));
        peer
    };
    let mut peer = ask_for_all();
    seen.calls.reaches(streams().count());
    server.settle();

    let mut reader = server.peer();
    reader.grants = true;
    let mut stream = (1..).step_by(2);
    let mut call = |payload: &str| reader.call(stream.next().unwrap(), &Head::of(path), payload.as_bytes());
    let refused = call(&large);
    assert_eq!(refused.status(), Code::ResourceExhausted);
    assert!(refused.text().contains(&ANSWER_BYTES_HELD_MAX.to_string()), "{}", refused.text());
    // It has its place with its stream.
    assert_eq!(call(&request(STREAM_ANSWER_BYTES - 5)).status(), Code::Ok);

    peer.grants = true;
    peer.grant(1, u32::try_from(size).unwrap());
    assert_eq!(peer.answer(1).status(), Code::Ok);
    eventually("what was read made room for one", || call(&large).status() == Code::Ok);

    drop(peer);
    eventually("a peer that went made room for all", || {
        let mut peer = ask_for_all();
        peer.catch_up();
        server.settle();
        peer.catch_up();
        streams().all(|stream| !peer.so_far(stream).is_some_and(|answer| answer.ended))
    });
}

#[test]
fn data_goes_out_as_windows_open_and_no_faster() {
    let (server, seen) = server::start();
    let mut peer = server.peer_with(&[(INITIAL_WINDOW_SIZE, 10)]);
    let body = message(&[b'x'; 100]).repeat(10);
    peer.request(1, &Head::of(FLOOD), &message(b"10 100"));
    let mut granted = 10;
    while granted < body.len() {
        peer.until("what was granted", |peer| peer.so_far(1).is_some_and(|a| a.data.len() == granted));
        peer.catch_up();
        assert_eq!(peer.so_far(1).unwrap().data.len(), granted, "more than was granted");
        peer.grant(1, 37);
        granted += 37;
    }
    let answer = peer.answer(1);
    assert_eq!((answer.status(), answer.data == body), (Code::Ok, true));
    assert_eq!(seen.asked.now(), 10);
}

#[test]
fn one_stream_that_is_not_read_does_not_hold_up_another() {
    let (server, _) = server::start();
    let mut peer = server.peer_with(&[(INITIAL_WINDOW_SIZE, 1000)]);
    peer.request(1, &Head::of(FLOOD), &message(b"1000000 1000"));
    peer.until("the window is used up", |peer| peer.so_far(1).is_some_and(|a| a.data.len() == 1000));
    for stream in (3..).step_by(2).take(50) {
        assert_eq!(peer.call(stream, &Head::of(ECHO), b"hello").status(), Code::Ok);
    }
    peer.reset(1, CANCEL);
}

#[test]
fn items_that_are_ready_travel_together() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    let answer = peer.call(1, &Head::of(FLOOD), b"2000 11");
    assert_eq!((answer.status(), answer.messages().len()), (Code::Ok, 2000));
    let bytes = 2000 * (5 + 11);
    assert_eq!(answer.data.len(), bytes);
    // Full frames, but for the last; a window may cut one in two.
    assert!(answer.data_frames.len() <= bytes.div_ceil(SEND_BUFFER_BYTES) + 1, "{:?}", answer.data_frames);
}

#[test]
fn an_item_is_not_kept_back_for_one_that_may_follow() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.request(1, &Head::of("/test.Fake/OneThenNothing"), &message(b"now"));
    peer.until("the item comes", |peer| peer.so_far(1).is_some_and(|a| a.data == message(b"now")));
    // A stream without an item has begun all the same, and says so.
    peer.request(3, &Head::of("/test.Fake/Quiet"), &message(b""));
    peer.until("the head comes", |peer| peer.so_far(3).is_some_and(|a| a.head.len() == 2));
}

#[test]
fn large_answers_arrive_whole_over_many_windows() {
    let (server, _) = server::start();
    let mut peer = server.peer();
    peer.grants = true;
    peer.request(1, &Head::of("/test.Fake/Noise"), &message(b"3000000"));
    peer.request(3, &Head::of(FLOOD), &message(b"300 10000"));
    let (first, second) = (peer.answer(1), peer.answer(3));
    assert!(first.messages() == [(0, crate::common::noise(3_000_000))]);
    assert_eq!((second.status(), second.data.len()), (Code::Ok, 300 * 10_005));
    assert!(first.data_frames.iter().chain(&second.data_frames).all(|bytes| *bytes <= SEND_BUFFER_BYTES));
}

#[test]
fn a_window_that_shrinks_below_zero_is_waited_for() {
    let (server, _) = server::start();
    let mut peer = server.peer_with(&[(INITIAL_WINDOW_SIZE, 1000)]);
    peer.request(1, &Head::of(FLOOD), &message(b"3 995"));
    peer.until("the window is used up", |peer| peer.so_far(1).is_some_and(|a| a.data.len() == 1000));
    peer.send(&crate::common::peer::settings(&[(INITIAL_WINDOW_SIZE, 500)]));
    peer.catch_up();
    // Now at -500.
    peer.grant(1, 500);
    peer.catch_up();
    assert_eq!(peer.so_far(1).unwrap().data.len(), 1000);
    peer.grant(1, 2000);
    let answer = peer.answer(1);
    assert_eq!((answer.status(), answer.data.len()), (Code::Ok, 3000));
}

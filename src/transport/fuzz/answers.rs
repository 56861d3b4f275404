//! What a peer sees of the daemon's answers, read frame by frame without HPACK: enough to tell whether each stream
//! has one end, and whether its messages are framed as gRPC wants.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::grpc::encoding::Encoding;
use crate::grpc::frame::Deframer;
use crate::limits::{HEADER_LIST_SOFT_BYTES_MAX, REQUEST_BYTES_MAX};

/// Frame header (RFC 9113 section 4.1).
const HEADER_BYTES: usize = 9;
const TYPE_DATA: u8 = 0;
const TYPE_HEADERS: u8 = 1;
const TYPE_RST_STREAM: u8 = 3;
pub const TYPE_CONTINUATION: u8 = 9;
const FLAG_END_STREAM: u8 = 0x1;
const FLAG_PADDED: u8 = 0x8;

#[derive(Default)]
struct Answer {
    /// HEADERS frames: those before the messages, and those with the status.
    heads: u32,
    data: Vec<u8>,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By HEADERS, which hold the one status.
    Status,
    /// By DATA: a plain HTTP answer to what is not gRPC.
    Http,
    Reset,
}

/// Panics when the bytes break a promise. The last frame may be cut: the peer may have gone in the middle of it.
/// `in_time` says that no deadline or stop has cut a message.
pub fn check(mut written: &[u8], in_time: bool) {
    let mut answers = BTreeMap::<u32, Answer>::new();
    while let Some((header, rest)) = written.split_first_chunk::<HEADER_BYTES>() {
        let [a, b, c, kind, flags, stream @ ..] = *header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let Some(payload) = rest.get(..length) else { break };
        written = &rest[length..];
        let stream = u32::from_be_bytes(stream);
        match kind {
            TYPE_DATA | TYPE_HEADERS | TYPE_RST_STREAM => {
                answers.entry(stream).or_default().add(stream, kind, flags, payload);
            }
            TYPE_CONTINUATION => panic!("an answer's headers are larger than a frame"),
            _ => {}
        }
    }
    for (stream, answer) in &answers {
        answer.check(*stream, in_time);
    }
}

impl Answer {
    fn add(&mut self, stream: u32, kind: u8, flags: u8, payload: &[u8]) {
        if kind == TYPE_RST_STREAM {
            // A reset may follow any end, and another reset: each answers a frame of a peer that goes on.
            self.end = self.end.or(Some(End::Reset));
            return;
        }
        assert_eq!(stream % 2, 1, "an answer on stream {stream}, which no client opens");
        assert_eq!(self.end, None, "stream {stream}: frame of type {kind} after its end");
        assert_eq!(flags & FLAG_PADDED, 0, "stream {stream}: we never pad");
        let ends = flags & FLAG_END_STREAM != 0;
        if kind == TYPE_HEADERS {
            self.heads += 1;
            self.end = ends.then_some(End::Status);
            assert!(
                payload.len() <= HEADER_LIST_SOFT_BYTES_MAX,
                "stream {stream}: headers that peers may refuse"
            );
        } else {
            self.data.extend_from_slice(payload);
            self.end = ends.then_some(End::Http);
        }
    }

    fn check(&self, stream: u32, in_time: bool) {
        match (self.end, self.heads) {
            (Some(End::Status), 1) => assert!(self.data.is_empty(), "stream {stream}: DATA without headers"),
            (Some(End::Http), 1) => {
                let is_whole = self.is_text() && self.data.ends_with(b"\n");
                assert!(is_whole, "stream {stream}: no status after gRPC messages");
            }
            (Some(End::Status), 2) => self.check_messages(stream, in_time),
            // The rest of a text waits for the peer's window, as messages may.
            (None, 1) if self.is_text() => {}
            (None, 1) => self.check_messages(stream, false),
            (Some(End::Reset), 0..=1) => {}
            (end, heads) => panic!("stream {stream}: {heads} HEADERS, end {end:?}"),
        }
    }

    /// Whether the data is that of a plain HTTP answer; a gRPC message begins with a flag, which is no letter.
    fn is_text(&self) -> bool {
        self.data.is_ascii() && self.data.first().is_some_and(u8::is_ascii_alphabetic)
    }

    /// Each message has a prefix that makes sense, and the last one is whole.
    fn check_messages(&self, stream: u32, is_whole: bool) {
        let mut deframer = Deframer::new(Encoding::Gzip, REQUEST_BYTES_MAX);
        deframer.push(Bytes::copy_from_slice(&self.data));
        let found =
            std::iter::from_fn(|| deframer.next_frame().transpose()).try_for_each(|frame| frame.map(drop));
        let end = if is_whole { deframer.finish() } else { Ok(()) };
        found.and(end).unwrap_or_else(|status| panic!("stream {stream}: {status}"));
    }
}

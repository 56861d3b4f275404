//! A peer that says exactly what a test wants, well formed or not, and takes an answer apart frame by frame.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use auraed::grpc::status::Code;
use auraed::limits::{FRAME_BYTES_MAX, WINDOW_BYTES};

use super::hpack::{self, Fields};
use super::{PATIENCE, message};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;

pub const NO_ERROR: u32 = 0;
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// Settings by number (RFC 9113 section 6.5.2).
pub const HEADER_TABLE_SIZE: u16 = 1;
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const INITIAL_WINDOW_SIZE: u16 = 4;
pub const MAX_FRAME_SIZE: u16 = 5;
pub const MAX_HEADER_LIST_SIZE: u16 = 6;

/// What a window holds before anybody says otherwise.
pub const DEFAULT_WINDOW: usize = 65_535;

#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The 32-bit number at `offset` of the payload.
    pub fn number(&self, offset: usize) -> u32 {
        u32::from_be_bytes(self.payload[offset..offset + 4].try_into().unwrap())
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let pairs = pairs.iter().flat_map(|(id, value)| {
        let (id, value) = (id.to_be_bytes(), value.to_be_bytes());
        id.into_iter().chain(value)
    });
    frame(SETTINGS, 0, 0, &pairs.collect::<Vec<u8>>())
}

/// The header fields of a request.
#[derive(Clone)]
pub struct Head(Fields);

impl Head {
    pub fn of(path: &str) -> Self {
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ];
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
    }

    /// Sets a field, in the place of one of this name where there is one.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }

    pub fn block(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(name, value)| hpack::field(name, value)).collect()
    }
}

/// All that has come back on one stream.
#[derive(Debug, Default)]
pub struct Answer {
    pub head: Fields,
    pub data: Vec<u8>,
    /// The sizes of the DATA frames.
    pub data_frames: Vec<usize>,
    pub trailers: Fields,
    pub reset: Option<u32>,
    pub ended: bool,
}

impl Answer {
    /// The value of a field in head or trailers; there must not be two.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.head.iter().chain(&self.trailers).filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} was sent twice: {self:?}");
        value
    }

    /// The one status of the stream.
    pub fn status(&self) -> Code {
        assert!(self.ended, "the stream has not ended: {self:?}");
        let status = self.field("grpc-status").unwrap_or_else(|| panic!("no status: {self:?}"));
        Code::ALL[status.parse::<usize>().expect("a status is a number")]
    }

    pub fn text(&self) -> &str {
        self.field("grpc-message").unwrap_or_default()
    }

    /// Ended by one HEADERS frame alone.
    pub fn is_trailers_only(&self) -> bool {
        self.ended && self.trailers.is_empty() && self.data_frames.is_empty()
    }

    /// The messages, with their flags.
    pub fn messages(&self) -> Vec<(u8, Vec<u8>)> {
        let (mut messages, mut rest) = (Vec::new(), self.data.as_slice());
        while let [flag, a, b, c, d, after @ ..] = rest {
            let (payload, next) = after.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
            messages.push((*flag, payload.to_vec()));
            rest = next;
        }
        assert!(rest.is_empty(), "a message is cut");
        messages
    }
}

pub struct Peer {
    stream: UnixStream,
    /// Answers by stream.
    answers: HashMap<u32, Answer>,
    /// Frames of the connection itself, as they came.
    pub others: Vec<Frame>,
    /// What [`Peer::upload`] may still send: on each stream, and on the connection (0).
    windows: HashMap<u32, usize>,
    /// Acknowledges SETTINGS and PING.
    pub is_polite: bool,
    /// Opens both windows again for each DATA frame.
    pub grants: bool,
    pub closed: bool,
}

impl Peer {
    /// Says nothing yet.
    pub fn silent(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            answers: HashMap::new(),
            others: Vec::new(),
            windows: HashMap::from([(0, DEFAULT_WINDOW)]),
            is_polite: true,
            grants: false,
            closed: false,
        }
    }

    /// Shakes hands with default settings.
    pub fn new(stream: UnixStream) -> Self {
        Self::with_settings(stream, &[])
    }

    pub fn with_settings(stream: UnixStream, pairs: &[(u16, u32)]) -> Self {
        let mut peer = Self::silent(stream);
        let pairs = [&[(HEADER_TABLE_SIZE, 0)], pairs].concat();
        peer.send(&[PREFACE, &settings(&pairs)].concat());
        peer.until("SETTINGS are acknowledged", |peer| {
            peer.others.iter().any(|frame| frame.kind == SETTINGS && frame.flags == ACK)
        });
        peer
    }

    /// Another handle of its socket.
    pub fn socket(&self) -> UnixStream {
        self.stream.try_clone().unwrap()
    }

    /// Reads bytes of any kind until the server has closed.
    pub fn drain(&mut self) {
        let mut buffer = [0; 4096];
        while self.stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends to a server that may close meanwhile; says whether it still listened.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        match self.stream.write_all(bytes) {
            Ok(()) => true,
            Err(error) if is_gone(error.kind()) => false,
            Err(error) => panic!("cannot send: {error}"),
        }
    }

    pub fn headers(&mut self, stream: u32, flags: u8, head: &Head) {
        self.send(&frame(HEADERS, flags | END_HEADERS, stream, &head.block()));
    }

    /// A request whose body is these bytes, in one DATA frame.
    pub fn request(&mut self, stream: u32, head: &Head, body: &[u8]) {
        let headers = frame(HEADERS, END_HEADERS, stream, &head.block());
        self.send(&[headers, frame(DATA, END_STREAM, stream, body)].concat());
    }

    /// A whole call with one message, and its answer.
    pub fn call(&mut self, stream: u32, head: &Head, payload: &[u8]) -> Answer {
        self.request(stream, head, &message(payload));
        self.answer(stream)
    }

    pub fn data(&mut self, stream: u32, flags: u8, bytes: &[u8]) {
        self.send(&frame(DATA, flags, stream, bytes));
    }

    /// Sends DATA as the server opens its windows; stops when it has had enough.
    pub fn upload(&mut self, stream: u32, last_flags: u8, body: &[u8]) {
        let mut chunks = body.chunks(FRAME_BYTES_MAX as usize).peekable();
        self.windows.entry(stream).or_insert(WINDOW_BYTES as usize);
        while let Some(chunk) = chunks.next() {
            let room = |peer: &Peer| peer.windows[&0].min(peer.windows[&stream]);
            let has_answer = |peer: &Peer| peer.so_far(stream).is_some_and(|a| a.ended || a.reset.is_some());
            self.until("the window opens", |peer| room(peer) >= chunk.len() || has_answer(peer));
            if has_answer(self) {
                return;
            }
            for window in [0, stream] {
                *self.windows.get_mut(&window).unwrap() -= chunk.len();
            }
            self.data(stream, if chunks.peek().is_none() { last_flags } else { 0 }, chunk);
        }
    }

    pub fn reset(&mut self, stream: u32, code: u32) {
        self.send(&frame(RST_STREAM, 0, stream, &code.to_be_bytes()));
    }

    /// Opens the window of a stream, or of the connection (0).
    pub fn grant(&mut self, stream: u32, bytes: u32) {
        self.send(&frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes()));
    }

    /// Reads on until the stream has ended, and takes its answer.
    pub fn answer(&mut self, stream: u32) -> Answer {
        self.until(&format!("stream {stream} ends"), |peer| {
            peer.so_far(stream).is_some_and(|answer| answer.ended || answer.reset.is_some())
        });
        self.answers.remove(&stream).unwrap()
    }

    /// What has come on a stream so far.
    pub fn so_far(&self, stream: u32) -> Option<&Answer> {
        self.answers.get(&stream)
    }

    /// Reads on until the server has answered a PING, and thereby everything that it does at once.
    pub fn catch_up(&mut self) {
        let count = |peer: &Peer| peer.others.iter().filter(|f| f.kind == PING && f.flags == ACK).count();
        let before = count(self);
        self.send(&frame(PING, 0, 0, b"catch up"));
        self.until("PING is answered", |peer| count(peer) > before);
    }

    /// Reads on until the server has closed the connection.
    pub fn until_closed(&mut self) {
        while !self.closed {
            self.read();
        }
    }

    pub fn until(&mut self, what: &str, mut is_so: impl FnMut(&Peer) -> bool) {
        while !is_so(self) {
            assert!(!self.closed, "closed before {what}; {:?}; {:?}", self.last(GOAWAY), self.answers);
            self.read();
        }
    }

    /// The last frame of a kind that was not part of an answer.
    pub fn last(&self, kind: u8) -> Option<&Frame> {
        self.others.iter().rfind(|frame| frame.kind == kind)
    }

    /// Reads one frame and files it.
    pub fn read(&mut self) {
        let Some(frame) = self.read_frame() else {
            self.closed = true;
            return;
        };
        match frame.kind {
            HEADERS | DATA | RST_STREAM => self.file(&frame),
            SETTINGS | PING if frame.flags & ACK == 0 && self.is_polite => {
                let payload = if frame.kind == PING { frame.payload.as_slice() } else { &[] };
                self.try_send(&self::frame(frame.kind, ACK, 0, payload));
                self.others.push(frame);
            }
            WINDOW_UPDATE => {
                let fresh = if frame.stream == 0 { DEFAULT_WINDOW } else { WINDOW_BYTES as usize };
                *self.windows.entry(frame.stream).or_insert(fresh) += frame.number(0) as usize;
            }
            _ => self.others.push(frame),
        }
    }

    fn file(&mut self, frame: &Frame) {
        let answer = self.answers.entry(frame.stream).or_default();
        // A frame of ours that was late may be answered by another RST_STREAM.
        assert!(answer.reset.is_none() || frame.kind == RST_STREAM, "a frame after RST_STREAM: {frame:?}");
        assert!(frame.kind == RST_STREAM || !answer.ended, "a frame after the last: {frame:?}");
        match frame.kind {
            RST_STREAM => answer.reset = answer.reset.or(Some(frame.number(0))),
            DATA => {
                assert!(!answer.head.is_empty(), "DATA before HEADERS");
                answer.data.extend(&frame.payload);
                answer.data_frames.push(frame.payload.len());
            }
            _ => {
                assert_eq!(frame.flags & END_HEADERS, END_HEADERS, "a header block in parts");
                let fields = hpack::decode(&frame.payload);
                if answer.head.is_empty() {
                    answer.head = fields;
                } else {
                    assert_eq!(frame.flags & END_STREAM, END_STREAM, "trailers that end nothing");
                    answer.trailers = fields;
                }
            }
        }
        answer.ended |= frame.kind != RST_STREAM && frame.flags & END_STREAM != 0;
        if frame.kind == DATA && self.grants && !frame.payload.is_empty() {
            let bytes = u32::try_from(frame.payload.len()).unwrap();
            self.grant(0, bytes);
            self.grant(frame.stream, bytes);
        }
    }

    /// The next frame, or `None` when the server has closed.
    pub fn read_frame(&mut self) -> Option<Frame> {
        let mut header = [0; 9];
        self.read_exact(&mut header)?;
        let [a, b, c, kind, flags, stream @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.read_exact(&mut payload)?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(bytes) {
            Ok(()) => Some(()),
            Err(error) if is_gone(error.kind()) => None,
            Err(error) => panic!("nothing came in time: {error}; {:?}", self.answers),
        }
    }
}

fn is_gone(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

//! The length-prefixed messages inside DATA frames: flag (1 byte), length (4 bytes, big endian), message
//! (gRPC spec, "Length-Prefixed-Message"). The result depends on the bytes alone, never on how they were cut.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::encoding::{self, Encoding};
use super::status::{Code, Status};

/// Flag and length before each message.
pub const PREFIX_BYTES: usize = 5;

/// A message as it stood on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub compressed: bool,
    pub payload: Bytes,
}

/// Finds the messages in a sequence of chunks: push a chunk, take frames until there is none, push the next.
#[derive(Debug)]
pub struct Deframer {
    encoding: Encoding,
    limit: usize,
    /// What of the last chunk is not consumed yet.
    chunk: Bytes,
    state: State,
}

#[derive(Debug)]
enum State {
    Prefix { bytes: [u8; PREFIX_BYTES], have: usize },
    Payload { compressed: bool, length: usize, have: BytesMut },
}

const NO_PREFIX: State = State::Prefix { bytes: [0; PREFIX_BYTES], have: 0 };

impl Deframer {
    /// `limit` bounds one message's declared length, in bytes.
    pub fn new(encoding: Encoding, limit: usize) -> Self {
        Self { encoding, limit, chunk: Bytes::new(), state: NO_PREFIX }
    }

    /// Gives the next bytes; call it when [`Deframer::next_frame`] had nothing left.
    pub fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "frames of the last chunk were not taken");
        self.chunk = chunk;
    }

    /// The next whole message, or `None` when the chunk is used up.
    ///
    /// # Errors
    /// INTERNAL for a flag above 1 or a compressed message in a stream without encoding; RESOURCE_EXHAUSTED
    /// for a declared length above the limit, before any of it is kept. The stream is of no use after an error.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Status> {
        loop {
            match &mut self.state {
                State::Prefix { bytes, have } => {
                    let take = self.chunk.len().min(PREFIX_BYTES - *have);
                    self.chunk.copy_to_slice(&mut bytes[*have..*have + take]);
                    *have += take;
                    if *have < PREFIX_BYTES {
                        return Ok(None);
                    }
                    let prefix = *bytes;
                    self.state = self.start_payload(prefix)?;
                }
                State::Payload { compressed, length, have } => {
                    let compressed = *compressed;
                    let Some(payload) = take_payload(&mut self.chunk, *length, have) else { return Ok(None) };
                    self.state = NO_PREFIX;
                    return Ok(Some(Frame { compressed, payload }));
                }
            }
        }
    }

    /// Nothing of the next message has come yet.
    pub fn is_between_messages(&self) -> bool {
        matches!(self.state, State::Prefix { have: 0, .. })
    }

    /// Says whether the stream may end here: between two messages only.
    pub fn finish(&self) -> Result<(), Status> {
        match &self.state {
            State::Prefix { have: 0, .. } => Ok(()),
            State::Prefix { have, .. } => Err(Status::new(
                Code::Internal,
                format!("stream ended after {have} of the {PREFIX_BYTES} bytes of a message's prefix"),
            )),
            State::Payload { length, have, .. } => Err(Status::new(
                Code::Internal,
                format!("stream ended after {} of the {length} bytes of a message", have.len()),
            )),
        }
    }

    fn start_payload(&self, prefix: [u8; PREFIX_BYTES]) -> Result<State, Status> {
        let [flag, length @ ..] = prefix;
        let length = u32::from_be_bytes(length) as usize;
        let compressed = match (flag, self.encoding) {
            (0, _) => false,
            (1, Encoding::Gzip) => true,
            (1, Encoding::Identity) => {
                return Err(Status::new(Code::Internal, "compressed flag is set without a grpc-encoding"));
            }
            _ => return Err(Status::new(Code::Internal, format!("message flag {flag} is not 0 or 1"))),
        };
        if length > self.limit {
            return Err(Status::new(
                Code::ResourceExhausted,
                format!("message of {length} bytes is above the limit of {} bytes", self.limit),
            ));
        }
        Ok(State::Payload { compressed, length, have: BytesMut::new() })
    }
}

/// A message that lies whole in one chunk is shared, not copied; memory for others grows as their bytes arrive.
fn take_payload(chunk: &mut Bytes, length: usize, have: &mut BytesMut) -> Option<Bytes> {
    if have.is_empty() && chunk.len() >= length {
        return Some(chunk.split_to(length));
    }
    let take = chunk.len().min(length - have.len());
    have.extend_from_slice(&chunk.split_to(take));
    (have.len() == length).then(|| std::mem::take(have).freeze())
}

/// Appends a message with its prefix, compressed where the encoding allows it and it pays.
pub fn append(message: &[u8], encoding: Encoding, buffer: &mut BytesMut) {
    let packed = match encoding {
        Encoding::Identity => None,
        Encoding::Gzip => encoding::deflate(message),
    };
    match packed {
        Some(packed) => append_frame(true, &packed, buffer),
        None => append_frame(false, message, buffer),
    }
}

fn append_frame(compressed: bool, payload: &[u8], buffer: &mut BytesMut) {
    let length = u32::try_from(payload.len()).expect("messages are bounded far below 4 GiB");
    buffer.reserve(PREFIX_BYTES + payload.len());
    buffer.put_u8(compressed.into());
    buffer.put_u32(length);
    buffer.put_slice(payload);
}

/// Fuzz body: byte 0 chooses the encoding, byte 1 the chunk size, the rest is a stream. How it is cut does not
/// matter, accepted frames encode to the bytes they came from, and nothing inflates past its limit.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz(data: &[u8]) {
    let [mode, size, stream @ ..] = data else { return };
    let encoding = if mode & 1 == 0 { Encoding::Identity } else { Encoding::Gzip };
    let whole = deframe(encoding, std::iter::once(stream));
    let cut = deframe(encoding, stream.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, cut, "chunking changed the result");
    let mut encoded = BytesMut::new();
    for frame in &whole.0 {
        append_frame(frame.compressed, &frame.payload, &mut encoded);
    }
    // Each costs as much as a thousand frames.
    for frame in whole.0.iter().filter(|frame| frame.compressed).take(2) {
        encoding::fuzz_inflate(&frame.payload);
    }
    assert_eq!(encoded, stream[..encoded.len()], "a frame does not encode to its bytes");
    assert!(whole.1.is_err() || encoded.len() == stream.len(), "bytes were lost");
}

/// All frames up to the first error, and how the stream ended.
#[cfg(any(test, feature = "fuzzing"))]
fn deframe<'a>(
    encoding: Encoding,
    chunks: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Result<(), Status>) {
    const FUZZ_MESSAGE_BYTES_MAX: usize = 1024;
    let mut deframer = Deframer::new(encoding, FUZZ_MESSAGE_BYTES_MAX);
    let mut frames = Vec::new();
    for chunk in chunks {
        deframer.push(Bytes::copy_from_slice(chunk));
        loop {
            match deframer.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(status) => return (frames, Err(status)),
            }
        }
    }
    let end = deframer.finish();
    (frames, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(messages: &[&[u8]]) -> BytesMut {
        let mut buffer = BytesMut::new();
        for message in messages {
            append(message, Encoding::Identity, &mut buffer);
        }
        buffer
    }

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let bytes = stream(&[b"one", b"", b"three"]);
        for size in 1..=bytes.len() {
            let (frames, end) = deframe(Encoding::Identity, bytes.chunks(size));
            let payloads: Vec<_> = frames.iter().map(|f| f.payload.as_ref()).collect();
            assert_eq!(payloads, [b"one".as_slice(), b"", b"three"]);
            assert_eq!(end, Ok(()));
        }
    }

    #[test]
    fn a_stream_cut_inside_prefix_or_message_is_internal() {
        let bytes = stream(&[b"hello"]);
        for length in 1..bytes.len() {
            let (frames, end) = deframe(Encoding::Identity, std::iter::once(&bytes[..length]));
            assert!(frames.is_empty());
            assert_eq!(end.unwrap_err().code, Code::Internal);
        }
    }

    #[test]
    fn bad_flags_and_sizes_are_refused_on_the_prefix_alone() {
        let cases: [(Encoding, [u8; 5], Code); 4] = [
            (Encoding::Identity, [2, 0, 0, 0, 0], Code::Internal),
            (Encoding::Identity, [1, 0, 0, 0, 0], Code::Internal),
            (Encoding::Gzip, [255, 0, 0, 0, 0], Code::Internal),
            (Encoding::Identity, [0, 0xff, 0xff, 0xff, 0xff], Code::ResourceExhausted),
        ];
        for (encoding, prefix, code) in cases {
            let (_, end) = deframe(encoding, std::iter::once(prefix.as_slice()));
            assert_eq!(end.unwrap_err().code, code, "{prefix:?}");
        }
    }

    #[test]
    fn a_message_whole_in_its_chunk_is_not_copied() {
        let chunk = stream(&[b"shared"]).freeze();
        let mut deframer = Deframer::new(Encoding::Identity, 100);
        deframer.push(chunk.clone());
        let frame = deframer.next_frame().unwrap().unwrap();
        assert_eq!(frame.payload.as_ptr(), chunk[PREFIX_BYTES..].as_ptr());
    }
}

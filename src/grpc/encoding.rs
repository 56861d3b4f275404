//! Message compression: `gzip` in both directions, with the size limit on what comes out.
//!
//! Inflating goes in steps, so that a caller on the executor can let others run between two of them.

use std::io::{Read, Write};

use bytes::{Buf, Bytes};
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::status::{Code, Status};
use crate::limits::{GZIP_BYTES_MAX, GZIP_WORTH_TRYING_BYTES, INFLATE_STEP_BYTES};

pub const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// What we understand, as the header says it.
pub const ACCEPTED: HeaderValue = HeaderValue::from_static("identity,gzip");
pub const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// How the messages of one direction are compressed. A message's own flag says whether it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// The request's encoding. Anything but `identity` and `gzip` is UNIMPLEMENTED (gRPC spec, "Compression").
    pub fn of_request(headers: &HeaderMap) -> Result<Self, Status> {
        match headers.get(GRPC_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity") => Ok(Self::Identity),
            Some(b"gzip") => Ok(Self::Gzip),
            Some(other) => Err(Status::new(
                Code::Unimplemented,
                format!("grpc-encoding \"{}\" is not known; accepted: identity, gzip", other.escape_ascii()),
            )),
        }
    }

    /// The encoding that answers may use: gzip when the peer lists it.
    pub fn accepted_by_peer(headers: &HeaderMap) -> Self {
        let values = headers.get_all(GRPC_ACCEPT_ENCODING).into_iter();
        let mut names = values.flat_map(|v| v.as_bytes().split(|b| *b == b','));
        if names.any(|name| name.trim_ascii() == b"gzip") { Self::Gzip } else { Self::Identity }
    }
}

/// The message compressed, or `None` where that would not pay or keep the executor for too long.
pub fn deflate(message: &[u8]) -> Option<Vec<u8>> {
    if !(GZIP_WORTH_TRYING_BYTES..=GZIP_BYTES_MAX).contains(&message.len()) {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 2), flate2::Compression::fast());
    encoder.write_all(message).ok()?;
    encoder.finish().ok().filter(|packed| packed.len() < message.len())
}

/// One compressed message on its way to being read.
pub struct Inflate {
    decoder: GzDecoder<bytes::buf::Reader<Bytes>>,
    message: Vec<u8>,
    limit: usize,
}

impl Inflate {
    /// `limit` bounds the message that comes out, in bytes, whatever the compressed size.
    pub fn new(packed: Bytes, limit: usize) -> Self {
        Self { decoder: GzDecoder::new(packed.reader()), message: Vec::new(), limit }
    }

    /// What has come out so far, in bytes.
    pub fn message_bytes(&self) -> usize {
        self.message.len()
    }

    /// Inflates up to [`INFLATE_STEP_BYTES`] more. The whole message when it is complete, `None` to go on.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED above the limit; INTERNAL for what is not one whole gzip member.
    pub fn step(&mut self) -> Result<Option<Vec<u8>>, Status> {
        let start = self.message.len();
        // One byte past the limit is enough to know that it is passed.
        let room = (self.limit + 1 - start).min(INFLATE_STEP_BYTES);
        self.message.resize(start + room, 0);
        let read = self.decoder.read(&mut self.message[start..]);
        self.message.truncate(start + read.as_ref().unwrap_or(&0));
        match read {
            Err(error) => Err(Status::new(Code::Internal, format!("message is not valid gzip: {error}"))),
            Ok(0) if self.decoder.get_ref().get_ref().has_remaining() => {
                Err(Status::new(Code::Internal, "message has bytes after its gzip member"))
            }
            Ok(0) => Ok(Some(std::mem::take(&mut self.message))),
            Ok(_) if self.message.len() > self.limit => Err(Status::new(
                Code::ResourceExhausted,
                format!("message inflates to more than {} bytes, the limit", self.limit),
            )),
            Ok(_) => Ok(None),
        }
    }
}

/// Fuzz body: whatever is inflated ends in few steps, is never longer than its limit, and survives another round.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn fuzz_inflate(packed: &Bytes) {
    const LIMIT: usize = 2 * INFLATE_STEP_BYTES;
    let Ok(message) = inflate_in_steps(packed, LIMIT) else { return };
    assert!(message.len() <= LIMIT, "{} bytes passed the limit of {LIMIT}", message.len());
    if let Some(again) = deflate(&message) {
        assert_eq!(inflate_in_steps(&again.into(), LIMIT).as_ref(), Ok(&message));
    }
}

#[cfg(any(test, feature = "fuzzing"))]
fn inflate_in_steps(packed: &Bytes, limit: usize) -> Result<Vec<u8>, Status> {
    let mut inflate = Inflate::new(packed.clone(), limit);
    // The decoder may give less than it is asked for, but each step gives a byte, the end or an error.
    (0..=limit).find_map(|_| inflate.step().transpose()).expect("inflating ends")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflate(packed: Vec<u8>, limit: usize) -> Result<Vec<u8>, Status> {
        let mut inflate = Inflate::new(packed.into(), limit);
        loop {
            if let Some(message) = inflate.step()? {
                return Ok(message);
            }
        }
    }

    #[test]
    fn what_is_deflated_inflates_to_itself() {
        let message = b"abc".repeat(100_000);
        let packed = deflate(&message).expect("repetition compresses");
        assert!(packed.len() < message.len() / 10);
        assert_eq!(inflate(packed, message.len()), Ok(message));
    }

    #[test]
    fn short_or_random_messages_are_left_alone() {
        assert_eq!(deflate(b"short"), None);
        let mut state = 1u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(4096)
        .collect();
        assert_eq!(deflate(&noise), None);
    }

    #[test]
    fn large_messages_are_left_alone() {
        assert_eq!(deflate(&vec![0; GZIP_BYTES_MAX + 1]), None);
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let packed = deflate(&vec![0; GZIP_BYTES_MAX]).unwrap();
        assert_eq!(inflate(packed, GZIP_BYTES_MAX / 10).unwrap_err().code, Code::ResourceExhausted);
    }

    #[test]
    fn a_message_of_exactly_the_limit_passes() {
        let message = vec![7; 65_536];
        assert_eq!(inflate(deflate(&message).unwrap(), 65_536), Ok(message));
    }

    #[test]
    fn garbage_a_cut_member_and_trailing_bytes_are_internal() {
        let packed = deflate(&vec![0; 10_000]).unwrap();
        let cut = packed[..packed.len() - 3].to_vec();
        let trailing = [packed.as_slice(), b"x"].concat();
        for bad in [b"not gzip".to_vec(), Vec::new(), cut, trailing] {
            assert_eq!(inflate(bad, 1 << 20).unwrap_err().code, Code::Internal);
        }
    }
}

//! What several tests share: a server with a service that does as it is told, and a peer that writes and reads HTTP/2
//! byte by byte.

pub mod fake;
pub mod hpack;
pub mod log;
pub mod peer;
pub mod server;

use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Longer than anything here takes, so that only a failure waits for so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A number that tests can wait for.
#[derive(Default)]
pub struct Count {
    number: Mutex<usize>,
    changed: Condvar,
}

impl Count {
    pub fn now(&self) -> usize {
        *self.number.lock().unwrap()
    }

    pub fn add(&self) -> usize {
        let mut number = self.number.lock().unwrap();
        *number += 1;
        self.changed.notify_all();
        *number
    }

    /// Waits until the number is at least `wanted`.
    pub fn reaches(&self, wanted: usize) {
        let number = self.number.lock().unwrap();
        let (number, _) = self.changed.wait_timeout_while(number, PATIENCE, |n| *n < wanted).unwrap();
        assert!(*number >= wanted, "waited in vain for {wanted}; there are {number}");
    }
}

/// Waits for what no event tells of: the state of another thread or of the kernel.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A message with its gRPC prefix, not compressed.
pub fn message(payload: &[u8]) -> Vec<u8> {
    flagged(0, payload)
}

/// A message with its gRPC prefix and the given flag.
pub fn flagged(flag: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[flag], length.as_slice(), payload].concat()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn gunzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

/// Bytes that no compressor makes smaller.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

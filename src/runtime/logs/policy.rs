//! What is kept of the output of an executable. Parsed values.

use crate::limits::{RING_BYTES, RING_BYTES_MAX, RING_BYTES_MIN};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPolicy {
    pub mode: LogMode,
    /// Of each of the two outputs.
    pub ring: RingBytes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogMode {
    /// The oldest output makes way.
    #[default]
    Ring,
    /// The executable waits for those who follow.
    Block,
}

/// 4096 to 16777216 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingBytes(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes cannot be held of each output; accepted: {RING_BYTES_MIN} to {RING_BYTES_MAX}")]
pub struct RingBytesError(u32);

impl RingBytes {
    pub fn parse(bytes: u32) -> Result<Self, RingBytesError> {
        if (RING_BYTES_MIN..=RING_BYTES_MAX).contains(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(RingBytesError(bytes))
        }
    }

    pub fn value(self) -> usize {
        self.0 as usize
    }
}

impl Default for LogPolicy {
    fn default() -> Self {
        Self { mode: LogMode::default(), ring: RingBytes(RING_BYTES) }
    }
}

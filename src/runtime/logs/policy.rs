//! What is kept of the output of an executable. Parsed values.

use crate::limits::{
    LOG_FILE_BYTES, LOG_FILE_BYTES_MIN, LOG_FILES, LOG_FILES_MAX, RING_BYTES, RING_BYTES_MAX, RING_BYTES_MIN,
};
use std::time::Duration;

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
    /// As `Ring`, and it is also appended to files.
    File(FileBounds),
}

/// 4096 to 16777216 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingBytes(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes cannot be held of each output; accepted: {RING_BYTES_MIN} to {RING_BYTES_MAX}")]
pub struct RingBytesError(u32);

/// When the file of an output is put aside, and how many of those are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileBounds {
    bytes_max: u64,
    count_max: u32,
    age_max: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileBoundsError {
    #[error("a file cannot end at {0} bytes; accepted: {LOG_FILE_BYTES_MIN} and more")]
    Bytes(u64),
    #[error("{0} files that were put aside are too many; accepted: 0 to {LOG_FILES_MAX}")]
    Count(u32),
    #[error("a file cannot end at an age of 0 seconds; accepted: 1 and more, or leave it unset")]
    Age,
}

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

impl FileBounds {
    pub fn with_bytes(self, bytes_max: u64) -> Result<Self, FileBoundsError> {
        if bytes_max < LOG_FILE_BYTES_MIN {
            return Err(FileBoundsError::Bytes(bytes_max));
        }
        Ok(Self { bytes_max, ..self })
    }

    pub fn with_count(self, count_max: u32) -> Result<Self, FileBoundsError> {
        if count_max > LOG_FILES_MAX {
            return Err(FileBoundsError::Count(count_max));
        }
        Ok(Self { count_max, ..self })
    }

    pub fn with_age_seconds(self, seconds: u64) -> Result<Self, FileBoundsError> {
        if seconds == 0 {
            return Err(FileBoundsError::Age);
        }
        Ok(Self { age_max: Some(Duration::from_secs(seconds)), ..self })
    }

    /// Of one file.
    pub fn bytes_max(self) -> u64 {
        self.bytes_max
    }

    /// Of files that were put aside.
    pub fn count_max(self) -> u32 {
        self.count_max
    }

    pub fn age_max(self) -> Option<Duration> {
        self.age_max
    }
}

impl Default for FileBounds {
    fn default() -> Self {
        Self { bytes_max: LOG_FILE_BYTES, count_max: LOG_FILES, age_max: None }
    }
}

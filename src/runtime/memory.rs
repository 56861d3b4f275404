//! Limits on memory: values and their bounds. Touches no file.

use crate::limits::MEMORY_BYTES_MAX;
use std::fmt;

/// The limits that a cell puts on memory. A field that is `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryLimits {
    pub min: Option<Bytes>,
    pub low: Option<Bytes>,
    pub high: Option<Bytes>,
    pub max: Option<Bytes>,
    /// Beside `max`, not with it.
    pub swap_max: Option<Bytes>,
}

/// An amount of memory. The kernel counts in pages, and takes what is no whole number of them as the next lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(u64);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes are out of range; accepted: 0 to {MEMORY_BYTES_MAX}, or unset for no limit")]
pub struct BytesError(i64);

impl Bytes {
    pub fn new(bytes: i64) -> Result<Self, BytesError> {
        match u64::try_from(bytes) {
            Ok(valid @ 0..=MEMORY_BYTES_MAX) => Ok(Self(valid)),
            _ => Err(BytesError(bytes)),
        }
    }

    pub fn value(self) -> u64 {
        self.0
    }

    /// The sum, as cgroup v1 limits memory and swap together. Below 2^61, so that it cannot wrap.
    pub fn and(self, more: Self) -> u64 {
        self.0 + more.0
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_bounds() {
        for bytes in [0, 1, 64 << 20, 1 << 60] {
            assert_eq!(Bytes::new(bytes).map(|b| b.value() as i64), Ok(bytes));
        }
        for bytes in [-1, (1 << 60) + 1, i64::MAX, i64::MIN] {
            assert_eq!(Bytes::new(bytes), Err(BytesError(bytes)));
        }
        let message = BytesError(-1).to_string();
        assert_eq!(
            message,
            "-1 bytes are out of range; accepted: 0 to 1152921504606846976, or unset for no limit"
        );
    }
}

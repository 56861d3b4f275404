//! The limit on processes: its value and bounds. Touches no file.

use crate::limits::PIDS_MAX;

/// The limits that a cell puts on processes. A field that is `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PidsLimits {
    pub max: Option<PidsMax>,
}

/// How many processes and threads there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PidsMax(u32);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} processes are out of range; accepted: 1 to {PIDS_MAX}, or unset for no limit")]
pub struct PidsError(i64);

impl PidsMax {
    pub fn new(max: i64) -> Result<Self, PidsError> {
        match u32::try_from(max) {
            Ok(valid @ 1..=PIDS_MAX) => Ok(Self(valid)),
            _ => Err(PidsError(max)),
        }
    }

    pub fn value(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds() {
        for max in [1, 4_194_304] {
            assert_eq!(PidsMax::new(max).map(|max| max.value().into()), Ok(max));
        }
        for max in [0, -1, 4_194_305, i64::MAX] {
            assert_eq!(PidsMax::new(max), Err(PidsError(max)));
        }
        assert!(PidsError(0).to_string().contains("accepted: 1 to 4194304"));
    }
}

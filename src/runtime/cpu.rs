//! Limits on cpu time: values, their bounds, and how each kernel interface takes them. Touches no file.

use crate::limits::{CPU_MAX_US_FLOOR, CPU_MAX_US_MAX, CPU_PERIOD_US_DEFAULT, CPU_WEIGHT_MAX};
use std::ops::RangeInclusive;

/// The limits that a cell puts on cpu time. A field that is `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuLimits {
    pub weight: Option<CpuWeight>,
    pub max: Option<CpuMax>,
}

/// Share of the cpu time when cells compete, relative to siblings; 1 to 10000, the kernel's default is 100
/// (cgroup-v2.rst, "cpu.weight").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuWeight(u16);

/// Cpu time that may be used in each period, by all cpus together (cgroup-v2.rst, "cpu.max").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuMax {
    quota_us: u64,
    period_us: u64,
}

/// Why a number is no limit on cpu time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpuError {
    #[error("cpu weight {0} is out of range; accepted: 1 to {CPU_WEIGHT_MAX} (the kernel's default is 100)")]
    Weight(u64),
    #[error("cpu max {0} µs is out of range; accepted: 0 to {CPU_MAX_US_MAX}, or unset for no limit")]
    Max(i64),
    #[error("cpu period {0} µs is out of range; accepted: {low} to {high}", low = PERIODS.start(), high = PERIODS.end())]
    Period(u64),
}

/// What the kernel accepts as a period: 1 ms to 1 s (`min_bw_period_us`, `max_bw_period_us` in kernel/sched/core.c).
const PERIODS: RangeInclusive<u64> = 1_000..=1_000_000;

impl CpuWeight {
    pub fn new(weight: u64) -> Result<Self, CpuError> {
        match u16::try_from(weight) {
            Ok(small @ 1..=CPU_WEIGHT_MAX) => Ok(Self(small)),
            _ => Err(CpuError::Weight(weight)),
        }
    }

    pub fn value(self) -> u64 {
        self.0.into()
    }

    /// The same share as v1 has it in `cpu.shares`, where the default is 1024.
    ///
    /// The kernel converts in the same way when it takes a weight (`cpu_weight_write_u64`), and takes no less than 2.
    pub fn shares(self) -> u64 {
        (self.value() * 1024 + 50).div_euclid(100).max(2)
    }
}

impl CpuMax {
    /// `quota_us` in each `period_us`; the period is 1 second unless it is given.
    ///
    /// A quota below the kernel's floor of 1 ms is raised to it.
    pub fn new(quota_us: i64, period_us: Option<u64>) -> Result<Self, CpuError> {
        let quota = u64::try_from(quota_us).ok().filter(|q| *q <= CPU_MAX_US_MAX);
        let quota = quota.ok_or(CpuError::Max(quota_us))?;
        let period_us = period_us.unwrap_or(CPU_PERIOD_US_DEFAULT);
        if !PERIODS.contains(&period_us) {
            return Err(CpuError::Period(period_us));
        }
        Ok(Self { quota_us: quota.max(CPU_MAX_US_FLOOR), period_us })
    }

    /// Microseconds of cpu time per period.
    pub fn quota_us(self) -> u64 {
        self.quota_us
    }

    /// Microseconds from one refill to the next.
    pub fn period_us(self) -> u64 {
        self.period_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_bounds() {
        for weight in [1, 100, 10_000] {
            assert_eq!(CpuWeight::new(weight).map(CpuWeight::value), Ok(weight));
        }
        for weight in [0, 10_001, 65_536 + 1, u64::MAX] {
            assert_eq!(CpuWeight::new(weight), Err(CpuError::Weight(weight)));
        }
    }

    #[test]
    fn weights_become_shares_as_in_the_kernel() {
        for (weight, shares) in [(1, 10), (2, 20), (39, 399), (100, 1024), (10_000, 102_400)] {
            assert_eq!(CpuWeight::new(weight).expect("valid").shares(), shares);
        }
    }

    #[test]
    fn max_is_raised_to_the_floor() {
        let quota = |us| CpuMax::new(us, None).map(|max| (max.quota_us(), max.period_us()));
        assert_eq!(quota(0), Ok((1_000, 1_000_000)));
        assert_eq!(quota(999), Ok((1_000, 1_000_000)));
        assert_eq!(quota(500_000), Ok((500_000, 1_000_000)));
        assert_eq!(quota(-1), Err(CpuError::Max(-1)));
        assert_eq!(quota(i64::MAX), Err(CpuError::Max(i64::MAX)));
    }

    #[test]
    fn periods_have_bounds() {
        for period in [1_000, 1_000_000] {
            assert_eq!(CpuMax::new(5_000, Some(period)).map(CpuMax::period_us), Ok(period));
        }
        for period in [0, 999, 1_000_001] {
            assert_eq!(CpuMax::new(5_000, Some(period)), Err(CpuError::Period(period)));
        }
    }

    #[test]
    fn messages_say_what_is_accepted() {
        let message = CpuError::Period(7).to_string();
        assert_eq!(message, "cpu period 7 µs is out of range; accepted: 1000 to 1000000");
    }
}

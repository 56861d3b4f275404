//! Limits by their names, and a change of some of them. Touches no file.

use super::error::Error;
use super::isolation::Isolation;
use super::spec::Limits;
use std::fmt;

/// Each single limit of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitName {
    CpuWeight,
    CpuMax,
    CpusetCpus,
    CpusetMems,
    MemoryMin,
    MemoryLow,
    MemorySwapMax,
    MemoryHigh,
    MemoryMax,
    PidsMax,
    IoWeight,
    IoMax,
}

/// What Update changes: a limit that is neither in `set` nor in `clear` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsChange {
    pub set: Limits,
    pub clear: Vec<LimitName>,
    /// What the cell must have already, since it cannot be changed.
    pub isolation: Isolation,
}

impl LimitName {
    /// In the order in which they are written: those for which the kernel may kill come last, when nothing can be refused
    /// any more but they.
    pub const ALL: [Self; 12] = [
        Self::CpuWeight,
        Self::CpuMax,
        Self::CpusetCpus,
        Self::CpusetMems,
        Self::PidsMax,
        Self::IoWeight,
        Self::IoMax,
        Self::MemoryMin,
        Self::MemoryLow,
        Self::MemorySwapMax,
        Self::MemoryHigh,
        Self::MemoryMax,
    ];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.to_string() == text)
    }

    /// The path of its field in a request.
    pub fn field(self) -> &'static str {
        match self {
            Self::CpuWeight => "cell.cpu.weight",
            Self::CpuMax => "cell.cpu.max",
            Self::CpusetCpus => "cell.cpuset.cpus",
            Self::CpusetMems => "cell.cpuset.mems",
            Self::MemoryMin => "cell.memory.min",
            Self::MemoryLow => "cell.memory.low",
            Self::MemorySwapMax => "cell.memory.swap_max",
            Self::MemoryHigh => "cell.memory.high",
            Self::MemoryMax => "cell.memory.max",
            Self::PidsMax => "cell.pids.max",
            Self::IoWeight => "cell.io.weight",
            Self::IoMax => "cell.io.max",
        }
    }

    /// Whether these limits have it.
    pub fn is_in(self, limits: &Limits) -> bool {
        self.differs(limits, &Limits::default())
    }

    pub fn differs(self, one: &Limits, other: &Limits) -> bool {
        let alone = |limits| {
            let mut alone = Limits::default();
            self.copy(limits, &mut alone);
            alone
        };
        alone(one) != alone(other)
    }

    fn copy(self, from: &Limits, to: &mut Limits) {
        match self {
            Self::CpuWeight => to.cpu.weight = from.cpu.weight,
            Self::CpuMax => to.cpu.max = from.cpu.max,
            Self::CpusetCpus => to.cpuset.cpus.clone_from(&from.cpuset.cpus),
            Self::CpusetMems => to.cpuset.mems.clone_from(&from.cpuset.mems),
            Self::MemoryMin => to.memory.min = from.memory.min,
            Self::MemoryLow => to.memory.low = from.memory.low,
            Self::MemorySwapMax => to.memory.swap_max = from.memory.swap_max,
            Self::MemoryHigh => to.memory.high = from.memory.high,
            Self::MemoryMax => to.memory.max = from.memory.max,
            Self::PidsMax => to.pids.max = from.pids.max,
            Self::IoWeight => to.io.weight = from.io.weight,
            Self::IoMax => to.io.max.clone_from(&from.io.max),
        }
    }
}

/// As the field is called in the cell: `cpu.max`.
impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field().strip_prefix("cell.").unwrap_or_default())
    }
}

impl LimitsChange {
    /// The limits after the change. A device that is named gets the rates that are named with it; others stay.
    pub fn applied_to(&self, old: &Limits) -> Limits {
        let mut new = old.clone();
        for limit in LimitName::ALL.into_iter().filter(|limit| limit.is_in(&self.set)) {
            limit.copy(&self.set, &mut new);
        }
        if LimitName::IoMax.is_in(&self.set) {
            let unnamed = old.io.max.iter().filter(|(device, _)| !self.set.io.max.contains_key(device));
            new.io.max.extend(unnamed.map(|(device, max)| (device.clone(), *max)));
        }
        self.clear.iter().for_each(|limit| limit.copy(&Limits::default(), &mut new));
        new
    }

    /// The same with each device by its numbers.
    pub(super) fn resolved(self) -> Result<Self, Error> {
        Ok(Self { set: self.set.resolved()?, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::super::io::{Device, IoMax};
    use super::super::pids::PidsMax;
    use super::*;

    #[test]
    fn each_name_is_of_one_limit() {
        for name in LimitName::ALL {
            assert_eq!(LimitName::parse(&name.to_string()), Some(name));
            assert_eq!(LimitName::ALL.iter().filter(|other| other.field() == name.field()).count(), 1);
        }
        assert_eq!(LimitName::parse("memory.swap_max"), Some(LimitName::MemorySwapMax));
        for text in ["", "cpu", "cpu.period", "cell.cpu.max", "cpu.max "] {
            assert_eq!(LimitName::parse(text), None);
        }
    }

    #[test]
    fn a_change_leaves_the_rest_alone() {
        let device = |text| Device::parse(text).expect("valid");
        let max = |bytes| IoMax::new([Some(bytes), None, None, None]).expect("valid");
        let mut old = Limits::default();
        old.pids.max = PidsMax::new(7).ok();
        old.io.max = [(device("8:0"), max(1)), (device("8:16"), max(2))].into();
        assert_eq!(LimitsChange::default().applied_to(&old), old);

        let mut set = Limits::default();
        set.io.max = [(device("8:16"), max(3)), (device("8:32"), max(4))].into();
        let new =
            LimitsChange { set, clear: vec![LimitName::PidsMax, LimitName::CpuMax], ..Default::default() }
                .applied_to(&old);
        assert_eq!(new.pids.max, None);
        let rates: Vec<_> = new.io.max.iter().map(|(device, max)| (device.to_string(), *max)).collect();
        let expected = [("8:0", max(1)), ("8:16", max(3)), ("8:32", max(4))];
        assert_eq!(rates, expected.map(|(device, max)| (device.to_owned(), max)));

        let cleared = LimitsChange { clear: vec![LimitName::IoMax], ..Default::default() }.applied_to(&new);
        assert_eq!(cleared, Limits::default());
    }
}

//! What a cell is asked to be. Parsed values; no file is touched.

use super::cpu::CpuLimits;
use super::cpuset::CpusetLimits;
use super::error::Error;
use super::io::IoLimits;
use super::isolation::Isolation;
use super::memory::MemoryLimits;
use super::names::CellName;
use super::pids::PidsLimits;

/// A cell as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellSpec {
    pub name: CellName,
    pub limits: Limits,
    pub isolation: Isolation,
}

/// The limits of a cell, by controller. They bound what is in the cell and in all cells inside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub cpu: CpuLimits,
    pub cpuset: CpusetLimits,
    pub memory: MemoryLimits,
    pub pids: PidsLimits,
    pub io: IoLimits,
}

impl Limits {
    /// The same with each device by its numbers.
    pub(super) fn resolved(self) -> Result<Self, Error> {
        Ok(Self { io: self.io.resolved()?, ..self })
    }
}

//! What a cell is asked to be. Parsed values; no file is touched.

use super::cpu::CpuLimits;
use super::cpuset::CpusetLimits;
use super::names::CellName;

/// A cell as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellSpec {
    pub name: CellName,
    pub cpu: CpuLimits,
    pub cpuset: CpusetLimits,
}

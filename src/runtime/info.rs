//! What [`super::Cells::list`] and [`super::Cells::get`] answer: copies, which no lock guards and no later change touches.

use super::executable::{Description, Identity};
use super::names::ExecutableName;
use super::outcome::Outcome;
use super::spec::CellSpec;

/// A cell, what runs in it, and the cells inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellInfo {
    /// As it was asked for.
    pub spec: CellSpec,
    /// It is being freed: nothing can be put into it any more.
    pub freeing: bool,
    /// All of it stands still, by itself or with a cell around it.
    pub frozen: bool,
    /// `None` when the cell was removed while it was being listed.
    pub usage: Option<Usage>,
    /// In the order of their names.
    pub executables: Vec<ExecutableInfo>,
    /// In the order of their names.
    pub children: Vec<CellInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutableInfo {
    pub name: ExecutableName,
    pub description: Description,
    pub identity: Identity,
    pub state: ExecutableState,
    /// Its last process; `None` while the first one is being started.
    pub process: Option<ProcessInfo>,
    /// How its last process ended, unless that runs.
    pub outcome: Option<Outcome>,
    /// How often it was started again.
    pub restarts: u32,
    /// It is being stopped.
    pub stopping: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutableState {
    /// Being started for the first time.
    Starting,
    Running,
    /// Its process has ended, and the next one is to come.
    Restarting,
    /// It has ended and been reaped.
    Exited,
}

/// The first process of an executable: its program, or the shell that runs its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// May be another's once it has ended.
    pub pid: i32,
    /// Unix time.
    pub started_ms: i64,
}

/// What a cell and all cells inside it use. `None`: this kernel doesn't count it for this cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time.
    pub cpu_us: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub memory_peak_bytes: Option<u64>,
    pub swap_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// From block devices.
    pub io_read_bytes: Option<u64>,
    pub io_written_bytes: Option<u64>,
    pub cpu_pressure: Option<Pressure>,
    pub memory_pressure: Option<Pressure>,
    pub io_pressure: Option<Pressure>,
}

/// How long processes wait for a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// At least one process waited.
    pub some: Option<PressureShare>,
    /// All that could have run waited.
    pub full: Option<PressureShare>,
}

/// Shares of time, over the last 10, 60 and 300 seconds, in hundredths of a percent: exactly what the kernel prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PressureShare {
    pub avg10: u32,
    pub avg60: u32,
    pub avg300: u32,
    pub total_us: u64,
}

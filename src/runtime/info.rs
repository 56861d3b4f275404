//! What [`super::Cells::list`] answers: copies, which no lock guards and no later change touches.

use super::names::ExecutableName;
use super::outcome::Outcome;
use super::spec::{CellSpec, Description};

/// A cell, what runs in it, and the cells inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellInfo {
    /// As it was asked for.
    pub spec: CellSpec,
    /// It is being freed: nothing can be put into it any more.
    pub freeing: bool,
    /// In the order of their names.
    pub executables: Vec<ExecutableInfo>,
    /// In the order of their names.
    pub children: Vec<CellInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutableInfo {
    pub name: ExecutableName,
    pub description: Description,
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

/// The first process of an executable, the shell that runs its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// May be another's once it has ended.
    pub pid: i32,
    /// Unix time.
    pub started_ms: i64,
}

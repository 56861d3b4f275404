//! What [`super::Cells::list`] answers: copies, which no lock guards and no later change touches.

use super::executable::{Description, Identity};
use super::names::ExecutableName;
use super::spec::CellSpec;
use crate::sys::pidfd::ExitReason;

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
    pub identity: Identity,
    pub process: ProcessState,
    /// It is being stopped.
    pub stopping: bool,
}

/// The first process of an executable: its program, or the shell that runs its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// Being started; there is no pid yet.
    Starting,
    Running {
        pid: i32,
    },
    /// It has ended and been reaped; `pid` is what it had, and may be another's by now.
    Exited {
        pid: i32,
        reason: ExitReason,
    },
}
